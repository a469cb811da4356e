//! Records of the bus: `line`, `writer` and `reader` are the format; `redact` takes the names out;
//! `replay` shows a record again, on a `broker` of its own.
//!
//! **A replay can never be taken for the present, and never commands anything.** It has no way to any
//! broker but the one that it starts itself, on loopback, where nobody else may publish. It publishes
//! only what devices said of themselves (`bus::topic::replayed`), below a level to which nothing but a
//! replay listens, and wrapped in the line of the record, with the time at which it was true.

mod broker;
mod failure;
pub mod line;
mod reader;
mod redact;
mod replay;
mod timeline;
mod when;
mod writer;

pub use failure::Failure;
pub use reader::Reader;
pub use redact::Redaction;
pub use replay::{Plan, replay};
pub use when::When;
pub use writer::Writer;
