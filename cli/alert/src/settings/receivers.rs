//! Who is told, and by which way.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::settings::{NAME_ALPHABET, Section, is_name};

use crate::policy::Level;

/// The levels as the settings say them.
pub(super) const LEVELS: &[(&str, Level)] = &[("warning", Level::Warning), ("critical", Level::Critical)];
/// What an address looks like.
pub(super) const URL: &str = "an address that begins with https:// or http://";

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// The name of its section.
    pub name: String,
    /// Nothing below this.
    pub level: Level,
    /// How.
    pub way: Way,
}

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// By mail.
    Mail(Mail),
    /// By an HTTP request.
    Web(Web),
    /// By a program, which gets the message as JSON.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
        /// How long it may take.
        limit: Duration,
    },
}

/// A server for mail.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// The sender.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// The user there, and the file whose first line is the password.
    pub login: Option<(String, PathBuf)>,
    /// The authority of the server's certificate; the system's authorities otherwise.
    pub ca_file: Option<PathBuf>,
}

/// How a connection for mail is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after a greeting.
    StartTls,
    /// Not at all: on this machine only.
    None,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq)]
pub struct Web {
    /// Where.
    pub address: Address,
    /// What.
    pub form: Form,
}

/// An address, which may be a secret, with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// The address, or the file whose first line it is.
    pub url: Result<String, PathBuf>,
    /// The file whose first line is a bearer token.
    pub token_file: Option<PathBuf>,
    /// The authority of the server's certificate; the system's authorities otherwise.
    pub ca_file: Option<PathBuf>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As ntfy.sh takes it.
    Ntfy,
    /// `{"text": ...}`, as Slack, Mattermost, Rocket.Chat and others take it.
    Slack,
    /// Everything, as JSON.
    Json,
}

#[derive(Clone, Copy)]
enum Kind {
    Mail,
    Web(Form),
    Command,
}

const KINDS: &[(&str, Kind)] = &[
    ("mail", Kind::Mail),
    ("ntfy", Kind::Web(Form::Ntfy)),
    ("slack", Kind::Web(Form::Slack)),
    ("json", Kind::Web(Form::Json)),
    ("command", Kind::Command),
];

pub(super) fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && url.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The first line of a file with a secret.
///
/// # Errors
/// In words, with the file's name.
pub fn first_line(path: &Path) -> Result<String, String> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(line.to_owned()) }
}

pub(super) fn read(s: &mut Section) -> Vec<Receiver> {
    let mut all = s.section("receivers");
    let mut receivers = Vec::new();
    for name in all.names() {
        let mut one = all.section(&name);
        let level = one.choice("level", LEVELS).default(Level::Warning);
        let kind = one.choice("type", KINDS).optional();
        let way = match kind {
            Some(Kind::Mail) => Some(Way::Mail(mail(&mut one))),
            Some(Kind::Web(form)) => Some(Way::Web(Web { address: address(&mut one), form })),
            Some(Kind::Command) => Some(command(&mut one)),
            None => {
                if one.is_good("type") {
                    let kinds: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
                    one.refuse("type", one.origin("type"), "is missing".to_owned(), Some(kinds.join(" or ")));
                }
                one.ignore_rest();
                None
            }
        };
        if !is_name(&name) {
            let message = format!("{name:?} cannot be the name of a receiver");
            one.refuse("type", one.origin("type"), message, Some(NAME_ALPHABET.to_owned()));
        }
        receivers.extend(way.map(|way| Receiver { name, level, way }));
        all.close(one);
    }
    s.close(all);
    receivers
}

fn mail(s: &mut Section) -> Mail {
    const SECURITIES: &[(&str, Security)] =
        &[("tls", Security::Tls), ("starttls", Security::StartTls), ("none", Security::None)];
    let is_address = |text: &str| text.parse::<lettre::message::Mailbox>().is_ok();
    let host = s.text("host").check("the name of a host", |host| !host.is_empty()).required();
    let security = s.choice("security", SECURITIES).default(Security::Tls);
    let is_here = ["localhost", "127.0.0.1", "::1"].contains(&host.as_str());
    if security == Security::None && s.is_good("host") && !is_here {
        let message = format!("{host} is another machine: a message without TLS can be read on the way");
        s.refuse("security", s.origin("security"), message, Some("tls or starttls".to_owned()));
    }
    let usual = match security {
        Security::Tls => 465,
        Security::StartTls => 587,
        Security::None => 25,
    };
    let port = s.integer("port").range(1..=65535).default(usual);
    let from = s.text("from").check("an address of mail", |from| is_address(from)).required();
    let to = s
        .texts("to")
        .check("a list of addresses of mail", |to| !to.is_empty() && to.iter().all(|to| is_address(to)));
    let to = to.required();
    let username = s.text("username").optional();
    let password_file = s.path("password_file").optional();
    let login = match (username, password_file) {
        (Some(username), Some(file)) => Some((username, file)),
        (None, None) => None,
        (Some(_), None) => missing(s, "password_file", "username"),
        (None, Some(_)) => missing(s, "username", "password_file"),
    };
    let ca_file = s.path("ca_file").optional();
    Mail { host, port: u16::try_from(port).unwrap_or_default(), security, from, to, login, ca_file }
}

fn missing<T>(s: &mut Section, key: &str, other: &str) -> Option<T> {
    let allowed = format!("both {key} and {other}, or neither");
    s.refuse(key, s.origin(key), "is missing".to_owned(), Some(allowed));
    None
}

pub(super) fn address(s: &mut Section) -> Address {
    let url = s.text("url").check(URL, |url| is_url(url)).optional();
    let file = s.path("url_file").optional();
    let url = match (url, file) {
        (Some(url), None) => Ok(url),
        (None, Some(file)) => Err(file),
        (url, file) => {
            if s.is_good("url") {
                let message = if file.is_some() { "is there as well as url_file" } else { "is missing" };
                let allowed = format!("{URL}, or url_file with one in its first line");
                s.refuse("url", s.origin("url"), message.to_owned(), Some(allowed));
            }
            Ok(url.unwrap_or_default())
        }
    };
    Address { url, token_file: s.path("token_file").optional(), ca_file: s.path("ca_file").optional() }
}

fn command(s: &mut Section) -> Way {
    let command = s
        .texts("command")
        .check("a list of texts: the full path of a program, then its arguments", |command| {
            command.first().is_some_and(|program| program.starts_with('/'))
        })
        .required();
    Way::Command { command, limit: s.seconds("limit", 1.0..=300.0, 30.0) }
}

impl Receiver {
    /// What is wrong with the files that it names, in words.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let secrets: Vec<&Path> = match &self.way {
            Way::Mail(mail) => mail.login.iter().map(|(_, file)| file.as_path()).collect(),
            Way::Web(web) => {
                let url = web.address.url.as_ref().err();
                url.into_iter().chain(&web.address.token_file).map(PathBuf::as_path).collect()
            }
            Way::Command { .. } => Vec::new(),
        };
        let mut problems: Vec<String> =
            secrets.into_iter().filter_map(|file| first_line(file).err()).collect();
        let authority = match &self.way {
            Way::Mail(mail) => mail.ca_file.as_ref(),
            Way::Web(web) => web.address.ca_file.as_ref(),
            Way::Command { command, .. } => {
                let program = command.first().map(Path::new).filter(|program| !program.is_file());
                problems.extend(program.map(|program| format!("{} is no program", program.display())));
                None
            }
        };
        let authority = authority.and_then(|file| {
            fs::read(file).err().map(|error| format!("cannot read {}: {error}", file.display()))
        });
        problems.extend(authority);
        problems
    }
}
