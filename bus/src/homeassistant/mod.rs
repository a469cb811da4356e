//! What Home Assistant is told of a device, so that its entities are there by themselves: one retained
//! message per entity, made from what the bridge says of itself ([`Meta`]). Pure.
//!
//! It publishes nothing, and does not know which messages are there already. What has no entity
//! (a question such as `ping`, a verb with several arguments, a relative one) is for a script of whoever
//! makes a dashboard. Every payload is good for Home Assistant 2024.3.3 to 2025.12: the schemas of its
//! discovery drop keys that they do not know (`extra=vol.REMOVE_EXTRA` in `components/mqtt/*.py`), but
//! for those within `device` and `origin`.

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

/// The entities of the device on `base` that calls itself `meta`: what every device has, what its state
/// says, then what it can be told.
#[must_use]
pub fn entities(meta: &Meta, base: &Base, settings: &HomeAssistant) -> Vec<Entity> {
    each(Maker { meta, base, settings }).collect()
}

/// What Home Assistant is told of them, with the topics. Made one by one: all entities at once are a few
/// hundred kilobytes.
pub fn told<'a>(
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
