//! The bridge's description of itself: the instrument's table, with what the settings say of it.

use bus::device::{ArgumentKind, ArgumentSpec, Property, Role, Verb, Word};
use bus::message::{ArgumentMeta, ArgumentType, Meta, PropertyMeta, SCHEMA, VerbMeta, WordMeta};

use super::CoreSettings;

const STATUS: &str = "status";

pub(super) fn of(settings: &CoreSettings) -> Meta {
    let description = settings.description;
    let status = Property::word(STATUS, "Status", description.statuses).role(Role::Headline);
    Meta {
        schema: SCHEMA,
        kind: description.kind.to_owned(),
        label: description.label.to_owned(),
        model: description.model.to_owned(),
        version: settings.version.to_owned(),
        stale_after_s: settings.stale_after.as_secs_f64(),
        verbs: description.verbs.iter().map(|verb| verb_meta(settings, verb)).collect(),
        properties: [&status].into_iter().chain(description.properties).map(property_meta).collect(),
    }
}

fn verb_meta(settings: &CoreSettings, verb: &Verb) -> VerbMeta {
    let arguments = verb.arguments.iter().map(|spec| argument_meta(settings, verb, spec));
    VerbMeta {
        name: verb.name.to_owned(),
        label: verb.label.to_owned(),
        class: verb.class,
        overriding_for: verb.overriding_for.iter().map(|word| (*word).to_owned()).collect(),
        motion: verb.motion,
        stop: verb.stop,
        needs_id: verb.relative,
        timeout_s: settings.desk.timeout(verb.name).as_secs_f64(),
        question: verb.question.map(str::to_owned),
        argument: verb.bare().map(|spec| argument_meta(settings, verb, spec)),
        arguments: arguments.collect(),
    }
}

fn argument_meta(settings: &CoreSettings, verb: &Verb, spec: &ArgumentSpec) -> ArgumentMeta {
    let mut meta = ArgumentMeta {
        name: spec.name.to_owned(),
        label: spec.label.to_owned(),
        kind: None,
        unit: None,
        minimum: None,
        maximum: None,
        step: None,
        choices: None,
        choice_labels: Default::default(),
        optional: spec.optional,
    };
    meta.kind = Some(match spec.kind {
        ArgumentKind::Choice(choices) => {
            let words = choices.iter().flat_map(|choice| choice.aliases.iter().chain([&choice.word]));
            meta.choices = Some(words.map(|word| (*word).to_owned()).collect());
            meta.choice_labels =
                choices.iter().map(|choice| (choice.word.to_owned(), choice.label.to_owned())).collect();
            ArgumentType::Choice
        }
        ArgumentKind::Number { unit, step } => {
            let range = settings.desk.ranges.get(&(verb.name, spec.name));
            meta.unit = Some(unit.to_owned());
            meta.minimum = range.map(|range| *range.start());
            meta.maximum = range.map(|range| *range.end());
            meta.step = Some(step);
            ArgumentType::Number
        }
        ArgumentKind::Flag => ArgumentType::Flag,
        ArgumentKind::Name(list) => {
            meta.choices = Some(settings.desk.names.get(list).cloned().unwrap_or_default());
            ArgumentType::Name
        }
    });
    meta
}

fn property_meta(property: &Property) -> PropertyMeta {
    let number = property.quantity.is_numeric();
    PropertyMeta {
        key: property.key.to_owned(),
        label: property.label.to_owned(),
        quantity: property.quantity,
        unit: (number && !property.unit.is_empty()).then(|| property.unit.to_owned()),
        decimals: number.then_some(property.decimals),
        words: property.words.iter().map(word_meta).collect(),
        role: property.role,
        many: property.many,
        history: property.history,
        set_by: property.set_by.map(str::to_owned),
    }
}

fn word_meta(word: &Word) -> WordMeta {
    WordMeta { word: word.word.to_owned(), label: word.label.to_owned(), tone: word.tone }
}
