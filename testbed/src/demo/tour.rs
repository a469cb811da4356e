//! The tour: what is said, what is run, by whom, and how it must end.
//!
//! Each command is a real process with the settings of the person who runs it; one that does not
//! end as written here, or does not say what it should, ends the tour.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::focusing::FOCUSING;
use super::night::NIGHT;
use super::step::{Action, Step, run};
use super::{Stage, Stop, Voice};
use crate::chiller::Chiller;
use crate::process::Process;
use crate::site::Instrument as _;
use crate::wait::Deadline;

/// For one command to end: the longest, a start of the unit, has 30 s.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// For what happens at the site to be on the bus.
const SEEN_LIMIT: Duration = Duration::from_secs(15);

/// For the chiller to follow in the night: the longest are the demo's delays.
const NIGHT_LIMIT: Duration = Duration::from_secs(40);

const fn happens(line: &'static str, key: &'static str, is: bool, says: &'static str) -> Step {
    Step { says, action: Action::Happens { line, device: Chiller::KIND, key, is } }
}

const TOUR: &[Step] = &[
    run(
        "alice",
        "chiller status",
        0,
        "Chiller is IDLE",
        "What the chiller does, and why. Nothing needs it: it stands by.",
    ),
    happens(
        "camera cmos on",
        "cooling_ok",
        true,
        "A camera gets power, which the site's power service publishes. Automatic control starts the \
         chiller.",
    ),
    run("alice", "chiller status", 0, "because camera cmos is powered", "So it did, and it says why."),
    run(
        "visitor",
        "chiller mode manual",
        3,
        "refused by the broker",
        "A visitor may read everything; the broker itself refuses the visitor's commands.",
    ),
    run(
        "bob",
        "chiller mode manual",
        3,
        "refused by the bridge: not_authorised",
        "Bob has a certificate too, but does not stand in the bridge's `control_clients`. Here it is the \
         bridge that refuses, and says so.",
    ),
    run(
        "alice",
        "chiller disable",
        10,
        "mode_is_automatic",
        "Alice may command. But the mode is automatic: the bridge decides about the pump.",
    ),
    run("alice", "chiller mode manual", 0, "", "So she takes over. The chiller goes on as it was."),
    run("alice", "chiller disable", 0, "", "Now it is hers to stop. The answer comes when it was read back."),
    run("alice", "chiller enable", 0, "", "And to start."),
    run(
        "alice",
        "chiller setpoint 99",
        6,
        "outside_limits",
        "A set point that is not within the configured limits is not sent to the unit.",
    ),
    run("alice", "chiller setpoint 12", 0, "", "This one is."),
    Step {
        says: "The water cools down. On a terminal of its own `watch` is a live screen.",
        action: Action::Follow { who: "alice", command: "chiller watch", seconds: 6, shows: "COOLING" },
    },
    run(
        "alice",
        "mosquitto_sub -C 1 -t clasp/chiller/availability",
        0,
        "online",
        "The same bus with other people's tools.",
    ),
    happens("unplug", "connected", false, "Now somebody pulls the serial cable."),
    run(
        "alice",
        "chiller status",
        4,
        "OFFLINE",
        "Nothing looks fresh that is not: no readings, the reason, and exit code 4.",
    ),
    happens("plug", "cooling_ok", true, "And puts it back."),
    run("alice", "chiller mode auto", 0, "", "Automatic again, for the night."),
    run(
        "alice",
        "chiller status",
        0,
        "Mode is AUTOMATIC",
        "The camera still has power, so nothing stops. Who changed what, and when, stays to be seen.",
    ),
];

/// What goes on while other things are shown.
struct Begun {
    who: &'static str,
    command: &'static str,
    process: Process,
}

fn acts() -> impl Iterator<Item = &'static Step> {
    TOUR.iter().chain(NIGHT).chain(FOCUSING)
}

