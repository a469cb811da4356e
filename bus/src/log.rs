//! Where a process writes its log: the journal under systemd, else the terminal.
//!
//! At most 200 lines an hour are written at `info` and above (`limit`).
//!
//! The level is `OBSBUS_LOG` (`info` without it; `debug`, or `info,bus::session=trace`).

use std::error::Error;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer as _};

use limit::{Limit, Limited};

mod limit;

static LIMIT: OnceLock<Arc<Limit>> = OnceLock::new();

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `OBSBUS_LOG` is not a valid filter.
    #[error(
        "OBSBUS_LOG={filter:?} is not a filter (allowed: error, warn, info, debug, trace, or target=level, separated by commas)"
    )]
    Filter {
        /// Its value.
        filter: String,
        /// The parser's error.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// A log was started before.
    #[error("the log cannot be started twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts the log of this process; `log_name` is its identifier in the journal. Starts a thread: a
/// process that blocks signals does so before.
///
/// # Errors
/// See [`LogError`].
pub fn start(log_name: &str) -> Result<(), LogError> {
    let registry = tracing_subscriber::registry().with(filter(std::env::var("OBSBUS_LOG").ok())?);
    let journal = if stderr_is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref()) {
        // Without a journal socket, for instance in a container, somebody still reads stderr.
        tracing_journald::layer().ok()
    } else {
        None
    };
    let limit = Limited(Arc::clone(LIMIT.get_or_init(Limit::start)));
    match journal {
        Some(journal) => {
            let journal = journal.with_syslog_identifier(log_name.to_owned());
            registry.with(journal.with_filter(limit)).try_init()
        }
        None => {
            let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let colours = std::io::stderr().is_terminal() && !no_colour;
            let terminal =
                tracing_subscriber::fmt::layer().compact().with_ansi(colours).with_writer(std::io::stderr);
            registry.with(terminal.with_filter(limit)).try_init()
        }
    }
    .map_err(LogError::Twice)
}

/// The process ends: writes how many lines were left out.
pub fn finish() {
    if let Some(limit) = LIMIT.get() {
        limit.write_count();
    }
}

/// An error and all its causes, in one line: `journalctl` shows only the message field.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries repeat the text of the cause in the error.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

fn filter(wanted: Option<String>) -> Result<EnvFilter, LogError> {
    let filter = wanted.filter(|filter| !filter.trim().is_empty()).unwrap_or_else(|| "info".to_owned());
    EnvFilter::builder().parse(&filter).map_err(|source| LogError::Filter { filter, source })
}

// In JOURNAL_STREAM systemd gives device and inode of its stream. A process started by hand from a
// service inherits the variable but not the stream.
fn stderr_is_journal(journal_stream: Option<&str>) -> bool {
    let stderr = std::io::stderr();
    let Ok(stat) = rustix::fs::fstat(stderr.as_fd()) else { return false };
    journal_stream == Some(format!("{}:{}", stat.st_dev, stat.st_ino).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_means_nothing_is_refused_by_name() {
        let error = filter(Some("bus=loud".to_owned())).unwrap_err();
        assert!(error.to_string().starts_with("OBSBUS_LOG=\"bus=loud\" is not a filter"), "{error}");
    }

    #[test]
    fn an_error_is_told_with_what_caused_it_and_nothing_twice() {
        let error = filter(Some("bus=loud".to_owned())).unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert_eq!(with_causes(&error), format!("{error}: {cause}"));
    }

    #[test]
    fn without_a_filter_the_level_is_info() {
        assert_eq!(filter(None).unwrap().to_string(), "info");
        assert_eq!(filter(Some(" ".to_owned())).unwrap().to_string(), "info");
    }

    #[test]
    fn an_inherited_journal_stream_that_is_not_ours_is_not_believed() {
        assert!(!stderr_is_journal(None));
        assert!(!stderr_is_journal(Some("1:1")));
    }
}
