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
use rustix::termios::tcgetwinsize;

use crate::args::{ChillerArgs, ChillerCommand, ModeArg, Target};
use crate::chart::Look;
use crate::history;
use crate::render::{self, Style};
use crate::request::{Asker, Request, new_id};
use crate::view::{EXIT_STALE, EXIT_UNREACHABLE, Seen, Standing, View};
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
            ChillerCommand::History { hours, json } => draw_history(&way, *hours, *json).await,
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

/// What the broker has of a device.
#[derive(Default)]
struct Fetched {
    view: View,
    state: Vec<u8>,
    history: Option<Vec<u8>>,
}

async fn fetch(way: &Way, with_history: bool) -> Result<Fetched, SessionError> {
    let mut client = Client::connect(&way.broker, &way.client_id, way.connect_limit).await?;
    let (state, availability, history) = (way.base.state(), way.base.availability(), way.base.history());
    let mut topics = vec![state.clone(), availability.clone()];
    topics.extend(with_history.then(|| history.clone()));
    client.subscribe(&topics).await?;
    let mut fetched = Fetched::default();
    while fetched.view.state.is_none()
        || fetched.view.availability.is_none()
        || (with_history && fetched.history.is_none())
    {
        let Some(message) = client.next_message(STORED_LIMIT).await? else { break };
        if message.topic == availability {
            fetched.view.availability = Some(String::from_utf8_lossy(&message.payload).into_owned());
        } else if message.topic == state {
            fetched.view.state =
                Some(Seen::new(&message.payload, Now::read(), message.stored, message.expires_in_s));
            fetched.state = message.payload.to_vec();
        } else if message.topic == history {
            fetched.history = Some(message.payload.to_vec());
        }
    }
    client.disconnect().await;
    Ok(fetched)
}

async fn status(way: &Way) -> Result<u8, Failure> {
    let Fetched { view, .. } = fetch(way, false).await.map_err(|error| unreachable(&error))?;
    let now = Now::read();
    let standing = view.standing(now);
    if standing == Standing::NeverHeard {
        return Err(never_heard(way, &view, now));
    }
    print(&render::status(&way.base, &view, now, style()));
    Ok(standing.exit_code())
}

async fn json(way: &Way) -> Result<u8, Failure> {
    let Fetched { view, state: payload, .. } =
        fetch(way, false).await.map_err(|error| unreachable(&error))?;
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

async fn draw_history(way: &Way, hours: Option<f64>, json: bool) -> Result<u8, Failure> {
    let Fetched { view, history: payload, .. } =
        fetch(way, true).await.map_err(|error| unreachable(&error))?;
    let now = Now::read();
    let standing = view.standing(now);
    let Some(payload) = payload else {
        if standing == Standing::NeverHeard {
            return Err(never_heard(way, &view, now));
        }
        let message = format!("the bridge of {} has published no history", way.base);
        return Err(Failure { code: standing.exit_code().max(EXIT_STALE), message });
    };
    let read = history::read(&payload);
    if json {
        print(&(render::raw(&payload) + "\n"));
    } else if let Ok(history) = &read {
        print(&history::page(&way.base, history, history::CHILLER, hours, now, look()));
    }
    // What was: drawn all the same, whatever is now.
    if standing != Standing::Current {
        say(&format!("error: {}", render::why_not_current(&way.base, &view, &standing, now)));
        return Ok(standing.exit_code());
    }
    let problem = match read {
        Ok(history) if history::is_stale(&history, now) => {
            "STALE: the bridge keeps no history any more".into()
        }
        Ok(_) => return Ok(0),
        Err(error) => format!("the history of {} cannot be read: {}", way.base, echo(&error)),
    };
    Err(Failure { code: EXIT_STALE, message: problem })
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

/// What fits on the terminal, or as it were on one of 80 by 24.
pub(crate) fn look() -> Look {
    let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let (columns, rows) = size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()));
    Look { columns, rows, utf8: speaks_utf8(|name| std::env::var(name).ok()), style: style() }
}

/// Whether the locale is one of UTF-8.
fn speaks_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
        // As in POSIX: empty is not set.
        variable(name).filter(|value| !value.is_empty())
    });
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
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
    fn the_locale_is_found_as_posix_says() {
        let speaks = |variables: &[(&str, &str)]| {
            speaks_utf8(|name| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(speaks(&[("LANG", "en_GB.UTF-8")]));
        assert!(speaks(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!speaks(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]));
        assert!(!speaks(&[]));
    }

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
