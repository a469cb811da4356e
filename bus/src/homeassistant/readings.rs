//! A key of the state as a sensor. What a verb sets has one too: a control shows only what it can set.

use serde_json::Value;

use super::entity::{Component, Entity, Maker, Needs, Source};
use super::{template, units};
use crate::device::{Quantity, Role};
use crate::message::PropertyMeta;

/// The key that says what a device does, also while it does not answer.
const STATUS: &str = "status";

/// The sensor of a property. How far a running motion has come has none: it would be ten rows a second
/// in Home Assistant's database.
pub(super) fn of(maker: &Maker<'_>, property: &PropertyMeta) -> Option<Entity> {
    if property.role == Role::Motion {
        return None;
    }
    let component = match property.quantity {
        Quantity::Switch if !property.many => Component::BinarySensor,
        _ => Component::Sensor,
    };
    let value = template::value(&property.key);
    let needs = match property.quantity {
        _ if property.key == STATUS => Needs::Bridge,
        Quantity::Time if !property.many => Needs::Value(&value),
        _ => Needs::Device,
    };
    let source = Source::Property(property.key.clone());
    let entity = maker.shown(component, source, &property.key, &property.label, needs);
    let entity = kept_out_of_the_way(entity, property);
    Some(if property.many { list(entity, property, &value) } else { single(entity, property, &value) })
}

fn kept_out_of_the_way(entity: Entity, property: &PropertyMeta) -> Entity {
    let is_diagnostic = property.role == Role::Diagnostic;
    // An age or an up time is another one with each message, and would be a row in the database for each.
    let ticks = is_diagnostic && property.quantity == Quantity::Duration;
    entity
        .with_some("entity_category", is_diagnostic.then_some("diagnostic"))
        .with_some("enabled_by_default", ticks.then_some(false))
}

fn single(entity: Entity, property: &PropertyMeta, value: &str) -> Entity {
    let quantity = property.quantity;
    match quantity {
        Quantity::Switch => entity.with("value_template", template::switch(value, "ON", "OFF")),
        Quantity::Word => {
            let words = property.words.iter().map(|word| word.word.as_str());
            // A word that is no option is a warning for each message. What the device does is always known.
            let unknown = (property.key != STATUS).then_some(template::UNKNOWN);
            let words: Vec<Value> = words.chain(unknown).map(Value::from).collect();
            entity
                .with("value_template", template::word(value))
                .with("device_class", "enum")
                .with("options", words)
                .with("icon", units::icon(quantity))
        }
        Quantity::Text => {
            entity.with("value_template", template::text(value)).with("icon", units::icon(quantity))
        }
        Quantity::Time => {
            entity.with("value_template", template::date(value)).with("device_class", "timestamp")
        }
        _ => {
            let unit = property.unit.as_deref().map(units::unit);
            let class = units::device_class(quantity, unit);
            entity
                .with("value_template", template::show(value))
                .with_some("unit_of_measurement", unit)
                .with_some("device_class", class)
                .with_some("state_class", units::is_measurement(quantity).then_some("measurement"))
                .with_some("suggested_display_precision", property.decimals)
                .with_some("icon", class.is_none().then(|| units::icon(quantity)))
        }
    }
}

fn list(entity: Entity, property: &PropertyMeta, value: &str) -> Entity {
    let shown = if property.quantity.is_numeric() {
        let unit = property.unit.as_deref().map(units::unit);
        template::numbers(value, property.decimals.unwrap_or(0), unit)
    } else {
        template::list(value)
    };
    entity.with("value_template", shown).with("icon", "mdi:format-list-bulleted")
}
