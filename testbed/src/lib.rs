//! The observatory's instruments together: the demo, end-to-end tests, benchmarks. What they are made
//! of is in `harness`; each instrument's model is in its own folder.

pub mod cable;
pub mod crowd;
pub mod demo;
pub mod footprint;
pub mod page;
pub mod report;
pub mod site;
pub mod soak;
pub mod torture;

pub use chiller_sim as chiller;
pub use chiller_sim::publisher;
pub use focuser_sim as focuser;
pub use harness::{
    broker, certs, client, fault, lax, operator, port, process, refuser, sim_console, slow, wait, web,
};
