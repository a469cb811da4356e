//! The part of the Desk's memory that outlives the process: commands that were running, and the
//! verdicts on those that had ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::requester::Requester;
use crate::clock::Utc;
use crate::message::Reply;
use crate::topic::RequestId;

/// The Desk's memory, as stored on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// Admitted and not yet answered: one entry for each client that is owed a reply.
    pub(super) open: Vec<OpenCommand>,
    /// Answered commands, so that a request repeated after a restart is still known.
    pub(super) ended: Vec<EndedCommand>,
    /// Terminal replies that the broker may not have.
    #[serde(default)]
    pub(super) owed: Vec<OwedReply>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OwedReply {
    pub(super) requester: Requester,
    pub(super) reply: Reply,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenCommand {
    pub(super) requester: Requester,
    pub(super) verb: String,
    pub(super) argument: Option<Value>,
    pub(super) deadline: Utc,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EndedCommand {
    pub(super) id: RequestId,
    pub(super) verb: String,
    pub(super) argument: Option<Value>,
    pub(super) reply: Reply,
}
