//! How far the motor has come inwards since its last motion outwards: this takes up the backlash of
//! the drive, and a position is accurate only with the backlash taken up.
//!
//! Positions that are read on the way would miss the turn between two legs, so the run is computed
//! from the position of each order. An unknown run counts as not taken up.

use super::bounds::BELIEVED_CHANGE;

/// The run inwards at the position of the last order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Approach {
    from: i32,
    run: i32,
}

impl Approach {
    /// Standing at `from`, after a run of `run` steps inwards.
    pub(super) fn new(from: i32, run: i32) -> Self {
        Self { from, run }
    }

    /// The next order is given at `from`.
    pub(super) fn ordered_at(&mut self, from: i32) {
        *self = Self { from, run: self.run_at(from) };
    }

    /// The run inwards at `steps`, if no order followed the last one.
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
