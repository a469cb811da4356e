//! Which addresses may use the server. Pure.

use std::net::IpAddr;
use std::str::FromStr;

/// An address, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    /// How many bits of it count.
    prefix: u32,
}

/// It is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok().filter(|prefix| *prefix <= longest).ok_or(NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        Ok(Self { address, prefix })
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= self.prefix
    }
}

/// Whether `address` is this machine's own or in one of `networks`.
pub(crate) fn is_allowed(networks: &[Network], address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || networks.iter().any(|network| network.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(networks: &[&str], address: &str) -> bool {
        let networks: Vec<Network> = networks.iter().map(|text| text.parse().unwrap()).collect();
        is_allowed(&networks, address.parse().unwrap())
    }

    #[test]
    fn only_this_machine_is_allowed_unless_others_are_listed() {
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(allowed(&[], own), "{own}");
        }
        assert!(!allowed(&[], "192.0.2.7") && !allowed(&[], "::") && !allowed(&[], "::ffff:192.0.2.7"));
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        assert!(allowed(&["192.0.2.7"], "192.0.2.7") && !allowed(&["192.0.2.7"], "192.0.2.8"));
        assert!(allowed(&["192.0.2.0/24"], "192.0.2.255") && !allowed(&["192.0.2.0/24"], "192.0.3.0"));
        assert!(allowed(&["192.0.2.0/24"], "::ffff:192.0.2.9"), "an IPv4 client of an IPv6 socket");
        assert!(allowed(&["2001:db8::/32"], "2001:db8:1::1") && !allowed(&["2001:db8::/32"], "2001:db9::1"));
        assert!(allowed(&["0.0.0.0/0"], "198.51.100.1") && !allowed(&["0.0.0.0/0"], "2001:db8::1"));
    }

    #[test]
    fn anything_else_is_no_network() {
        for text in ["", "localhost", "192.0.2", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/+8", "::/129", "*"]
        {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
