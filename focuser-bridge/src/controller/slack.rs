//! How far the motor has come inwards since it last went outwards: that takes up the slack of the
//! drive, and a position is good only where it is taken up.
//!
//! Positions that are read on the way would miss the turn between two legs, so it is reckoned from
//! where each order was given. What is not known counts as not taken up.

use super::bounds::BELIEVED_CHANGE;

/// The run inwards at the place where the last order was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Approach {
    from: i32,
    run: i32,
}

impl Approach {
    /// It stands at `from`, where it came inwards by `run` steps.
    pub(super) fn new(from: i32, run: i32) -> Self {
        Self { from, run }
    }

    /// The next order is given at `from`.
    pub(super) fn ordered_at(&mut self, from: i32) {
        *self = Self { from, run: self.run_at(from) };
    }

    /// How far inwards it has come, if it is at `steps` now and had no order but the last.
    pub(super) fn run_at(self, steps: i32) -> i32 {
        if steps < self.from.saturating_sub(BELIEVED_CHANGE) {
            return 0;
        }
        self.run.saturating_add(steps.saturating_sub(self.from).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_went_inwards_since_the_last_way_out_counts() {
        let mut approach = Approach::new(100, 7);
        assert_eq!(approach.run_at(130), 37);
        assert_eq!(approach.run_at(60), 0);
        approach.ordered_at(60);
        assert_eq!(approach.run_at(90), 30);
        approach.ordered_at(90);
        assert_eq!(approach.run_at(95), 35);
    }

    #[test]
    fn a_counter_that_trembles_at_rest_opens_no_slack() {
        assert_eq!(Approach::new(100, 7).run_at(98), 7);
    }
}
