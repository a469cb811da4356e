//! The programs: from the process's arguments to its exit code.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bus::message::ONLINE;
use bus::session::client::SessionError;
use bus::settings::process_environment;
use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use crate::acl;
use crate::action::{Action, action, words};
use crate::archive;
use crate::ask::{Asker, Notices};
use crate::cache;
use crate::command::{UserRequest, carry_out, interrupts, ping, said, unless};
use crate::complete::printed;
use crate::completion;
use crate::confirm;
use crate::connection::Connection;
use crate::convert;
use crate::doctor;
use crate::exit::{EXIT_FAILED, EXIT_STALE, EXIT_USAGE, Failure, with_causes};
use crate::files;
use crate::foreseen::Foreseen;
use crate::format::is_json;
use crate::ha;
use crate::halt::Stop;
use crate::instrument::Instrument;
use crate::list;
use crate::metrics;
use crate::notes::Notes;
use crate::outcome::outcome;
use crate::output::{print, print_lines, say, style};
use crate::overview;
use crate::ports;
use crate::record;
use crate::request::new_id;
use crate::runtime::block_on;
use crate::schema;
use crate::service;
use crate::shell::script;
use crate::show::{self, never_heard, read_meta};
use crate::target::{Access, Common};
use crate::tool::{Session, Tool};
use crate::transcript;
use crate::usage::{self, STOP, YES, is_help, rendered};
use crate::view::View;
use crate::watch::watch;

/// Runs the program of one instrument.
#[must_use]
pub fn tool(tool: &'static Tool) -> ExitCode {
    let instrument = Instrument::described(tool.description).with_tones(tool.tones);
    let result = parse(&usage::tool(tool, &instrument), std::env::args_os()).and_then(|matches| {
        if let Some((files::NAME, matches)) = matches.subcommand() {
            return files::of_tool(matches, &usage::tool(tool, &instrument));
        }
        match action(&matches, Some(&instrument), Some(tool))? {
            None => Err(Failure::usage("no such command")),
            Some(Action::Completions(shell)) => print(&script(shell, tool.command)).map(|()| 0),
            Some(Action::Complete(words)) => {
                let common = usage::common(&matches, Common::default());
                let candidates = completion::of_tool(&usage::tool(tool, &instrument), &words, common);
                print(&printed(&candidates)).map(|()| 0)
            }
            Some(action) => {
                let common = usage::common(&matches, Common::default());
                let address = common.device.clone().unwrap_or_else(|| tool.device.to_owned());
                let session = Session {
                    target: Access::find(&common)?.target(common.site.as_deref(), &address)?,
                    instrument: Some(instrument),
                    tool: Some(tool),
                    command: tool.command.to_owned(),
                    limit: common.timeout,
                    began: read_clock().instant,
                };
                block_on(act(&session, action))
            }
        }
    });
    finish(result)
}

/// Runs `obsbus`.
#[must_use]
pub fn obsbus(version: &'static str) -> ExitCode {
    finish(run_obsbus(version))
}

