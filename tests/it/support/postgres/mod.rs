//! PostgreSQL for the tests: a cluster of their own on loopback, databases in it, and a proxy that cuts connections.

mod cluster;
mod databases;
mod proxy;
mod session;

pub use cluster::{Cluster, QUICK, programs, server_user};
pub use databases::Server;
pub use proxy::{Half, Proxy};
pub use session::Session;
