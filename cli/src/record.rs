//! `obsbus record` and `obsbus replay`: the command lines, and the recording itself. See
//! docs/records.md.
#![expect(clippy::disallowed_methods, reason = "reads the clock for when a message came")]

use std::path::PathBuf;
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::session::client::SessionError;
use bus::topic::{everything_of, readable_of};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use record::line::{FORMAT, Gap, Header, Message};
use record::{Plan, Redaction, When, Writer};

use crate::connection::Connection;
use crate::ends::Ends;
use crate::exit::{EXIT_FAILED, EXIT_USAGE, Failure};
use crate::output::say;
use crate::regain::regain;
use crate::target::{Access, Common};
use crate::values::{bytes, duration, filter, speed};

/// A killed recording has lost at most this.
const FLUSH: Duration = Duration::from_secs(1);
/// Where the packages put the web panel.
const PANEL: &str = "/usr/share/obsbus/panel";
/// Registered for nothing; on this machine only.
const WEB_PORT: &str = "9747";

/// The command line of `record`.
pub(crate) fn command() -> Command {
    Command::new("record")
        .about("Write the traffic of the bus to a file, until Ctrl-C or a limit")
        .after_help(
            "The file is JSON Lines, compressed: `zcat FILE | jq`. It holds what this identity may read. \
             It is never overwritten. docs/records.md describes it.",
        )
        .arg(
            Arg::new("file")
                .required(true)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A new file, such as night.jsonl.gz"),
        )
        .arg(
            Arg::new("topic")
                .long("topic")
                .value_name("FILTER")
                .action(ArgAction::Append)
                .value_parser(filter)
                .help("Only these topics; may be repeated [default: everything of the sites]"),
        )
        .arg(
            Arg::new("for")
                .long("for")
                .value_name("DURATION")
                .value_parser(duration)
                .help("End after this time: 90s, 5m or 5min, 12h, 7d"),
        )
        .arg(
            Arg::new("max-size")
                .long("max-size")
                .value_name("SIZE")
                .value_parser(bytes)
                .help("End when the file has this size: 500k, 20M, 2G"),
        )
        .arg(
            Arg::new("redact")
                .long("redact")
                .action(ArgAction::SetTrue)
                .help("Write person-1, person-2 ... for those who command"),
        )
}

/// The command line of `replay`.
pub(crate) fn replay_command() -> Command {
    let time = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("TIME").value_parser(value_parser!(When)).help(help)
    };
    Command::new("replay")
        .about("Show a record again in the web panel, on a broker of its own")
        .after_help(
            "A replay never reaches the broker of a site: it starts one of its own on this machine \
             (mosquitto must be installed) and has no way to another. It replays no commands.",
        )
        .arg(
            Arg::new("file")
                .required(true)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A file of `obsbus record`"),
        )
        .arg(time("from", "Where to begin: 03:12, 03:12:30, 2026-11-30T03:12:00Z [default: its beginning]"))
        .arg(time("to", "Where to end, in the same way [default: its end]"))
        .arg(
            Arg::new("speed")
                .long("speed")
                .value_name("FACTOR")
                .default_value("1")
                .value_parser(speed)
                .help("How many times as fast, 0.1 to 1000"),
        )
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("PORT")
                .default_value(WEB_PORT)
                .value_parser(value_parser!(u16).range(1..))
                .help("Port of the web panel, on 127.0.0.1"),
        )
        .arg(
            Arg::new("mqtt-port")
                .long("mqtt-port")
                .value_name("PORT")
                .value_parser(value_parser!(u16).range(1..))
                .help("Serve plain MQTT on this port of 127.0.0.1 as well"),
        )
        .arg(
            Arg::new("panel")
                .long("panel")
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help(format!("Folder of the web panel [default: {PANEL}]")),
        )
}

impl From<record::Failure> for Failure {
    fn from(failure: record::Failure) -> Self {
        let code = if failure.is_usage() { EXIT_USAGE } else { EXIT_FAILED };
        Self::said(code, failure.to_string())
    }
}

/// Replays until Ctrl-C or SIGTERM.
///
/// # Errors
/// The record cannot be read, or its broker cannot be started.
pub(crate) async fn replay(matches: &ArgMatches) -> Result<u8, Failure> {
    let port = |name: &str| matches.get_one::<u16>(name).copied();
    let panel = match matches.get_one::<PathBuf>("panel") {
        Some(folder) if !folder.join("index.html").is_file() => {
            let folder = folder.display();
            return Err(Failure::usage(format!(
                "--panel {folder}: expected a folder with the web panel's index.html"
            )));
        }
        Some(folder) => Some(folder.clone()),
        None => Some(PathBuf::from(PANEL)).filter(|folder| folder.join("index.html").is_file()),
    };
    let plan = Plan {
        file: matches.get_one::<PathBuf>("file").cloned().unwrap_or_default(),
        from: matches.get_one("from").copied(),
        to: matches.get_one("to").copied(),
        speed: matches.get_one("speed").copied().unwrap_or(1.0),
        web_port: port("port").ok_or_else(|| Failure::usage("name the port: --port PORT"))?,
        mqtt_port: port("mqtt-port"),
        page: panel,
    };
    let mut ends = Ends::listen()?;
    record::replay(&plan, say, ends.come()).await?;
    Ok(0)
}

