//! Times and distances that several parts of the controller judge by.

use std::time::Duration;

/// Motion that was ordered shows by then, or there is none.
pub(super) const MOTION_SHOWS_WITHIN: Duration = Duration::from_millis(1500);
/// The counter of a motion that was interrupted so near to zero may be one that was reset, steps.
pub(super) const NEAR_ZERO: i32 = 50;
/// A counter at rest may differ by so much, steps.
pub(super) const AT_REST: i32 = 1;
/// A change of more than this, with no motion ordered, is read twice, steps.
pub(super) const BELIEVED_CHANGE: i32 = 2;
