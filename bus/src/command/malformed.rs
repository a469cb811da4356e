//! Errors in a command's payload, in words for its sender.

use std::str::Utf8Error;

use thiserror::Error;

use crate::message::echo;
use crate::topic::NameError;

/// A malformed payload.
#[derive(Debug, Error)]
pub(super) enum Malformed {
    #[error("the {what} has {bytes} bytes: {limit} are allowed")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
    #[error("the payload is not UTF-8")]
    NotUtf8(#[source] Utf8Error),
    #[error("the payload starts with a byte order mark")]
    ByteOrderMark,
    #[error("the payload is not a JSON object: {}", echo(&.0.to_string()))]
    NotAnObject(#[source] serde_json::Error),
    #[error("\"id\" must be text")]
    IdIsNoText,
    #[error(transparent)]
    WrongId(#[from] NameError),
    #[error("{verb} takes several arguments: expected a JSON object with {keys}")]
    NeedsAnObject { verb: &'static str, keys: String },
    #[error("unknown key \"{key}\"; valid keys: {known}")]
    UnknownKey { key: String, known: String },
    #[error("\"ts\" is {sent}{hint}: expected RFC 3339 or Unix seconds")]
    WrongTs { sent: String, hint: &'static str },
    #[error("\"ttl_s\" is {sent}: expected a number from {least} to {most}")]
    WrongTtl { sent: String, least: f64, most: f64 },
    #[error("\"{name}\" is {sent}: {right}")]
    WrongArgument { name: &'static str, sent: String, right: String },
}
