//! The chiller command.
fn main() {}