fn run_obsbus(version: &'static str) -> Result<u8, Failure> {
    let matches = parse(&usage::obsbus(version), std::env::args_os())?;
    let common = usage::common(&matches, Common::default());
    match matches.subcommand() {
        Some(("list", matches)) => {
            let common = usage::common(matches, common);
            let access = Access::for_a_look(&common)?;
            block_on(list::list(&access, common.site.as_deref(), is_json(matches)))
        }
        Some(("status", matches)) => {
            let common = usage::common(matches, common);
            block_on(overview::status(matches, &common))
        }
        Some(("watch", matches)) => {
            let common = usage::common(matches, common);
            block_on(overview::watch(matches, &common))
        }
        Some(("metrics", matches)) => {
            let common = usage::common(matches, common);
            block_on(metrics::metrics(matches, &common))
        }
        Some(("alpaca", matches)) => {
            let text =
                alpaca::run(matches).map_err(|failure| Failure::said(failure.code, failure.to_string()))?;
            print(&text).map(|()| 0)
        }
        Some(("record", matches)) => {
            let common = usage::common(matches, common);
            block_on(record::record(matches, &common))
        }
        Some(("archive", matches)) => {
            let common = usage::common(matches, common);
            block_on(archive::archive(matches, &common))
        }
        Some(("replay", matches)) => block_on(record::replay(matches)),
        Some(("doctor", matches)) => {
            let common = usage::common(matches, common);
            block_on(doctor::run(matches, &common))
        }
        Some(("ha", matches)) => {
            let common = usage::common(matches, common);
            let (name, matches) = matches.subcommand().unwrap_or(("", matches));
            let common = usage::common(matches, common);
            block_on(async {
                match name {
                    "dashboard" => ha::dashboard(matches, &common).await,
                    "package" => ha::package(matches, &common).await,
                    "remove" => ha::remove(matches, &common).await,
                    _ => Err(Failure::usage("no such command")),
                }
            })
        }
        Some(("acl", matches)) => {
            let common = usage::common(matches, common);
            let site = common.site.ok_or_else(|| Failure::usage("name the site: --site NAME"))?;
            print(&acl::asked_for(matches, &site)?).map(|()| 0)
        }
        Some(("identity", matches)) => {
            let done = identity::run(matches, usage::common(matches, common).site);
            let (text, code) = done.map_err(|failure| Failure::said(failure.code(), failure.to_string()))?;
            // A table, or JSON.
            if matches.subcommand_name() == Some("list") {
                return print(&text).map(|()| code);
            }
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            print_lines(&lines).map(|()| code)
        }
        Some(("schema", matches)) => {
            let name = matches.get_one::<String>("name").map(String::as_str);
            let text = match (name, matches.get_one::<PathBuf>("write")) {
                (_, Some(folder)) => schema::write(folder)?,
                (Some(name), None) => schema::text(name).unwrap_or_default().to_owned(),
                (None, None) => schema::list(),
            };
            print(&text).map(|()| 0)
        }
        Some(("completions", matches)) => {
            let shell = matches.get_one("shell").copied();
            let shell = shell.ok_or_else(|| Failure::usage("name the shell: bash, zsh or fish"))?;
            print(&script(shell, "obsbus")).map(|()| 0)
        }
        Some((ports::NAME, matches)) => ports::run(matches),
        Some((convert::NAME, matches)) => convert::run(matches),
        Some((transcript::NAME, matches)) => transcript::run(matches),
        Some((files::NAME, matches)) => {
            files::of_obsbus(matches, &usage::obsbus(version), &usage::any_device("DEVICE"))
        }
        Some((usage::COMPLETE, matches)) => {
            print(&printed(&completion::of_obsbus(version, &words(matches), common))).map(|()| 0)
        }
        Some(("device", matches)) => {
            let common = usage::common(matches, common);
            let name = matches.get_one::<String>("device").cloned().unwrap_or_default();
            device(&name, &words(matches), common)
        }
        Some((name @ "alert", matches)) => {
            let common = usage::common(matches, common);
            device(name, &service::words_for_device(name, words(matches))?, common)
        }
        Some((name, matches)) => {
            let rest = matches.get_many::<OsString>("").into_iter().flatten();
            let rest: Vec<String> = rest.map(|word| word.to_string_lossy().into_owned()).collect();
            device(name, &rest, common)
        }
        None => Err(Failure::usage("no such command")),
    }
}

/// `obsbus NAME rest ...`.
fn device(name: &str, rest: &[String], common: Common) -> Result<u8, Failure> {
    // Subcommands that need no verbs are recognised without the broker.
    let shallow = match usage::any_device(name).try_get_matches_from(rest) {
        Ok(matches) => Some(matches),
        // The help, and words that are not subcommands, depend on the device.
        Err(error) if is_help(&error) || error.kind() == ErrorKind::InvalidSubcommand => None,
        Err(error) => return Err(wrong_usage(&error)),
    };
    let common = usage::scanned(rest, common);
    let common = match &shallow {
        Some(matches) => usage::common(matches, common),
        None => common,
    };
    let access = Access::find(&common)?;
    let session = Session {
        target: access.target(common.site.as_deref(), name)?,
        instrument: None,
        tool: None,
        command: format!("obsbus {name}"),
        limit: common.timeout,
        began: read_clock().instant,
    };
    let known = match &shallow {
        Some(matches) => action(matches, None, None)?,
        None => None,
    };
    block_on(async {
        match known {
            Some(action) => act(&session, action).await,
            None => with_meta(&session, name, rest).await,
        }
    })
}

