//! The sensors for the properties. A property that a verb sets has a sensor too, because a control cannot
//! display a value that it cannot set.

use serde_json::Value;

use super::entity::{Component, Entity, Maker, Needs, Source};
use super::{template, units};
use crate::device::{Quantity, Role};
use crate::message::PropertyMeta;

/// The key of the device's status, which is known even while the device does not answer.
const STATUS: &str = "status";

/// The sensor of a property. The progress of a motion has none, because it would add ten rows per second
/// to Home Assistant's database.
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
    let entity = with_category(entity, property);
    Some(if property.many { list(entity, property, &value) } else { single(entity, property, &value) })
}

fn with_category(entity: Entity, property: &PropertyMeta) -> Entity {
    let is_diagnostic = property.role == Role::Diagnostic;
    // An age or an up time changes with each message, and would add a row to the database each time.
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
            // Home Assistant logs a warning for each word that is not an option. The status is never unknown.
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