/// Records until Ctrl-C, SIGTERM or a limit.
///
/// # Errors
/// The broker cannot be reached at first, or the file cannot be written.
pub(crate) async fn record(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let access = Access::find(common)?;
    let sites = access.sites(common.site.as_deref())?;
    let given: Option<Vec<String>> =
        matches.get_many::<String>("topic").map(|given| given.cloned().collect());
    let mut ends = Ends::listen()?;
    let file = matches.get_one::<PathBuf>("file").cloned().unwrap_or_default();
    let (filters, connection) = match given {
        Some(filters) => (filters.clone(), Connection::open_to_all(&access, &filters).await?),
        None => open_to_everything(&access, &sites).await?,
    };
    let redaction = matches.get_flag("redact").then(Redaction::default);
    let began = Now::read();
    let header = Header {
        format: FORMAT,
        program: concat!("obsbus ", env!("CARGO_PKG_VERSION")).to_owned(),
        started_at: began.utc,
        sites,
        filters: filters.clone(),
        redacted: redaction.is_some(),
    };
    let mut recording = Recording {
        writer: Writer::create(&file, header)?,
        redaction,
        largest: matches.get_one("max-size").copied(),
        flushed: began.instant,
        gap: None,
    };
    let what = filters.join(", ");
    let typed = |name: &str| matches.get_raw(name).and_then(|mut words| words.next()?.to_str());
    let until = ending(typed("for"), typed("max-size"));
    say(&format!("recording {what} to {}{until}", file.display()));
    let longest = matches.get_one::<Duration>("for").copied();
    let over = async {
        match longest {
            Some(longest) => tokio::time::sleep(longest).await,
            None => std::future::pending().await,
        }
    };
    let why = tokio::select! {
        full = recording.follow(&access, &filters, connection) => full?,
        () = ends.come() => "stopped",
        () = over => "the duration of --for is over",
    };
    let (messages, bytes) = recording.end(why)?;
    say(&format!("{why}: {messages} messages, {bytes} bytes in {}", file.display()));
    Ok(0)
}

/// When a recording ends, in words behind the name of its file; the limits as the user has typed them.
fn ending(longest: Option<&str>, largest: Option<&str>) -> String {
    match (longest, largest) {
        (None, None) => " until Ctrl-C".to_owned(),
        (Some(longest), None) => format!(" for {longest}; Ctrl-C ends it before"),
        (None, Some(largest)) => format!(" until it has the size {largest}; Ctrl-C ends it before"),
        (Some(longest), Some(largest)) => {
            format!(" for {longest}, or until it has the size {largest}; Ctrl-C ends it before")
        }
    }
}

/// Subscribes to everything of these sites, or, where the broker refuses that as a whole, to all that this
/// identity may read.
async fn open_to_everything(
    access: &Access,
    sites: &[String],
) -> Result<(Vec<String>, Connection), SessionError> {
    let everything: Vec<String> = sites.iter().map(|site| everything_of(site)).collect();
    match Connection::open_to_all(access, &everything).await {
        Err(SessionError::Subscription { .. }) => {
            let readable: Vec<String> =
                sites.iter().flat_map(|site| readable_of(site, &access.identity)).collect();
            let connection = Connection::open_to_all(access, &readable).await?;
            Ok((readable, connection))
        }
        opened => opened.map(|connection| (everything, connection)),
    }
}

struct Recording {
    writer: Writer<std::fs::File>,
    redaction: Option<Redaction>,
    largest: Option<u64>,
    flushed: Instant,
    /// Since when nothing is recorded, and why.
    gap: Option<(Utc, String)>,
}

impl Recording {
    /// Records until the file is large enough; says so.
    async fn follow(
        &mut self,
        access: &Access,
        filters: &[String],
        first: Connection,
    ) -> Result<&'static str, Failure> {
        let mut connection = first;
        loop {
            let lost = loop {
                let heard = connection.next(FLUSH).await;
                let now = Now::read();
                match heard {
                    Ok(Some(message)) => self.add(Message::of(&message, now.utc))?,
                    Ok(None) => {}
                    Err(error) => break error.to_string(),
                }
                if now.instant.since(self.flushed) >= FLUSH {
                    self.writer.flush()?;
                    self.flushed = now.instant;
                }
                if self.largest.is_some_and(|largest| self.writer.bytes() >= largest) {
                    return Ok("the file has the size of --max-size");
                }
            };
            self.gap = Some((Now::read().utc, lost.clone()));
            self.writer.flush()?;
            connection = regain(access, filters, lost).await;
            self.close_gap(Now::read().utc)?;
        }
    }

    fn add(&mut self, message: Message) -> Result<(), Failure> {
        let message = match &mut self.redaction {
            Some(redaction) => redaction.of(message),
            None => message,
        };
        Ok(self.writer.message(message)?)
    }

    fn close_gap(&mut self, to: Utc) -> Result<(), Failure> {
        match self.gap.take() {
            Some((from, why)) => Ok(self.writer.gap(Gap { from, to, why })?),
            None => Ok(()),
        }
    }

    fn end(mut self, why: &str) -> Result<(u64, u64), Failure> {
        let now = Now::read().utc;
        self.close_gap(now)?;
        Ok(self.writer.finish(now, why)?)
    }
}
