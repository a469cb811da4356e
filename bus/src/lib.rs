//! The code that every process of the observatory shares: topics, messages, the admission of
//! commands, the session with the broker, settings and logs.

pub mod client;
pub mod clock;
pub mod command;
pub mod device;
pub mod homeassistant;
pub mod incoming;
pub mod log;
pub mod message;
pub mod outbox;
pub mod probe;
pub mod random;
pub mod reserved;
pub mod rounds;
pub mod session;
pub mod settings;
pub mod signature;
pub mod topic;
pub mod transcript;
