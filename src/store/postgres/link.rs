//! One connection to the server, and what is kept prepared on it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Row, RowStream, Statement};

use super::address::{Encryption, Host, Server, Session};
use super::bell::Bell;
use super::cells::Parameter;
use super::error::store_error;
use super::settings::{self, Access};
use crate::store::{Result, StoreError};

pub type Answered<T> = std::result::Result<T, Error>;

/// A statement and its parameters.
#[derive(Clone, Debug)]
pub struct Request {
    pub sql: String,
    pub parameters: Vec<Parameter>,
}

impl Request {
    pub fn new(sql: impl Into<String>, parameters: Vec<Parameter>) -> Request {
        Request { sql: sql.into(), parameters }
    }
}

/// How often a statement runs before it is worth keeping prepared.
const WORTH_PREPARING: usize = 8;

/// How long a host that went silent is waited for, when something is under way.
const SILENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Link {
    pub client: Client,
    pub bell: Arc<Bell>,
    /// When the server last said which schema it has, and what time it is.
    pub greeted: Cell<Option<Instant>>,
    pub is_listening: Cell<bool>,
    /// It gave no answer in time.
    pub is_given_up: Cell<bool>,
    known: RefCell<HashMap<String, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    uses: usize,
    kinds: Vec<Type>,
    statement: Option<Statement>,
}

impl Link {
    /// Connects to the first host that will do. A runtime is needed that goes on running what is spawned.
    pub async fn open(server: &Server, access: Access) -> Result<Link> {
        let mut failure = StoreError::Refused(format!("{server} names no host"));
        for host in &server.hosts {
            match open_at(host, server, access).await {
                Ok(link) => return Ok(link),
                // The others have the same roles and databases.
                Err(error @ StoreError::Refused(_)) => return Err(error),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    pub fn is_lost(&self) -> bool {
        self.is_given_up.get() || self.client.is_closed()
    }

    /// Asks, and gives the rows as they come.
    pub async fn start(&self, request: &Request) -> Answered<RowStream> {
        if let Some(statement) = self.prepared(request) {
            return self.client.query_raw(&statement, &request.parameters).await;
        }
        let parameters = request.parameters.iter().map(|parameter| (parameter, parameter.kind()));
        self.client.query_typed_raw(&request.sql, parameters).await
    }

    /// How many rows a statement changed.
    pub async fn run(&self, request: &Request) -> Answered<u64> {
        let mut rows = pin!(self.start(request).await?);
        while rows.next().await.transpose()?.is_some() {}
        Ok(rows.rows_affected().unwrap_or_default())
    }

    pub async fn rows(&self, request: &Request) -> Answered<Vec<Row>> {
        self.start(request).await?.try_collect().await
    }

    pub async fn first(&self, request: &Request) -> Answered<Option<Row>> {
        let mut rows = pin!(self.start(request).await?);
        let mut first = None;
        while let Some(row) = rows.next().await.transpose()? {
            first.get_or_insert(row);
        }
        Ok(first)
    }

    fn prepared(&self, request: &Request) -> Option<Statement> {
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.get_mut(&request.sql) {
            known.uses += 1;
            return known.statement.clone();
        }
        let kinds = request.parameters.iter().map(Parameter::kind).collect();
        known.insert(request.sql.clone(), Known { uses: 1, kinds, statement: None });
        None
    }

    /// The statements that have become worth preparing.
    pub fn worth_preparing(&self) -> Vec<String> {
        let known = self.known.borrow();
        let is_worth = |known: &Known| known.statement.is_none() && known.uses >= WORTH_PREPARING;
        known.iter().filter(|(_, known)| is_worth(known)).map(|(sql, _)| sql.clone()).collect()
    }

    /// Keeps a statement prepared from now on.
    pub async fn prepare(&self, sql: &str) {
        let kinds = self.known.borrow().get(sql).map(|known| known.kinds.clone()).unwrap_or_default();
        // In a transaction that failed nothing is prepared; the next one tries again.
        if let Ok(statement) = self.client.prepare_typed(sql, &kinds).await
            && let Some(known) = self.known.borrow_mut().get_mut(sql)
        {
            known.statement = Some(statement);
        }
    }
}

async fn open_at(host: &Host, server: &Server, access: Access) -> Result<Link> {
    let config = config(host, server, access);
    let bell = Arc::new(Bell::default());
    let connecting = async {
        Ok::<_, StoreError>(match server.encryption {
            Encryption::None => {
                let (client, connection) = config.connect(NoTls).await.map_err(|error| store_error(&error, server))?;
                tokio::spawn(drive(connection, Arc::clone(&bell)));
                client
            }
            Encryption::Authority | Encryption::Full => {
                let tls = super::tls::connector(server)?;
                let (client, connection) = config.connect(tls).await.map_err(|error| store_error(&error, server))?;
                tokio::spawn(drive(connection, Arc::clone(&bell)));
                client
            }
        })
    };
    let client = tokio::time::timeout(server.connect_timeout, connecting).await.unwrap_or_else(|_| {
        let seconds = server.connect_timeout.as_secs();
        Err(StoreError::Unavailable(format!("{server} does not answer within {seconds} s")))
    })?;
    Ok(Link {
        client,
        bell,
        greeted: None.into(),
        is_listening: false.into(),
        is_given_up: false.into(),
        known: RefCell::default(),
    })
}

fn config(host: &Host, server: &Server, access: Access) -> Config {
    let mut config = Config::new();
    config
        .host(&host.name)
        .port(host.port)
        .user(&server.user)
        .dbname(&server.database)
        .application_name(&server.application_name)
        .connect_timeout(server.connect_timeout)
        .tcp_user_timeout(SILENCE)
        .keepalives_idle(SILENCE / 2)
        .keepalives_interval(SILENCE / 4)
        .keepalives_retries(2)
        .ssl_mode(match server.encryption {
            Encryption::None => SslMode::Disable,
            Encryption::Authority | Encryption::Full => SslMode::Require,
        })
        .channel_binding(match server.needs_channel_binding {
            true => ChannelBinding::Require,
            false => ChannelBinding::Prefer,
        })
        .target_session_attrs(match server.session {
            Session::Any => TargetSessionAttrs::Any,
            Session::ReadWrite => TargetSessionAttrs::ReadWrite,
            Session::ReadOnly => TargetSessionAttrs::ReadOnly,
        });
    if let Some(address) = host.address {
        config.hostaddr(address);
    }
    if let Some(password) = &host.password {
        config.password(&password.0);
    }
    let options = settings::startup_options(server, access);
    if !options.is_empty() {
        config.options(options);
    }
    config
}

/// Reads and writes for as long as the client is there, and rings the bell when it was notified.
async fn drive<S, T>(mut connection: Connection<S, T>, bell: Arc<Bell>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    // An error ends it, and whoever waits for an answer hears of it.
    while let Some(Ok(message)) = messages.next().await {
        if matches!(message, AsyncMessage::Notification(_)) {
            bell.ring();
        }
    }
    bell.ring();
}

/// Starts all of these in their order, which sends them, and only then waits for each.
pub async fn at_once<F: Future>(all: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.into_iter().map(|one| Box::pin(futures_util::future::maybe_done(one))).collect();
    std::future::poll_fn(|context| {
        for one in &mut all {
            let _ = one.poll_unpin(context);
        }
        Poll::Ready(())
    })
    .await;
    let mut outputs = Vec::with_capacity(all.len());
    for mut one in all {
        one.as_mut().await;
        outputs.push(one.as_mut().take_output().expect("it was waited for"));
    }
    outputs
}
