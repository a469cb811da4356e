//! Connections to the broker; the only module that mentions rumqttc.
//!
//! [`connect`] turns settings into a connection and its errors into sentences; [`bridge`] is the
//! session of a daemon, [`client`] the short one of a command line tool.

mod back_off;
pub mod bridge;
pub mod client;
pub mod connect;
