//! Waiting for a condition, with a timeout: the harness's only clock and only sleep.
//!
//! Nothing here waits for a fixed time; after its timeout a wait fails and names its condition.

#![expect(clippy::disallowed_methods, reason = "waits for other processes, which nothing but time can bound")]

use std::time::Duration;

use anyhow::{Result, bail};
use bus::clock::{Instant, Now};

/// Interval between two checks: short compared with a process start, long compared with a syscall.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

/// The end of a timeout that begins now.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// `limit` from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self(Now::read().instant + limit)
    }

    /// The remaining time, zero once it is over.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.since(Now::read().instant)
    }
}

/// Calls `look` until it finds something, at most for `limit`.
///
/// # Errors
/// If it does not come; names `what` was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Deadline::after(limit);
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if deadline.left().is_zero() {
            bail!("waited {} s in vain for {what}", limit.as_secs_f64());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_says_for_what() {
        let error = wait_for("a miracle", Duration::from_millis(10), || None::<()>).unwrap_err();
        assert_eq!(error.to_string(), "waited 0.01 s in vain for a miracle");
    }

    #[test]
    fn what_is_there_at_once_is_found_even_with_no_time() {
        assert_eq!(wait_for("it", Duration::ZERO, || Some(7)).unwrap(), 7);
    }
}
