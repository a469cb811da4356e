//! Connections to the broker; the only module that mentions rumqttc.
//!
//! [`connect`] turns settings into a connection and its errors into sentences; [`machine`] makes
//! the decisions of a daemon's session, [`bridge`] runs it, and [`client`] is the short session of
//! a command line tool; [`peer`] looks at the broker's certificate.

pub mod bridge;
pub mod client;
pub mod connect;
pub mod machine;
pub mod peer;
mod retry;
mod round_trip;

pub(crate) use retry::{Cause, Retry};
pub use round_trip::RoundTrip;
