//! A world to be checked: who asks for what, and how much goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bus::command::DeskSettings;
use bus::device::Description;
use bus::topic::{Base, Identity};

use crate::request::{CONTROL, Request, STOPS_ONLY};

/// So many situations are counted.
pub(crate) const COUNTED: usize = 14;

/// How much may go wrong in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The process is killed, and the next one starts.
    pub kills: u8,
    /// It is stopped, and ends by itself before the next one starts.
    pub ends: u8,
    /// A request arrives again.
    pub repeats: u8,
    /// The connection to the broker breaks.
    pub breaks: u8,
    /// The bridge finds that it has hung.
    pub stalls: u8,
    /// A save fails.
    pub failures: u8,
    /// Nothing happens until a limit.
    pub lapses: u8,
    /// A save takes any time.
    pub slow_disk: bool,
}

impl Bounds {
    /// All is well.
    pub const NONE: Self = Self {
        kills: 0,
        ends: 0,
        repeats: 0,
        breaks: 0,
        stalls: 0,
        failures: 0,
        lapses: 0,
        slow_disk: false,
    };
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, ends, repeats, breaks, stalls, failures, lapses, slow_disk } = self;
        write!(
            f,
            "{kills} kills, {ends} orderly ends, {repeats} repetitions, {breaks} broken connections, {stalls} hangs, "
        )?;
        write!(f, "{failures} failed saves, {lapses} limits reached")?;
        if *slow_disk { f.write_str(", saves that take any time") } else { Ok(()) }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Scene {
    pub(crate) settings: DeskSettings,
    /// In no order: the checker goes through all.
    pub(crate) requests: Vec<Request>,
    pub(crate) bounds: Bounds,
    /// The states that were counted, by the number of kills until then.
    pub(crate) by_kills: [AtomicUsize; 3],
    /// Those in each situation.
    pub(crate) situations: [AtomicUsize; COUNTED],
}

impl Scene {
    /// Requests to `device`, and how much goes wrong.
    #[must_use]
    pub fn new(device: &'static Description, requests: Vec<Request>, bounds: Bounds) -> Self {
        let settings = settings(device);
        Self { settings, requests, bounds, by_kills: Default::default(), situations: Default::default() }
    }

    /// Whether the device moves.
    pub(crate) fn moves(&self) -> bool {
        self.settings.verbs.iter().any(|verb| verb.motion)
    }
}

fn settings(device: &'static Description) -> DeskSettings {
    let identities = |names: &[&str]| names.iter().filter_map(|name| Identity::new(name).ok()).collect();
    let control: BTreeSet<Identity> = identities(&CONTROL);
    let stop = identities(&[STOPS_ONLY]);
    let Ok(base) = Base::new("clasp", device.kind) else { unreachable!("two names of the alphabet") };
    DeskSettings {
        base,
        verbs: device.verbs,
        stop_clients: control.union(&stop).cloned().collect(),
        control_clients: control,
        ranges: BTreeMap::new(),
        names: BTreeMap::new(),
        timeouts: BTreeMap::new(),
        require_acl: true,
        allow_bare_motion: false,
        stall_guard: Duration::from_secs(1),
        greeting: "hello".to_owned(),
    }
}
