//! The back-off between restarts, if one run after the other ends badly.
//!
//! The service manager restarts a bridge after a second, for ever. Its own back-off
//! (`RestartSteps=`) exists only from systemd 254 on, so the bridge itself waits at its start, longer
//! each time. It counts in a file of the runtime directory, which the service manager keeps from one
//! restart to the next and removes with the service. Without such a directory nothing waits.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A run that lasts so long did not fail at its start.
pub(crate) const GOOD_AFTER: Duration = Duration::from_secs(600);
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);

/// The runs in a row that ended badly.
#[derive(Clone, Debug)]
pub(crate) struct Restarts {
    file: Option<PathBuf>,
    failures: u32,
}

impl Restarts {
    /// A run begins; it counts as failed until [`Self::forget`].
    pub(crate) fn begin(environment: &[(String, String)]) -> Self {
        let directory = environment.iter().find(|(name, _)| name == "RUNTIME_DIRECTORY");
        // With several, systemd separates them by colons; the unit has one.
        Self::begin_in(directory.map(|(_, path)| Path::new(path)))
    }

    fn begin_in(directory: Option<&Path>) -> Self {
        let file = directory.map(|directory| directory.join("failures"));
        let read = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let failures: u32 = read.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if let Some(file) = &file {
            // Without it the next run waits less than it should.
            let _ = fs::write(file, format!("{}\n", failures.saturating_add(1)));
        }
        Self { file, failures }
    }

    /// The runs in a row that ended badly before this one.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// How long this run waits before it does anything.
    pub(crate) fn wait(&self) -> Duration {
        // 0, 0, 2, 8, 32, 128, 300 s: whoever fails at every start writes about 180 lines an hour to
        // the journal, most of them the service manager's.
        let Some(steps) = self.failures.checked_sub(2) else { return Duration::ZERO };
        FIRST.saturating_mul(4_u32.saturating_pow(steps)).min(LONGEST)
    }

    /// This run has not ended badly.
    pub(crate) fn forget(&self) {
        if let Some(file) = &self.file {
            let _ = fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(directory: &Path, runs: usize) -> Vec<u64> {
        (0..runs).map(|_| Restarts::begin_in(Some(directory)).wait().as_secs()).collect()
    }

    #[test]
    fn runs_that_end_badly_one_after_the_other_wait_longer_each_time() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(waits(directory.path(), 10), [0, 0, 2, 8, 32, 128, 300, 300, 300, 300]);
        Restarts::begin_in(Some(directory.path())).forget();
        assert_eq!(waits(directory.path(), 3), [0, 0, 2]);
    }

    #[test]
    fn whoever_fails_at_every_start_does_so_at_most_18_times_in_an_hour() {
        let directory = tempfile::tempdir().unwrap();
        let (mut passed, mut runs) = (0, 0);
        while passed < 3600 {
            // RestartSec of the unit.
            passed += 1 + waits(directory.path(), 1)[0];
            runs += 1;
        }
        assert!(runs <= 18, "{runs}");
    }

    #[test]
    fn without_a_directory_or_with_nonsense_in_it_nothing_waits() {
        assert_eq!(Restarts::begin_in(None).wait(), Duration::ZERO);
        let missing = Path::new("/nowhere/at/all");
        assert_eq!(waits(missing, 5), [0; 5]);
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("failures"), "many").unwrap();
        assert_eq!(waits(directory.path(), 1), [0]);
        fs::write(directory.path().join("failures"), "4294967295").unwrap();
        assert_eq!(waits(directory.path(), 2), [300, 300]);
    }
}
