//! No check takes longer than three seconds.
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// The longest that one check may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(3);

/// How a program ended.
pub(crate) enum Ran {
    /// It ended by itself.
    Ended(Output),
    /// It is not installed, or may not be started.
    Absent,
    /// It was killed after [`LIMIT`].
    TooSlow,
}

/// Runs a program to its end, without input.
pub(crate) async fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&std::ffi::OsStr]) -> Ran {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) => Ran::Ended(output),
        Ok(Err(_)) => Ran::Absent,
        Err(_) => Ran::TooSlow,
    }
}

/// Looks at files on a thread of its own, because a disk may hang; `None` if it takes too long.
pub(crate) async fn read<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    timeout(LIMIT, tokio::task::spawn_blocking(look)).await.ok()?.ok()
}
