//! Home Assistant discovery: one retained configuration message per entity, made from a bridge's
//! description of itself ([`Meta`]). Pure.
//!
//! This module publishes nothing, and does not know which messages the broker already has. Verbs of the
//! class query, relative verbs and verbs with several arguments have no entity; a dashboard can send
//! them with a script. Every payload is valid for Home Assistant 2024.3.3 to 2025.12: its discovery
//! schemas drop unknown keys (`extra=vol.REMOVE_EXTRA` in `components/mqtt/*.py`), except inside `device`
//! and `origin`, where they refuse them.

mod common;
mod controls;
mod entity;
mod readings;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod units;

pub use entity::{Component, Entity, ORIGIN, Source, slug};
pub use settings::HomeAssistant;

use crate::message::Meta;
use crate::topic::Base;
use entity::Maker;

/// All entities of the device on `base` that `meta` describes: those that every device has, those of its
/// properties, and the controls for its verbs.
#[must_use]
pub fn entities(meta: &Meta, base: &Base, settings: &HomeAssistant) -> Vec<Entity> {
    each(Maker { meta, base, settings }).collect()
}

/// Topic and payload of each entity. They are made one by one: all entities at once take a few hundred
/// kilobytes.
pub fn messages<'a>(
    meta: &'a Meta,
    base: &'a Base,
    settings: &'a HomeAssistant,
) -> impl Iterator<Item = (String, Vec<u8>)> + 'a {
    each(Maker { meta, base, settings }).map(|entity| {
        let payload = entity.payload();
        (entity.topic, payload)
    })
}

fn each<'a>(maker: Maker<'a>) -> impl Iterator<Item = Entity> + 'a {
    let properties = maker.meta.properties.iter();
    let verbs = maker.meta.verbs.iter();
    let readings = properties.filter_map(move |property| readings::of(&maker, property));
    let controls = verbs.filter_map(move |verb| controls::of(&maker, verb));
    common::entities(&maker).into_iter().chain(readings).chain(controls)
}
