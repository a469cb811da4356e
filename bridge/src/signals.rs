//! The handling of signals. None that can be caught ends the process at once: the device is brought
//! to standstill first, or is waited for.
//!
//! They are blocked in every thread and read from a descriptor, so that no handler interrupts other
//! code. A fault of the program itself (a real segmentation fault) ends the process anyway, as do
//! SIGKILL and SIGSTOP.
//!
//! | signal | what follows |
//! |---|---|
//! | HUP | the settings are read again |
//! | USR1 | the bridge ends when the device is at rest, so that the next process takes over |
//! | TSTP, TTIN, TTOU | nothing: a bridge that stands still lets the device run on |
//! | PIPE, XFSZ | nothing: the write has failed, and whoever wrote knows |
//! | CHLD, CONT, URG, WINCH | nothing, as is usual |
//! | every other | an orderly stop |

use std::io;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::sync::mpsc;

/// The meaning of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalAction {
    /// An orderly stop.
    Stop,
    /// Read the settings again.
    Reload,
    /// An end when the device is at rest.
    EndAtRest,
    /// Nothing that a bridge does.
    Nothing,
}

fn action(number: u32) -> SignalAction {
    let signal = i32::try_from(number).ok().and_then(|number| Signal::try_from(number).ok());
    match signal {
        Some(Signal::SIGHUP) => SignalAction::Reload,
        Some(Signal::SIGUSR1) => SignalAction::EndAtRest,
        Some(
            Signal::SIGTSTP
            | Signal::SIGTTIN
            | Signal::SIGTTOU
            | Signal::SIGPIPE
            | Signal::SIGXFSZ
            | Signal::SIGCHLD
            | Signal::SIGCONT
            | Signal::SIGURG
            | Signal::SIGWINCH,
        ) => SignalAction::Nothing,
        // The other signals of the table; the real-time signals have no name.
        _ => SignalAction::Stop,
    }
}

/// Blocks all signals in this thread and in those that it starts from now on. Call it before any
/// other thread exists.
///
/// # Errors
/// The system refuses.
pub(crate) fn block() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

/// Receives signals on a separate thread: delivers the meaning of each signal, with its name and
/// sender for the log. Call [`block`] first.
///
/// # Errors
/// The system refuses.
pub(crate) fn listen() -> io::Result<mpsc::Receiver<(SignalAction, String)>> {
    let descriptor = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC)?;
    let (heard, signals) = mpsc::channel(8);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        loop {
            let signal = match descriptor.read_signal() {
                Ok(Some(signal)) => signal,
                Ok(None) | Err(Errno::EINTR) => continue,
                Err(error) => {
                    tracing::error!("cannot listen to signals any more: {error}");
                    return;
                }
            };
            let name = i32::try_from(signal.ssi_signo).ok().and_then(|it| Signal::try_from(it).ok());
            let name = name.map_or_else(|| format!("signal {}", signal.ssi_signo), |name| name.to_string());
            let words = format!("{name} from process {}", signal.ssi_pid);
            if heard.blocking_send((action(signal.ssi_signo), words)).is_err() {
                return;
            }
        }
    })?;
    Ok(signals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_but_these_stops() {
        let others = [1, 10, 13, 17, 18, 20, 21, 22, 23, 25, 28];
        for number in 1..=64 {
            assert_eq!(action(number) == SignalAction::Stop, !others.contains(&number), "{number}");
        }
        assert_eq!((action(1), action(10)), (SignalAction::Reload, SignalAction::EndAtRest));
    }
}
