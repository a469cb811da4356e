//! The broker of this machine: it is told of new files, and of names that have lost or regained their
//! rights.

use std::path::Path;

use bus::clock::Utc;

use crate::acl;
use crate::crl;
use crate::failure::Failure;
use crate::files::{self, NewFile};
use crate::machine::Machine;
use crate::name::Kind;

const SERVICE: &str = "mosquitto";

/// Whether the broker is on this machine. A site's access rules are on all of its machines.
pub(crate) fn is_here(machine: &Machine) -> bool {
    machine.acl().is_file() && machine.broker_settings().is_file()
}

/// Whether the broker of this machine, if it trusts anybody yet, trusts the authority with this
/// certificate.
pub(crate) fn trusts(machine: &Machine, authority: &str) -> bool {
    match files::read_if_there(&machine.broker_authority()) {
        Ok(Some(there)) => there.trim() == authority.trim(),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// The list of revoked certificates that the broker has.
pub(crate) fn list_in_use(machine: &Machine) -> Option<String> {
    files::read_if_there(&machine.broker_revoked()).ok().flatten()
}

/// Refuses a list of revoked certificates that another authority has left: with it the broker would admit
/// nobody.
///
/// # Errors
/// Names it.
pub(crate) fn check_list(machine: &Machine, authority: &str) -> Result<(), Failure> {
    match list_in_use(machine) {
        Some(list) if crl::of_authority(&list, authority).is_none() => Err(Failure::new(format!(
            "{} was not signed by this authority, and with it the broker would admit nobody: move it away first",
            machine.broker_revoked().display()
        ))),
        _ => Ok(()),
    }
}

/// Makes the broker use a certificate that it did not have before; says what was done, or what to
/// do.
pub(crate) fn restart(machine: &Machine) -> String {
    let by_hand = format!("for the broker to use it: systemctl restart {SERVICE}");
    if !machine.has_services() {
        return by_hand;
    }
    // Without a certificate it has failed again and again, and would not be started any more.
    machine.systemctl(&["reset-failed", SERVICE]);
    let (done, word) = match machine.systemctl(&["is-enabled", "--quiet", SERVICE]) {
        true => (machine.systemctl(&["restart", SERVICE]), "mosquitto was started with it"),
        false => (machine.systemctl(&["try-restart", SERVICE]), "mosquitto uses it as soon as it is started"),
    };
    if done {
        word.to_owned()
    } else {
        format!("mosquitto did not start: see journalctl -u {SERVICE}; then {by_hand}")
    }
}

/// What a running broker is told.
#[derive(Clone, Copy)]
enum Order {
    /// Read certificates, access rules and the list again.
    Reload,
    /// Read everything.
    Restart,
}

/// Tells the broker, if it runs; says what was done, or what to do.
fn tell(machine: &Machine, order: Order) -> String {
    let (word, done) = match order {
        Order::Reload => ("reload", "mosquitto has read it"),
        Order::Restart => ("restart", "mosquitto was restarted"),
    };
    if !machine.has_services() {
        return format!("for the broker to know it: systemctl {word} {SERVICE}");
    }
    if !machine.systemctl(&["is-active", "--quiet", SERVICE]) {
        return "mosquitto does not run, and will know it when it starts".to_owned();
    }
    match machine.systemctl(&[word, SERVICE]) {
        true => done.to_owned(),
        false => format!("systemctl {word} {SERVICE} failed: see journalctl -u {SERVICE}, and repeat it"),
    }
}

/// Takes back the rule that denied everything to `name`, which has a new certificate.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn allow_again(machine: &Machine, name: &str) -> Result<Vec<String>, Failure> {
    let path = machine.acl();
    // First those that would be put back.
    if files::is_there(&machine.denied()) {
        machine.edit(&machine.denied(), |text| Ok(acl::allow_again(text, name)))?;
    }
    machine.edit(&path, |text| Ok(acl::allow_again(text, name)))?;
    // A reload would give an open connection of the revoked certificate its rights back.
    let told = tell(machine, Order::Restart);
    Ok(vec![format!("{}: no longer denies everything to {name}; {told}", path.display())])
}

/// Takes every right from `name`, and makes the broker refuse the certificates on `list`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn revoke(
    machine: &Machine,
    name: &str,
    kind: Kind,
    list: &str,
    now: Utc,
) -> Result<Vec<String>, Failure> {
    let mut said = Vec::new();
    if let Some(authority) = files::read_if_there(&machine.broker_authority())? {
        crl::check(list, &authority, list_in_use(machine).as_deref(), now)
            .map_err(|error| Failure::new(format!("the list of revoked certificates {error}")))?;
    }
    files::put(&NewFile::public(machine.broker_revoked(), list))?;
    // A server's certificate opens no connection to the broker.
    if kind != Kind::Server {
        let (rules, denied) = (machine.acl(), machine.denied());
        machine.edit(&rules, |text| Ok(acl::deny(text, name, now)))?;
        if !files::is_there(&denied) {
            files::put(&NewFile::public(denied.clone(), acl::DENIED_HEAD))?;
        }
        machine.edit(&denied, |text| Ok(acl::deny(text, name, now)))?;
        said.push(format!("{}: denies everything to {name}", rules.display()));
    }
    said.extend(put_in_force(machine, name)?);
    Ok(said)
}

