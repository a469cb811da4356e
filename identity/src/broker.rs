//! The broker of this machine: it is told of new files, and of names that have lost or regained their
//! rights.

use crate::acl;
use crate::failure::Failure;
use crate::files;
use crate::machine::Machine;

const SERVICE: &str = "mosquitto";

/// Whether the broker is on this machine. A site's access rules are on all of its machines.
pub(crate) fn is_here(machine: &Machine) -> bool {
    machine.acl().is_file() && machine.broker_settings().is_file()
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

/// Makes the broker read its files again.
fn reload(machine: &Machine) -> String {
    match machine.systemctl(&["reload", SERVICE]) {
        true => "mosquitto has read it".to_owned(),
        false => format!("for the broker to read it: systemctl reload {SERVICE}"),
    }
}

/// Takes back the rule that denied everything to `name`, which has a new certificate.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn allow_again(machine: &Machine, name: &str) -> Result<Vec<String>, Failure> {
    let path = machine.acl();
    files::replace(&path, &acl::allow_again(&files::read(&path)?, name))?;
    // A reload would give an open connection of the revoked certificate its rights back.
    let told = match machine.systemctl(&["try-restart", SERVICE]) {
        true => "mosquitto was restarted".to_owned(),
        false => format!("now: systemctl restart {SERVICE} (a reload is not enough)"),
    };
    Ok(vec![format!("{}: no longer denies everything to {name}; {told}", path.display())])
}
