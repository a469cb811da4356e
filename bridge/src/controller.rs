//! What a device must bring to become a bridge: its [`Protocol`] (bytes and types) and its
//! [`Controller`] (what it decides). Both are pure; the core and the loop around them are the same
//! for every device.

use std::fmt;
use std::time::Duration;

use bus::clock::Utc;
use bus::clock::{Instant, Now};
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::Verb;
use bus::message::{EventBody, Severity};
use serde_json::Value;

use crate::line::{Exchange, NotText};
use crate::store::StoreError;

/// A device's codec.
pub trait Protocol {
    /// A question or an order.
    type Request: Clone + fmt::Debug;
    /// What a valid answer says.
    type Reply;

    /// One attempt at `request`: its bytes, and how to know the answer's end.
    fn exchange(&mut self, request: &Self::Request) -> Exchange;

    /// Reads `frame` as the answer to `request`, which was sent as `sent`.
    ///
    /// # Errors
    /// The frame is not a valid answer to just this, or the device refuses.
    fn decode(&self, request: &Self::Request, sent: &[u8], frame: &[u8]) -> Result<Self::Reply, Undecodable>;
}

/// Why a complete frame is no reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// Not a valid answer to this request: worth asking again.
    Bad(String),
    /// Valid, and the device refuses: asking again would not help.
    Refused(String),
}

impl From<NotText> for Undecodable {
    fn from(error: NotText) -> Self {
        Self::Bad(error.to_string())
    }
}

/// A change of the link to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// The port is open; that proves nothing, but what must go out at once can.
    Opened,
    /// What was read no longer counts.
    Lost {
        /// Why, for humans.
        reason: String,
    },
    /// A valid reply is in.
    Restored,
}

/// What a controller wants done.
#[derive(Debug)]
pub enum Effect<R, S> {
    /// The state changed.
    Publish,
    /// Give an admitted command its terminal reply.
    Answer(Ticket, Outcome),
    /// Log and publish this event.
    Happened(EventBody),
    /// Save this; [`Controller::handle_saved`] tells how that went.
    Save(S),
    /// Write this at once, whatever exchange is out; it has no reply.
    SendImmediately(R),
    /// Close the serial port and leave it closed (`true`), or open it again.
    ReleasePort(bool),
    /// While paused, the device is not asked and its silence means nothing.
    Pause(bool),
}

/// A condition a human should know of, as long as it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// One word for programs.
    pub name: &'static str,
    /// How bad.
    pub severity: Severity,
    /// For humans.
    pub text: String,
}

impl Condition {
    /// Something that does not work.
    #[must_use]
    pub fn error(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, severity: Severity::Error, text: text.into() }
    }

    /// Something that works, but look.
    #[must_use]
    pub fn warning(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, severity: Severity::Warning, text: text.into() }
    }
}

/// One figure of which a history is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// Its key in the state.
    pub name: &'static str,
    /// Its unit, as in `meta`: `degC`, `%`, `l/min`, …
    pub unit: &'static str,
    /// As it is now; `None` if it is not known.
    pub value: Option<f64>,
}

/// What every device states; the core makes the common keys of the state from it, and tells when
/// the status changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// A word of the description's statuses.
    pub status: &'static str,
    /// Why, as one word.
    pub reason: &'static str,
    /// One sentence for people: what it does, and why.
    pub summary: String,
    /// Time of the last valid reading.
    pub date: Option<Utc>,
    /// Whether the device answers.
    pub connected: bool,
}

/// An admitted command.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its name inside the bridge, with who asked and by when it must end.
    pub ticket: Ticket,
    /// Its row in the table.
    pub verb: &'static Verb,
    /// Its arguments.
    pub arguments: Arguments,
}

/// A message of another service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Where it came from.
    pub topic: &'a str,
    /// What it says.
    pub payload: &'a [u8],
    /// Whether the broker had stored it: its age is unknown, unless it says so itself.
    pub stored: bool,
}

/// The device refuses a request, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceRefusal(pub String);

/// What decides for a device. Time is an argument; nothing here does IO. Where nothing is the honest
/// answer, it is the default.
///
/// At most one request is out: the next is chosen, by [`Controller::poll_request`], from the state
/// when the reply is in, so that what is urgent overtakes by itself.
pub trait Controller {
    /// A question or an order to the device.
    type Request;
    /// A valid answer.
    type Reply;
    /// What is published.
    type State: serde::Serialize;
    /// What survives a restart.
    type Saved: serde::Serialize;

    /// Whether a command would be possible just now, and within what time it would be answered; `None`:
    /// the verb's usual one.
    ///
    /// # Errors
    /// Why it is not possible.
    fn examine(&self, verb: &'static Verb, arguments: &Arguments) -> Result<Option<Duration>, Refusal> {
        let _ = (verb, arguments);
        Ok(None)
    }
    /// Runs an admitted command; it must end with [`Effect::Answer`] before its deadline.
    fn handle_command(&mut self, command: Command, now: Now);
    /// Takes what another service published.
    fn handle_input(&mut self, input: Input<'_>, now: Now) {
        let _ = (input, now);
    }
    /// Takes the answer to a request, or the device's refusal.
    fn handle_reply(&mut self, request: Self::Request, reply: Result<Self::Reply, DeviceRefusal>, now: Now);
    /// The link to the device was lost or restored.
    fn handle_link(&mut self, change: LinkChange, now: Now);
    /// The last [`Effect::Save`] is on the disk, or is not.
    fn handle_saved(&mut self, result: Result<(), StoreError>, now: Now) {
        let _ = (result, now);
    }
    /// Time has passed.
    fn handle_timeout(&mut self, now: Now) {
        let _ = now;
    }
    /// When [`Controller::handle_timeout`] or [`Controller::poll_request`] wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;
    /// What to ask the device now, if anything.
    fn poll_request(&mut self, now: Now) -> Option<Self::Request>;
    /// The order that [`Controller::poll_request`] would give, but for questions that come first: asked
    /// for while a question that found no answer waits to be asked again, since that may take seconds.
    fn poll_order(&mut self, _now: Now) -> Option<Self::Request> {
        None
    }
    /// Whether a request that brought no valid answer is worth asking again.
    fn is_wanted(&self, request: &Self::Request) -> bool;
    /// What is to be done.
    fn poll_effect(&mut self) -> Option<Effect<Self::Request, Self::Saved>>;
    /// The daemon is to end: bring the device to rest.
    fn handle_shutdown(&mut self, now: Now) {
        let _ = now;
    }
    /// Whether the device is at rest, so that the daemon may end.
    fn is_at_rest(&self) -> bool {
        true
    }
    /// What a human should know.
    fn conditions(&self, now: Now) -> Vec<Condition> {
        let _ = now;
        Vec::new()
    }
    /// What every device states.
    fn facts(&self, now: Now) -> Facts;
    /// What is published beyond the common keys.
    fn state(&self, now: Now) -> Self::State;
    /// What of it a history is kept of: always the same names and units, in the same order.
    fn quantities(&self) -> Vec<Quantity>;
    /// The status as it is published; the core makes an event of each change.
    fn status_word(&self) -> &'static str;
    /// What stands in such an event beside the two statuses.
    fn details(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}
