//! What only a server has: other machines, its faults, its roles. These tests run in every run where PostgreSQL is installed.

mod tools;
