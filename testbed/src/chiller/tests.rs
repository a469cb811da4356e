//! The whole chiller in virtual time.
use super::*;
