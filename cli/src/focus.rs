//! `focus`: from the command line to an exit code.
//!
//! Decides nothing about the focuser, except that Ctrl-C during a motion that was asked for here
//! stops it.
#![expect(clippy::disallowed_methods, reason = "reads the clock for the note of a request")]

use std::process::ExitCode;
use std::time::Duration;

use crate::typed::FocuserState;
use bus::clock::Now;
use bus::message::Code;
use bus::session::client::SessionError;
use bus::settings::process_environment;
use bus::topic::RequestId;
use focuser_device::FocuserStatus;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{FocusArgs, FocusCommand, Waiting};
use crate::halt::{self, Stop};
use crate::meter::Meter;
use crate::outcome::outcome;
use crate::output::{print, say, wipe_echo};
use crate::program::{
    self, EXIT_FAILED, EXIT_USAGE, Failure, Way, block_on, find_way, unreachable, with_causes,
};
use crate::remember::Notes;
use crate::request::{Asker, Notices, Request, new_id};
use crate::show;
use crate::wait::{Outcome, Until};
use crate::watch::watch;

/// For people who stop a focuser that a scheduler uses.
const NOT_FOR_LONG: &str = "a scheduler may move it again; `focus kill` keeps it still until `focus init`";

/// Runs the command that the process was started for.
#[must_use]
pub fn main() -> ExitCode {
    program::main(run)
}

fn run(args: &FocusArgs) -> Result<u8, Failure> {
    let way = find_way(&args.target, "focuser")?;
    let limit = args.target.timeout;
    block_on(async {
        match &args.command {
            FocusCommand::Status => show::status::<FocuserState>(&way).await,
            FocusCommand::Json => show::json::<FocuserState>(&way).await,
            FocusCommand::History { hours, json } => show::past::<FocuserState>(&way, *hours, *json).await,
            FocusCommand::Watch => watch::<FocuserState>(&way).await.map_err(|error| unreachable(&error)),
            FocusCommand::Outcome { id } => {
                let notes = Notes::find(&process_environment());
                let (code, message) = outcome(&way, notes.as_ref(), id, limit).await?;
                Ok(tell(code, &message))
            }
            FocusCommand::Stop | FocusCommand::Kill => halt(&way, &args.command, limit).await,
            FocusCommand::Ping => ping(&way, limit).await,
            FocusCommand::Set { waiting, .. }
            | FocusCommand::Offset { waiting, .. }
            | FocusCommand::Init { waiting, .. } => motion(&way, &args.command, *waiting, limit).await,
        }
    })
}

/// What goes on the bus for a command, and the user's words for it.
fn request(command: &FocusCommand) -> Option<(Request, String)> {
    let (verb, argument, words) = match command {
        FocusCommand::Status
        | FocusCommand::Json
        | FocusCommand::Watch
        | FocusCommand::History { .. }
        | FocusCommand::Outcome { .. } => return None,
        FocusCommand::Set { mm, .. } => ("set", Some(("mm", (*mm).into())), format!("set {mm}")),
        FocusCommand::Offset { mm, .. } => ("offset", Some(("mm", (*mm).into())), format!("offset {mm}")),
        FocusCommand::Init { force: true, .. } => {
            ("init", Some(("force", true.into())), "init --force".to_owned())
        }
        FocusCommand::Init { force: false, .. } => ("init", None, "init".to_owned()),
        FocusCommand::Stop => ("stop", None, "stop".to_owned()),
        FocusCommand::Kill => ("kill", None, "kill".to_owned()),
        FocusCommand::Ping => ("ping", None, "ping".to_owned()),
    };
    Some((Request { verb, argument }, words))
}

fn prepare(command: &FocusCommand) -> Result<(Request, String, RequestId), Failure> {
    let (request, words) = request(command)
        .ok_or_else(|| Failure { code: EXIT_USAGE, message: "this is no request".to_owned() })?;
    let id = new_id().map_err(|message| Failure { code: EXIT_FAILED, message })?;
    Ok((request, words, id))
}

async fn ping(way: &Way, limit: Option<Duration>) -> Result<u8, Failure> {
    let (request, words, id) = prepare(&FocusCommand::Ping)?;
    let outcome =
        Asker::new(way, limit).ask(&request, &id, &mut Notices).await.map_err(|error| unreachable(&error))?;
    match &outcome {
        Outcome::Answered(reply, round_trip) if reply.code == Some(Code::Succeeded) => {
            let milliseconds = round_trip.as_secs_f64() * 1000.0;
            print(&format!("{} answered in {milliseconds:.1} ms\n", way.base));
            Ok(0)
        }
        _ => Ok(tell(outcome.exit_code(), &said_of(way, &outcome, &words))),
    }
}

/// `stop` and `kill`: the same, but for what lasts.
async fn halt(way: &Way, command: &FocusCommand, limit: Option<Duration>) -> Result<u8, Failure> {
    let (request, words, id) = prepare(command)?;
    let mut meter = Meter::new(words.clone(), None);
    let asked = Asker::new(way, limit).with_state().ask(&request, &id, &mut meter).await;
    meter.clear();
    let stop = match asked {
        Ok(Outcome::Answered(reply, round_trip)) if reply.code == Some(Code::Succeeded) => {
            let code = tell(0, &said_of(way, &Outcome::Answered(reply, round_trip), &words));
            if matches!(command, FocusCommand::Stop) && meter.status() != Some(FocuserStatus::Released) {
                say(NOT_FOR_LONG);
            }
            return Ok(code);
        }
        Ok(outcome) => Stop::Asked(outcome),
        Err(error @ SessionError::Settings(_)) => return Err(unreachable(&error)),
        Err(error) => Stop::NotSent(with_causes(&error)),
    };
    let text = halt::failure(&stop, &words, way.identity.as_str(), &way.base.to_string());
    Ok(tell(halt::exit_code(&stop), &text))
}

