//! The parts of every simulated instrument (`port`, `uart`, `fault`, `sim_console`, `simulator`), and
//! the environment of tests: a real broker, real processes, clients, a whole site. Knows no
//! instrument.

pub mod broker;
pub mod certs;
pub mod client;
pub mod fault;
pub mod lax;
pub mod operator;
pub mod port;
pub mod process;
pub mod refuser;
pub mod seeded;
pub mod sim_console;
pub mod simulator;
pub mod site;
pub mod slow;
pub mod stand;
pub mod text;
pub mod uart;
pub mod wait;
pub mod web;
