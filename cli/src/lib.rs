//! The operators' commands: what they take (`args`), what they know (`view`), what they say
//! (`render`), how they ask (`request`). Only `chiller`, `request` and `watch` touch a socket.

pub mod args;
pub mod chiller;
pub mod render;
pub mod request;
pub mod screen;
pub mod view;
pub mod wait;
pub mod watch;
