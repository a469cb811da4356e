//! Why a session fails.

use std::time::Duration;

use super::super::connect::ConnectError;

/// The session failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The settings do not allow a connection.
    #[error(transparent)]
    Settings(#[from] ConnectError),
    /// The broker could not be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The broker refuses us; a retry is useless.
    #[error("{0}")]
    Refused(String),
    /// The connection broke.
    #[error("{0}")]
    Lost(String),
    /// The broker refused a subscription.
    #[error("the broker refused the subscription to {filter} ({reason})")]
    Subscription {
        /// The filter.
        filter: String,
        /// The broker's reason.
        reason: String,
    },
    /// The broker did not acknowledge in time.
    #[error("the broker at {place} did not acknowledge {what} within {} s", limit.as_secs())]
    Silent {
        /// The broker.
        place: String,
        /// What it should have acknowledged.
        what: &'static str,
        /// How long we waited.
        limit: Duration,
    },
}

impl SessionError {
    /// Of several brokers; final only if each of them refuses us.
    pub(super) fn of_all(failures: &[Self]) -> Self {
        let words = failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        if failures.iter().all(|failure| matches!(failure, Self::Refused(_))) {
            Self::Refused(words)
        } else {
            Self::Unreachable(words)
        }
    }
}
