//! `chiller`: from the command line to an exit code.
//!
//! Words go to stderr, what was asked for to stdout. Decides nothing about the chiller.
#![expect(clippy::disallowed_methods, reason = "reads the clock for what it shows and sends")]

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use bus::clock::Now;
use bus::message::{Code, echo};
use bus::session::client::{Client, SessionError};
use bus::session::connect::ClientId;
use bus::settings::{BrokerSettings, ClientSettings, find_client_file, process_environment};
use bus::topic::{Base, Identity};
use clap::Parser;
use clap::error::ErrorKind;

use crate::args::{ChillerArgs, ChillerCommand, ModeArg, Target};
use crate::render::{self, Style};
use crate::request::{Asker, Request, new_id};
use crate::view::{EXIT_UNREACHABLE, Seen, Standing, View};
use crate::wait::Outcome;
use crate::watch;

/// Wrong usage or settings: nothing was sent.
const EXIT_USAGE: u8 = 64;
const EXIT_FAILED: u8 = 1;
/// For TCP, TLS and CONNACK.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// What the broker has in store comes with the SUBACK, at the latest right behind it.
const STORED_LIMIT: Duration = Duration::from_millis(500);

/// A device and the way to it.
#[derive(Debug)]
pub struct Way {
    /// How to reach the broker.
    pub broker: BrokerSettings,
    /// Our name on the bus.
    pub identity: Identity,
    /// Our name for this start.
    pub client_id: ClientId,
    /// The device.
    pub base: Base,
    /// For TCP, TLS and CONNACK.
    pub connect_limit: Duration,
}

/// Why a command ends without having done its work.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

/// Runs the command that the process was started for.
#[must_use]
pub fn main() -> ExitCode {
    let args = match ChillerArgs::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nothing to be done about a terminal that is gone.
            let _ = error.print();
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked_for { 0 } else { EXIT_USAGE });
        }
    };
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            say(&format!("error: {}", failure.message));
            ExitCode::from(failure.code)
        }
    }
}

fn run(args: &ChillerArgs) -> Result<u8, Failure> {
    let way = find_way(&args.target)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure { code: EXIT_FAILED, message: format!("cannot start: {error}") })?;
    runtime.block_on(async {
        match &args.command {
            ChillerCommand::Status => status(&way).await,
            ChillerCommand::Json => json(&way).await,
            ChillerCommand::Watch => watch::watch(&way).await.map_err(|error| unreachable(&error)),
            command => ask(&way, command, args.target.timeout).await,
        }
    })
}

fn find_way(target: &Target) -> Result<Way, Failure> {
    let usage = |message: String| Failure { code: EXIT_USAGE, message };
    let environment = process_environment();
    let file = find_client_file(target.config.as_deref(), &environment).map_err(usage)?;
    let settings = ClientSettings::load(&file, &environment)
        .map_err(|problems| usage(format!("the settings cannot be used:\n{problems}")))?;
    let sites = settings.sites.join(", ");
    let site = match &target.site {
        Some(site) if settings.sites.contains(site) => site,
        Some(site) => {
            let message = format!("--site {}: {} knows only {sites}", echo(site), file.display());
            return Err(usage(message));
        }
        None => settings.site.as_ref().ok_or_else(|| usage(format!("say which --site: {sites}")))?,
    };
    let base = Base::new(site, target.device.as_ref().unwrap_or(&settings.chiller)).map_err(usage)?;
    let identity = settings.broker.identity().and_then(|identity| Identity::new(&identity)).map_err(usage)?;
    let client_id = ClientId::random(&identity).map_err(|error| usage(with_causes(&error)))?;
    let connect_limit = target.timeout.unwrap_or(CONNECT_LIMIT).min(CONNECT_LIMIT);
    Ok(Way { broker: settings.broker, identity, client_id, base, connect_limit })
}

