//! The operators' commands: what they take (`args`), what they know (`view`), what they say
//! (`render`, `history`, `chart`), how they ask (`request`). Only `chiller`, `request` and `watch` touch a socket.

pub mod args;
pub mod chart;
pub mod chiller;
pub mod history;
pub mod render;
pub mod request;
pub mod screen;
pub mod view;
pub mod wait;
pub mod watch;
