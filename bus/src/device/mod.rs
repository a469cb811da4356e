//! What an instrument is: one table of constants, its [`Description`].
//!
//! The bridge publishes it as `meta`, the Desk admits commands by its verbs, and every client draws
//! the instrument from it. Nothing in this crate knows a particular instrument.

mod check;
mod concern;
pub mod every_bridge;
mod property;
mod verb;

pub use concern::Concern;
pub use property::{Property, Quantity, Role, Tone, Word};
pub use verb::{ArgumentKind, ArgumentSpec, Choice, Class, Verb, find};

/// An instrument in one table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Description {
    /// One word for programs, with the characters of a topic's level.
    pub kind: &'static str,
    /// What people call it: `dew heater`.
    pub label: &'static str,
    /// Maker and type.
    pub model: &'static str,
    /// The words of `status`, each with its label (upper case) and tone.
    pub statuses: &'static [Word],
    /// Its verbs.
    pub verbs: &'static [Verb],
    /// The keys of its state beyond the common ones.
    pub properties: &'static [Property],
    /// Other services of the site whose readings its bridge uses.
    pub services: &'static [Service],
    /// The attentions that its bridge may raise, beside those of every bridge.
    pub concerns: &'static [Concern],
}

/// A service of the site whose readings a bridge uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The service's identity.
    pub identity: &'static str,
    /// Where it publishes, below the site; the last level may be `+`.
    pub topic: &'static str,
}

impl Description {
    /// With nothing in it, for what an instrument does not have.
    pub const BARE: Self = Self {
        kind: "",
        label: "",
        model: "",
        statuses: &[],
        verbs: &[],
        properties: &[],
        services: &[],
        concerns: &[],
    };

    /// The verb `name`.
    #[must_use]
    pub fn verb(&self, name: &str) -> Option<&'static Verb> {
        find(self.verbs, name)
    }

    /// The label of a status for people, upper case; the word itself if the table lacks it.
    #[must_use]
    pub fn status_label<'a>(&self, status: &'a str) -> &'a str {
        self.statuses.iter().find(|word| word.word == status).map_or(status, |word| word.label)
    }

    /// The tone of a status, if the table has it.
    #[must_use]
    pub fn status_tone(&self, status: &str) -> Option<Tone> {
        self.statuses.iter().find(|word| word.word == status).map(|word| word.tone)
    }

    /// Whether the instrument has a stop.
    #[must_use]
    pub fn has_stop(&self) -> bool {
        self.verbs.iter().any(|verb| verb.stop)
    }
}
