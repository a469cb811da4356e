//! The checks: what each is called, and what it tells. docs/doctor.md is generated from this table.

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below says what each is")]
pub enum Check {
    Settings,
    Files,
    BrokerFiles,
    PasswordUsers,
    BridgeSettings,
    Unit,
    Port,
    BridgeLogin,
    Retained,
    Address,
    Listener,
    Certificate,
    Login,
    Read,
    Names,
    State,
    Wills,
    Claims,
    Expiry,
    Replies,
    Delay,
    Clock,
    Bridge,
    Instances,
    Access,
    CommandPath,
    Disk,
    BridgeCertificate,
    Link,
    Attentions,
    Command,
    Leftovers,
}

/// Where a check looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The settings of the tools.
    Own,
    /// Bridges and broker on this machine.
    Machine,
    /// The broker, over the network.
    Broker,
    /// One device, over the broker.
    Device,
}

impl Place {
    /// For the page.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Own => "your settings",
            Self::Machine => "this machine",
            Self::Broker => "the broker",
            Self::Device => "each device",
        }
    }
}

use Check as C;
use Place as P;

/// All of them, in the order in which they are made.
pub const CHECKS: [(Check, Place, &str, &str); 32] = [
    (C::Settings, P::Own, "settings", "whether the tools find their settings, and the settings are valid"),
    (
        C::Files,
        P::Own,
        "own certificate",
        "whether your certificate, its key and the authority's certificate can be used, and when they expire; for a password user, whether its name may be that of a certificate",
    ),
    (
        C::BrokerFiles,
        P::Machine,
        "broker's files",
        "if the broker runs on this machine: whether its configuration has an access list and `set_tcp_nodelay`, whether its revocation list is read, and until when it counts",
    ),
    (
        C::PasswordUsers,
        P::Machine,
        "password users",
        "whether a password user bears the name of a certificate or of a user in the access list (needs root)",
    ),
    (
        C::BridgeSettings,
        P::Machine,
        "bridge's settings",
        "what `KIND-bridge --check-config` says of each settings file of a bridge, certificates and keys included, and whether they list somebody who was revoked (needs root)",
    ),
    (C::Unit, P::Machine, "service", "whether systemd runs the bridge, or the broker"),
    (
        C::Port,
        P::Machine,
        "serial port",
        "whether the bridge's port exists, and whether another program holds it",
    ),
    (
        C::BridgeLogin,
        P::Machine,
        "bridge's login",
        "whether the broker accepts the bridge's own certificate (needs root)",
    ),
    (
        C::Retained,
        P::Machine,
        "retained commands",
        "whether the broker stores commands for the bridge; only the bridge's identity may see them (needs root)",
    ),
    (C::Address, P::Broker, "address", "whether the broker's host name is known"),
    (C::Listener, P::Broker, "listener", "whether something listens at its port"),
    (
        C::Certificate,
        P::Broker,
        "certificate",
        "whether the broker's certificate is valid for its name and by your clock, was signed by your authority, and when it expires",
    ),
    (C::Login, P::Broker, "login", "whether the broker accepts you, and under which name"),
    (C::Read, P::Broker, "reading", "whether you receive the state of any device"),
    (
        C::Names,
        P::Broker,
        "foreign names",
        "whether the broker refuses a command in another's name. The test command bears the reserved name `acl-canary`, which no bridge obeys",
    ),
    (
        C::State,
        P::Broker,
        "states",
        "whether the broker refuses you the topics of devices. It is tried on topics that no device uses; a right to one single topic of one device is not found",
    ),
    (
        C::Wills,
        P::Broker,
        "wills",
        "whether the broker refuses a will as it refuses the publish. A second connection of yours leaves one on a topic that no device uses, and breaks off",
    ),
    (
        C::Claims,
        P::Broker,
        "claimed names",
        "whether the broker knows you by your certificate, whatever name your connection claims. A second connection of yours claims the name `acl-canary`",
    ),
    (
        C::Expiry,
        P::Broker,
        "expiry",
        "whether the broker counts down for how long a stored state still counts",
    ),
    (
        C::Replies,
        P::Broker,
        "replies",
        "whether the broker delivers replies to others to you; it can only listen for a second whether one comes",
    ),
    (
        C::Delay,
        P::Broker,
        "delay",
        "whether small packets wait 40 ms in the broker because `set_tcp_nodelay` is missing",
    ),
    (C::Clock, P::Device, "clock", "whether this machine's clock agrees with the bridge's"),
    (C::Bridge, P::Device, "bridge", "whether the bridge is online, publishes, and answers"),
    (C::Instances, P::Device, "instances", "whether there is one bridge only"),
    (
        C::Access,
        P::Device,
        "access list",
        "whether the broker refuses the bridge a command in another's name (`acl_ok` in its health)",
    ),
    (
        C::CommandPath,
        P::Device,
        "command path",
        "whether the bridge receives commands (`command_path_ok`), and may publish all its topics",
    ),
    (
        C::Disk,
        P::Device,
        "disk",
        "whether the bridge can write its state directory (`journal_ok`), and could read it",
    ),
    (C::BridgeCertificate, P::Device, "bridge's certificate", "when the bridge's certificate expires"),
    (C::Link, P::Device, "instrument", "whether the serial port can be used and the instrument answers"),
    (C::Attentions, P::Device, "attention", "each other attention in the state"),
    (
        C::Command,
        P::Device,
        "commands",
        "whether you may command the device; tried with `ping`, which changes nothing",
    ),
    (
        C::Leftovers,
        P::Device,
        "leftovers",
        "whether somebody has sent a command with the retain flag in the last day",
    ),
];

impl Check {
    fn row(self) -> Option<&'static (Self, Place, &'static str, &'static str)> {
        CHECKS.iter().find(|(check, ..)| *check == self)
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, _, name, _)| name)
    }
}

/// The table of docs/doctor.md.
#[must_use]
pub fn table() -> String {
    let rows = CHECKS
        .iter()
        .map(|(_, place, name, tells)| format!("| {} | `{name}` | {tells} |\n", place.in_words()));
    format!("| where | check | what it tells |\n|---|---|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own() {
        let mut names: Vec<_> = CHECKS.iter().map(|(check, ..)| check.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
        assert!(names.iter().all(|name| !name.is_empty()));
    }
}
