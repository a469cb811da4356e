//! The operators' commands: the command line (`usage`, `action`), an instrument's description
//! (`instrument`, from its `meta` or built in), the data of a device (`view`), the output
//! (`status`, `generic`, `history`, `chart`, `progress`, `halt`), requests (`ask`, `wait`),
//! files for Home Assistant (`ha`), all devices at once (`overview`), and the search for faults (`doctor`).
//!
//! `obsbus` consists of this, and so does each instrument's own program, which adds its own lines
//! ([`tool::Tool`]). Only `connection`, `ask`, `metrics`, `archive` and `doctor` touch a socket, only `notes`, `cache`,
//! `upkeep`, `schema`, `files`, `ports`, `transcript`, `record` and `doctor` the disk.

mod acl;
mod action;
mod archive;
pub mod ask;
mod cache;
pub mod chart;
mod command;
pub mod complete;
mod completion;
mod confirm;
pub mod connection;
mod convert;
mod display;
pub mod doctor;
mod ends;
pub mod exit;
mod files;
mod foreseen;
mod format;
mod generic;
pub mod ha;
pub mod halt;
pub mod health;
pub mod history;
pub mod instrument;
pub mod list;
pub mod log;
pub mod metrics;
pub mod notes;

mod outcome;
mod output;
pub mod overview;
pub mod picture;
pub mod ports;
pub mod progress;
mod record;
mod regain;
pub mod request;
mod run;
mod runtime;
pub mod schema;
mod screen;
mod service;
pub mod shell;
mod show;
pub mod status;
pub mod style;
pub mod target;
pub mod text;
pub mod tool;
mod transcript;
mod upkeep;
pub mod usage;
mod values;
pub mod view;
pub mod wait;
mod watch;

pub use run::{obsbus, tool as run_tool};
