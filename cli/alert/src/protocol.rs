//! What the controller asks of the part that delivers, as JSON. That part is the alerter's device: the core
//! treats it as it treats an instrument, so a part that hangs is an instrument that does not answer.

use std::time::Duration;

use bridge::controller::{Protocol, Undecodable};
use bridge::line::{Exchange, Terminator};
use serde::{Deserialize, Serialize};

use crate::episode::Message;
use crate::link::Page;

/// No list of news is longer.
const LONGEST: usize = 1024 * 1024;

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Tell what has happened, as soon as something has.
    News,
    /// Deliver this; how it ended is news.
    Deliver {
        /// To whom.
        receiver: String,
        /// What.
        message: Box<Message>,
    },
    /// See whether this receiver can be reached, without a message; what came of it is news.
    Look {
        /// Which.
        receiver: String,
    },
    /// Send the heartbeat; how it ended is news.
    Beat,
    /// Show this to the browser that asked.
    Show {
        /// Which asked.
        visit: u64,
        /// What.
        page: Page,
    },
}

/// How an attempt to deliver ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// The receiver has it.
    Taken,
    /// Some of its addresses have it, and the others refuse it. It is not sent again.
    TakenInPart(String),
    /// The receiver works, and refuses this message.
    Refused(String),
    /// It does not work, or nobody knows.
    Failed(String),
}

impl Came {
    /// What went wrong, if anything did.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Taken => None,
            Self::TakenInPart(problem) | Self::Refused(problem) | Self::Failed(problem) => Some(problem),
        }
    }
}

impl From<Result<(), String>> for Came {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Taken)
    }
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// An attempt to deliver has ended.
    Delivered {
        /// To whom.
        receiver: String,
        /// Which message.
        message: u64,
        /// How.
        came: Came,
    },
    /// It was seen whether a receiver can be reached.
    Looked {
        /// Which.
        receiver: String,
        /// Why it cannot.
        problem: Option<String>,
    },
    /// An attempt to send the heartbeat has ended.
    Beaten {
        /// Why it failed.
        problem: Option<String>,
    },
    /// A browser opened a link, or its button was pressed.
    Visited {
        /// Which.
        visit: u64,
        /// The link's own part.
        token: String,
        /// The button was pressed.
        is_post: bool,
    },
}

/// The codec.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// For an answer.
    pub limit: Duration,
}

impl Protocol for Codec {
    type Request = Request;
    type Reply = Vec<News>;

    fn exchange(&mut self, request: &Request) -> Exchange {
        let bytes = serde_json::to_vec(request).unwrap_or_default();
        match request {
            Request::News => Exchange::ask(bytes, Terminator::LF, LONGEST, self.limit),
            _ => Exchange::order(bytes, self.limit),
        }
    }

    fn decode(&self, _: &Request, _: &[u8], frame: &[u8]) -> Result<Vec<News>, Undecodable> {
        serde_json::from_slice(frame).map_err(|error| Undecodable::Bad(error.to_string()))
    }
}
