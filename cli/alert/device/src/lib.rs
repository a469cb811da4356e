//! What the alerter is to every program on the bus: a device like any other.

use bus::clock::Utc;
use bus::device::{
    ArgumentKind, ArgumentSpec, Class, Description, Property, Quantity, Role, Tone, Verb, Word,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings have its receivers under this key.
pub const RECEIVERS: &str = "receivers";

/// The alerter in one table.
pub const DESCRIPTION: Description = Description {
    kind: "alert",
    label: "alerter",
    model: "mail, webhooks, commands",
    statuses: &[
        Word::new("offline", "OFFLINE", Tone::Bad),
        Word::new("quiet", "QUIET", Tone::Good),
        Word::new("problems", "PROBLEMS", Tone::Warning),
        Word::new("acknowledged", "ACKNOWLEDGED", Tone::Warning),
        Word::new("alert", "ALERT", Tone::Bad),
    ],
    verbs: &[
        Verb::PING,
        // It must not wait for a test.
        Verb::new("ack", "Acknowledge", Class::Overriding).with(&[ArgumentSpec::new(
            "episode",
            "Number of the problem; all, if there is none",
            ArgumentKind::Number { unit: "", step: 1.0 },
        )
        .optional()]),
        Verb::new("test", "Send a test message", Class::Exclusive).with(&[ArgumentSpec::new(
            "receiver",
            "To this receiver only",
            ArgumentKind::Name(RECEIVERS),
        )
        .optional()]),
    ],
    properties: &[
        Property::number("open", "Problems", Quantity::Count, "", 0).role(Role::Headline).with_history(),
        Property::number("unacknowledged", "Not acknowledged", Quantity::Count, "", 0).role(Role::Headline),
        Property::text("episodes", "Problem").many(),
        Property::switch("quiet_hours", "Quiet hours"),
        Property::time("last_message_at", "Last message"),
        Property::text("last_message", "It said"),
        Property::number("waiting", "Messages on their way", Quantity::Count, "", 0).role(Role::Diagnostic),
        Property::text("failing", "Receiver that fails").many(),
        Property::time("heartbeat_at", "Last heartbeat").role(Role::Diagnostic),
        Property::text("devices", "Watched device").many().role(Role::Diagnostic),
    ],
    concerns: concern::CONCERNS,
    ..Description::BARE
};

/// What it may raise as an attention, beside what every bridge may.
pub mod concern {
    bus::concerns! {
        RECEIVER_FAILING = error(
            "receiver_failing",
            "messages do not reach a receiver; the text says which, since when and why. They are kept and tried again, and the other receivers get this as a message",
            "check the receiver (password, address, quota), then `obsbus alert test`"
        );
        HEARTBEAT_FAILING = warning(
            "heartbeat_failing",
            "the address that watches the alerter does not take its heartbeat; the text says why",
            "check `heartbeat.url` in its settings, and whether this machine reaches the internet"
        );
        MESSAGE_LOST = error(
            "message_lost",
            "a message could not be delivered within a day, or more of them waited than are kept; the text says which. It is said for a day",
            "look at `obsbus alert status`, which shows what is the matter now; then at the receiver"
        );
    }
}

/// How things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// The part that delivers messages does not answer.
    Offline,
    /// No problems.
    Quiet,
    /// Problems, none of them critical.
    Problems,
    /// All critical problems are acknowledged.
    Acknowledged,
    /// A critical problem that nobody has acknowledged.
    Alert,
}

/// Its keys of the state beyond the common ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertState {
    /// How many problems there are.
    pub open: u64,
    /// How many of them nobody has acknowledged.
    pub unacknowledged: u64,
    /// One line for each: number, level, device, what, since when, who acknowledged it.
    pub episodes: Vec<String>,
    /// Whether only critical problems make a message now.
    pub quiet_hours: bool,
    /// When the last message was made.
    pub last_message_at: Option<Utc>,
    /// Its subject.
    pub last_message: Option<String>,
    /// How many messages wait for a receiver.
    pub waiting: u64,
    /// The receivers that do not take messages, and why.
    pub failing: Vec<String>,
    /// When the last heartbeat was taken; `null` without a heartbeat.
    pub heartbeat_at: Option<Utc>,
    /// The devices that it watches.
    pub devices: Vec<String>,
}