async fn act(session: &Session, action: Action) -> Result<u8, Failure> {
    match action {
        Action::Status { all } => show::status(session, all).await,
        Action::Json => show::json(session).await,
        Action::Watch => watch(session).await,
        Action::History { hours, json } => show::past(session, hours, json).await,
        Action::Log { json } => show::log(session, json).await,
        Action::Health { json } => show::health(session, json).await,
        Action::Ping => ping(session).await,
        Action::Outcome(id) => {
            let notes = Notes::find(&process_environment());
            let (code, message) = outcome(session, notes.as_ref(), &id).await?;
            Ok(said(code, &message))
        }
        Action::Send(user_request) => {
            let unknown = Instrument::unknown();
            let instrument = session.instrument.as_ref().unwrap_or(&unknown);
            carry_out(session, instrument, &user_request, (new_id()?, None)).await
        }
        Action::Completions(_) | Action::Complete(_) => Err(Failure::usage("not a command of a device")),
    }
}

/// A command line that needs the instrument's verbs: they arrive on the connection on which the
/// request is sent.
async fn with_meta(session: &Session, name: &str, rest: &[String]) -> Result<u8, Failure> {
    let target = &session.target;
    let id = new_id()?;
    let meta = target.base.meta();
    let kept = cache::find(&target.broker, &target.base);
    let foreseen = Foreseen::of(name, kept.clone().unwrap_or_else(stoppable), rest);
    let session = &Session { limit: foreseen.limit.or(session.limit), ..session.clone() };
    let asker = Asker::new(target, session.noun(&foreseen.instrument), None);
    let asker = if foreseen.halts { asker.insistent(session.insist_by()) } else { asker };
    let mut topics = asker.topics(&id);
    topics.push(meta.clone());
    let reaching = async {
        let mut connection = asker.reach(&topics, &mut Notices).await?;
        match connection.stored(&meta).await {
            Ok(stored) => Ok((Some(connection), stored)),
            // The stop gets another one.
            Err(_) if foreseen.halts => Ok((None, None)),
            Err(error) => Err(error),
        }
    };
    let reached = if foreseen.halts {
        match unless(&mut interrupts()?, reaching).await {
            Some(Err(error)) => return Ok(foreseen.not_sent(session, &Stop::NotSent(with_causes(&error)))),
            Some(reached) => reached,
            None => return Ok(foreseen.not_sent(session, &Stop::given_up(false))),
        }
    } else {
        reaching.await
    };
    let (mut connection, stored) = match reached {
        Ok(reached) => reached,
        // The help from the cache is good enough.
        Err(error) => return Err(foreseen.help.unwrap_or_else(|| error.into())),
    };
    let instrument = match (stored, kept, &mut connection) {
        (Some(message), ..) => read_meta(session, &message.payload),
        (None, Some(instrument), _) => instrument,
        (None, None, Some(reached)) if !foreseen.halts => match heard_late(session, reached).await? {
            Some(instrument) => instrument,
            None => return Err(no_meta(session, connection).await),
        },
        // A stop must not wait for anything.
        _ => stoppable(),
    };
    let matches = parse_device(name, &instrument, rest)?;
    match action(&matches, Some(&instrument), None)? {
        Some(Action::Send(user_request)) => {
            let question = question(&instrument, &user_request, &matches);
            let Some(question) = question.filter(|_| confirm::somebody_is_there()) else {
                return carry_out(session, &instrument, &user_request, (id, connection)).await;
            };
            // Nobody knows how long an answer takes: the request gets a connection of its own.
            close(connection).await;
            let answer = confirm::is_confirmed(&question);
            if !answer.map_err(|source| Failure::System { what: "read the answer", source })? {
                let message = format!("{}: not confirmed; nothing was sent", user_request.words);
                return Err(Failure::said(EXIT_FAILED, message));
            }
            carry_out(session, &instrument, &user_request, (id, None)).await
        }
        Some(action) => {
            close(connection).await;
            act(session, action).await
        }
        None => Err(Failure::usage("no such command")),
    }
}

