//! `<base>/reply/<identity>/<id>`: what became of a request; and the codes, which are exit codes too.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Utc;
use crate::topic::Identity;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplyStatus {
    /// Admitted; exactly one of the terminal ones follows.
    Accepted,
    /// Asked again while it runs; one terminal reply follows for all who asked.
    InProgress,
    /// The device was read back and agrees.
    Succeeded,
    /// It did not come about.
    Failed,
    /// Not admitted.
    Rejected,
    /// The device did not get there in time.
    TimedOut,
    /// Another command ended it.
    Stopped,
}

impl ReplyStatus {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Accepted | Self::InProgress)
    }

    /// The word on the bus.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::InProgress => "in_progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::TimedOut => "timed_out",
            Self::Stopped => "stopped",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)+) => {
        /// Why a request ended as it did; the command line tools exit with it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name = $number,)+ }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The number on the bus.
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The word that goes with it, where there is but one.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

codes! {
    /// The device was read back and agrees.
    Succeeded = 0, "succeeded";
    /// It did not come about.
    Failed = 1, "failed";
    /// Another command runs.
    Blocked = 2, "blocked";
    /// This identity may not.
    NotAuthorised = 3, "not_authorised";
    /// The value is outside its limits.
    OutsideLimits = 6, "outside_limits";
    /// The device cannot be commanded now.
    NotConnected = 7, "not_connected";
    /// It is already connected.
    AlreadyConnected = 8, "already_connected";
    /// Only in manual mode.
    ModeIsAutomatic = 10, "mode_is_automatic";
    /// The payload cannot be understood.
    Malformed = 20, "malformed";
    /// This device has no such verb.
    UnknownVerb = 21, "unknown_verb";
    /// Commands are never retained.
    Retained = 22, "retained";
    /// Older than its time to live.
    Expired = 23, "expired";
    /// The sender's clock or the bridge's cannot be right.
    ClockSkew = 24, "clock_skew";
    /// The request lacks what makes it safe to run.
    IdRequired = 25, "id_required";
    /// This id stood for another request.
    IdReused = 26, "id_reused";
    /// Another command ended it.
    Stopped = 28, "stopped";
    /// The device did not get there in time.
    TimedOut = 29, "timed_out";
    /// The bridge ended while it ran.
    Interrupted = 30, "interrupted";
    /// The broker lets anybody command under any name.
    AclOpen = 31, "acl_open";
    /// The unit has an alarm.
    Alarm = 32, "alarm";
    /// The bridge has just connected, or is to end.
    NotReady = 33, "not_ready";
    /// This verb needs a signature.
    Unsigned = 34, "unsigned";
    /// Its signature proves nothing.
    BadSignature = 35, "bad_signature";
}

/// The further words of codes that have more than one.
pub mod reason {
    /// Of code 7: what moves does not know where it is.
    pub const NOT_HOMED: &str = "not_homed";
    /// Of code 7: the bridge has let go of the device.
    pub const RELEASED: &str = "released";
    /// Of code 35: the bridge has nothing to verify it by.
    pub const SIGNATURE_UNCHECKED: &str = "signature_unchecked";
    /// Of code 25: motion without a time.
    pub const TS_REQUIRED: &str = "ts_required";
}

impl Code {
    /// The code with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| u64::from(code.number()) == number)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Self::from_number(number)
            .ok_or_else(|| serde::de::Error::custom(format!("{number} is not a code of the bus")))
    }
}

impl JsonSchema for Code {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Code".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let numbers: Vec<u8> = Self::ALL.iter().map(|code| code.number()).collect();
        let words: Vec<String> =
            Self::ALL.iter().map(|code| format!("{} {}", code.number(), code.reason())).collect();
        json_schema!({ "type": "integer", "enum": numbers, "description": words.join(", ") })
    }
}

/// What became of a request. Every key is always present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// The request's id, `null` if it had none that could be used.
    pub id: Option<String>,
    /// What was asked.
    pub verb: String,
    /// Who asked, as the broker vouches.
    pub by: Identity,
    /// How far it has come.
    pub status: ReplyStatus,
    /// `null` until the terminal reply.
    pub code: Option<Code>,
    /// One word.
    pub reason: String,
    /// For humans.
    pub message: String,
    /// What else the sender should know: `response_topic_ignored`.
    pub note: Option<String>,
    /// When the request arrived.
    pub received_at: Utc,
    /// By when the terminal reply comes, for a request that was admitted.
    pub deadline: Option<Utc>,
    /// When it ended.
    pub finished_at: Option<Utc>,
    /// Counts the replies of this session.
    pub seq: u64,
    /// Whether this repeats a verdict given before.
    pub duplicate: bool,
}