async fn fetch(way: &Way) -> Result<(View, Vec<u8>), SessionError> {
    let mut client = Client::connect(&way.broker, &way.client_id, way.connect_limit).await?;
    let (state, availability) = (way.base.state(), way.base.availability());
    client.subscribe(&[state.clone(), availability.clone()]).await?;
    let mut view = View::default();
    let mut payload = Vec::new();
    while view.state.is_none() || view.availability.is_none() {
        let Some(message) = client.next_message(STORED_LIMIT).await? else { break };
        if message.topic == availability {
            view.availability = Some(String::from_utf8_lossy(&message.payload).into_owned());
        } else if message.topic == state {
            view.state = Some(Seen::new(&message.payload, Now::read(), message.stored, message.expires_in_s));
            payload = message.payload.to_vec();
        }
    }
    client.disconnect().await;
    Ok((view, payload))
}

async fn status(way: &Way) -> Result<u8, Failure> {
    let (view, _) = fetch(way).await.map_err(|error| unreachable(&error))?;
    let now = Now::read();
    let standing = view.standing(now);
    if standing == Standing::NeverHeard {
        return Err(never_heard(way, &view, now));
    }
    print(&render::status(&way.base, &view, now, style()));
    Ok(standing.exit_code())
}

async fn json(way: &Way) -> Result<u8, Failure> {
    let (view, payload) = fetch(way).await.map_err(|error| unreachable(&error))?;
    let now = Now::read();
    let standing = view.standing(now);
    if !payload.is_empty() {
        print(&(render::raw(&payload) + "\n"));
    }
    match standing {
        Standing::Current => {}
        Standing::NeverHeard => return Err(never_heard(way, &view, now)),
        _ => say(&format!("error: {}", render::why_not_current(&way.base, &view, &standing, now))),
    }
    Ok(standing.exit_code())
}

fn never_heard(way: &Way, view: &View, now: Now) -> Failure {
    let message = render::why_not_current(&way.base, view, &Standing::NeverHeard, now);
    Failure { code: EXIT_UNREACHABLE, message }
}

async fn ask(way: &Way, command: &ChillerCommand, limit: Option<Duration>) -> Result<u8, Failure> {
    let Some((request, words)) = request(command) else {
        return Err(Failure { code: EXIT_USAGE, message: "this is no request".to_owned() });
    };
    let id = new_id().map_err(|message| Failure { code: EXIT_FAILED, message })?;
    let asker = Asker {
        broker: &way.broker,
        identity: &way.identity,
        client_id: &way.client_id,
        base: &way.base,
        connect_limit: way.connect_limit,
        limit,
    };
    let outcome =
        asker.ask(&request, &id, &mut |text| say(text)).await.map_err(|error| unreachable(&error))?;
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
        ChillerCommand::Status | ChillerCommand::Json | ChillerCommand::Watch => return None,
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

fn unreachable(error: &SessionError) -> Failure {
    let code = if matches!(error, SessionError::Settings(_)) { EXIT_USAGE } else { EXIT_UNREACHABLE };
    Failure { code, message: with_causes(error) }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Coloured on a terminal, if the user does not mind (<https://no-color.org>).
pub(crate) fn style() -> Style {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    if io::stdout().is_terminal() && !refused { Style::Coloured } else { Style::Plain }
}

/// Writes to stdout; whether anybody took it. A reader that has gone away (`chiller json | head
/// -c1`) is no error of ours.
pub(crate) fn print(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use bus::command::{ArgumentKind, CHILLER, find};

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
            let verb = find(CHILLER, request.verb).unwrap();
            match (verb.argument, &request.argument) {
                (None, None) => {}
                (Some(spec), Some((key, value))) => {
                    assert_eq!(spec.name, *key, "{words}");
                    match spec.kind {
                        ArgumentKind::Choice(known) => {
                            assert!(known.iter().any(|(word, _)| Some(*word) == value.as_str()), "{words}");
                        }
                        ArgumentKind::Number(_) => assert!(value.is_number(), "{words}"),
                        ArgumentKind::Flag => assert!(value.is_boolean(), "{words}"),
                    }
                }
                (spec, argument) => panic!("{words}: {spec:?} and {argument:?}"),
            }
            asked.push(request.verb);
        }
        for verb in CHILLER {
            assert!(asked.contains(&verb.name), "no command sends {}", verb.name);
        }
    }

    #[test]
    fn what_only_looks_is_no_request() {
        assert!(request(&ChillerCommand::Status).is_none());
    }
}
