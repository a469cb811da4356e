//! What holds in every state of every world.

use bus::message::{Code, ReplyStatus};

use crate::scene::{COUNTED, Scene};
use crate::told::{Arrival, Verdict};
use crate::world::World;

/// A rule.
pub type Rule = fn(&Scene, &World) -> bool;

/// With their names.
pub const RULES: [(&str, Rule); 10] = [
    ("a request gets at most one terminal reply", one_verdict),
    ("a repeated request gets the same verdict", same_verdict),
    ("nothing runs twice", nothing_twice),
    ("a stop is never refused or lost", stops),
    ("nobody commands who may not", authorised),
    ("what was accepted ends by its deadline", in_time),
    ("who was told `accepted` is told the end", told),
    ("nothing moves that the disk does not know", on_the_disk),
    ("what was prepared begins or is withdrawn, once", prepared),
    ("the disk owes each verdict that the broker may not have", owed),
];

fn one_verdict(_: &Scene, world: &World) -> bool {
    world.arrivals.iter().all(|arrival| arrival.excused || arrival.has_one_verdict())
}

/// A stop that has ended runs again.
fn same_verdict(scene: &Scene, world: &World) -> bool {
    scene.requests.iter().enumerate().filter(|(_, request)| !request.is_stop()).all(|(index, request)| {
        let its = || world.arrivals.iter().filter(|it| it.request == index && !it.excused);
        request.verb == "ping" || its().all(|one| its().all(|other| one.agrees_with(other)))
    })
}

fn nothing_twice(_: &Scene, world: &World) -> bool {
    let is_excused = |index| world.arrivals.iter().any(|it| it.request == index && it.excused);
    let times = |index| world.ran.iter().filter(|ran| **ran == index).count();
    world.ran.iter().all(|index| is_excused(*index) || times(*index) <= 1)
}

fn stops(scene: &Scene, world: &World) -> bool {
    let is_refused = world.arrivals.iter().any(|arrival| {
        let request = scene.requests.get(arrival.request);
        !arrival.refused.is_empty() && request.is_some_and(|it| it.is_stop() && it.is_allowed())
    });
    !is_refused && !world.seen.stop_lost
}

fn authorised(scene: &Scene, world: &World) -> bool {
    let is_obeyed = world.arrivals.iter().any(|arrival| {
        let request = scene.requests.get(arrival.request);
        arrival.accepted && request.is_some_and(|it| !it.is_allowed())
    });
    !is_obeyed && !world.seen.trespass
}

fn in_time(_: &Scene, world: &World) -> bool {
    !world.seen.late
}

/// When nothing is under way any more. One reply serves whoever asked again meanwhile.
fn told(_: &Scene, world: &World) -> bool {
    let is_told = |request| world.arrivals.iter().any(|it| it.request == request && it.is_told);
    let is_owed = |it: &&Arrival| (it.accepted && !it.is_told) || (it.in_progress && !is_told(it.request));
    !world.is_quiet() || world.arrivals.iter().filter(|it| !it.excused).all(|it| !is_owed(&it))
}

fn on_the_disk(_: &Scene, world: &World) -> bool {
    !world.seen.unknown_motion
}

fn prepared(_: &Scene, world: &World) -> bool {
    !world.seen.ill_prepared && (!world.has_prepared() || world.saves())
}

fn owed(_: &Scene, world: &World) -> bool {
    world.disk.was_not_waited_for
        || world.disk.failed.is_some()
        || world
            .arrivals
            .iter()
            .filter(|it| !it.excused && world.is_owed(it))
            .all(|it| world.disk.contents.owes(&it.at.to_string()) || (it.is_early && world.saves()))
}

/// Situations that the worlds must come to, or the rules would say nothing.
pub const SITUATIONS: [(&str, Rule); COUNTED] = [
    ("a request has its verdict", |_, world| world.arrivals.iter().any(|it| !it.verdicts.is_empty())),
    ("a motion was stopped", |_, world| has_verdict(world, |it| it.status == ReplyStatus::Stopped)),
    ("a command was not answered in time", |_, world| {
        has_verdict(world, |it| it.status == ReplyStatus::TimedOut)
    }),
    ("a command failed because the process died", |scene, world| {
        world.kills(scene) > 0 && has_verdict(world, |it| it.status == ReplyStatus::Failed)
    }),
    ("a verdict was said again after a kill", |scene, world| {
        world.kills(scene) > 0 && has_verdict(world, |it| it.duplicate)
    }),
    ("a verdict was said again after an orderly end", |_, world| {
        world.ended && has_verdict(world, |it| it.duplicate)
    }),
    ("a prepared command was withdrawn", |_, world| world.seen.withdrawn),
    ("a client waits for a command that runs already", |_, world| {
        world.arrivals.iter().any(|it| it.in_progress)
    }),
    ("a request was refused as busy", |_, world| is_refused(world, Code::Blocked)),
    ("a request was refused for its sender", |_, world| is_refused(world, Code::NotAuthorised)),
    ("a request was refused for its id", |_, world| is_refused(world, Code::IdReused)),
    ("a request came before the broker was judged", |_, world| is_refused(world, Code::NotReady)),
    ("a save has failed", |_, world| world.disk.failed.is_some()),
    ("a save was not waited for", |_, world| world.disk.was_not_waited_for),
];

fn has_verdict(world: &World, which: impl Fn(&Verdict) -> bool) -> bool {
    world.arrivals.iter().any(|arrival| arrival.verdicts.iter().any(&which))
}

fn is_refused(world: &World, code: Code) -> bool {
    world.arrivals.iter().any(|arrival| arrival.refused.contains(&code))
}
