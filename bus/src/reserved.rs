//! Words that are reserved for the command line.
//!
//! `obsbus NAME ...` addresses the device NAME, and `obsbus NAME VERB` commands it; a device or a
//! verb with the name of a subcommand would be hard to reach. So bridges refuse such a device, and
//! a description such a verb. Words that a later version may need are reserved already, because a
//! name in use at a site cannot be withdrawn.

/// Present and possible future subcommands of `obsbus` and of `obsbus DEVICE`.
pub const WORDS: &[&str] = &[
    "acl",
    "alerts",
    "all",
    "alpaca",
    "archive",
    "bridge",
    "bridges",
    "broker",
    "cert",
    "certificate",
    "certificates",
    "check",
    "client",
    "clients",
    "completion",
    "completions",
    "config",
    "convert-config",
    "demo",
    "device",
    "devices",
    "doctor",
    "events",
    "ha",
    "health",
    "help",
    "history",
    "homeassistant",
    "identity",
    "info",
    "json",
    "list",
    "log",
    "logs",
    "man",
    "meta",
    "metrics",
    "outcome",
    "port",
    "ports",
    "recent",
    "record",
    "replay",
    "schema",
    "schemas",
    "settings",
    "setup",
    "site",
    "sites",
    "status",
    "topics",
    "transcript",
    "verbs",
    "version",
    "watch",
    "web",
    "who",
    "whoami",
];

/// Devices that are services of obsbus itself: `obsbus NAME` is both a subcommand and that device.
pub const SERVICES: &[&str] = &["alert"];

/// Whether `name` cannot be a device or a verb. Verbs are written with `_` on the bus and with `-`
/// on the command line.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    WORDS.binary_search(&name.replace('_', "-").as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_order_and_each_stands_there_once() {
        assert!(WORDS.is_sorted_by(|one, two| one < two));
        assert!(WORDS.iter().all(|word| is_reserved(word) && crate::settings::is_name(word)));
    }

    #[test]
    fn subcommands_are_reserved_and_what_instruments_are_called_and_do_is_not() {
        for word in ["list", "device", "acl", "schema", "ha", "doctor", "help", "status", "watch", "log"] {
            assert!(is_reserved(word), "{word}");
        }
        for name in ["lamp", "slide", "powerbox", "dome", "power", "camera-1"] {
            assert!(!is_reserved(name), "{name}");
        }
        for verb in ["ping", "mode", "set", "stop", "kill", "init", "clear_alarms", "release"] {
            assert!(!is_reserved(verb), "{verb}");
        }
    }
}
