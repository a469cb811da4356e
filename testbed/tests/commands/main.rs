//! Commands to a real bridge, through a real broker, to a chiller at the level of bytes.

mod busy;
mod contract;
mod flood;
mod hostile;
mod identity;
mod once;
mod open;
mod refused;
mod status;
mod verbs;
