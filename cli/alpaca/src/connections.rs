//! How many connections there may be: if there are too many, the one that was silent for longest is closed,
//! so that nobody can keep others out by opening them. Pure.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bus::clock::Instant;

/// A client uses one or two.
pub(crate) const MOST: usize = 64;

/// See the module. `H` closes a connection.
#[derive(Debug)]
pub(crate) struct Connections<H>(Mutex<Table<H>>);

#[derive(Debug)]
struct Table<H> {
    next: u64,
    open: BTreeMap<u64, Open<H>>,
}

#[derive(Debug)]
struct Open<H> {
    heard: Instant,
    /// A request is being answered.
    is_busy: bool,
    close: Option<H>,
}

impl<H> Default for Connections<H> {
    fn default() -> Self {
        Self(Mutex::new(Table { next: 0, open: BTreeMap::new() }))
    }
}

impl<H> Connections<H> {
    /// A new connection: its number, and what is to be closed for it. `None` if all others are busy.
    pub(crate) fn enter(&self, now: Instant) -> Option<(u64, Option<H>)> {
        let mut table = self.table();
        let mut evicted = None;
        if table.open.len() >= MOST {
            let idle = table.open.iter().filter(|(_, open)| !open.is_busy);
            let longest = idle.min_by_key(|(_, open)| open.heard).map(|(number, _)| *number)?;
            evicted = table.open.remove(&longest).and_then(|open| open.close);
        }
        let number = table.next;
        table.next += 1;
        table.open.insert(number, Open { heard: now, is_busy: false, close: None });
        Some((number, evicted))
    }

    /// How to close it.
    pub(crate) fn closes_by(&self, number: u64, close: H) {
        if let Some(open) = self.table().open.get_mut(&number) {
            open.close = Some(close);
        }
    }

    /// A request of it is there, or was answered.
    pub(crate) fn is_busy(&self, number: u64, is_busy: bool, now: Instant) {
        if let Some(open) = self.table().open.get_mut(&number) {
            (open.is_busy, open.heard) = (is_busy, now);
        }
    }

    /// It has ended.
    pub(crate) fn leave(&self, number: u64) {
        self.table().open.remove(&number);
    }

    fn table(&self) -> MutexGuard<'_, Table<H>> {
        // Nothing that holds the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: usize) -> Instant {
        Instant::from_boot(Duration::from_secs(seconds.try_into().unwrap()))
    }

    fn full() -> Connections<u64> {
        let connections = Connections::default();
        for second in 0..MOST {
            let (number, evicted) = connections.enter(at(second)).unwrap();
            connections.closes_by(number, number);
            assert_eq!(evicted, None);
        }
        connections
    }

    #[test]
    fn the_connection_that_was_silent_for_longest_makes_room() {
        let connections = full();
        connections.is_busy(0, true, at(100));
        connections.is_busy(0, false, at(101));
        connections.is_busy(1, true, at(102));
        assert_eq!(connections.enter(at(103)).unwrap().1, Some(2));
        connections.leave(5);
        assert_eq!(connections.enter(at(104)).unwrap().1, None, "there is room");
        assert_eq!(connections.enter(at(105)).unwrap().1, Some(3));
    }

    #[test]
    fn a_connection_whose_request_is_being_answered_is_not_closed() {
        let connections = full();
        for number in 0..u64::try_from(MOST).unwrap() {
            connections.is_busy(number, true, at(100));
        }
        assert_eq!(connections.enter(at(101)), None);
        connections.is_busy(7, false, at(102));
        assert_eq!(connections.enter(at(103)).unwrap().1, Some(7));
    }
}