/// Takes the tour, the night after it and the focuser's part; returns how many commands were shown.
///
/// # Errors
/// The first thing that did not go as it should, or [`super::Interrupted`].
pub fn tour(stage: &mut Stage, voice: Voice, stop: &Stop) -> Result<usize> {
    let mut begun: Option<Begun> = None;
    for step in acts() {
        voice.tell(step.says);
        match &step.action {
            Action::Run { who, command, code, shows } => {
                voice.prompt(who, command);
                let process = stage.command(who, command)?.errors_in_output().spawn()?;
                finish(process, voice, stop, command, *code, shows)?;
            }
            Action::Move { who, command, shows } => {
                voice.prompt(who, command);
                let launch = stage.command(who, command)?;
                let launch =
                    if voice.is_on_terminal() { launch.errors_shown() } else { launch.errors_in_output() };
                finish(launch.spawn()?, voice, stop, command, 0, shows)?;
            }
            Action::Begin { who, command } => {
                voice.prompt(who, &format!("{command} &"));
                let process = stage.command(who, command)?.errors_in_output().spawn()?;
                begun = Some(Begun { who, command, process });
                stage.wait_until_half_way(SEEN_LIMIT, stop)?;
            }
            Action::End { code, shows } => {
                let Begun { who, command, process } = begun.take().context("nothing was begun")?;
                voice.prompt(who, &format!("wait   # for {command}"));
                finish(process, voice, stop, command, *code, shows)?;
            }
            Action::Follow { who, command, seconds, shows } => {
                voice.prompt(who, &format!("{command}   # {seconds} s, then Ctrl-C"));
                let process = stage.command(who, command)?.spawn()?;
                let limit = Duration::from_secs(*seconds);
                let deadline = Deadline::after(limit);
                let said = follow(process, voice, stop, 2 * limit, |_| Ok(deadline.left().is_zero()))?;
                judge(voice, command, said.0, 0, &said.1, shows)?;
            }
            Action::Watched { line, until } => {
                const WATCH: &str = "chiller watch";
                voice.prompt("alice", &format!("{WATCH}   # until {until}, then Ctrl-C"));
                let process = stage.command("alice", WATCH)?.spawn()?;
                let mut before = None;
                let said = follow(process, voice, stop, NIGHT_LIMIT, |said| {
                    if let Some(before) = before {
                        return Ok(said.get(before..).unwrap_or_default().contains(until));
                    }
                    // How it was is shown first.
                    if !said.is_empty() {
                        before = Some(said.len());
                        voice.prompt("site", line);
                        stage.obey(line)?;
                    }
                    Ok(false)
                })?;
                judge(voice, WATCH, said.0, 0, &said.1, until)?;
            }
            Action::Happens { line, device, key, is } => {
                voice.prompt("site", line);
                stage.obey(line)?;
                stage.wait_until(device, key, &Value::from(*is), SEEN_LIMIT, stop)?;
            }
        }
        stage.check()?;
    }
    stage.check_rules()?;
    Ok(acts().filter(|step| !matches!(step.action, Action::Happens { .. } | Action::End { .. })).count())
}

/// Waits for a command's end, shows what it said, and judges it.
fn finish(
    mut process: Process,
    voice: Voice,
    stop: &Stop,
    command: &str,
    code: i32,
    shows: &str,
) -> Result<()> {
    stop.wait_for(&format!("the end of `{command}`"), COMMAND_LIMIT, || {
        (!process.is_running()).then_some(())
    })?;
    let ended = process.wait_exit(COMMAND_LIMIT)?;
    let said = process.stdout() + &process.stderr();
    voice.output(&said);
    judge(voice, command, ended, code, &said, shows)
}

/// Shows a command's lines as they come until it `is_over`, given all of them; its exit code after
/// an interrupt, and what it said.
fn follow(
    mut process: Process,
    voice: Voice,
    stop: &Stop,
    limit: Duration,
    mut is_over: impl FnMut(&str) -> Result<bool>,
) -> Result<(i32, String)> {
    let mut shown = 0;
    let over = stop.wait_for("what is to be shown", limit, || {
        let said = process.stdout();
        let new = said.get(shown..).unwrap_or_default();
        if let Some(end) = new.rfind('\n') {
            voice.lines(new.get(..end).unwrap_or_default());
            shown += end + 1;
        }
        match is_over(said.get(..shown).unwrap_or_default()) {
            Ok(false) if process.is_running() => None,
            outcome => Some(outcome),
        }
    })?;
    over?;
    process.interrupt()?;
    let code = process.wait_exit(COMMAND_LIMIT).context("after Ctrl-C")?;
    Ok((code, process.stdout() + &process.stderr()))
}

fn judge(voice: Voice, command: &str, code: i32, expected: i32, said: &str, shows: &str) -> Result<()> {
    let good = code == expected && said.contains(shows);
    voice.verdict(good, &format!("[exit code {code}]"));
    if code != expected {
        bail!("`{command}` ended with {code}; it should end with {expected}");
    }
    if !good {
        bail!("`{command}` did not say \"{shows}\"");
    }
    Ok(())
}
