//! Small worlds around the real Desk, journal and outbox, in which a model checker goes through every
//! order of events: requests that arrive late, twice or never, a connection that breaks, saves that are
//! slow or fail, a process that is killed. See docs/proof.md.

mod digest;
mod disk;
mod families;
mod request;
mod rules;
mod scene;
mod told;
mod world;

pub use families::{FAMILIES, Family, check_all};
pub use request::{CASTS, Cast, Request};
pub use rules::{RULES, Rule, SITUATIONS};
pub use scene::{Bounds, Checked, Scene, check};
pub use world::{Action, World};
