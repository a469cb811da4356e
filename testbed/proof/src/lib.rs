//! Small worlds around the real Desk, journal and outbox, in which a model checker goes through every
//! order of events: messages that arrive, are lost or come twice, a connection that breaks, saves that
//! are slow or fail, a process that is killed.
//!
//! Two kinds, because a process that is killed while its disk hangs may forget what it has said (the
//! contract's rule 13): in one the disk is healthy and the process is killed, in the other the disk is
//! not and the process lives.

mod rules;
mod world;

pub use rules::{RULES, Rule};
pub use world::{Action, Bounds, Heard, Request, World};

use stateright::{Checker, Model, Property};

/// The requests that a world is made of; see [`Scene`].
pub const REQUESTS: [Request; 9] = [
    Request { by: "alice", verb: "set", id: "a1", argument: r#","mm":2"# },
    Request { by: "alice", verb: "set", id: "a2", argument: r#","mm":3"# },
    Request { by: "alice", verb: "set", id: "a1", argument: r#","mm":4"# },
    Request { by: "alice", verb: "offset", id: "a3", argument: r#","mm":0.5"# },
    Request { by: "alice", verb: "kill", id: "a4", argument: "" },
    Request { by: "bob", verb: "set", id: "b1", argument: r#","mm":5"# },
    Request { by: "bob", verb: "stop", id: "b2", argument: "" },
    Request { by: "alice", verb: "init", id: "a5", argument: "" },
    Request { by: "eve", verb: "set", id: "e1", argument: r#","mm":1"# },
];

/// One world: which requests are sent, and how much goes wrong.
#[derive(Clone, Debug)]
pub struct Scene {
    /// In no order: the checker goes through all.
    pub requests: Vec<Request>,
    /// How much may go wrong.
    pub bounds: Bounds,
}

impl Model for Scene {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.requests.clone(), self.bounds)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.act(action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        RULES.iter().map(|(name, rule)| Property::always(name, *rule)).collect()
    }
}

/// What a check of one world found.
#[derive(Debug)]
pub struct Checked {
    /// Different states.
    pub states: usize,
    /// The rules that were broken, each with the events that led there.
    pub broken: Vec<String>,
}

/// Goes through every order of events of a world.
#[must_use]
pub fn check(scene: Scene, threads: usize) -> Checked {
    let checker = scene.checker().threads(threads).spawn_bfs().join();
    let found = checker.discoveries();
    let broken = found.iter().map(|(rule, path)| {
        let events: Vec<String> = path.clone().into_actions().iter().map(|action| format!("{action:?}")).collect();
        format!("{rule}: {}", events.join(", "))
    });
    Checked { states: checker.unique_state_count(), broken: broken.collect() }
}

/// All worlds with three of [`REQUESTS`].
#[must_use]
pub fn scenes(bounds: Bounds) -> Vec<Scene> {
    let number = REQUESTS.len();
    let mut scenes = Vec::new();
    for first in 0..number {
        for second in first + 1..number {
            for third in second + 1..number {
                let chosen = [first, second, third].map(|index| REQUESTS.get(index).cloned());
                scenes.push(Scene { requests: chosen.into_iter().flatten().collect(), bounds });
            }
        }
    }
    scenes
}
