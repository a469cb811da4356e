//! The broker's files and service, if it runs on this machine.
#![expect(clippy::disallowed_methods, reason = "whether a list still counts depends on the date")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bus::clock::{Now, Utc};
use bus::settings::revocation_list_expiry;

use super::catalogue::Check;
use super::limited::read;
use super::own::SOON_S;
use super::report::{Finding, Report, whole};
use super::unit;
use crate::exit::{EXIT_FAILED, Failure, with_causes};

/// The configuration: key, value and file of each line.
#[derive(Default)]
struct Configuration(Vec<(String, String, PathBuf)>);

/// What the broker reads of the package's settings, beside the folder `/etc/mosquitto`.
fn made(folder: &Path) -> PathBuf {
    let root = folder.ancestors().nth(2).unwrap_or(Path::new("/"));
    root.join("run/obsbus-broker/conf.d/obsbus.conf")
}

impl Configuration {
    /// The distribution's file, those of its folder, and those of the package obsbus-broker.
    fn load(folder: &Path) -> Self {
        let folders =
            ["conf.d", "obsbus"].map(|name| std::fs::read_dir(folder.join(name)).into_iter().flatten());
        let mut files: Vec<_> = folders.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
        files.sort();
        files.insert(0, folder.join("mosquitto.conf"));
        // What the package has made of its file at the last start.
        files.push(made(folder));
        let mut lines = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let pairs = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            let pairs = pairs.filter_map(|line| line.split_once(char::is_whitespace));
            lines.extend(pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned(), file.clone())));
        }
        Self(lines)
    }

    /// Whether the package obsbus-broker makes what the broker reads.
    fn is_packaged(&self, folder: &Path) -> bool {
        self.file().is_some_and(|file| file.starts_with(folder.join("obsbus")))
    }

    /// The last of several, as the broker does.
    fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, ..)| known == key).map(|(_, value, _)| value.as_str())
    }

    /// The file with the listener for certificates: ours.
    fn file(&self) -> Option<&Path> {
        self.0.iter().find(|(key, ..)| key == "use_identity_as_username").map(|(.., file)| file.as_path())
    }
}

/// Checks them.
///
/// # Errors
/// The reader of the output has gone.
pub(crate) async fn examine(etc: &Path, report: &mut Report) -> Result<(), Failure> {
    let folder = etc.join("mosquitto");
    let now = Now::read().utc;
    let Some(findings) = read(move || look(&folder, now)).await else { return Ok(()) };
    if findings.is_empty() {
        return Ok(());
    }
    report.about("The broker on this machine")?;
    report.add_all(findings)?;
    report.add(unit::examine("mosquitto").await)
}

fn look(folder: &Path, now: Utc) -> Vec<Finding> {
    let configuration = Configuration::load(folder);
    let Some(file) = configuration.file() else { return Vec::new() };
    let shown = file.display();
    let then = "then systemctl restart mosquitto";
    let mut findings = Vec::new();
    if configuration.value("acl_file").is_none() {
        let text = format!("{shown} has no line acl_file: every client may do everything");
        let remedy = format!("add `acl_file /etc/mosquitto/obsbus.acl`, {then}");
        findings.push(Finding::failure(Check::BrokerFiles, EXIT_FAILED, text, remedy));
    }
    if configuration.value("set_tcp_nodelay") != Some("true") {
        let text =
            format!("{shown} has no line set_tcp_nodelay true: small packets wait 40 ms in the broker");
        findings.push(Finding::warning(
            Check::BrokerFiles,
            text,
            format!("add `set_tcp_nodelay true`, {then}"),
        ));
    }
    findings.extend(configuration.value("crlfile").and_then(|list| revocation_list(Path::new(list), now)));
    findings.extend(list_not_in_force(&configuration, folder));
    if findings.is_empty() {
        findings.push(Finding::ok(Check::BrokerFiles, shown.to_string()));
    }
    findings.extend(password_users(&configuration));
    findings
}

/// What was revoked comes back without a word if the broker does not read the list.
fn list_not_in_force(configuration: &Configuration, folder: &Path) -> Option<Finding> {
    let list = folder.join("ca_certificates/obsbus-crl.pem");
    if !list.exists() || configuration.value("crlfile").is_some() {
        return None;
    }
    let text = format!("the broker does not read {}: revoked certificates are let in", list.display());
    let line = "`crlfile /etc/mosquitto/ca_certificates/obsbus-crl.pem`";
    let remedy = match configuration.is_packaged(folder) {
        true => "systemctl restart mosquitto".to_owned(),
        false => format!("add {line} below the line cafile of that file, then systemctl restart mosquitto"),
    };
    Some(Finding::failure(Check::BrokerFiles, EXIT_FAILED, text, remedy))
}

/// A broker whose revocation list has expired refuses everybody.
fn revocation_list(file: &Path, now: Utc) -> Option<Finding> {
    let (check, shown) = (Check::BrokerFiles, file.display());
    let remedy = "make a new one with your authority (obsbus identity), then systemctl reload mosquitto";
    match revocation_list_expiry(file) {
        Err(error) => Some(Finding::failure(check, EXIT_FAILED, with_causes(&error), remedy)),
        Ok(end) => {
            let end = end?;
            let left_s = end.seconds_since(now);
            let date = end.in_words();
            if left_s <= 0.0 {
                let text =
                    format!("the revocation list {shown} expired on {date}: the broker refuses everybody");
                return Some(Finding::failure(check, EXIT_FAILED, text, remedy));
            }
            let text =
                format!("the revocation list {shown} expires on {date}: the broker then refuses everybody");
            (left_s < SOON_S).then(|| Finding::warning(check, text, remedy))
        }
    }
}

/// To the access list a password user with the name of a certificate is that certificate's owner.
fn password_users(configuration: &Configuration) -> Option<Finding> {
    let check = Check::PasswordUsers;
    // Nobody has a password before the first panel user.
    let file = configuration.value("password_file").filter(|file| Path::new(file).exists())?;
    let Ok(text) = std::fs::read_to_string(file) else {
        return Some(Finding::skipped(check, format!("{file} can be read by root only: run this with sudo")));
    };
    let acl = configuration
        .value("acl_file")
        .and_then(|file| std::fs::read_to_string(file).ok())
        .unwrap_or_default();
    let users_of_acl: BTreeSet<&str> =
        acl.lines().filter_map(|line| line.trim().strip_prefix("user ")).map(str::trim).collect();
    let users: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    let like_others = |name: &&&str| !name.starts_with("web-");
    let Some(name) =
        users.iter().find(|name| users_of_acl.contains(**name)).or(users.iter().find(like_others))
    else {
        return Some(Finding::ok(check, format!("{} in {file}", users.len())));
    };
    let name = whole(name);
    let whose = if users_of_acl.contains(name.as_str()) {
        "which the access list grants rights of its own: who knows the password has them"
    } else {
        "which may be that of a certificate: names of password users begin with web-"
    };
    let remedy = format!("obsbus-web-user remove {name}; add the person as web-..., if one needs the panel");
    let text = format!("{file} has a user {name:?}, {whose}");
    Some(if users_of_acl.contains(name.as_str()) {
        Finding::failure(check, EXIT_FAILED, text, remedy)
    } else {
        Finding::warning(check, text, remedy)
    })
}
