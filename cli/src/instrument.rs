//! An instrument's description: from its `meta`, or from the one that a tool was built with. Pure.
//!
//! A `meta` was written by another program: parts that cannot be used on a command line or in a
//! topic are left out, and every label is escaped once, here.

use std::collections::BTreeSet;

use bus::device::{Description, Property, Quantity, Role, Tone, Verb};
use bus::message::{ArgumentMeta, ArgumentType, Meta, PropertyMeta, SCHEMA, VerbMeta, WordMeta, echo};
use serde_json::{Map, Value};

use crate::style::{Style, tone_colour};
use crate::text::{age, date};

/// The key of the word that every state has.
const STATUS: &str = "status";
/// Limit of decimals.
const MOST_DECIMALS: u8 = 6;

/// An instrument's description.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument {
    /// Its `meta`, without unusable parts.
    pub meta: Meta,
}

/// Why a `meta` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the meta of this device cannot be read: is this program as new as the bridge?")]
pub struct MetaError(#[from] serde_json::Error);

impl Instrument {
    /// Reads a `meta`.
    ///
    /// # Errors
    /// It is not a `meta` that this program knows.
    pub fn read(payload: &[u8]) -> Result<Self, MetaError> {
        Ok(Self { meta: usable(serde_json::from_slice(payload)?) })
    }

    /// From its description, without the values that only a running bridge knows: ranges and
    /// timeouts.
    #[must_use]
    pub fn described(description: &Description) -> Self {
        let status = Property::word(STATUS, "Status", description.statuses).role(Role::Headline);
        Self {
            meta: Meta {
                schema: SCHEMA,
                kind: description.kind.to_owned(),
                label: description.label.to_owned(),
                model: description.model.to_owned(),
                version: String::new(),
                stale_after_s: 0.0,
                verbs: Self::verbs(description.verbs).collect(),
                properties: [&status]
                    .into_iter()
                    .chain(description.properties)
                    .map(PropertyMeta::of)
                    .collect(),
            },
        }
    }

    /// Verbs as a description has them.
    pub fn verbs(verbs: &[Verb]) -> impl Iterator<Item = VerbMeta> {
        verbs.iter().map(VerbMeta::of)
    }

    /// A device without a received `meta`.
    #[must_use]
    pub fn unknown() -> Self {
        let device = || "device".to_owned();
        Self {
            meta: Meta {
                schema: SCHEMA,
                kind: device(),
                label: device(),
                model: String::new(),
                version: String::new(),
                stale_after_s: 0.0,
                verbs: Vec::new(),
                properties: Vec::new(),
            },
        }
    }

    /// Whether a bridge has described it, and not this program.
    #[must_use]
    pub fn is_from_bridge(&self) -> bool {
        // Only a bridge has a version.
        !self.meta.version.is_empty()
    }

    /// What people call it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.meta.label
    }

    /// The verb `name`.
    #[must_use]
    pub fn verb(&self, name: &str) -> Option<&VerbMeta> {
        self.meta.verbs.iter().find(|verb| verb.name == name)
    }

    /// The verb that stops a motion, if anything can move.
    #[must_use]
    pub fn stop(&self) -> Option<&VerbMeta> {
        self.meta.verbs.iter().find(|verb| verb.stop)
    }

    /// Whether a command with this verb ends a motion, so that its failure must not be overlooked.
    #[must_use]
    pub fn halts(&self, verb: &VerbMeta) -> bool {
        verb.stop || (self.stop().is_some() && verb.class == bus::device::Class::Overriding)
    }

    /// Whether the user can wait for it, stop it by Ctrl-C and ask for its outcome.
    #[must_use]
    pub fn moves(&self, verb: &VerbMeta) -> bool {
        verb.motion && self.stop().is_some()
    }

    /// The properties of this role, except the status.
    pub fn properties(&self, role: Role) -> impl Iterator<Item = &PropertyMeta> {
        self.meta.properties.iter().filter(move |property| property.role == role && property.key != STATUS)
    }

    /// Label and tone of a word of `status`.
    #[must_use]
    pub fn status(&self, word: &str) -> Option<&WordMeta> {
        let status = self.meta.properties.iter().find(|property| property.key == STATUS)?;
        status.words.iter().find(|known| known.word == word)
    }

    /// With other tones of some statuses.
    #[must_use]
    pub fn with_tones(mut self, tones: &[(&str, Tone)]) -> Self {
        let statuses = self.meta.properties.iter_mut().filter(|property| property.key == STATUS);
        for word in statuses.flat_map(|status| &mut status.words) {
            if let Some((_, tone)) = tones.iter().find(|(status, _)| *status == word.word) {
                word.tone = *tone;
            }
        }
        self
    }

    /// The colour of a status; for an unknown one, that of a warning.
    #[must_use]
    pub fn status_colour(&self, word: &str) -> &'static str {
        tone_colour(self.status(word).map_or(Tone::Warning, |word| word.tone))
    }

    /// Whether a status means that something is in progress.
    #[must_use]
    pub fn is_busy(&self, word: &str) -> bool {
        self.status(word).is_some_and(|word| word.tone == Tone::Busy)
    }

    /// The position along its axis: the headline of a device that moves.
    #[must_use]
    pub fn position(&self) -> Option<&PropertyMeta> {
        let along_an_axis = |property: &&PropertyMeta| {
            matches!(property.quantity, Quantity::Position | Quantity::Angle) && !property.many
        };
        self.properties(Role::Headline)
            .find(along_an_axis)
            .or_else(|| self.properties(Role::Reading).find(along_an_axis))
    }

    /// The target: the number that a motion sets.
    #[must_use]
    pub fn target(&self) -> Option<&PropertyMeta> {
        self.meta.properties.iter().find(|property| {
            let setter = property.set_by.as_deref().and_then(|verb| self.verb(verb));
            property.quantity.is_numeric() && !property.many && setter.is_some_and(|verb| verb.motion)
        })
    }
}

