//! The one thread on which a command runs.

use crate::exit::Failure;

/// Runs `work` to its end on one thread.
pub(crate) fn block_on(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { what: "start", source })?;
    let result = runtime.block_on(work);
    // Does not wait for a thread that waits for a name server or a hung disk.
    runtime.shutdown_background();
    result
}
