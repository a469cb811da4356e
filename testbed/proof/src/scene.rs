//! A world to be checked: who asks for what, and how much goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus::command::DeskSettings;
use bus::device::Description;
use bus::topic::{Base, Identity};
use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::request::{CONTROL, Request, STOPS_ONLY};
use crate::rules::{RULES, SITUATIONS};
use crate::world::{Action, World};

/// How much may go wrong in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The process is killed, and the next one starts.
    pub kills: u8,
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
    pub const NONE: Self =
        Self { kills: 0, repeats: 0, breaks: 0, stalls: 0, failures: 0, lapses: 0, slow_disk: false };
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, repeats, breaks, stalls, failures, lapses, slow_disk } = self;
        write!(f, "{kills} kills, {repeats} repetitions, {breaks} broken connections, {stalls} hangs, ")?;
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
    by_kills: [AtomicUsize; 3],
    situations: [AtomicUsize; SITUATIONS.len()],
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

    /// Counts a state; each is looked at once.
    fn count(&self, world: &World) -> bool {
        if let Some(count) = self.by_kills.get(world.kills(self)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        for ((_, is_so), count) in SITUATIONS.iter().zip(&self.situations) {
            count.fetch_add(usize::from(is_so(self, world)), Ordering::Relaxed);
        }
        true
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

impl Model for Scene {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(self, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.act(action, self);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let rules = RULES.iter().map(|(name, rule)| Property::always(name, *rule));
        rules.chain([Property::always("every state is counted", Self::count)]).collect()
    }
}

/// What checks have found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Worlds.
    pub worlds: usize,
    /// Different states, by the number of kills until then.
    pub states: [usize; 3],
    /// Steps from one state to the next.
    pub steps: usize,
    /// The longest way to a state.
    pub longest: usize,
    /// The states in each of the [`SITUATIONS`].
    pub situations: [usize; SITUATIONS.len()],
    /// The rules that were broken, each with the requests and the events that led there.
    pub broken: Vec<(&'static str, String)>,
}

impl Checked {
    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.worlds += other.worlds;
        self.steps += other.steps;
        self.longest = self.longest.max(other.longest);
        self.states.iter_mut().zip(other.states).for_each(|(sum, more)| *sum += more);
        self.situations.iter_mut().zip(other.situations).for_each(|(sum, more)| *sum += more);
        self.broken.extend(other.broken);
        self
    }

    /// Different states.
    #[must_use]
    pub fn all_states(&self) -> usize {
        self.states.iter().sum()
    }
}

/// Goes through every order of events of a world; stops where a rule is broken.
#[must_use]
pub fn check(scene: Scene) -> Checked {
    let asked = scene.requests.iter().map(|it| format!("{}/{} {}{}", it.by, it.verb, it.id, it.argument));
    let asked = asked.collect::<Vec<_>>().join("; ");
    let checker = scene.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    let broken = found.into_iter().map(|(rule, path)| {
        let events: Vec<String> = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
        (rule, format!("requests: {asked}\n  events: {}", events.join(", ")))
    });
    let broken = broken.collect();
    let scene = checker.model();
    Checked {
        worlds: 1,
        states: scene.by_kills.each_ref().map(|count| count.load(Ordering::Relaxed)),
        steps: checker.state_count(),
        longest: checker.max_depth(),
        situations: scene.situations.each_ref().map(|count| count.load(Ordering::Relaxed)),
        broken,
    }
}
