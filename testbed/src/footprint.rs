//! What a process takes of the machine: memory, time of its processors, open files.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What all threads of the process ran so far; finer than the ticks of `/proc/PID/stat`.
///
/// # Errors
/// If there is no such process.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("look for the process's threads")? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let run: u64 = text.split_whitespace().next().context("an empty schedstat")?.parse()?;
        nanoseconds += run;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The memory of a process by a key of its `smaps_rollup`, as `Rss`; from the one file whose counts are exact:
/// those in `/proc/PID/status` are estimates.
///
/// # Errors
/// If there is no such process, or no such key.
pub fn kibibytes(pid: u32, key: &str) -> Result<u64> {
    let rollup =
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("read the process's memory")?;
    let value = rollup.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kibibytes = value.and_then(|value| value.split_whitespace().next()).context("a key is missing")?;
    Ok(kibibytes.parse()?)
}

/// As [`kibibytes`], in MiB.
///
/// # Errors
/// As [`kibibytes`].
#[expect(clippy::cast_precision_loss, reason = "the memory of one machine")]
pub fn mebibytes(pid: u32, key: &str) -> Result<f64> {
    Ok(kibibytes(pid, key)? as f64 / 1024.0)
}

/// Lets this process, and those that it starts from now on, open as many files as the system permits.
///
/// # Errors
/// If the system refuses.
pub fn raise_open_files() -> Result<()> {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum })
        .context("raise the limit of open files")
}

/// How many files a process has open, sockets among them.
///
/// # Errors
/// If there is no such process.
pub fn open_files(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd")).context("look for the process's files")?.count())
}

/// How many threads a process has.
///
/// # Errors
/// If there is no such process.
pub fn threads(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/task")).context("look for the process's threads")?.count())
}
