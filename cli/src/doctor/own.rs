//! The user's own settings and certificate.
#![expect(clippy::disallowed_methods, reason = "whether a certificate is valid depends on the date")]

use bus::clock::{Now, Utc};
use bus::settings::{
    BrokerSettings, ClientSettings, Credentials, certificate_expiry, check_files, find_client_file,
    process_environment,
};
use bus::topic::Identity;

use super::catalogue::Check;
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

/// Looks at them; `None` if there are none.
///
/// # Errors
/// The reader of the output has gone.
pub(crate) fn examine(common: &Common, report: &mut Report) -> Result<Option<Own>, Failure> {
    report.about("Your settings")?;
    let environment = process_environment();
    let file = match find_client_file(common.config.as_deref(), &environment) {
        Ok(file) => file,
        Err(error) => {
            let remedy = "install the example client.toml as /etc/obsbus/client.toml and enter broker, \
                          authority and certificate (docs/settings.md), or name a file with --config";
            report.add(Finding::failure(Check::Settings, EXIT_USAGE, error.to_string(), remedy))?;
            report.skip(&[Check::Files])?;
            return Ok(None);
        }
    };
    let settings = match ClientSettings::load(&file, &environment) {
        Ok(settings) => settings,
        Err(problems) => {
            let of_each = problems.0.iter().map(|problem| {
                Finding::failure(
                    Check::Settings,
                    EXIT_USAGE,
                    problem.to_string(),
                    "correct this key (docs/settings.md)",
                )
            });
            report.add_all(of_each)?;
            report.skip(&[Check::Files])?;
            return Ok(None);
        }
    };
    if let Some(site) =
        common.site.as_deref().filter(|site| !settings.sites.iter().any(|known| known == site))
    {
        let text = format!("--site {site}: {} knows only {}", file.display(), settings.sites.join(", "));
        report.add(Finding::failure(
            Check::Settings,
            EXIT_USAGE,
            text,
            "name one of these, or add it to sites",
        ))?;
        report.skip(&[Check::Files])?;
        return Ok(None);
    }
    report.add(Finding::ok(Check::Settings, file.display().to_string()))?;
    let identity = files(&settings.broker, Now::read().utc, report)?;
    Ok(Some(Own { settings, identity }))
}

fn files(broker: &BrokerSettings, now: Utc, report: &mut Report) -> Result<Option<Identity>, Failure> {
    let findings = check_files(broker, now);
    let is_good = !findings.iter().any(|finding| finding.is_problem);
    for finding in findings {
        let text = format!("{} {}", finding.key, finding.message);
        report.add(match finding.is_problem {
            true => Finding::failure(Check::Files, EXIT_USAGE, text, ""),
            false => Finding::warning(Check::Files, text, ""),
        })?;
    }
    let identity = match broker.identity() {
        Ok(identity) => identity,
        Err(error) => {
            // A file that cannot be read was reported already.
            if is_good {
                report.add(Finding::failure(Check::Files, EXIT_USAGE, with_causes(&error), ""))?;
            }
            return Ok(None);
        }
    };
    if !is_good {
        return Ok(None);
    }
    report.add(match &broker.credentials {
        Credentials::Certificate { certificate_file, .. } => match certificate_expiry(certificate_file) {
            Ok(end) => {
                let left = age(end.seconds_since(now));
                Finding::ok(Check::Files, format!("{identity}, until {} (in {left})", end.in_words()))
            }
            Err(error) => Finding::failure(Check::Files, EXIT_USAGE, with_causes(&error), ""),
        },
        Credentials::Password { username, .. } if !username.starts_with(PASSWORD_USERS) => Finding::warning(
            Check::Files,
            format!(
                "the password user {username:?} may bear the name of a certificate, whose rights it then has"
            ),
            format!("use a name that begins with {PASSWORD_USERS} (obsbus-web-user)"),
        ),
        Credentials::Password { .. } => Finding::ok(Check::Files, format!("{identity}, by password")),
    })?;
    Ok(Some(identity))
}