/// The value under a key whose dots are levels.
#[must_use]
pub fn value<'a>(state: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let mut levels = key.split('.');
    let first = state.get(levels.next()?)?;
    levels.try_fold(first, |value, level| value.get(level)).filter(|value| !value.is_null())
}

/// The number under a key.
#[must_use]
pub fn number(state: &Map<String, Value>, key: &str) -> Option<f64> {
    value(state, key)?.as_f64().filter(|number| number.is_finite())
}

/// A number with the property's decimals, without its unit.
#[must_use]
pub fn figure(property: &PropertyMeta, number: f64) -> String {
    let decimals = usize::from(property.decimals.unwrap_or(0));
    let text = format!("{number:.decimals$}");
    // Zero has no sign.
    let is_nothing = text.trim_start_matches(['-', '0', '.']).is_empty();
    if is_nothing { text.trim_start_matches('-').to_owned() } else { text }
}

/// The unit as it is printed right behind a number: `°C`, `%`, ` mm`.
#[must_use]
pub fn unit(unit: Option<&str>) -> String {
    match unit.unwrap_or_default() {
        "" => String::new(),
        "degC" => "°C".to_owned(),
        "degF" => "°F".to_owned(),
        "deg" => "°".to_owned(),
        "%" => "%".to_owned(),
        other => format!(" {other}"),
    }
}

/// A value for people; `None` if it is unknown, or its type differs from the property's.
#[must_use]
pub fn shown(property: &PropertyMeta, value: &Value, style: Style) -> Option<String> {
    if !property.many {
        return one(property, value, style);
    }
    let values = value.as_array()?;
    if values.is_empty() {
        return Some("none".to_owned());
    }
    let unit = unit(property.unit.as_deref());
    let each = values.iter().map(|value| match (property.quantity.is_numeric(), value.as_f64()) {
        (true, Some(number)) => figure(property, number),
        (true, None) => "-".to_owned(),
        _ => one(property, value, style).unwrap_or_else(|| "-".to_owned()),
    });
    Some(each.collect::<Vec<_>>().join(", ") + &unit)
}

