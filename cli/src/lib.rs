//! The operators' commands: what may be typed (`usage`, `action`), what an instrument is
//! (`instrument`, from its `meta` or its description), what is known of it (`view`), what is said
//! of it (`status`, `generic`, `history`, `chart`, `progress`, `halt`), how it is asked (`ask`, `wait`).
//!
//! `obsbus` is made of this, and so is each instrument's own program, which adds its own lines
//! ([`tool::Tool`]). Only `connection` and `ask` touch a socket, only `notes`, `cache` and `schema` the disk.

mod acl;
mod action;
pub mod ask;
mod cache;
pub mod chart;
mod command;
pub mod complete;
pub mod connection;
mod display;
pub mod exit;
mod generic;
pub mod halt;
pub mod health;
pub mod history;
pub mod instrument;
pub mod list;
pub mod log;
pub mod notes;

mod outcome;
mod output;
pub mod picture;
pub mod progress;
pub mod request;
mod run;
pub mod schema;
mod screen;
pub mod shell;
mod show;
pub mod status;
pub mod style;
pub mod target;
pub mod text;
pub mod tool;
pub mod usage;
pub mod view;
pub mod wait;
mod watch;

pub use run::{obsbus, tool as run_tool};
