//! `obsbus archive`: states and events of every device as rows of a PostgreSQL database. `rows` says
//! what is kept, `database` writes it. It knows no instrument, and changes no table for a new one.

mod database;
mod rows;

pub use database::{Database, DatabaseError, SCHEMA};
pub use rows::{NOT_KEPT, Row, Rows, Table, flattened};