fn one(property: &PropertyMeta, value: &Value, style: Style) -> Option<String> {
    match property.quantity {
        Quantity::Switch => {
            let on = value.as_bool()?;
            let (yes, no) = if property.set_by.is_some() { ("on", "off") } else { ("yes", "no") };
            Some(if on { yes } else { no }.to_owned())
        }
        Quantity::Word => {
            let word = value.as_str()?;
            Some(match property.words.iter().find(|known| known.word == word) {
                Some(known) => style.paint(tone_colour(known.tone), &known.label),
                None => echo(word).replace('_', " "),
            })
        }
        Quantity::Text => Some(echo(value.as_str()?)),
        Quantity::Time => Some(date(bus::clock::Utc::parse(value.as_str()?).ok()?)),
        Quantity::Duration if property.unit.as_deref() == Some("s") => Some(age(value.as_f64()?)),
        Quantity::Ratio if property.unit.is_none() => Some(format!("{:.0}%", value.as_f64()? * 100.0)),
        _ => Some(figure(property, value.as_f64()?) + &unit(property.unit.as_deref())),
    }
}

/// Removes unusable parts, and escapes every label.
fn usable(mut meta: Meta) -> Meta {
    meta.kind = echo(&meta.kind);
    meta.label = if meta.label.trim().is_empty() { meta.kind.clone() } else { echo(&meta.label) };
    meta.model = echo(&meta.model);
    meta.version = echo(&meta.version);
    let mut seen = BTreeSet::new();
    meta.verbs.retain(|verb| is_verb(&verb.name) && seen.insert(verb.name.clone()));
    for verb in &mut meta.verbs {
        verb.label = echo(&verb.label);
        verb.question = verb.question.take().map(|question| echo(&question));
        // Version 1 had one at most.
        if verb.arguments.is_empty() {
            verb.arguments.extend(verb.argument.clone());
        }
        let mut seen = BTreeSet::new();
        verb.arguments.retain(|argument| is_verb(&argument.name) && seen.insert(argument.name.clone()));
        verb.arguments.iter_mut().for_each(usable_argument);
    }
    let mut seen = BTreeSet::new();
    meta.properties.retain(|property| seen.insert(property.key.clone()));
    for property in &mut meta.properties {
        property.label = echo(&property.label);
        property.unit = property.unit.take().map(|unit| echo(&unit)).filter(|unit| !unit.is_empty());
        property.decimals = property.decimals.map(|decimals| decimals.min(MOST_DECIMALS));
        property.words.iter_mut().for_each(|word| word.label = echo(&word.label));
    }
    meta
}

fn usable_argument(argument: &mut ArgumentMeta) {
    argument.label = echo(&argument.label);
    argument.unit = argument.unit.take().map(|unit| echo(&unit));
    argument.choice_labels.values_mut().for_each(|label| *label = echo(label));
    let kind = match argument {
        ArgumentMeta { kind: Some(kind), .. } => *kind,
        // Version 1 did not have it.
        ArgumentMeta { choices: Some(_), .. } => ArgumentType::Choice,
        ArgumentMeta { minimum: Some(_), .. } | ArgumentMeta { unit: Some(_), .. } => ArgumentType::Number,
        _ => ArgumentType::Flag,
    };
    argument.kind = Some(kind);
    argument.optional |= kind == ArgumentType::Flag;
}

