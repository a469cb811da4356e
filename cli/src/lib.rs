//! The operators commands.
