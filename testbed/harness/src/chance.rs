//! Chance that can be repeated, for the devices' latencies and faults.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A small generator of repeatable chance (xorshift64*).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number from 0 to `below` - 1; 0 if `below` is 0.
    pub const fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        if below == 0 { 0 } else { drawn % below }
    }

    /// A place in a sequence of `length`.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// A duration in this range, to the microsecond.
    pub fn within(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let spread = range.end().saturating_sub(*range.start()).as_micros();
        let below = u64::try_from(spread).unwrap_or(u64::MAX).saturating_add(1);
        *range.start() + Duration::from_micros(self.below(below))
    }
}
