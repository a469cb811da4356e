//! Times and distances that several parts of the controller use.

use std::time::Duration;

/// Ordered motion is visible within this time, or there is none.
pub(super) const MOTION_SHOWS_WITHIN: Duration = Duration::from_millis(1500);
/// If a motion was interrupted this near to zero, the counter may have been reset, steps.
pub(super) const NEAR_ZERO: i32 = 50;
/// A counter at standstill may differ by this much, steps.
pub(super) const AT_REST: i32 = 1;
/// A change of more than this, with no motion ordered, is read twice, steps.
pub(super) const BELIEVED_CHANGE: i32 = 2;
/// An order may rely on a position at standstill for this long. While the order waits longer for the
/// disk, the motor is watched.
pub(super) const HOLDS_FOR: Duration = Duration::from_millis(100);
