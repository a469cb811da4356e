//! The user's own settings and certificate.
#![expect(clippy::disallowed_methods, reason = "whether a certificate is valid depends on the date")]

use std::path::{Path, PathBuf};

use bus::clock::{Now, Utc};
use bus::settings::{
    BrokerSettings, ClientFileError, ClientSettings, Credentials, FileFinding, Problems, certificate_expiry,
    check_files, find_client_file, process_environment,
};
use bus::topic::Identity;

use super::catalogue::Check;
use super::limited::{LIMIT, read};
use super::report::{Finding, Report};
use crate::exit::{EXIT_USAGE, Failure, with_causes};
use crate::target::Common;
use crate::text::age;

/// A certificate that expires sooner is worth a warning, as for the bridges.
pub(crate) const SOON_S: f64 = 60.0 * 86_400.0;
/// The names of password users begin so, and those of certificates do not.
const PASSWORD_USERS: &str = "web-";

/// Settings that can be read; whether one can log in with them is another question.
pub(crate) struct Own {
    pub(crate) settings: ClientSettings,
    /// Who we are; `None` if certificate, key or name cannot be used.
    pub(crate) identity: Option<Identity>,
}

/// What was read of them.
enum Read {
    /// There is no such file.
    Missing(ClientFileError),
    /// They cannot be used.
    Wrong(Problems),
    /// They can, and this was found in the files that they name.
    Good {
        file: PathBuf,
        settings: Box<ClientSettings>,
        files: Vec<FileFinding>,
        identity: Result<Identity, String>,
    },
}

fn look(config: Option<&Path>, now: Utc) -> Read {
    let environment = process_environment();
    let file = match find_client_file(config, &environment) {
        Ok(file) => file,
        Err(error) => return Read::Missing(error),
    };
    match ClientSettings::load(&file, &environment) {
        Err(problems) => Read::Wrong(problems),
        Ok(settings) => {
            let files = check_files(&settings.broker, now);
            let identity = settings.broker.identity().map_err(|error| with_causes(&error));
            Read::Good { file, settings: Box::new(settings), files, identity }
        }
    }
}

/// Looks at them; `None` if there are none.
///
/// # Errors
/// The reader of the output has gone.
pub(crate) async fn examine(common: &Common, report: &mut Report) -> Result<Option<Own>, Failure> {
    report.about("Your settings")?;
    let (config, now) = (common.config.clone(), Now::read().utc);
    let failed = |text: String, remedy: &str| Finding::failure(Check::Settings, EXIT_USAGE, text, remedy);
    let failures = match read(move || look(config.as_deref(), now)).await {
        None => vec![failed(
            format!(
                "the settings, or the files that they name, could not be read within {} s",
                LIMIT.as_secs()
            ),
            "does a network disk hang? (df, dmesg)",
        )],
        Some(Read::Missing(error)) => vec![failed(
            error.to_string(),
            "install the example client.toml as /etc/obsbus/client.toml and enter broker, authority and certificate \
             (docs/settings.md), or name a file with --config",
        )],
        Some(Read::Wrong(problems)) if problems.are_nobodys() && rustix::process::geteuid().is_root() => {
            report.add(Finding::skipped(Check::Settings, elsewhere()))?;
            report.skip(&[Check::Files])?;
            return Ok(None);
        }
        Some(Read::Wrong(problems)) => {
            let each = problems.0.iter();
            each.map(|problem| failed(problem.to_string(), "correct this key (docs/settings.md)")).collect()
        }
        Some(Read::Good { file, settings, files, identity }) => {
            let known = settings.sites.join(", ");
            match &common.site {
                Some(site) if !settings.sites.contains(site) => vec![failed(
                    format!("--site {site}: {} knows only {known}", file.display()),
                    "name one of these, or add it to sites",
                )],
                _ => {
                    report.add(Finding::ok(Check::Settings, file.display().to_string()))?;
                    let identity = judge(&settings.broker, &files, identity, now, report)?;
                    return Ok(Some(Own { settings: *settings, identity }));
                }
            }
        }
    };
    report.add_all(failures)?;
    report.skip(&[Check::Files])?;
    Ok(None)
}

/// Whether the person's own file that has this key is not there.
fn is_missing(broker: &BrokerSettings, key: &str) -> bool {
    match &broker.credentials {
        Credentials::Certificate { certificate_file, .. } if key == "certificate_file" => {
            !certificate_file.exists()
        }
        Credentials::Certificate { key_file, .. } if key == "key_file" => !key_file.exists(),
        _ => false,
    }
}

/// Root looks at the machine, and needs no identity for that; how it looks with that of a person.
fn elsewhere() -> String {
    let name = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty() && name != "root");
    let name = name.as_deref().unwrap_or("NAME");
    format!(
        "root has no identity; to look with that of {name}: obsbus --config ~{name}/.config/obsbus/client.toml doctor"
    )
}

/// The identity, if one can log in with these files.
fn judge(
    broker: &BrokerSettings,
    findings: &[FileFinding],
    identity: Result<Identity, String>,
    now: Utc,
    report: &mut Report,
) -> Result<Option<Identity>, Failure> {
    let check = Check::Files;
    for finding in findings {
        let text = format!("{} {}", finding.key, finding.message);
        let remedy = match is_missing(broker, finding.key) {
            true => "have an identity issued: obsbus identity issue NAME (docs/identities.md)",
            false => "",
        };
        report.add(match finding.is_problem {
            true => Finding::failure(check, EXIT_USAGE, text, remedy),
            false => Finding::warning(check, text, ""),
        })?;
    }
    // A file that cannot be read was reported already.
    if findings.iter().any(|finding| finding.is_problem) {
        return Ok(None);
    }
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => {
            report.add(Finding::failure(check, EXIT_USAGE, error, ""))?;
            return Ok(None);
        }
    };
    report.add(match &broker.credentials {
        Credentials::Certificate { certificate_file, .. } => match certificate_expiry(certificate_file) {
            Ok(end) => {
                let left = age(end.seconds_since(now));
                Finding::ok(check, format!("{identity}, until {} (in {left})", end.in_words()))
            }
            Err(error) => Finding::failure(check, EXIT_USAGE, with_causes(&error), ""),
        },
        Credentials::Password { username, .. } if !username.starts_with(PASSWORD_USERS) => Finding::warning(
            check,
            format!(
                "the password user {username:?} may bear the name of a certificate, whose rights it then has"
            ),
            format!("use a name that begins with {PASSWORD_USERS} (obsbus-web-user)"),
        ),
        Credentials::Password { .. } => Finding::ok(check, format!("{identity}, by password")),
    })?;
    Ok(Some(identity))
}
