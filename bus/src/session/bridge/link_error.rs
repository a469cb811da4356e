//! Why a connection could not be made, or has ended.

use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::ConnectReturnCode;
use rumqttc::v5::{ClientError, ConnectionError};
use thiserror::Error;

use super::super::connect::{self, ConnectError};
use crate::log::with_causes;
use crate::random::RandomError;
use crate::settings::BrokerSettings;

#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Options(#[from] ConnectError),
    #[error("the files of [broker] were not read within {} s: does the disk hang?", limit.as_secs())]
    FilesUnread { limit: Duration },
    #[error("the broker began with {packet}")]
    NotConnAck { packet: String },
    /// The library's error, and its explanation for people.
    #[error("{words}")]
    Broken { words: String, source: Box<ConnectionError> },
    #[error("the broker has not answered for two keep-alives")]
    Silent,
    #[error("the connection's task ended")]
    TaskEnded,
    #[error("cannot subscribe")]
    Subscribe(#[source] Box<ClientError>),
    #[error("cannot hand over a publish")]
    Publish(#[source] Box<ClientError>),
    #[error("cannot disconnect")]
    Disconnect(#[source] Box<ClientError>),
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl LinkError {
    pub(super) fn broken(source: ConnectionError, broker: &BrokerSettings) -> Self {
        Self::Broken { words: connect::explain(&source, broker), source: Box::new(source) }
    }

    /// Whether somebody answered there.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Broken { source, .. } => connect::is_answer(source),
            Self::NotConnAck { .. } => true,
            _ => false,
        }
    }

    /// Whether the broker refused what it was asked for with a CONNACK.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Broken { source, .. }
            if matches!(**source, ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized)))
    }

    /// One sentence for `health` and the log.
    pub(super) fn in_words(&self) -> String {
        match self {
            // It already contains the library's words where they help.
            Self::Broken { words, .. } => words.clone(),
            other => with_causes(other),
        }
    }
}
