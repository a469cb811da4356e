//! A site with a chiller, or with a focuser.

pub use harness::site::{Bridge, Builder, CONTROL, ExtraInstrument, Instrument, LIMIT, SiteOf};

use crate::chiller::Chiller;
use crate::focuser::Focuser;

/// The identity of the chiller's bridge, as the shipped access control names it.
pub const BRIDGE: &str = "chiller-bridge";
/// First two levels of every topic of the chiller.
pub const BASE: &str = "clasp/chiller";

/// A topic of the chiller: `topic("state")` is `clasp/chiller/state`.
#[must_use]
pub fn topic(rest: &str) -> String {
    format!("{BASE}/{rest}")
}

/// A site with a chiller.
pub type Site = SiteOf<Chiller>;
/// A site with a focuser.
pub type FocuserSite = SiteOf<Focuser>;
