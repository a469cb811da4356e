//! The operators' commands: what they take (`args`), what they know (`view`), what they say
//! (`render`, `progress`, `halt`, `history`, `chart`), how they ask (`request`, `wait`).
//!
//! `chiller` and `focus` are the commands; all else is the same for both, by the trait in `device`.
//! Only `request`, `show`, `watch` and `outcome` touch a socket, only `remember` the disk.

pub mod args;
pub mod chart;
pub mod chiller;
pub mod device;
pub mod focus;
pub mod halt;
pub mod history;
pub mod meter;
pub mod outcome;
pub mod output;
pub mod program;
pub mod progress;
pub mod remember;
pub mod render;
pub mod request;
pub mod screen;
pub mod show;
pub mod typed;
pub mod view;
pub mod wait;
pub mod watch;
