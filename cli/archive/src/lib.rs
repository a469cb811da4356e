//! `obsbus archive`: states and events of every device as rows of a PostgreSQL database. `rows` says
//! what is kept, `database` writes it, `settings` are those of the service. It knows no instrument, and changes no table for a new one.

mod database;
mod rows;
mod settings;

pub use database::{Database, DatabaseError, Place, SCHEMA};
pub use rows::{NOT_KEPT, Row, Rows, Table, flattened};
pub use settings::{ADDRESS, FILE, Settings, USER};
