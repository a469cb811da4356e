//! The bridge's `meta`: the instrument's table, with the ranges and names of the settings.

use bus::device::{ArgumentKind, ArgumentSpec, Property, Role, Verb};
use bus::message::{ArgumentMeta, Meta, PropertyMeta, SCHEMA, VerbMeta};

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
        properties: [&status].into_iter().chain(description.properties).map(PropertyMeta::of).collect(),
    }
}

fn verb_meta(settings: &CoreSettings, verb: &Verb) -> VerbMeta {
    let configured = |spec| configured(settings, verb, spec);
    VerbMeta {
        needs_signature: settings.require_signature.contains(verb.name),
        timeout_s: settings.desk.timeout(verb.name).as_secs_f64(),
        argument: verb.bare().map(configured),
        arguments: verb.arguments.iter().map(configured).collect(),
        ..VerbMeta::of(verb)
    }
}

/// An argument with the range or the names from the settings.
fn configured(settings: &CoreSettings, verb: &Verb, spec: &ArgumentSpec) -> ArgumentMeta {
    let mut meta = ArgumentMeta::of(spec);
    if let Some(range) = settings.desk.ranges.get(&(verb.name, spec.name)) {
        meta.minimum = Some(*range.start());
        meta.maximum = Some(*range.end());
    }
    if let ArgumentKind::Name(list) = spec.kind {
        meta.choices = Some(settings.desk.names.get(list).cloned().unwrap_or_default());
    }
    meta
}
