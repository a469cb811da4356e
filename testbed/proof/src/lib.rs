//! Small worlds around the real Desk, journal and outbox, in which a model checker goes through every
//! order of events: requests that arrive late, twice or never, a connection that breaks, saves that are
//! slow or fail, a process that is killed. See docs/proof.md.

mod checking;
mod digest;
mod disk;
mod families;
mod request;
mod rules;
mod scene;
mod told;
mod world;

pub use checking::{Checked, check};
pub use families::{FAMILIES, Family, check_all};
pub use request::{CASTS, Cast, Request};
pub use rules::{RULES, Rule, SITUATIONS};
pub use scene::{Bounds, Scene};
pub use world::{Action, World};
