//! Connections to the broker; the only module that mentions rumqttc.
//!
//! [`connect`] turns settings into a connection and its errors into sentences; [`client`] is the
//! short session of a command line tool.

pub mod client;
pub mod connect;