/// Whether `text` has the permitted characters of a verb or an argument.
pub(crate) fn is_verb(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use bus::device::Word;
    use serde_json::json;

    use super::*;

    fn read(meta: &Value) -> Instrument {
        Instrument::read(meta.to_string().as_bytes()).unwrap()
    }

    fn hostile() -> Value {
        json!({
            "schema": 2, "kind": "lamp\u{1b}[2J", "label": "  ", "model": "\u{7}", "version": "1", "stale_after_s": 10.0,
            "verbs": [
                {"name": "../state", "class": "query", "overriding_for": [], "motion": false, "needs_id": false,
                 "timeout_s": 1.0, "argument": null},
                {"name": "dim", "label": "Dim\u{1b}c", "class": "exclusive", "overriding_for": [], "motion": false,
                 "needs_id": false, "timeout_s": 1.0,
                 "argument": {"name": "percent", "unit": "%", "minimum": 0.0, "maximum": 100.0, "choices": null,
                              "optional": false}},
                {"name": "dim", "class": "exclusive", "overriding_for": [], "motion": false, "needs_id": false,
                 "timeout_s": 1.0, "argument": null},
            ],
            "properties": [
                {"key": "level", "label": "Level\u{1b}[31m", "quantity": "ratio", "unit": "%\u{0}", "decimals": 250,
                 "words": [], "role": "reading", "many": false, "history": false, "set_by": null},
            ],
        })
    }

    #[test]
    fn a_program_may_give_a_status_another_tone() {
        const LAMP: Description = Description {
            kind: "lamp",
            label: "lamp",
            model: "",
            statuses: &[Word::new("lit", "LIT", Tone::Good), Word::new("dark", "DARK", Tone::Good)],
            verbs: &[],
            properties: &[],
            ..Description::BARE
        };
        let lamp = Instrument::described(&LAMP).with_tones(&[("lit", Tone::Busy), ("gone", Tone::Bad)]);
        let colours = [lamp.status_colour("lit"), lamp.status_colour("dark")];
        assert_eq!(colours, [tone_colour(Tone::Busy), tone_colour(Tone::Good)]);
    }

    #[test]
    fn what_cannot_be_used_of_a_meta_is_left_out_and_its_labels_command_no_terminal() {
        let lamp = read(&hostile());
        assert_eq!(lamp.label(), "lamp\\u{1b}[2J");
        assert_eq!(lamp.meta.verbs.len(), 1, "{lamp:?}");
        assert_eq!(lamp.verb("dim").unwrap().label, "Dim\\u{1b}c");
        let level = &lamp.meta.properties[0];
        let text = shown(level, &json!(12.5), Style::Plain).unwrap();
        assert_eq!((level.label.as_str(), text.as_str()), ("Level\\u{1b}[31m", "12.500000 %\\u{0}"));
    }

    #[test]
    fn the_one_argument_of_version_1_is_an_argument_and_its_kind_is_guessed() {
        let lamp = read(&hostile());
        let percent = &lamp.verb("dim").unwrap().arguments[0];
        assert_eq!((percent.name.as_str(), percent.kind), ("percent", Some(ArgumentType::Number)));
    }

    #[test]
    fn values_have_their_unit_and_decimals_and_words_their_label() {
        let tone = Word::new("low", "LOW", Tone::Warning);
        let words: &'static [Word] = Box::leak(Box::new([tone]));
        let number = |quantity, unit, decimals| {
            PropertyMeta::of(&Property::number("x", "X", quantity, unit, decimals))
        };
        let plain = |property: &PropertyMeta, value: Value| shown(property, &value, Style::Plain);
        let says = |text: &str| Some(text.to_owned());
        let celsius = number(Quantity::Temperature, "degC", 1);
        assert_eq!(plain(&celsius, json!(18.25)), says("18.2°C"));
        assert_eq!(plain(&celsius, json!(-0.01)), says("0.0°C"));
        assert_eq!(plain(&celsius, json!("18")), None);
        assert_eq!(plain(&number(Quantity::Position, "mm", 3), json!(2)), says("2.000 mm"));
        assert_eq!(plain(&number(Quantity::Ratio, "", 2), json!(0.434)), says("43%"));
        assert_eq!(plain(&number(Quantity::Duration, "s", 0), json!(7300)), says("2.0 h"));
        assert_eq!(plain(&PropertyMeta::of(&Property::switch("x", "X")), json!(true)), says("yes"));
        let settable = PropertyMeta::of(&Property::switch("x", "X").set_by("light"));
        assert_eq!(plain(&settable, json!(false)), says("off"));
        let word = PropertyMeta::of(&Property::word("x", "X", words));
        assert_eq!(shown(&word, &json!("low"), Style::Coloured), says("\u{1b}[33mLOW\u{1b}[0m"));
        assert_eq!(plain(&word, json!("very_low\n")), says("very low\\n"));
        let at = PropertyMeta::of(&Property::time("x", "X"));
        assert_eq!(plain(&at, json!("2026-11-30T03:12:07.000Z")), says("2026-11-30 03:12:07 UTC"));
        let amperes = PropertyMeta::of(&Property::number("x", "X", Quantity::Current, "A", 1).many());
        assert_eq!(plain(&amperes, json!([4.0, null])), says("4.0, - A"));
        assert_eq!(plain(&PropertyMeta::of(&Property::text("x", "X").many()), json!([])), says("none"));
    }

    #[test]
    fn dots_in_a_key_are_levels() {
        let Value::Object(state) = json!({"inputs": {"power": {"age_s": 1.5}}, "a": null}) else { panic!() };
        assert_eq!(number(&state, "inputs.power.age_s"), Some(1.5));
        assert_eq!((value(&state, "inputs.dome.age_s"), value(&state, "a")), (None, None));
    }
}
