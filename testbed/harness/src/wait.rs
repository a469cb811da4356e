//! Waiting for a thing, with a limit: the harness's only clock and only sleep.
//!
//! Nothing here waits for a fixed time; a limit is where a wait gives up and says for what.

#![expect(clippy::disallowed_methods, reason = "waits for other processes, which nothing but time can bound")]

use std::time::Duration;

use anyhow::{Result, bail};
use bus::clock::{Instant, Now};

/// Between two looks at what is waited for: short beside a process start, long beside a syscall.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

/// The moment at which a wait of `limit` that begins now gives up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// `limit` from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self(Now::read().instant + limit)
    }

    /// What is left, zero once it is over.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.since(Now::read().instant)
    }
}

/// Looks until `look` finds something, at most for `limit`.
///
/// # Errors
/// Names `what` was waited for, if it did not come.
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
