//! `<base>/meta`: the bridge's description of itself, for programs that were not written for it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::device::{ArgumentKind, ArgumentSpec, Class, Property, Quantity, Role, Tone, Verb, Word};

/// What this device is, what its state says and which commands it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Meta {
    /// Version of the payloads' shape.
    pub schema: u32,
    /// What sort of instrument: one word.
    pub kind: String,
    /// What people call it.
    #[serde(default)]
    pub label: String,
    /// Maker and type of the instrument.
    pub model: String,
    /// The bridge's version.
    pub version: String,
    /// Seconds after which its state may not be believed.
    pub stale_after_s: f64,
    /// The commands.
    pub verbs: Vec<VerbMeta>,
    /// What its state says: `status`, then the keys of the device.
    #[serde(default)]
    pub properties: Vec<PropertyMeta>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerbMeta {
    /// Last level of the topic.
    pub name: String,
    /// For people: what a button says.
    #[serde(default)]
    pub label: String,
    /// How it goes together with others.
    pub class: Class,
    /// Words of an argument with which it is overriding all the same.
    pub overriding_for: Vec<String>,
    /// Whether something moves: it needs a time.
    pub motion: bool,
    /// Whether it stops what moves.
    #[serde(default)]
    pub stop: bool,
    /// Whether it takes back a device that was released, so it is useful while the device does not answer.
    #[serde(default)]
    pub reclaims: bool,
    /// Whether it needs an id.
    pub needs_id: bool,
    /// Whether it needs a signature: who has none is refused.
    #[serde(default)]
    pub needs_signature: bool,
    /// Longest time to the terminal reply, s.
    pub timeout_s: f64,
    /// Where it is dangerous: what to ask before it is sent.
    #[serde(default)]
    pub question: Option<String>,
    /// The argument of a verb that takes just one, whose bare value is a payload, too; as version 1 had it.
    pub argument: Option<ArgumentMeta>,
    /// All its arguments.
    #[serde(default)]
    pub arguments: Vec<ArgumentMeta>,
}

/// A command's argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArgumentMeta {
    /// Key in the payload.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub label: String,
    /// What it may be; version 1 did not say.
    #[serde(default)]
    pub kind: Option<ArgumentType>,
    /// Unit, of a number.
    pub unit: Option<String>,
    /// Smallest value, of a number.
    pub minimum: Option<f64>,
    /// Largest value, of a number.
    pub maximum: Option<f64>,
    /// What a control goes up and down by, of a number.
    #[serde(default)]
    pub step: Option<f64>,
    /// The words, of a choice: every one that is taken. Of a name: those that are configured.
    pub choices: Option<Vec<String>>,
    /// The words to offer, of a choice, with what people call them.
    #[serde(default)]
    pub choice_labels: BTreeMap<String, String>,
    /// Whether it may be left out.
    pub optional: bool,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentType {
    /// One of the words in `choices`.
    Choice,
    /// A finite number.
    Number,
    /// `true` or `false`; `false` if left out.
    Flag,
    /// One of the configured names in `choices`.
    Name,
}

/// One key of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PropertyMeta {
    /// The key; a dot for each level of nesting.
    pub key: String,
    /// For people.
    pub label: String,
    /// What sort of thing it is.
    pub quantity: Quantity,
    /// Unit, of a number that has one.
    pub unit: Option<String>,
    /// How many decimals are worth showing, of a number.
    pub decimals: Option<u8>,
    /// The values, of an enumeration.
    pub words: Vec<WordMeta>,
    /// What it is for.
    pub role: Role,
    /// Whether it is a list of such.
    pub many: bool,
    /// Whether a history is kept of it.
    pub history: bool,
    /// The verb that sets it.
    pub set_by: Option<String>,
}

/// One value of an enumeration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WordMeta {
    /// On the bus.
    pub word: String,
    /// For people.
    pub label: String,
    /// How good it is.
    pub tone: Tone,
}

impl VerbMeta {
    /// What a control says that cannot sign.
    #[must_use]
    pub fn unsigned_label(&self) -> String {
        let why = if self.needs_signature { " (needs a signature)" } else { "" };
        format!("{}{why}", self.label)
    }

    /// What the table says of a verb; how long it may take, its ranges and names are configuration.
    #[must_use]
    pub fn of(verb: &Verb) -> Self {
        Self {
            name: verb.name.to_owned(),
            label: verb.label.to_owned(),
            class: verb.class,
            overriding_for: verb.overriding_for.iter().map(|word| (*word).to_owned()).collect(),
            motion: verb.motion,
            stop: verb.stop,
            reclaims: verb.reclaims,
            needs_id: verb.relative,
            needs_signature: false,
            timeout_s: 0.0,
            question: verb.question.map(str::to_owned),
            argument: verb.bare().map(ArgumentMeta::of),
            arguments: verb.arguments.iter().map(ArgumentMeta::of).collect(),
        }
    }
}

impl ArgumentMeta {
    /// What the table says of an argument.
    #[must_use]
    pub fn of(spec: &ArgumentSpec) -> Self {
        let mut meta = Self {
            name: spec.name.to_owned(),
            label: spec.label.to_owned(),
            kind: None,
            unit: None,
            minimum: None,
            maximum: None,
            step: None,
            choices: None,
            choice_labels: BTreeMap::new(),
            optional: spec.optional,
        };
        meta.kind = Some(match spec.kind {
            ArgumentKind::Choice(choices) => {
                let words = choices.iter().flat_map(|choice| choice.aliases.iter().chain([&choice.word]));
                meta.choices = Some(words.map(|word| (*word).to_owned()).collect());
                let labels = choices.iter().map(|choice| (choice.word.to_owned(), choice.label.to_owned()));
                meta.choice_labels = labels.collect();
                ArgumentType::Choice
            }
            ArgumentKind::Number { unit, step } => {
                meta.unit = Some(unit.to_owned());
                meta.step = Some(step);
                ArgumentType::Number
            }
            ArgumentKind::Flag => ArgumentType::Flag,
            ArgumentKind::Name(_) => ArgumentType::Name,
        });
        meta
    }
}

impl PropertyMeta {
    /// What the table says of a key of the state.
    #[must_use]
    pub fn of(property: &Property) -> Self {
        let is_number = property.quantity.is_numeric();
        Self {
            key: property.key.to_owned(),
            label: property.label.to_owned(),
            quantity: property.quantity,
            unit: (is_number && !property.unit.is_empty()).then(|| property.unit.to_owned()),
            decimals: is_number.then_some(property.decimals),
            words: property.words.iter().map(WordMeta::of).collect(),
            role: property.role,
            many: property.many,
            history: property.history,
            set_by: property.set_by.map(str::to_owned),
        }
    }
}

impl WordMeta {
    /// What the table says of a word.
    #[must_use]
    pub fn of(word: &Word) -> Self {
        Self { word: word.word.to_owned(), label: word.label.to_owned(), tone: word.tone }
    }
}
