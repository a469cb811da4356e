//! The tour: what is said, what is run, by whom, and how it must end.
//!
//! Each command is a real process with the settings of the person who runs it; one that does not
//! end as written here, or does not say what it should, ends the tour.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Stage, Stop, Voice};
use crate::wait::Deadline;

/// For one command to end: the longest, a start of the unit, has 30 s.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// For what happens at the site to be on the bus.
const SEEN_LIMIT: Duration = Duration::from_secs(15);

struct Step {
    says: &'static str,
    deed: Deed,
}

enum Deed {
    /// Runs a command: who, what, its exit code, and what it must say.
    Run { who: &'static str, command: &'static str, code: i32, shows: &'static str },
    /// Runs a command that does not end, for some seconds; then Ctrl-C, to which it must answer 0.
    Follow { who: &'static str, command: &'static str, seconds: u64, shows: &'static str },
    /// Something happens at the site (`help` there lists what can be said); then this flag of the
    /// state is waited for.
    Happens { line: &'static str, key: &'static str, is: bool },
}

const fn run(
    who: &'static str,
    command: &'static str,
    code: i32,
    shows: &'static str,
    says: &'static str,
) -> Step {
    Step { says, deed: Deed::Run { who, command, code, shows } }
}

const fn happens(line: &'static str, key: &'static str, is: bool, says: &'static str) -> Step {
    Step { says, deed: Deed::Happens { line, key, is } }
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
    run("alice", "chiller status", 0, "camera power is on (cmos)", "So it did, and it says why."),
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
        deed: Deed::Follow { who: "alice", command: "chiller watch", seconds: 6, shows: "COOLING" },
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

/// Takes the tour; returns how many commands were shown.
///
/// # Errors
/// The first thing that did not go as it should, or [`super::Interrupted`].
pub fn tour(stage: &mut Stage, voice: Voice, stop: &Stop) -> Result<usize> {
    for step in TOUR {
        voice.tell(step.says);
        match &step.deed {
            Deed::Run { who, command, code, shows } => {
                voice.prompt(who, command);
                let mut process = stage.command(who, command)?.spawn()?;
                stop.wait_for(&format!("the end of `{command}`"), COMMAND_LIMIT, || {
                    (!process.is_running()).then_some(())
                })?;
                let ended = process.wait_exit(COMMAND_LIMIT)?;
                let said = process.stdout() + &process.stderr();
                voice.output(&said);
                judge(voice, command, ended, *code, &said, shows)?;
            }
            Deed::Follow { who, command, seconds, shows } => {
                voice.prompt(who, &format!("{command}   # {seconds} s, then Ctrl-C"));
                let said = follow(stage, voice, stop, who, command, *seconds)?;
                judge(voice, command, said.0, 0, &said.1, shows)?;
            }
            Deed::Happens { line, key, is } => {
                voice.prompt("site", line);
                stage.obey(line).map_err(anyhow::Error::msg)?;
                stage.wait_until(key, &Value::from(*is), SEEN_LIMIT, stop)?;
            }
        }
        stage.check()?;
    }
    Ok(TOUR.iter().filter(|step| !matches!(step.deed, Deed::Happens { .. })).count())
}

/// Shows a command's lines as they come; its exit code after an interrupt, and what it said.
fn follow(
    stage: &Stage,
    voice: Voice,
    stop: &Stop,
    who: &str,
    command: &str,
    seconds: u64,
) -> Result<(i32, String)> {
    let mut process = stage.command(who, command)?.spawn()?;
    let deadline = Deadline::after(Duration::from_secs(seconds));
    let mut shown = 0;
    stop.wait_for(&format!("the end of `{command}`"), 2 * Duration::from_secs(seconds), || {
        let said = process.stdout();
        let new = said.get(shown..).unwrap_or_default();
        if let Some(end) = new.rfind('\n') {
            voice.lines(new.get(..end).unwrap_or_default());
            shown += end + 1;
        }
        (deadline.left().is_zero() || !process.is_running()).then_some(())
    })?;
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
