//! The names that may be issued, and what each stands for.

use bus::topic::Identity;

use crate::acl::Role;
use crate::failure::Failure;

/// The name of the broker's own certificate.
pub(crate) const BROKER: &str = "broker";
/// The beginning of the names of further brokers: a spare, or the nodes of a cluster.
const FURTHER_BROKER: &str = "broker-";
/// The end of a bridge's name.
const BRIDGE: &str = "-bridge";
/// The beginning of the names of panel users, who have a password.
const PANEL: &str = "web-";
/// The authority's own files bear this name.
const AUTHORITY: &str = "ca";

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The broker: clients see it.
    Server,
    /// A bridge; its programs run as the user `obsbus`.
    Bridge,
    /// A person, or another service.
    Client,
}

impl Kind {
    /// The kind of the identity `name`; `is_server` if it was asked for.
    pub(crate) fn of(name: &str, is_server: bool) -> Self {
        if is_server || name == BROKER {
            Self::Server
        } else if name.ends_with(BRIDGE) {
            Self::Bridge
        } else {
            Self::Client
        }
    }

    /// As a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Bridge => "bridge",
            Self::Client => "client",
        }
    }
}

/// Whether a server of this name is a broker of the bus, whose files have a place on its machine.
pub(crate) fn is_broker(name: &str) -> bool {
    name == BROKER || name.starts_with(FURTHER_BROKER)
}

/// Checks a name against the rules of the bus and against the other ways to be somebody: the broker
/// takes a password user for the owner of a certificate of the same name.
///
/// # Errors
/// Says which rule it breaks, and what would be right.
pub(crate) fn check(name: &str, kind: Kind, role: Role, panel_users: &[String]) -> Result<(), Failure> {
    Identity::client(name).map_err(Failure::usage)?;
    if name == AUTHORITY {
        return Err(Failure::usage(format!(
            "{name}: its certificate would be a file {name}.pem, which is the authority's: expected another name"
        )));
    }
    if name.starts_with('-') {
        // Every command, and systemctl, would take it for an option.
        return Err(Failure::usage(format!("{name}: expected a name that does not begin with -")));
    }
    if name.starts_with(PANEL) {
        return Err(Failure::usage(format!(
            "{name}: names that begin with {PANEL} belong to users of the web panel, who have passwords: \
             expected a name without {PANEL} (for the panel: obsbus-web-user add {name})"
        )));
    }
    if panel_users.iter().any(|user| user == name) {
        return Err(Failure::new(format!(
            "{name} has a password at the broker, and would be the same identity as the owner of this \
             certificate: expected another name, or obsbus-web-user remove {name} first"
        )));
    }
    match (kind, role) {
        (Kind::Client, _) if is_broker(name) => Err(Failure::usage(format!(
            "{name}: names that begin with {FURTHER_BROKER} belong to brokers: expected --server with the names under \
             which clients reach it, or another name for a client"
        ))),
        (Kind::Server, Role::Service | Role::Observer) => Err(Failure::new(format!(
            "{name} is a client in the broker's access rules: expected another name for a server"
        ))),
        _ => Ok(()),
    }
}

/// Checks the name of a host that `option` gives.
///
/// # Errors
/// It is neither an address nor a host's name.
pub(crate) fn check_host(option: &str, host: &str) -> Result<(), Failure> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = host.len() <= 253 && host.split('.').all(is_label);
    // Digits and dots alone are an address, or a mistyped one.
    let looks_like_address = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if host.parse::<std::net::IpAddr>().is_ok() || (is_name && !looks_like_address) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{option} {host:?}: expected the name or the address under which clients reach the broker, such as \
         broker.example.org or 192.0.2.7"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, role: Role) -> String {
        check(name, Kind::of(name, false), role, &["web-ann".to_owned(), "bob".to_owned()])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_name_says_what_it_is_for() {
        assert_eq!(Kind::of("broker", false), Kind::Server);
        assert_eq!(Kind::of("dome-bridge", false), Kind::Bridge);
        assert_eq!(Kind::of("alice", false), Kind::Client);
        assert_eq!(Kind::of("second", true), Kind::Server);
    }

    #[test]
    fn a_name_keeps_to_the_alphabet_of_the_bus() {
        for good in ["alice", "a", "scheduler_2", &"x".repeat(64)] {
            check(good, Kind::Client, Role::None, &[]).unwrap();
        }
        for bad in ["", "Alice", "a/b", "../x", "a b", "+", "é", &"x".repeat(65), "alice\n"] {
            assert!(refused(bad, Role::None).contains("1 to 64 of a-z, 0-9, _ and -"), "{bad:?}");
        }
    }

    #[test]
    fn nobody_gets_the_name_of_somebody_else() {
        assert!(refused("acl-canary", Role::None).contains("reserved"));
        assert!(refused("web-eve", Role::None).contains("obsbus-web-user add web-eve"));
        assert!(refused("bob", Role::None).contains("obsbus-web-user remove bob"));
        assert!(refused("ca", Role::None).contains("which is the authority's: expected another name"));
        for name in ["-x", "-bridge"] {
            assert!(refused(name, Role::None).contains("does not begin with -"), "{name}");
        }
        let server = check("powerd", Kind::Server, Role::Service, &[]).unwrap_err().to_string();
        assert!(server.contains("expected another name"), "{server}");
    }

    #[test]
    fn a_further_broker_is_known_by_its_name_and_its_hosts() {
        for name in ["broker", "broker-b", "broker-2"] {
            assert!(is_broker(name), "{name}");
            check(name, Kind::of(name, true), Role::None, &[]).unwrap();
        }
        assert!(!is_broker("web") && !is_broker("brokers"));
        let client = refused("broker-b", Role::None);
        assert!(client.contains("expected --server with the names"), "{client}");
        // What ends so is a bridge, whatever it begins with.
        check("broker-bridge", Kind::of("broker-bridge", false), Role::None, &[]).unwrap();
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for good in ["localhost", "broker.example.org", "192.0.2.7", "::1", "B-1"] {
            check_host("--server", good).unwrap();
        }
        for bad in ["", "192.0.2", "a_b", "-a", "a..b", "https://x", "x:8883", "[::1]", "*.example.org"] {
            assert!(check_host("--server", bad).is_err(), "{bad}");
        }
    }
}
