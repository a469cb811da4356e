//! Who is told, and by which way.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::settings::{NAME_ALPHABET, Section, is_name};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::http::Uri;

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
    let begins_well = url.starts_with("https://") || url.starts_with("http://");
    let Some(uri) = url.parse::<Uri>().ok().filter(|_| begins_well) else { return false };
    // The library takes any digits for a port, and none for a host.
    let place = uri.authority().map(|it| it.as_str().rsplit('@').next().unwrap_or_default().to_owned());
    let has_port = place.is_some_and(|place| place.rsplit(']').next().is_some_and(|end| end.contains(':')));
    uri.host().is_some_and(|host| !host.is_empty()) && (!has_port || uri.port_u16().is_some_and(|it| it > 0))
}

fn is_host(host: &str) -> bool {
    let is_name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    !host.is_empty() && (is_name(host) || host.parse::<IpAddr>().is_ok())
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
    let host = s
        .text("host")
        .check("the name of a host, or its address, without a port", |host| is_host(host))
        .required();
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
        match &self.way {
            Way::Mail(mail) => {
                let password = mail.login.iter().flat_map(|(_, file)| problems_of_secret(file));
                password.chain(mail.ca_file.iter().filter_map(|file| problem_of_authority(file))).collect()
            }
            Way::Web(web) => web.address.problems(),
            Way::Command { command, .. } => command
                .first()
                .and_then(|program| problem_of_program(Path::new(program)))
                .into_iter()
                .collect(),
        }
    }
}

impl Address {
    /// What is wrong with the files that it names, in words.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let secrets = self.url.as_ref().err().into_iter().chain(&self.token_file);
        let mut problems: Vec<String> = secrets.flat_map(|file| problems_of_secret(file)).collect();
        problems.extend(self.ca_file.iter().filter_map(|file| problem_of_authority(file)));
        if let Err(file) = &self.url
            && first_line(file).is_ok_and(|url| !is_url(&url))
        {
            problems.push(format!("{}: expected {URL} in its first line", file.display()));
        }
        problems
    }
}

fn problems_of_secret(file: &Path) -> Vec<String> {
    let mode = fs::metadata(file).ok().map(|found| found.mode() & 0o7777).filter(|mode| mode & 0o004 != 0);
    let shown = file.display();
    let open = mode
        .map(|mode| format!("{shown} can be read by everybody on this host (mode {mode:04o}): chmod o= it"));
    first_line(file).err().into_iter().chain(open).collect()
}

fn problem_of_authority(file: &Path) -> Option<String> {
    let shown = file.display();
    let pem = match fs::read(file) {
        Ok(pem) => pem,
        Err(error) => return Some(format!("cannot read {shown}: {error}")),
    };
    let is_good = CertificateDer::pem_slice_iter(&pem).next().is_some_and(|first| first.is_ok());
    (!is_good).then(|| format!("{shown} holds no certificate: expected one in PEM form"))
}

fn problem_of_program(program: &Path) -> Option<String> {
    let found = fs::metadata(program).ok().filter(fs::Metadata::is_file);
    let is_good = found.is_some_and(|found| found.mode() & 0o111 != 0);
    (!is_good).then(|| format!("{} is no program: expected a file that may be executed", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port_that_exists() {
        for good in [
            "https://ntfy.sh/x",
            "http://127.0.0.1:8080",
            "https://me:pw@hooks.example.org:1/x?y",
            "http://[::1]:1/x",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "ntfy.sh/x",
            "https://",
            "https://:1/x",
            "https://x:99999/",
            "https://x:/",
            "https://x y",
            "https://x\n",
            "ftp://x",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
        assert!(is_host("smtp.example.org") && is_host("192.0.2.1") && is_host("::1"));
        for bad in ["", "smtp.example.org:587", "https://smtp.example.org", "a b"] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn files_of_a_receiver_are_looked_at_before_they_are_needed() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            path
        };
        let told = |path: &Path| problems_of_secret(path).join(", ");
        assert_eq!(told(&file("good", "secret\n", 0o640)), "");
        assert!(told(&file("open", "secret\n", 0o644)).contains("chmod o= it"));
        assert!(told(&file("empty", "\n", 0o640)).contains("is empty"));
        assert!(told(&folder.path().join("none")).contains("cannot read"));
        assert!(problem_of_authority(&file("ca", "x", 0o644)).unwrap().contains("expected one in PEM form"));
        let address = |url| Address { url: Err(url), token_file: None, ca_file: None };
        assert!(
            address(file("url", "hooks.example.org\n", 0o640)).problems()[0].contains("begins with https://")
        );
        assert!(
            problem_of_program(&file("script", "", 0o644))
                .is_some_and(|text| text.contains("may be executed"))
        );
        assert_eq!(problem_of_program(&file("program", "", 0o755)), None);
    }
}
