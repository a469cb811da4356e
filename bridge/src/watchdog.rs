//! Ends a process of which a loop makes no progress, and reports to the service manager.
//!
//! If the device loop hangs, the session's task keeps the connection to the broker open, and the
//! last state would look alive; if the session hangs, nobody can command. So a separate thread
//! demands the end of the process; then the broker publishes the will, and the service manager
//! restarts the bridge. A loop that waits for a broker, a port or a retry comes round all the same.
//!
//! It counts its own ticks and reads no clock: time in which it was not scheduled itself (a
//! suspend, SIGSTOP, a debugger) counts as one tick at most. It does not know why a loop hangs,
//! and does not end the process itself: the callback does.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use bus::rounds::Rounds;
use sd_notify::NotifyState;

/// The longest tick, which is the precision of the limit.
const LONGEST_TICK: Duration = Duration::from_millis(250);
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// Tells the service manager that the bridge works. Does nothing without a service manager.
pub fn notify_ready() {
    notify(&NotifyState::Ready);
}

/// Tells the service manager that the bridge is ending by itself.
pub fn notify_stopping() {
    notify(&NotifyState::Stopping);
}

/// Sends the service manager a one-line status; `systemctl status` shows it.
pub fn notify_status(line: &str) {
    notify(&NotifyState::Status(line));
}

/// Tells the service manager that the start takes this much longer.
pub(crate) fn notify_start_takes(time: Duration) {
    notify(&NotifyState::ExtendTimeoutUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX)));
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        let state = state.to_string();
        tracing::warn!("cannot tell the service manager {}: {error}", state.trim_end());
    }
}

/// Watches loops. Dropping it ends the watch, and the pings to the service manager.
#[derive(Debug)]
pub struct Watchdog {
    // Exists only to be dropped: the thread waits on its other end.
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    /// Calls `on_stuck` with the name of a loop that has made no progress for `limit`, once and on
    /// a separate thread.
    ///
    /// If the service manager requests it (`WATCHDOG_USEC`), it is told every half of that time
    /// that all is well, if all loops have made progress since the last time.
    ///
    /// # Errors
    ///
    /// There can be no further thread.
    pub fn start(
        limit: Duration,
        loops: Vec<(&'static str, Rounds)>,
        on_stuck: impl FnOnce(&'static str) + Send + 'static,
    ) -> io::Result<Self> {
        let pings_within = sd_notify::watchdog_enabled().filter(|within| !within.is_zero());
        let tick = tick(limit, pings_within);
        let patience = ticks(limit, tick);
        let mut watched: Vec<_> =
            loops.into_iter().map(|(name, rounds)| (name, rounds, Patience::new(patience))).collect();
        let mut pings = pings_within.map(|within| Pings::new(ticks(within / 2, tick), watched.len()));

        let (alive, ended) = mpsc::channel::<()>();
        std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            while ended.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                let progress: Vec<_> = watched.iter().map(|(_, rounds, _)| rounds.total()).collect();
                let stuck = watched
                    .iter_mut()
                    .zip(&progress)
                    .find_map(|((name, _, patience), now)| patience.is_at_its_end(*now).then_some(*name));
                if let Some(name) = stuck {
                    on_stuck(name);
                    return;
                }
                if pings.as_mut().is_some_and(|pings| pings.is_due(&progress)) {
                    notify(&NotifyState::Watchdog);
                }
            }
        })?;
        Ok(Self { _alive: alive })
    }
}

/// A twentieth of the limit, and short enough for punctual pings.
fn tick(limit: Duration, pings_within: Option<Duration>) -> Duration {
    let tick = (limit / 20).min(LONGEST_TICK);
    pings_within.map_or(tick, |within| tick.min(within / 8)).max(SHORTEST_TICK)
}

fn ticks(time: Duration, tick: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(tick.as_nanos().max(1))).unwrap_or(u64::MAX).max(1)
}

/// How many ticks in a row may pass without progress.
#[derive(Debug)]
struct Patience {
    limit: u64,
    without: u64,
    seen: u64,
}

impl Patience {
    fn new(limit: u64) -> Self {
        Self { limit, without: 0, seen: 0 }
    }

    /// One tick has passed, and the loop has completed `progress` rounds in all.
    fn is_at_its_end(&mut self, progress: u64) -> bool {
        self.without = if progress == self.seen { self.without + 1 } else { 0 };
        self.seen = progress;
        self.without >= self.limit
    }
}

