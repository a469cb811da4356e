//! The traits that make a device a bridge: its [`Protocol`] (bytes and types) and its
//! [`Controller`] (decisions). Both are pure; the core and the loop around them are the same for
//! every device.

use std::fmt;
use std::time::Duration;

use bus::clock::Utc;
use bus::clock::{Instant, Now};
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::{Concern, Tone, Verb};
use bus::message::{EventBody, Severity};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::explain::candidates::candidates;
use crate::explain::words::words;
use crate::line::{Exchange, NotText};
use crate::store::StoreError;

/// A device's codec.
pub trait Protocol {
    /// A query or an order.
    type Request: Clone + fmt::Debug;
    /// A valid reply.
    type Reply;

    /// One attempt at `request`: its bytes, and how to recognise the end of the reply.
    fn exchange(&mut self, request: &Self::Request) -> Exchange;

    /// Decodes `frame` as the reply to `request`, which was sent as `sent`.
    ///
    /// # Errors
    /// The frame is not a valid reply to exactly this request, or the device refuses.
    fn decode(&self, request: &Self::Request, sent: &[u8], frame: &[u8]) -> Result<Self::Reply, Undecodable>;

    /// The request that these bytes are; `None` if a bridge like this one sends no such bytes. Only for reading
    /// transcripts. The default tries every value of the request's type; a codec whose frames have a counter
    /// in them must compare otherwise.
    fn recognise(&mut self, sent: &[u8]) -> Option<Self::Request>
    where
        Self::Request: DeserializeOwned,
    {
        candidates(sent).find(|request| self.exchange(request).bytes == sent)
    }

    /// The request in words, for people who read a transcript.
    fn request_words(&self, request: &Self::Request) -> String {
        words(&format!("{request:?}"))
    }

    /// A reply in words, with the units of its values.
    fn reply_words(&self, request: &Self::Request, reply: &Self::Reply) -> String
    where
        Self::Reply: fmt::Debug,
    {
        let _ = request;
        words(&format!("{reply:?}"))
    }
}

/// Why a complete frame is not a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// Not a valid reply to this request: worth a retry.
    Bad(String),
    /// Valid, and the device refuses: a retry would not help.
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
    /// The port is open; that proves nothing, but urgent writes are now possible.
    Opened,
    /// The link is lost: earlier readings are invalid.
    Lost {
        /// Why, for people.
        reason: String,
    },
    /// A valid reply has arrived.
    Restored,
}

/// What a controller wants the core to do.
#[derive(Debug)]
pub enum Effect<R, S> {
    /// The state changed.
    Publish,
    /// Give an admitted command its terminal reply.
    Answer(Ticket, Outcome),
    /// Log and publish this event.
    Event(EventBody),
    /// Save this; [`Controller::handle_saved`] gets the result.
    Save(S),
    /// Write this at once, even during an exchange; it has no reply.
    SendImmediately(R),
    /// Close the serial port and leave it closed (`true`), or open it again.
    ReleasePort(bool),
    /// While paused, the device is not polled, and its silence means nothing.
    Pause(bool),
}

/// A condition that a human should know while it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// One word for programs.
    pub name: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// For people.
    pub text: String,
}

impl Condition {
    /// As bad as the table says.
    #[must_use]
    pub fn new(concern: &'static Concern, text: impl Into<String>) -> Self {
        let severity = if concern.tone == Tone::Bad { Severity::Error } else { Severity::Warning };
        Self { name: concern.name, severity, text: text.into() }
    }

    /// A warning of [`Concern::growing`] that has become an error.
    #[must_use]
    pub fn grown(concern: &'static Concern, text: impl Into<String>) -> Self {
        debug_assert!(concern.grows, "{} grows by its table", concern.name);
        Self { severity: Severity::Error, ..Self::new(concern, text) }
    }
}

/// One quantity with a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// Its key in the state.
    pub name: &'static str,
    /// Its unit, as in `meta`: `degC`, `%`, `l/min`, …
    pub unit: &'static str,
    /// Its present value; `None` if unknown.
    pub value: Option<f64>,
}

/// The facts that every device states; the core derives the common keys of the state from them, and
/// publishes each change of the status.
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
    /// Its ticket inside the bridge, with sender and deadline.
    pub ticket: Ticket,
    /// Its verb.
    pub verb: &'static Verb,
    /// Its arguments.
    pub arguments: Arguments,
}

/// A message of another service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its payload.
    pub payload: &'a [u8],
    /// Whether the broker had stored it: its age is unknown, unless the payload has a date.
    pub stored: bool,
}