/// Makes the broker refuse the certificates on its list.
fn put_in_force(machine: &Machine, name: &str) -> Result<Vec<String>, Failure> {
    let settings = machine.broker_settings();
    let list = machine.own_path(&machine.broker_revoked()).display().to_string();
    let failed = |file: &Path, line: usize| {
        Failure::new(format!(
            "{}:{line}: expected `crlfile {list}`: {name} has lost its rights after systemctl reload {SERVICE}, and \
             can still connect",
            file.display()
        ))
    };
    let text = files::read(&settings)?;
    match (with_list(&text, &list), machine.settings_in_use()) {
        (Listed::Already, _) => Ok(vec![tell(machine, Order::Reload)]),
        (Listed::Elsewhere { line, is_another: true }, _) => Err(failed(&settings, line)),
        // The package adds the line itself when mosquitto starts: no upgrade can take it out.
        (_, Some(read)) => {
            let is_in_force = || -> Result<bool, Failure> {
                let text = files::read_if_there(&read)?.unwrap_or_default();
                Ok(matches!(with_list(&text, &list), Listed::Already))
            };
            if is_in_force()? {
                return Ok(vec![tell(machine, Order::Reload)]);
            }
            let told = tell(machine, Order::Restart);
            if files::is_there(&read) && machine.has_services() && !is_in_force()? {
                return Err(failed(&read, 1));
            }
            Ok(vec![told])
        }
        (Listed::Now(text), None) => {
            machine.edit(&settings, |_| Ok(text))?;
            // A reload does not read this line, and would leave the connection open.
            let told = tell(machine, Order::Restart);
            Ok(vec![format!("{}: crlfile is in force", settings.display()), told])
        }
        (Listed::Elsewhere { line, .. }, None) => Err(failed(&settings, line)),
    }
}

/// What the broker's settings say of the list.
enum Listed {
    Already,
    /// The text in which they name it.
    Now(String),
    /// They name another file in this line, or none, and have this many lines.
    Elsewhere {
        line: usize,
        is_another: bool,
    },
}

/// Makes the settings name the list: the line is there and commented out until the first revocation,
/// because mosquitto does not start without the file.
fn with_list(settings: &str, path: &str) -> Listed {
    let wanted = ["crlfile", path];
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if let Some(at) = settings.lines().position(|line| words(line).first().is_some_and(|it| it == "crlfile"))
    {
        let is_it = settings.lines().nth(at).is_some_and(|line| words(line) == wanted);
        return if is_it { Listed::Already } else { Listed::Elsewhere { line: at + 1, is_another: true } };
    }
    let offer = settings.lines().position(|line| {
        line.trim_start()
            .strip_prefix('#')
            .is_some_and(|line| words(line).first().is_some_and(|it| it == "crlfile"))
    });
    let Some(offer) = offer else {
        return Listed::Elsewhere { line: settings.lines().count(), is_another: false };
    };
    let lines = settings.lines().enumerate();
    let line = |(at, line): (usize, &str)| {
        if at == offer { format!("{}\n", wanted.join(" ")) } else { format!("{line}\n") }
    };
    Listed::Now(lines.map(line).collect())
}

/// Makes the program that uses the identity `name` on this machine read its renewed certificate.
pub(crate) fn reload_user_of(machine: &Machine, name: &str, kind: Kind) -> Option<String> {
    match kind {
        Kind::Server => Some(tell(machine, Order::Reload)),
        Kind::Bridge => Some(match machine.systemctl(&["reload", &format!("{name}@*")]) {
            true => format!("{name} has been told to read it, if it runs"),
            false => format!("{name} uses it at its next connection; at once: systemctl reload '{name}@*'"),
        }),
        Kind::Client => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../mosquitto/obsbus.conf");
    const LIST: &str = "/etc/mosquitto/ca_certificates/obsbus-crl.pem";

    #[test]
    fn the_first_revocation_puts_the_line_of_the_shipped_settings_in_force() {
        let Listed::Now(text) = with_list(SHIPPED, LIST) else { panic!("no line for the list") };
        let changed: Vec<_> = SHIPPED.lines().zip(text.lines()).filter(|(old, new)| old != new).collect();
        assert_eq!(changed, [(format!("#crlfile {LIST}").as_str(), format!("crlfile {LIST}").as_str())]);
        assert_eq!(text.lines().count(), SHIPPED.lines().count());
        assert!(matches!(with_list(&text, LIST), Listed::Already));
    }

    #[test]
    fn settings_that_name_another_list_are_not_changed() {
        assert!(matches!(
            with_list("listener 8883\ncrlfile /x.pem\n", LIST),
            Listed::Elsewhere { line: 2, is_another: true }
        ));
        assert!(matches!(
            with_list("listener 8883\n", LIST),
            Listed::Elsewhere { line: 1, is_another: false }
        ));
    }
}
