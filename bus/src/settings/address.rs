//! Where a broker listens: a host and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host name or address, which must match the broker's certificate, and a TCP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host.
    pub host: String,
    /// The port of its TLS listener.
    pub port: u16,
}

/// Whether the TLS library accepts `text` as a server name.
pub(super) fn is_host(text: &str) -> bool {
    rustls::pki_types::ServerName::try_from(text).is_ok()
}

impl Address {
    /// The usual port of a TLS listener.
    pub const PORT: u16 = 8883;

    /// Reads `HOST` or `HOST:PORT`, with an IPv6 address in brackets before a port; `port` is that
    /// of a host without one.
    #[must_use]
    pub fn parse(text: &str, port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, if rest.is_empty() { port } else { port_of(rest.strip_prefix(':')?)? })
            }
            None => match text.split_once(':') {
                Some((host, rest)) if !rest.contains(':') => (host, port_of(rest)?),
                _ => (text, port),
            },
        };
        is_host(host).then(|| Self { host: host.to_owned(), port })
    }

    /// Whether both are one, however they are written: a name has no case and may end with a dot, and an
    /// address of IPv6 has many forms. Nothing is looked up.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let written = |host: &str| {
            host.parse::<IpAddr>().map_or_else(
                |_| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
                |address| address.to_string(),
            )
        };
        self.port == other.port && written(&self.host) == written(&other.host)
    }
}

fn port_of(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_are_the_same_however_they_are_written() {
        let are_same = |one: &str, other: &str| {
            Address::parse(one, 8883).unwrap().is_same(&Address::parse(other, 8883).unwrap())
        };
        for (one, other) in [
            ("broker", "Broker"),
            ("broker", "BROKER:8883"),
            ("broker.example.org.", "broker.example.org"),
            ("::1", "[0:0:0:0:0:0:0:1]:8883"),
            ("2001:DB8::7", "2001:db8::7"),
        ] {
            assert!(are_same(one, other) && are_same(other, one), "{one} {other}");
        }
        for (one, other) in
            [("broker", "broker:8884"), ("a", "b"), ("127.0.0.1", "127.0.0.2"), ("::1", "::2")]
        {
            assert!(!are_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn an_address_is_a_host_with_or_without_a_port() {
        for (text, host, port) in [
            ("broker", "broker", 8883),
            ("broker.example.org:8884", "broker.example.org", 8884),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("::1", "::1", 8883),
            ("[::1]", "::1", 8883),
            ("[2001:db8::7]:65535", "2001:db8::7", 65535),
        ] {
            let address = Address::parse(text, 8883).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(Address::parse(&address.to_string(), 1), Some(address));
        }
        for text in [
            "",
            ":8883",
            "broker:",
            "broker:0",
            "broker:65536",
            "broker:+1",
            "broker: 8883",
            "mqtts://broker",
            "[::1",
            "[::1]8883",
            "[broker]:8883",
            "a b",
        ] {
            assert_eq!(Address::parse(text, 8883), None, "{text}");
        }
    }
}