/// When to tell the service manager that all is well.
#[derive(Debug)]
struct Pings {
    every: u64,
    since: u64,
    /// The rounds of each loop at the last time.
    seen: Vec<u64>,
}

impl Pings {
    fn new(every: u64, loops: usize) -> Self {
        Self { every, since: 0, seen: vec![0; loops] }
    }

    /// One tick has passed, and each loop has completed so many rounds in all.
    fn is_due(&mut self, progress: &[u64]) -> bool {
        self.since = self.since.saturating_add(1);
        let all_go_on = self.seen.iter().zip(progress).all(|(seen, now)| seen != now);
        let due = self.since >= self.every && all_go_on;
        if due {
            self.since = 0;
            self.seen = progress.to_vec();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_never_comes_round_is_stuck_at_the_limit_and_not_before() {
        let mut patience = Patience::new(60);
        for tick in 1..60 {
            assert!(!patience.is_at_its_end(0), "at tick {tick}");
        }
        assert!(patience.is_at_its_end(0));
    }

    #[test]
    fn progress_at_the_last_moment_gives_the_whole_limit_again() {
        let mut patience = Patience::new(4);
        for progress in 1..1000 {
            for tick in 0..4 {
                assert!(!patience.is_at_its_end(progress), "tick {tick} after progress {progress}");
            }
        }
        assert!(patience.is_at_its_end(999));
    }

    #[test]
    fn a_count_that_wraps_is_progress() {
        let mut patience = Patience::new(2);
        assert!(!patience.is_at_its_end(u64::MAX));
        assert!(!patience.is_at_its_end(u64::MAX));
        assert!(!patience.is_at_its_end(0));
        assert!(!patience.is_at_its_end(0));
        assert!(patience.is_at_its_end(0));
    }

    #[test]
    fn a_tick_is_a_twentieth_of_the_limit_and_at_most_a_quarter_of_a_second() {
        let seconds = Duration::from_secs;
        for (limit, pings_within, expected_tick, expected_ticks) in [
            (seconds(15), None, Duration::from_millis(250), 60),
            (seconds(15), Some(seconds(30)), Duration::from_millis(250), 60),
            (Duration::from_millis(2500), None, Duration::from_millis(125), 20),
            (seconds(15), Some(seconds(1)), Duration::from_millis(125), 120),
            (Duration::ZERO, None, SHORTEST_TICK, 1),
            (seconds(15), Some(Duration::from_micros(1)), SHORTEST_TICK, 15_000),
        ] {
            let tick = tick(limit, pings_within);
            assert_eq!(
                (tick, ticks(limit, tick)),
                (expected_tick, expected_ticks),
                "{limit:?} {pings_within:?}"
            );
        }
    }

    #[test]
    fn the_service_manager_is_told_at_the_interval_while_there_is_progress() {
        let mut pings = Pings::new(3, 2);
        let told: Vec<_> = (1..=9).filter(|tick| pings.is_due(&[*tick, 2 * *tick])).collect();
        assert_eq!(told, [3, 6, 9]);
    }

    #[test]
    fn without_progress_the_service_manager_is_told_nothing_and_at_once_when_it_goes_on() {
        let mut pings = Pings::new(3, 1);
        assert!((0..100).all(|_| !pings.is_due(&[0])), "before the first progress");
        assert!(pings.is_due(&[1]));
        assert!((0..100).all(|_| !pings.is_due(&[1])), "the same progress was told twice");
        assert!(pings.is_due(&[2]));
    }

    #[test]
    fn one_loop_that_hangs_is_enough_to_tell_the_service_manager_nothing() {
        for hangs in 0..3 {
            let mut pings = Pings::new(3, 3);
            let mut progress = [1, 1, 1];
            for _ in 0..3 {
                pings.is_due(&progress);
            }
            for _ in 0..100 {
                progress
                    .iter_mut()
                    .enumerate()
                    .filter(|(which, _)| *which != hangs)
                    .for_each(|(_, it)| *it += 1);
                assert!(!pings.is_due(&progress), "loop {hangs} hangs: {progress:?}");
            }
            progress[hangs] += 1;
            assert!(pings.is_due(&progress));
        }
    }
}
