//! The faults of a long run, one after another, each of which ends: nothing is killed whose memory is
//! to be watched.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use crate::demo::Stage;

/// A fault: how it begins, how long it lasts, how it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// What it is, in words.
    pub(super) name: &'static str,
    /// How it begins.
    pub(super) begin: Step,
    /// How long it lasts.
    pub(super) lasts: Duration,
    /// How it ends.
    pub(super) end: Step,
    /// What somebody commands while it lasts; any outcome is right.
    pub(super) meanwhile: &'static str,
}

/// Something that is done to the site.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// As somebody types it in the demo.
    Typed(&'static str),
    /// Stops and starts the broker.
    RestartBroker,
    /// Kills the broker.
    KillBroker,
    /// Freezes the broker.
    FreezeBroker,
    /// Ends a freeze of it.
    ThawBroker,
    /// Freezes a bridge: 0 is the chiller's, 1 the focuser's.
    FreezeBridge(usize),
    /// Ends a freeze of it.
    ThawBridge(usize),
    /// Has a bridge read its certificates and lists again.
    Reload(usize),
    /// Takes the state folder of the chiller's bridge away.
    TakeDisk,
    /// Puts it back.
    PutDisk,
    /// Nothing: the fault ends by itself.
    Nothing,
}

const fn fault(name: &'static str, begin: Step, seconds: u64, end: Step, meanwhile: &'static str) -> Fault {
    Fault { name, begin, lasts: Duration::from_secs(seconds), end, meanwhile }
}

/// All of them, in their order.
pub(super) const FAULTS: [Fault; 20] = [
    fault("the broker restarts", Step::RestartBroker, 1, Step::Nothing, "chiller setpoint 13"),
    fault("the chiller's cable is out", Step::Typed("unplug"), 7, Step::Typed("plug"), "chiller status"),
    fault(
        "the focuser is silent",
        Step::Typed("focuser fault silent"),
        7,
        Step::Typed("focuser clear"),
        "focus stop",
    ),
    fault("the broker hangs for 3 s", Step::FreezeBroker, 3, Step::ThawBroker, "focus status"),
    fault(
        "the chiller's replies are garbled",
        Step::Typed("fault garbled"),
        5,
        Step::Typed("clear"),
        "chiller setpoint 12",
    ),
    fault(
        "the chiller's bridge hangs for 2 s",
        Step::FreezeBridge(0),
        2,
        Step::ThawBridge(0),
        "chiller ping",
    ),
    fault("the disk of the chiller's bridge fails", Step::TakeDisk, 5, Step::PutDisk, "chiller mode manual"),
    fault(
        "the focuser's cable is out in a move",
        Step::Typed("focuser unplug"),
        6,
        Step::Typed("focuser plug"),
        "focus set 2",
    ),
    fault(
        "a camera is switched on",
        Step::Typed("camera cmos on"),
        4,
        Step::Typed("camera cmos off"),
        "chiller mode auto",
    ),
    fault("the broker is killed", Step::KillBroker, 4, Step::RestartBroker, "focus set 3"),
    fault(
        "camera power is not told",
        Step::Typed("power dies"),
        8,
        Step::Typed("power returns"),
        "chiller status",
    ),
    fault(
        "the focuser hears nothing",
        Step::Typed("focuser fault deaf"),
        6,
        Step::Typed("focuser clear"),
        "focus offset 0.1",
    ),
    fault(
        "the focuser's bridge hangs for 17 s",
        Step::FreezeBridge(1),
        17,
        Step::ThawBridge(1),
        "focus stop",
    ),
    fault(
        "the focuser is jammed",
        Step::Typed("focuser fault jammed"),
        6,
        Step::Typed("focuser clear"),
        "focus set 1",
    ),
    fault(
        "the chiller's replies are slow",
        Step::Typed("fault slow 1500"),
        9,
        Step::Typed("clear"),
        "chiller setpoint 14",
    ),
    fault(
        "the chiller has an alarm",
        Step::Typed("alarm A2:1"),
        6,
        Step::Typed("clear"),
        "chiller clear-alarms",
    ),
    fault("a reload of the chiller's bridge", Step::Reload(0), 1, Step::Nothing, "chiller history"),
    fault("a reload of the focuser's bridge", Step::Reload(1), 1, Step::Nothing, "focus history"),
    fault("the focuser loses its power", Step::Typed("focuser power-cycle"), 2, Step::Nothing, "focus set 2"),
    fault("the broker hangs for 9 s", Step::FreezeBroker, 9, Step::ThawBroker, "focus stop"),
];

/// Does it.
///
/// # Errors
/// If it cannot be done.
pub(super) fn perform(step: Step, stage: &mut Stage) -> Result<()> {
    let folder = stage.folder().to_owned();
    let (here, away) = (folder.join("state"), folder.join("state-away"));
    match step {
        Step::Typed(line) => stage.obey(line).map(|_| ())?,
        Step::RestartBroker => stage.broker().restart()?,
        Step::KillBroker => stage.broker().kill9()?,
        Step::FreezeBroker => stage.broker().freeze()?,
        Step::ThawBroker => stage.broker().thaw()?,
        Step::FreezeBridge(which) => bridge(stage, which, crate::site::Bridge::freeze)?,
        Step::ThawBridge(which) => bridge(stage, which, crate::site::Bridge::thaw)?,
        Step::Reload(which) => bridge(stage, which, |bridge| bridge.process()?.signal(Signal::HUP))?,
        Step::TakeDisk => std::fs::rename(here, away)?,
        Step::PutDisk => std::fs::rename(away, here)?,
        Step::Nothing => {}
    }
    Ok(())
}

fn bridge(
    stage: &mut Stage,
    which: usize,
    what: impl Fn(&mut crate::site::Bridge) -> Result<()>,
) -> Result<()> {
    stage.bridges().into_iter().nth(which).map_or(Ok(()), what)
}
