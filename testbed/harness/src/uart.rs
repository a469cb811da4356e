//! The serial interface of a simulated instrument: bytes in transit in both directions, their
//! timing, and the effect of faults on replies. It knows no protocol.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use bus::clock::Instant;

use crate::fault::{Fault, ReplyFault};
use crate::seeded::SeededRandom;

/// See the module.
#[derive(Debug)]
pub struct Uart {
    /// Time from a request's last byte to the reply's first, random each time.
    latency: RangeInclusive<Duration>,
    /// Time of one byte on the wire.
    pub character_time: Duration,
    /// Length of a reply's end, which a truncated reply lacks.
    end_length: usize,
    /// Its random numbers.
    pub chance: SeededRandom,
    /// Incoming bytes, each with its time of arrival.
    pub incoming: VecDeque<(Instant, u8)>,
    /// Outgoing bytes, likewise.
    pub outgoing: VecDeque<(Instant, u8)>,
    busy_until: Instant,
    /// For [`ReplyFault::HeldBack`].
    pub held_back: Option<Vec<u8>>,
}

impl Uart {
    /// A line with this latency from a request to its reply, and this time for a byte; `end_length`
    /// is the length of a reply's end.
    #[must_use]
    pub fn new(
        latency: RangeInclusive<Duration>,
        character_time: Duration,
        end_length: usize,
        seed: u64,
    ) -> Self {
        Self {
            latency,
            character_time,
            end_length,
            chance: SeededRandom::new(seed),
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            busy_until: Instant::default(),
            held_back: None,
        }
    }

    /// Receives bytes that the host wrote at `now`.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        for &byte in bytes {
            let begin = self.incoming.back().map_or(now, |(last, _)| (*last).max(now));
            self.incoming.push_back((begin + self.character_time, byte));
        }
    }

    /// The next byte that has arrived by `now`, and when it arrived.
    pub fn hear(&mut self, now: Instant) -> Option<(Instant, u8)> {
        let is_in = self.incoming.front().is_some_and(|(at, _)| *at <= now);
        if is_in { self.incoming.pop_front() } else { None }
    }

    /// The bytes that have reached the host by `now`.
    pub fn poll_output(&mut self, now: Instant) -> Vec<u8> {
        let due = self.outgoing.iter().take_while(|(at, _)| *at <= now).count();
        self.outgoing.drain(..due).map(|(_, byte)| byte).collect()
    }

    /// Whether a request is still being executed or answered.
    pub fn is_busy(&self, at: Instant) -> bool {
        at < self.busy_until
    }

    /// Drops all bytes in transit, as at power-off.
    pub fn reset(&mut self, now: Instant) {
        self.incoming.clear();
        self.outgoing.clear();
        self.busy_until = now;
        self.held_back = None;
    }

    /// Replies to a request whose last byte arrived at `at`.
    pub fn send(&mut self, mut reply: Vec<u8>, faults: &[impl Fault], at: Instant) {
        let mut from = at.max(self.busy_until) + self.chance.within(&self.latency);
        let mut held_back = self.held_back.take();
        for harm in faults.iter().filter_map(|fault| fault.harm()) {
            match harm {
                ReplyFault::Lost => reply.clear(),
                ReplyFault::Garbled => {
                    let place = self.chance.place(reply.len());
                    let bit = self.chance.below(8);
                    if let Some(byte) = reply.get_mut(place) {
                        *byte ^= 1 << bit;
                    }
                }
                ReplyFault::Truncated => {
                    let least = 1 + self.end_length;
                    reply.truncate(1 + self.chance.place(reply.len().saturating_sub(least)));
                }
                ReplyFault::HeldBack => {
                    self.held_back =
                        Some(std::mem::replace(&mut reply, held_back.take().unwrap_or_default()));
                }
                ReplyFault::Strewn => {
                    let mut places = [0; 3].map(|_: usize| self.chance.place(reply.len()));
                    places.sort_unstable();
                    // From the back; XOFF comes first, because otherwise the host would have to
                    // stop sending.
                    for (place, noise) in places.into_iter().zip([0x13, 0x11, 0x11]).rev() {
                        reply.insert(place, noise);
                    }
                }
                ReplyFault::Delayed(longer) => from += longer,
            }
        }
        self.busy_until = from;
        for byte in reply {
            self.busy_until += self.character_time;
            self.outgoing.push_back((self.busy_until, byte));
        }
    }
}
