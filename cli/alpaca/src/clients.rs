//! Which clients have connected. Pure. The instrument itself is always connected, or not, by itself:
//! connecting does nothing to it.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::clock::Instant;

/// More than this are not remembered: the one that was silent for longest is forgotten.
const MOST: usize = 256;
/// A client is told that it is not connected any more only if the instrument is away for longer: a broker
/// that restarts ends no observation.
const AWAY: Duration = Duration::from_secs(30);

/// The clients of one focuser, by `ClientID`; 0 is a client that sends none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    connected: BTreeMap<u32, Instant>,
    away_since: Option<Instant>,
}

impl Clients {
    /// A request of this client arrived; `is_usable` says whether the instrument's state can be believed.
    pub(crate) fn hear(&mut self, client: u32, is_usable: bool, now: Instant) {
        if let Some(heard) = self.connected.get_mut(&client) {
            *heard = now;
        }
        self.away_since = if is_usable { None } else { self.away_since.or(Some(now)) };
    }

    pub(crate) fn connect(&mut self, client: u32, now: Instant) {
        self.connected.insert(client, now);
        while self.connected.len() > MOST {
            let longest = self.connected.iter().min_by_key(|(_, heard)| **heard).map(|(client, _)| *client);
            longest.map(|client| self.connected.remove(&client));
        }
    }

    pub(crate) fn disconnect(&mut self, client: u32) {
        self.connected.remove(&client);
    }

    /// Whether anybody has connected: some programs send their id only with some requests.
    pub(crate) fn has_any(&self) -> bool {
        !self.connected.is_empty()
    }

    /// What this client is told of its connection.
    pub(crate) fn is_connected(&self, client: u32, now: Instant) -> bool {
        let known = if client == 0 { self.has_any() } else { self.connected.contains_key(&client) };
        known && self.away_since.is_none_or(|since| now.since(since) <= AWAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn each_client_has_a_connection_of_its_own() {
        let mut clients = Clients::default();
        assert!(!clients.has_any() && !clients.is_connected(0, at(0)));
        clients.connect(1, at(0));
        clients.connect(1, at(0));
        clients.connect(2, at(0));
        assert!(clients.is_connected(1, at(1)) && !clients.is_connected(3, at(1)));
        clients.disconnect(1);
        assert!(!clients.is_connected(1, at(1)) && clients.has_any(), "2 still uses it");
        clients.disconnect(2);
        clients.disconnect(2);
        assert!(!clients.has_any());
    }

    #[test]
    fn an_outage_ends_a_connection_only_if_it_lasts() {
        let mut clients = Clients::default();
        clients.connect(1, at(0));
        clients.hear(1, false, at(100));
        clients.hear(1, false, at(120));
        assert!(clients.is_connected(1, at(130)) && !clients.is_connected(1, at(131)));
        clients.hear(1, true, at(140));
        assert!(clients.is_connected(1, at(200)));
    }

    #[test]
    fn of_too_many_clients_the_one_that_is_silent_for_longest_is_forgotten() {
        let mut clients = Clients::default();
        for client in 1..=256 {
            clients.connect(client, at(u64::from(client)));
        }
        clients.hear(1, true, at(300));
        clients.connect(999, at(301));
        let known = |client| clients.is_connected(client, at(302));
        assert!(known(1) && !known(2) && known(3) && known(999));
    }
}
