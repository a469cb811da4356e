//! The controls for the verbs: a number, select or switch if a property shows what the verb sets, a button
//! if the verb needs no argument.

use super::entity::{Component, Entity, Maker, Needs, Source};
use super::{template, units};
use crate::device::{Class, Quantity};
use crate::message::{ArgumentMeta, ArgumentType, PropertyMeta, VerbMeta};

/// The smallest step that Home Assistant accepts.
const LEAST_STEP: f64 = 0.001;

/// The control of a verb, if there is one that fits. A query has none, because Home Assistant would not
/// receive the reply.
pub(super) fn of(maker: &Maker<'_>, verb: &VerbMeta) -> Option<Entity> {
    if verb.class == Class::Query {
        return None;
    }
    if verb.arguments.iter().all(|argument| argument.optional) {
        return Some(button(maker, verb));
    }
    let [argument] = verb.arguments.as_slice() else { return None };
    let sets = |property: &&PropertyMeta| property.set_by.as_ref() == Some(&verb.name) && !property.many;
    let property = maker.meta.properties.iter().find(sets)?;
    match (argument.kind?, property.quantity) {
        (ArgumentType::Number, quantity) if quantity.is_numeric() => number(maker, verb, argument, property),
        (ArgumentType::Choice, Quantity::Word) => {
            Some(select(maker, verb, argument, property, words(argument, property)))
        }
        (ArgumentType::Choice, Quantity::Switch) => Some(switch(maker, verb, argument, property)),
        (ArgumentType::Name, Quantity::Text) => {
            let names = argument.choices.clone().filter(|names| !names.is_empty())?;
            Some(select(maker, verb, argument, property, names))
        }
        _ => None,
    }
}

/// The keys that all controls have. A control displays only what the device reports. The category keeps
/// voice commands and commands to all entities away from every control except a stop.
fn control(maker: &Maker<'_>, component: Component, verb: &VerbMeta) -> Entity {
    // Both are needed while the device does not answer, or Home Assistant could not undo a release.
    let needs = match verb {
        verb if verb.needs_signature => Needs::Signature,
        verb if verb.stop || verb.reclaims => Needs::Bridge,
        _ => Needs::Device,
    };
    let source = Source::Verb(verb.name.clone());
    let topic = maker.base.command(&maker.settings.identity, &verb.name);
    maker
        .entity(component, source, &verb.name, &verb.unsigned_label(), needs)
        .with("command_topic", topic)
        .with("optimistic", false)
        .with("retain", false)
        .with_some("entity_category", (!verb.stop).then_some("config"))
        // Discovery cannot ask for confirmation; a dashboard can.
        .with_some("enabled_by_default", verb.question.is_some().then_some(false))
}

fn button(maker: &Maker<'_>, verb: &VerbMeta) -> Entity {
    control(maker, Component::Button, verb)
        .with("command_template", template::request(None))
        .with_some("icon", verb.stop.then_some("mdi:stop-circle-outline"))
}

fn select(
    maker: &Maker<'_>,
    verb: &VerbMeta,
    argument: &ArgumentMeta,
    property: &PropertyMeta,
    options: Vec<String>,
) -> Entity {
    control(maker, Component::Select, verb)
        .with("state_topic", maker.base.state())
        .with("value_template", template::one_of(&template::value(&property.key), &options))
        .with("options", options)
        .with("command_template", template::request(Some((&argument.name, "value | to_json"))))
}

/// The choices to offer, followed by the other possible values of the state.
fn words(argument: &ArgumentMeta, property: &PropertyMeta) -> Vec<String> {
    let offered = |word: &String| argument.choice_labels.contains_key(word);
    let (mut words, others): (Vec<String>, Vec<String>) =
        property.words.iter().map(|word| word.word.clone()).partition(offered);
    words.extend(others);
    words
}

/// The payloads are bare words for versions before 2024.8, whose switches ignore `command_template`.
fn switch(maker: &Maker<'_>, verb: &VerbMeta, argument: &ArgumentMeta, property: &PropertyMeta) -> Entity {
    control(maker, Component::Switch, verb)
        .with("state_topic", maker.base.state())
        .with("value_template", template::switch(&template::value(&property.key), "on", "off"))
        .with("payload_on", "on")
        .with("payload_off", "off")
        .with("command_template", template::request(Some((&argument.name, "value | to_json"))))
}

/// There is no control if the range is unknown or empty.
fn number(
    maker: &Maker<'_>,
    verb: &VerbMeta,
    argument: &ArgumentMeta,
    property: &PropertyMeta,
) -> Option<Entity> {
    let (minimum, maximum) = (argument.minimum?, argument.maximum?);
    if minimum >= maximum {
        return None;
    }
    let step = argument.step.unwrap_or(LEAST_STEP).max(LEAST_STEP);
    let unit = argument.unit.as_deref().map(units::unit);
    let given = format!("value | round({})", decimals(step));
    let entity = control(maker, Component::Number, verb)
        .with("state_topic", maker.base.state())
        .with("value_template", template::in_range(&template::value(&property.key), minimum, maximum))
        .with("mode", "box")
        .with("min", minimum)
        .with("max", maximum)
        .with("step", step)
        .with_some("unit_of_measurement", unit)
        .with_some("device_class", units::device_class(property.quantity, unit))
        .with("command_template", template::request(Some((&argument.name, &given))));
    Some(entity)
}

/// The number of decimals of the step. A conversion of units in Home Assistant produces more.
fn decimals(step: f64) -> u8 {
    let is_whole = |decimals: &u8| {
        let steps = step * 10_f64.powi(i32::from(*decimals));
        (steps - steps.round()).abs() < 1e-6
    };
    (0..6).find(is_whole).unwrap_or(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_decimals_of_its_step() {
        let of = |step| decimals(step);
        assert_eq!([of(1.0), of(0.5), of(0.1), of(0.25), of(0.001), of(5.0)], [0, 1, 1, 2, 3, 0]);
    }
}
