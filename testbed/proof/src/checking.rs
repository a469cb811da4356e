//! Goes through every order of events of a scene, and counts what it sees.

use std::sync::atomic::Ordering;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::rules::{RULES, SITUATIONS};
use crate::scene::Scene;
use crate::world::{Action, World};

/// Counts a state; each is looked at once.
fn count(scene: &Scene, world: &World) -> bool {
    if let Some(count) = scene.by_kills.get(world.kills(scene)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    for ((_, is_so), count) in SITUATIONS.iter().zip(&scene.situations) {
        count.fetch_add(usize::from(is_so(scene, world)), Ordering::Relaxed);
    }
    true
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
        rules.chain([Property::always("every state is counted", count)]).collect()
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
