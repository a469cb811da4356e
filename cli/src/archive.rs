//! `obsbus archive`: the command line, and the messages that become rows. See docs/records.md.
#![expect(clippy::disallowed_methods, reason = "reads the clock for which states are worth a row")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use archive::{Database, Place, Row, Rows, SCHEMA, Settings};
use bus::clock::Now;
use bus::settings::account::{Account, user_name};
use bus::settings::process_environment;
use bus::topic::Base;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use rustix::process::geteuid;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::ends::Ends;
use crate::exit::{EXIT_FAILED, Failure};
use crate::output::{print, say};
use crate::regain::regain;
use crate::target::{Access, Common};

/// Rows that wait for a database that is away: a night of two devices.
const WAITING: usize = 20_000;
const TICK: Duration = Duration::from_secs(60);
/// For the last rows, at the end.
const LAST_LIMIT: Duration = Duration::from_secs(5);

/// The command line of `archive`.
pub(crate) fn command() -> Command {
    Command::new("archive")
        .about("Write states and events of every device into PostgreSQL, until Ctrl-C")
        .override_usage(
            "obsbus archive [OPTIONS]\n       obsbus archive FILE\n       obsbus archive --check-config [FILE]",
        )
        .after_help(
            "Without FILE it uses a client's settings, and the password is that of the variable PGPASSWORD. \
             docs/records.md describes the tables.",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .conflicts_with_all(["database", "database-ca", "every", "keep-days"])
                .help(format!("Settings of the archive as a service, such as {}", archive::FILE)),
        )
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help(format!("Check these settings and the files that they name, and end [default: {}]", archive::FILE)),
        )
        .arg(
            Arg::new("database")
                .long("database")
                .value_name("ADDRESS")
                .default_value(archive::ADDRESS)
                .help("Keys and values, or postgresql://NAME@HOST/DATABASE"),
        )
        .arg(
            Arg::new("database-ca")
                .long("database-ca")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Authority of the database's certificate (PEM): then there is TLS [default: no TLS]"),
        )
        .arg(
            Arg::new("every")
                .long("every")
                .value_name("SECONDS")
                .default_value("10")
                .value_parser(value_parser!(u64).range(0..=3600))
                .help("A row this often, and whenever a word or a flag has changed; 0: every state"),
        )
        .arg(
            Arg::new("keep-days")
                .long("keep-days")
                .value_name("DAYS")
                .value_parser(value_parser!(u32).range(1..=36_500))
                .help("Delete older rows [default: keep them]"),
        )
        .arg(
            Arg::new("print-schema")
                .long("print-schema")
                .action(ArgAction::SetTrue)
                .help("Print the tables as SQL, and write nothing"),
        )
}

/// Writes until Ctrl-C or SIGTERM.
///
/// # Errors
/// The broker or the database cannot be reached at first.
pub(crate) async fn archive(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    if matches.get_flag("print-schema") {
        return print(SCHEMA).map(|()| 0);
    }
    let file = matches.get_one::<PathBuf>("file").cloned();
    if matches.get_flag("check-config") {
        return check(&file.unwrap_or_else(|| archive::FILE.into()));
    }
    let (access, place, every) = match file {
        Some(_) if common.config.is_some() || common.site.is_some() => {
            let problem =
                "the settings of the service have sites and broker: expected no --config and no --site";
            return Err(Failure::usage(problem));
        }
        Some(file) => {
            let settings = Settings::load(&file, &process_environment())
                .map_err(|problems| Failure::Usage(format!("the settings cannot be used:\n{problems}")))?;
            (Access::of_service(&file, settings.client, common)?, settings.place, settings.every)
        }
        None => {
            let place = Place {
                password: std::env::var("PGPASSWORD").ok(),
                ca_file: matches.get_one("database-ca").cloned(),
                keep_days: matches.get_one("keep-days").copied(),
                ..Place::of(matches.get_one::<String>("database").map(String::as_str).unwrap_or_default())
            };
            (Access::find(common)?, place, matches.get_one("every").copied().unwrap_or_default())
        }
    };
    let database = Database::at(&place).map_err(Failure::usage)?;
    let mut topics = Vec::new();
    for site in access.sites(common.site.as_deref())? {
        let [_, state, _] = Base::filters_of_all(&site);
        topics.extend([state, Base::events_of_all(&site), Base::recent_of_all(&site)]);
    }
    let mut ends = Ends::listen()?;
    database.prepare().await.map_err(|error| Failure::said(EXIT_FAILED, error.to_string()))?;
    let connection = Connection::open_to_all(&access, &topics).await?;
    say(&format!("writing {} to the database until Ctrl-C", topics.join(", ")));
    let mut rows = Rows::new(Duration::from_secs(every));
    let (sender, receiver) = channel(WAITING);
    let mut writing = std::pin::pin!(database.write(receiver, say));
    tokio::select! {
        () = follow(&access, &topics, connection, &mut rows, sender) => {}
        () = &mut writing => {}
        () = ends.come() => {}
    }
    // Nothing more comes: the sender has gone with `follow`.
    if timeout(LAST_LIMIT, writing).await.is_err() {
        say("the database did not take the last rows");
    }
    Ok(0)
}

/// With the rights of the service if root asks: root could read every key.
fn check(file: &Path) -> Result<u8, Failure> {
    let environment = process_environment();
    let look = || Settings::check(file, &environment, Now::read().utc);
    let account = if geteuid().is_root() { Account::find(archive::USER, &[]) } else { None };
    let findings = match &account {
        Some(account) => account.run(look).map_err(|error| {
            let user = archive::USER;
            Failure::said(EXIT_FAILED, format!("cannot look at the settings as user {user}: {error}"))
        })?,
        None => look(),
    };
    if !findings.is_good() {
        return Err(Failure::Usage(findings.to_string()));
    }
    let words = findings.to_string();
    if !words.is_empty() {
        say(&words);
    }
    let user = user_name(account.map_or_else(|| geteuid().as_raw(), |account| account.uid));
    let contacts = "without contacting broker and database";
    print(&format!("{}: the settings are valid (checked as user {user}, {contacts})\n", file.display()))
        .map(|()| 0)
}

async fn follow(access: &Access, topics: &[String], first: Connection, rows: &mut Rows, sender: Sender<Row>) {
    let mut connection = first;
    let mut lost = 0_u64;
    loop {
        let trouble = loop {
            match connection.next(TICK).await {
                Ok(Some(message)) => {
                    for row in rows.of(&message, Now::read()) {
                        let is_lost = sender.try_send(row).is_err();
                        match (lost, is_lost) {
                            (0, true) => {
                                say(&format!("{WAITING} rows wait for the database: no more are kept"))
                            }
                            (1.., false) => say(&format!("{} rows were lost", std::mem::take(&mut lost))),
                            _ => {}
                        }
                        lost += u64::from(is_lost);
                    }
                }
                Ok(None) => {}
                Err(error) => break error.to_string(),
            }
        };
        connection = regain(access, topics, trouble).await;
    }
}