/// The device refuses a request, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceRefusal(pub String);

/// Makes the decisions for a device. Time is an argument; nothing here does IO. A method has a
/// default only if doing nothing is right for many devices.
///
/// At most one request is in progress: [`Controller::poll_request`] chooses the next one from the
/// state after the reply, so that urgent requests come first.
pub trait Controller {
    /// A query or an order to the device.
    type Request;
    /// A valid reply.
    type Reply;
    /// The published state.
    type State: serde::Serialize;
    /// The data that survive a restart.
    type Saved: serde::Serialize;

    /// Whether a command is possible now, and within what time it will be answered; `None`: the
    /// verb's usual time.
    ///
    /// # Errors
    /// Why it is not possible.
    fn examine(&self, verb: &'static Verb, arguments: &Arguments) -> Result<Option<Duration>, Refusal> {
        let _ = (verb, arguments);
        Ok(None)
    }
    /// A command is admitted and waits for the journal to be on the disk. What the controller must
    /// have saved before it acts can be saved at the same time, and be read of the device, too. No
    /// order may go out yet. Either [`Controller::handle_command`] or [`Controller::withdraw`]
    /// follows.
    fn prepare(&mut self, command: &Command, now: Now) {
        let _ = (command, now);
    }
    /// This command will not run.
    fn withdraw(&mut self, ticket: &Ticket, now: Now) {
        let _ = (ticket, now);
    }
    /// Runs an admitted command; it must end with [`Effect::Answer`] before its deadline.
    fn handle_command(&mut self, command: Command, now: Now);
    /// Handles a message of another service.
    fn handle_input(&mut self, input: Input<'_>, now: Now) {
        let _ = (input, now);
    }
    /// The session with the broker is up, and what the broker had stored was handed over; or it is
    /// lost.
    fn handle_broker(&mut self, is_up: bool, now: Now) {
        let _ = (is_up, now);
    }
    /// Handles the reply to a request, or the device's refusal.
    fn handle_reply(&mut self, request: Self::Request, reply: Result<Self::Reply, DeviceRefusal>, now: Now);
    /// The link to the device was lost or restored.
    fn handle_link(&mut self, change: LinkChange, now: Now);
    /// The last [`Effect::Save`] is on the disk, or has failed.
    fn handle_saved(&mut self, result: Result<(), StoreError>, now: Now) {
        let _ = (result, now);
    }
    /// Time has passed.
    fn handle_timeout(&mut self, now: Now) {
        let _ = now;
    }
    /// When [`Controller::handle_timeout`] or [`Controller::poll_request`] wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;
    /// The next request to the device, if any.
    fn poll_request(&mut self, now: Now) -> Option<Self::Request>;
    /// The order that [`Controller::poll_request`] would return if no query came first. The core
    /// calls this while a query without a reply waits for its retry, which may take seconds.
    fn poll_order(&mut self, _now: Now) -> Option<Self::Request> {
        None
    }
    /// Whether a request without a valid reply is worth a retry.
    fn is_wanted(&self, request: &Self::Request) -> bool;
    /// The next effect.
    fn poll_effect(&mut self) -> Option<Effect<Self::Request, Self::Saved>>;
    /// The process did not run for this time, in which the device could not be heard: what it must
    /// do within a limit gets this much longer.
    fn handle_absence(&mut self, time: Duration, now: Now) {
        let _ = (time, now);
    }
    /// The daemon is ending: bring the device to standstill.
    fn handle_shutdown(&mut self, now: Now) {
        let _ = now;
    }
    /// Whether the device is at standstill, so that the daemon may end.
    fn is_at_rest(&self) -> bool {
        true
    }
    /// Whether the next process may take over now: the device is at standstill, and no order to it
    /// is in progress. What the device does by itself (a pump that runs) may go on.
    fn may_hand_over(&self) -> bool {
        self.is_at_rest()
    }
    /// The conditions that a human should know.
    fn conditions(&self, now: Now) -> Vec<Condition> {
        let _ = now;
        Vec::new()
    }
    /// The common facts.
    fn facts(&self, now: Now) -> Facts;
    /// The keys of the state beyond the common ones.
    fn state(&self, now: Now) -> Self::State;
    /// The quantities with a history: always the same names and units, in the same order.
    fn quantities(&self) -> Vec<Quantity>;
    /// The published status; the core makes an event of each change.
    fn status_word(&self) -> &'static str;
    /// The values of such an event in addition to the two statuses.
    fn details(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}
