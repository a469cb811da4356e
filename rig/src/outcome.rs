//! Checks of a request's outcome.

use bus::message::{Code, Reply, ReplyStatus};

/// The request has succeeded.
///
/// # Panics
/// It did not.
pub fn assert_succeeded(reply: &Reply) {
    assert_eq!((reply.status, reply.code), (ReplyStatus::Succeeded, Some(Code::Succeeded)), "{reply:?}");
}

/// The request has ended with this code and these words.
///
/// # Panics
/// It did not.
pub fn assert_failed(reply: &Reply, code: Code, words: &str) {
    assert_eq!(reply.code, Some(code), "{reply:?}");
    assert!(reply.message.contains(words), "{reply:?}");
}