async fn close(connection: Option<Connection>) {
    if let Some(connection) = connection {
        connection.close().await;
    }
}

/// What is to be asked before this is sent, unless the user has answered it already.
fn question(instrument: &Instrument, user_request: &UserRequest, matches: &ArgMatches) -> Option<String> {
    let verb = matches.subcommand().map(|(_, matches)| matches);
    let is_answered = verb.is_some_and(|matches| matches!(matches.try_get_one(YES), Ok(Some(true))));
    instrument.verb(&user_request.request.verb)?.question.clone().filter(|_| !is_answered)
}

/// The `meta` of a bridge that has just connected.
async fn heard_late(
    session: &Session,
    connection: &mut Connection,
) -> Result<Option<Instrument>, SessionError> {
    let base = &session.target.base;
    let is_online = connection.heard(&base.availability()).is_some_and(|word| word.payload == ONLINE);
    if !is_online {
        return Ok(None);
    }
    let message = connection.late(&base.meta()).await?;
    Ok(message.map(|message| read_meta(session, &message.payload)))
}

/// A device of which only one thing is known: it may move.
fn stoppable() -> Instrument {
    let mut instrument = Instrument::unknown();
    let stop = bus::device::Verb {
        stop: true,
        ..bus::device::Verb::new(STOP, "Stop", bus::device::Class::Overriding)
    };
    instrument.meta.verbs.extend(Instrument::verbs(&[stop]));
    instrument
}

async fn no_meta(session: &Session, mut connection: Option<Connection>) -> Failure {
    let mut view = View::default();
    if let Some(connection) = &mut connection {
        while let Ok(Some(message)) = connection.next(Duration::ZERO).await {
            view.hear(&session.target.base, &message, read_clock());
        }
    }
    let now = read_clock();
    close(connection).await;
    if view.state.is_none() && view.availability.is_none() {
        return never_heard(session, &view, &Instrument::unknown(), now);
    }
    let base = &session.target.base;
    let message = format!("the bridge of {base} has not published its description (meta) yet; try again");
    Failure::said(EXIT_STALE, message)
}

#[expect(clippy::disallowed_methods, reason = "when a command began, and when what is in store was heard")]
fn read_clock() -> bus::clock::Now {
    bus::clock::Now::read()
}

fn parse_device(name: &str, instrument: &Instrument, rest: &[String]) -> Result<ArgMatches, Failure> {
    parse(&usage::device(name, instrument), rest.iter().map(OsString::from))
}

fn parse(command: &Command, arguments: impl IntoIterator<Item = OsString>) -> Result<ArgMatches, Failure> {
    command.clone().try_get_matches_from(arguments).map_err(|error| match is_help(&error) {
        true => Failure::Help(rendered(&error, style())),
        false => wrong_usage(&error),
    })
}

fn wrong_usage(error: &clap::Error) -> Failure {
    // Nothing to be done about a terminal that is gone.
    let _ = error.print();
    Failure::AlreadyReported(EXIT_USAGE)
}

fn finish(result: Result<u8, Failure>) -> ExitCode {
    let result = match result {
        Err(Failure::Help(text)) => print(&text).map(|()| 0),
        other => other,
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if !failure.is_silent() {
                say(&format!("error: {}", with_causes(&failure)));
            }
            ExitCode::from(failure.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;

    #[test]
    fn a_stop_is_understood_of_a_device_of_which_nothing_is_known() {
        let device = stoppable();
        let matches = parse_device("cover", &device, &["stop".to_owned()]).unwrap();
        let Ok(Some(Action::Send(user_request))) = action(&matches, Some(&device), None) else { panic!() };
        assert_eq!((user_request.request, user_request.words.as_str()), (Request::bare("stop"), "stop"));
        assert!(device.verb("stop").is_some_and(|verb| device.halts(verb)));
    }
}
