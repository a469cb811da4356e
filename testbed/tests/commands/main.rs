//! Commands to a real bridge, through a real broker, to a chiller at the level of bytes.

mod status;
