//! Repeatable random numbers, for the devices' latencies and faults and for campaigns.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A small generator of random numbers (splitmix64): the same seed, the same numbers.
///
/// Real random numbers are in `bus::random`.
#[derive(Clone, Debug)]
pub struct SeededRandom(u64);

impl SeededRandom {
    /// A generator with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to `limit` - 1; 0 if `limit` is 0.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        if limit == 0 { 0 } else { z % limit }
    }

    /// A place in a sequence of `length`.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// `choices` is empty.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = self.place(choices.len());
        *choices.get(place).expect("at least one choice")
    }

    /// A duration in this range, to the microsecond.
    pub fn within(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let spread = range.end().saturating_sub(*range.start()).as_micros();
        let below = u64::try_from(spread).unwrap_or(u64::MAX).saturating_add(1);
        *range.start() + Duration::from_micros(self.below(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        // Values from the author's reference implementation, with the seed 1234567.
        let mut random = SeededRandom::new(1_234_567);
        let numbers = [(); 3].map(|()| random.below(u64::MAX));
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn what_is_drawn_is_in_its_range() {
        let mut random = SeededRandom::new(0);
        let range = Duration::from_millis(2)..=Duration::from_millis(3);
        for _ in 0..1000 {
            assert!(random.below(7) < 7 && random.place(3) < 3 && range.contains(&random.within(&range)));
            assert!([4, 5].contains(&random.of(&[4, 5])));
        }
        assert_eq!((random.below(0), random.place(0)), (0, 0));
    }
}
