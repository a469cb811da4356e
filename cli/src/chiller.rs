//! `chiller`: from the command line to an exit code.
//!
//! Decides nothing about the chiller.

use std::process::ExitCode;
use std::time::Duration;

use crate::typed::ChillerState;
use bus::message::Code;

use crate::args::{ChillerArgs, ChillerCommand, ModeArg};
use crate::output::{print, say};
use crate::program::{self, EXIT_FAILED, EXIT_USAGE, Failure, Way, block_on, find_way, unreachable};
use crate::request::{Asker, Notices, Request, new_id};
use crate::show;
use crate::wait::Outcome;
use crate::watch::watch;

/// Runs the command that the process was started for.
#[must_use]
pub fn main() -> ExitCode {
    program::main(run)
}

fn run(args: &ChillerArgs) -> Result<u8, Failure> {
    let way = find_way(&args.target, "chiller")?;
    block_on(async {
        match &args.command {
            ChillerCommand::Status => show::status::<ChillerState>(&way).await,
            ChillerCommand::Json => show::json::<ChillerState>(&way).await,
            ChillerCommand::History { hours, json } => show::past::<ChillerState>(&way, *hours, *json).await,
            ChillerCommand::Watch => watch::<ChillerState>(&way).await.map_err(|error| unreachable(&error)),
            command => ask(&way, command, args.target.timeout).await,
        }
    })
}

async fn ask(way: &Way, command: &ChillerCommand, limit: Option<Duration>) -> Result<u8, Failure> {
    let Some((request, words)) = request(command) else {
        return Err(Failure { code: EXIT_USAGE, message: "this is no request".to_owned() });
    };
    let id = new_id().map_err(|message| Failure { code: EXIT_FAILED, message })?;
    let outcome =
        Asker::new(way, limit).ask(&request, &id, &mut Notices).await.map_err(|error| unreachable(&error))?;
    let message = outcome.message(&words, way.identity.as_str(), &way.base.to_string());
    match &outcome {
        Outcome::Answered(reply, round_trip) if reply.code == Some(Code::Succeeded) => {
            if matches!(command, ChillerCommand::Ping) {
                let milliseconds = round_trip.as_secs_f64() * 1000.0;
                print(&format!("{} answered in {milliseconds:.1} ms\n", way.base));
            } else {
                print(&format!("{message}\n"));
            }
        }
        _ => say(&format!("error: {message}")),
    }
    Ok(outcome.exit_code())
}

/// What goes on the bus for a command, and the user's words for it.
fn request(command: &ChillerCommand) -> Option<(Request, String)> {
    let (verb, argument, words) = match command {
        ChillerCommand::Status
        | ChillerCommand::Json
        | ChillerCommand::Watch
        | ChillerCommand::History { .. } => return None,
        ChillerCommand::Mode { mode: ModeArg::Auto } => {
            ("mode", Some(("mode", "automatic".into())), "mode auto".to_owned())
        }
        ChillerCommand::Mode { mode: ModeArg::Manual } => {
            ("mode", Some(("mode", "manual".into())), "mode manual".to_owned())
        }
        ChillerCommand::Enable => ("enabled", Some(("enabled", "on".into())), "enable".to_owned()),
        ChillerCommand::Disable => ("enabled", Some(("enabled", "off".into())), "disable".to_owned()),
        ChillerCommand::Setpoint { celsius } => {
            ("setpoint", Some(("celsius", (*celsius).into())), format!("setpoint {celsius}"))
        }
        ChillerCommand::Release { minutes } => {
            ("release", Some(("minutes", (*minutes).into())), format!("release {minutes}"))
        }
        ChillerCommand::ClearAlarms => ("clear_alarms", None, "clear-alarms".to_owned()),
        ChillerCommand::Ping => ("ping", None, "ping".to_owned()),
    };
    Some((Request { verb, argument }, words))
}

#[cfg(test)]
mod tests {
    use bus::device::{ArgumentKind, find};
    use chiller_device::DESCRIPTION;

    use super::*;

    #[test]
    fn every_request_is_a_row_of_the_verb_table() {
        let mut asked = Vec::new();
        for command in [
            ChillerCommand::Mode { mode: ModeArg::Auto },
            ChillerCommand::Mode { mode: ModeArg::Manual },
            ChillerCommand::Enable,
            ChillerCommand::Disable,
            ChillerCommand::Setpoint { celsius: 12.5 },
            ChillerCommand::Release { minutes: 5.0 },
            ChillerCommand::ClearAlarms,
            ChillerCommand::Ping,
        ] {
            let (request, words) = request(&command).unwrap();
            let verb = find(DESCRIPTION.verbs, request.verb).unwrap();
            match (verb.bare(), &request.argument) {
                (None, None) => {}
                (Some(spec), Some((key, value))) => {
                    assert_eq!(spec.name, *key, "{words}");
                    match spec.kind {
                        ArgumentKind::Choice(known) => {
                            assert!(
                                known.iter().any(|choice| choice
                                    .aliases
                                    .iter()
                                    .chain([&choice.word])
                                    .any(|word| Some(*word) == value.as_str())),
                                "{words}"
                            );
                        }
                        ArgumentKind::Number { .. } => assert!(value.is_number(), "{words}"),
                        ArgumentKind::Flag => assert!(value.is_boolean(), "{words}"),
                    }
                }
                (spec, argument) => panic!("{words}: {spec:?} and {argument:?}"),
            }
            asked.push(request.verb);
        }
        for verb in DESCRIPTION.verbs {
            assert!(asked.contains(&verb.name), "no command sends {}", verb.name);
        }
    }

    #[test]
    fn what_only_looks_is_no_request() {
        assert!(request(&ChillerCommand::Status).is_none());
    }
}
