//! Where a person's programs look for settings, and the settings themselves: `client.toml` for the
//! tools, and option files for `mosquitto_sub`, `mosquitto_pub` and `mosquitto_rr`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bus::settings::Address;
use bus::settings::account::Account;
use rustix::process::geteuid;

use crate::failure::Failure;

/// The programs with an option file each.
pub(crate) const PROGRAMS: [&str; 3] = ["mosquitto_sub", "mosquitto_pub", "mosquitto_rr"];

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) login: String,
    /// The folder of their settings.
    pub(crate) settings: PathBuf,
    account: Option<Account>,
}

impl Person {
    /// The user `login`; without it, who calls, also by sudo.
    ///
    /// # Errors
    /// There is no such user, or only root may act for them.
    pub(crate) fn find(login: Option<&str>) -> Result<Self, Failure> {
        let own = geteuid();
        let by_sudo = std::env::var("SUDO_USER").ok().filter(|login| own.is_root() && !login.is_empty());
        let Some(login) = login.or(by_sudo.as_deref()) else {
            return Self::caller();
        };
        let (account, home) = look_up(login)?;
        if account.uid == own.as_raw() {
            return Self::caller();
        }
        if !own.is_root() {
            return Err(Failure::usage(format!("only root can install for {login}: repeat it with sudo")));
        }
        Ok(Self { login: login.to_owned(), settings: home.join(".config"), account: Some(account) })
    }

    fn caller() -> Result<Self, Failure> {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let settings = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
        let settings = settings.filter(|folder| folder.is_absolute()).ok_or_else(|| {
            Failure::usage("cannot find your settings' folder: expected HOME to name your home folder")
        })?;
        let login = bus::settings::account::user_name(geteuid().as_raw());
        Ok(Self { login, settings, account: None })
    }

    /// The folder of certificate, key and settings.
    pub(crate) fn folder(&self) -> PathBuf {
        self.settings.join("obsbus")
    }

    /// Runs `work` with this person's rights: root must not follow the links in a home folder that
    /// belongs to somebody else, and may not even enter it (NFS).
    ///
    /// # Errors
    /// As `work`.
    pub(crate) fn run<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        match &self.account {
            None => work(),
            Some(account) => account
                .run(work)
                .map_err(|error| Failure::new(format!("cannot act as {}: {error}", self.login)))?,
        }
    }
}

/// Also knows users of a directory service.
fn look_up(login: &str) -> Result<(Account, PathBuf), Failure> {
    let output = Command::new("getent").args(["passwd", "--", login]).stdin(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let fields: Vec<&str> = text.trim_end().split(':').collect();
    let found = match fields.as_slice() {
        [name, _, uid, gid, _, home, ..] if *name == login => {
            uid.parse().ok().zip(gid.parse().ok()).map(|(uid, gid)| {
                let account = Account { name: login.to_owned(), uid, gid, groups: Vec::new() };
                (account, PathBuf::from(home))
            })
        }
        _ => None,
    };
    found.ok_or_else(|| {
        Failure::usage(format!("there is no user {login:?} on this machine: expected a login name"))
    })
}

/// What a person's programs need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access<'a> {
    pub(crate) identity: &'a str,
    pub(crate) sites: &'a [String],
    /// Where the broker is; at least one address.
    pub(crate) brokers: &'a [Address],
    /// The authority's certificate; relative to `client.toml`, or absolute.
    pub(crate) authority: &'a Path,
}

/// The text of `client.toml`, beside certificate and key.
pub(crate) fn client_settings(access: &Access<'_>) -> String {
    let Access { identity, sites, brokers, authority } = access;
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let sites: Vec<String> = sites.iter().map(|site| quoted(site)).collect();
    let authority = quoted(&authority.display().to_string());
    let broker = match brokers {
        [Address { host, port: Address::PORT }] => format!("host = {}", quoted(host)),
        [Address { host, port }] => format!("host = {}\nport = {port}", quoted(host)),
        several => {
            let several: Vec<String> = several.iter().map(|it| quoted(&it.to_string())).collect();
            format!("hosts = [{}]", several.join(", "))
        }
    };
    format!(
        "\
# Settings of obsbus, chiller and focus for {identity}, explained in /usr/share/doc/obsbus/settings.md.
# Relative paths are relative to this file.

sites = [{}]

[broker]
{broker}
ca_file = {authority}
certificate_file = \"{identity}.pem\"
key_file = \"{identity}.key\"
",
        sites.join(", ")
    )
}

/// The text of an option file: one option in each line, with absolute paths. `folder` has
/// certificate and key.
pub(crate) fn options(access: &Access<'_>, folder: &Path) -> String {
    let Access { identity, brokers, authority, .. } = access;
    // These programs know one.
    let local = Address { host: "localhost".to_owned(), port: Address::PORT };
    let Address { host, port } = brokers.first().unwrap_or(&local);
    let mut text =
        format!("# Options of {identity} for {}; they are used without being given.\n", PROGRAMS.join(", "));
    let file = |ending: &str| folder.join(format!("{identity}.{ending}"));
    for (option, value) in [
        ("-V", "5".to_owned()),
        ("-h", host.clone()),
        ("-p", port.to_string()),
        ("--cafile", authority.display().to_string()),
        ("--cert", file("pem").display().to_string()),
        ("--key", file("key").display().to_string()),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{option} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_gets_every_address_of_the_broker_and_the_other_programs_the_first() {
        let told = |texts: &[&str]| {
            let brokers: Vec<_> = texts.iter().map(|it| Address::parse(it, Address::PORT).unwrap()).collect();
            let (sites, authority) = (["clasp".to_owned()], Path::new("ca.pem"));
            let access = Access { identity: "alice", sites: &sites, brokers: &brokers, authority };
            (client_settings(&access), options(&access, Path::new("/home/alice")))
        };
        let (settings, options) = told(&["a", "b:1884"]);
        assert!(settings.contains("\nhosts = [\"a:8883\", \"b:1884\"]\n"), "{settings}");
        assert!(options.contains("\n-h a\n-p 8883\n"), "{options}");
        assert!(told(&["a"]).0.contains("\nhost = \"a\"\nca_file"));
        assert!(told(&["a:1884"]).0.contains("\nhost = \"a\"\nport = 1884\n"));
    }
}
