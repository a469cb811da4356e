//! What holds in every state of every world.

use crate::Scene;
use crate::world::World;

/// A rule.
pub type Rule = fn(&Scene, &World) -> bool;

/// With their names.
pub const RULES: [(&str, Rule); 7] = [
    ("a request gets at most one terminal reply", one_verdict),
    ("nothing runs twice", nothing_twice),
    ("a stop is never refused", stops),
    ("nobody commands who may not", authorised),
    ("what was accepted ends by its deadline", in_time),
    ("what was accepted is told its end", told),
    ("nothing moves that the disk does not know", on_the_disk),
];

fn one_verdict(_: &Scene, world: &World) -> bool {
    world.heard.iter().all(|heard| heard.verdicts.values().all(|verdicts| verdicts.len() <= 1))
}

fn nothing_twice(_: &Scene, world: &World) -> bool {
    world.ran.values().all(|times| *times <= 1)
}

fn stops(_: &Scene, world: &World) -> bool {
    let stops = world.heard.iter().filter(|heard| heard.request.verb == "stop");
    stops.into_iter().all(|heard| !heard.refused)
}

fn authorised(_: &Scene, world: &World) -> bool {
    world.ran.keys().all(|(by, _)| by != "eve")
}

fn in_time(_: &Scene, world: &World) -> bool {
    world.late.is_none()
}

/// When nothing is under way any more.
fn told(_: &Scene, world: &World) -> bool {
    !world.is_quiet()
        || world.heard.iter().all(|heard| {
            heard.accepted.iter().all(|arrival| heard.repeated || heard.verdicts.contains_key(arrival))
        })
}

fn on_the_disk(_: &Scene, world: &World) -> bool {
    world.unknown_motion.is_none()
}