async fn motion(
    way: &Way,
    command: &FocusCommand,
    waiting: Waiting,
    limit: Option<Duration>,
) -> Result<u8, Failure> {
    let (request, words, id) = prepare(command)?;
    let noted = match Notes::find(&process_environment()) {
        Some(notes) => {
            notes.write(&id, &way.sender(), &request, Now::read().utc).map_err(|error| error.to_string())
        }
        None => Err("neither XDG_STATE_HOME nor HOME is set".to_owned()),
    };
    if let (true, Err(error)) = (waiting.no_wait, &noted) {
        say(&format!("the request is not noted, `focus outcome` will know little of it: {error}"));
    }
    // From here on Ctrl-C is ours.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failure {
        code: EXIT_FAILED,
        message: format!("cannot wait for Ctrl-C: {error}"),
    })?;
    let until = if waiting.no_wait { Until::Accepted } else { Until::Verdict };
    let mut meter = Meter::new(words.clone(), Some(id.clone()));
    let asker = Asker::new(way, limit).with_state().until(until);
    let asked = tokio::select! {
        biased;
        _ = interrupt.recv() => None,
        asked = asker.ask(&request, &id, &mut meter) => Some(asked),
    };
    meter.clear();
    let outcome = match asked {
        Some(asked) => asked.map_err(|error| unreachable(&error))?,
        None => {
            wipe_echo();
            let stop = if meter.sent() { stop(way, &mut interrupt).await } else { Stop::NotNeeded };
            let (code, text) =
                halt::after_interrupt(&stop, &words, way.identity.as_str(), &way.base.to_string());
            say(&text);
            return Ok(code);
        }
    };
    if outcome == Outcome::Accepted {
        print(&format!("{id}\n"));
        return Ok(0);
    }
    let mut message = said_of(way, &outcome, &words);
    if !matches!(outcome, Outcome::Answered(..) | Outcome::NobodyListens | Outcome::BrokerForbids) {
        message.push_str(&format!("; `focus outcome {id}` asks again"));
    }
    Ok(tell(outcome.exit_code(), &message))
}

/// Stops what moves, on a connection of its own: the one that was waited on may be dead. A second
/// Ctrl-C ends the wait.
async fn stop(way: &Way, interrupt: &mut Signal) -> Stop {
    say("stopping; Ctrl-C again does not wait for standstill");
    let (request, words, id) = match prepare(&FocusCommand::Stop) {
        Ok(prepared) => prepared,
        Err(failure) => return Stop::NotSent(failure.message),
    };
    let mut meter = Meter::new(words, None);
    let asker = Asker::new(way, None).with_state().insistent();
    let asked = tokio::select! {
        biased;
        _ = interrupt.recv() => None,
        asked = asker.ask(&request, &id, &mut meter) => Some(asked),
    };
    meter.clear();
    match asked {
        Some(Ok(outcome)) => Stop::Asked(outcome),
        Some(Err(error)) => Stop::NotSent(with_causes(&error)),
        None => {
            wipe_echo();
            if meter.sent() {
                Stop::NotAwaited
            } else {
                Stop::NotSent("you did not wait for it to get through".to_owned())
            }
        }
    }
}

fn said_of(way: &Way, outcome: &Outcome, words: &str) -> String {
    outcome.message(words, way.identity.as_str(), &way.base.to_string())
}

/// Success to stdout, all else to stderr.
fn tell(code: u8, message: &str) -> u8 {
    if code == 0 {
        print(&format!("{message}\n"));
    } else {
        say(&format!("error: {message}"));
    }
    code
}

#[cfg(test)]
mod tests {
    use bus::device::{ArgumentKind, find};
    use focuser_device::DESCRIPTION;

    use super::*;

    #[test]
    fn every_request_is_a_row_of_the_verb_table() {
        let waiting = Waiting { no_wait: false };
        let mut asked = Vec::new();
        for command in [
            FocusCommand::Set { mm: 2.0, waiting },
            FocusCommand::Offset { mm: -0.05, waiting },
            FocusCommand::Init { force: false, waiting },
            FocusCommand::Init { force: true, waiting },
            FocusCommand::Stop,
            FocusCommand::Kill,
            FocusCommand::Ping,
        ] {
            let (request, words) = request(&command).unwrap();
            let verb = find(DESCRIPTION.verbs, request.verb).unwrap();
            match (verb.bare(), &request.argument) {
                (None, None) => {}
                (Some(spec), None) => assert_eq!(spec.kind, ArgumentKind::Flag, "{words}"),
                (Some(spec), Some((key, value))) => {
                    assert_eq!(spec.name, *key, "{words}");
                    let fits = match spec.kind {
                        ArgumentKind::Number { .. } => value.is_number(),
                        ArgumentKind::Flag => value.is_boolean(),
                        ArgumentKind::Choice(_) | ArgumentKind::Name(_) => false,
                    };
                    assert!(fits, "{words}: {value}");
                }
                (None, Some(argument)) => panic!("{words}: {argument:?}"),
            }
            asked.push(request.verb);
        }
        for verb in DESCRIPTION.verbs {
            assert!(asked.contains(&verb.name), "no command sends {}", verb.name);
        }
    }
}
