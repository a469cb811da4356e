//! What to do about the attentions that any bridge may raise. The attention's own text names the
//! cause; those of one instrument's own are explained in the instrument's page.

/// By the attention's name.
pub const REMEDIES: [(&str, &str); 19] = [
    (
        "no_answer",
        "check that the unit is powered, that its cable is plugged in, and that serial_baud is the unit's",
    ),
    ("port_missing", "plug the adapter in; if it is, enter the right serial_port (ls -l /dev/serial/by-id)"),
    (
        "port_denied",
        "install the udev rule that gives the port to the group dialout with mode 660, and unplug and plug the adapter; the bridge's user must be in that group",
    ),
    ("port_busy", "end the program that holds the port: fuser -v names it"),
    ("port_failed", "check the adapter (dmesg), and serial_port in the bridge's settings"),
    (
        "acl_open",
        "name the access list in the broker's configuration (acl_file), remove lines in it that grant more than `pattern write +/+/command/%u/+`, then systemctl reload mosquitto",
    ),
    (
        "command_path",
        "compare the bridge's lines in the access list with the shipped ones (obsbus acl), then systemctl reload mosquitto",
    ),
    ("publish_refused", "add the line to the access list, then systemctl reload mosquitto"),
    ("second_instance", "stop the second bridge, on the host that the text names"),
    ("too_large", "tell the maintainers; fewer channels in the bridge's settings help"),
    ("certificate_expiring", "renew the bridge's certificate, then systemctl reload its service"),
    ("command_unanswered", "look at the instrument; report it, with the journal"),
    ("clock_skew", "set the clock of the bridge's machine (timedatectl)"),
    (
        "journal_failed",
        "free the disk, or make the state directory writable for the bridge's user; the bridge then saves by itself",
    ),
    ("memory_damaged", "check the disk of the bridge's machine"),
    ("journal_lost", "do not send a command of before the start again under its id; check the disk"),
    (
        "input_stale",
        "check that the service which publishes it runs, and under the identity to which the access list grants this topic; channels and keys in the bridge's settings must be the service's",
    ),
    ("released", "command it back when nobody works on it any more"),
    ("not_homed", "check that nothing is in the way, then home it"),
];

/// What to do about an attention of `device`.
pub(crate) fn remedy(name: &str, device: &str) -> String {
    match REMEDIES.iter().find(|(known, _)| *known == name) {
        Some((_, remedy)) => (*remedy).to_owned(),
        None => format!("obsbus {device} status shows more; docs/operations.md says what to do about {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attention_that_this_program_does_not_know_is_looked_up_by_its_name() {
        assert!(remedy("port_busy", "dome").contains("fuser -v"));
        assert!(remedy("shutter_open", "dome").ends_with("what to do about shutter_open"));
    }
}
