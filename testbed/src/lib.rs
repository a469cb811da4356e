//! Simulators and harness.

pub mod broker;
pub mod certs;
mod chance;
pub mod chiller;
pub mod client;
pub mod demo;
pub mod fault;
pub mod focuser;
pub mod obedient;
pub mod operator;
pub mod port;
pub mod process;
pub mod publisher;
pub mod site;
pub mod slow;
mod uart;
pub mod wait;
