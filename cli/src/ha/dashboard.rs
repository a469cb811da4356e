//! A dashboard: a view per device, drawn from its `meta`. Pure.

use bus::device::{Quantity, Role};
use bus::homeassistant::Component;
use bus::message::{PropertyMeta, VerbMeta};

use super::device::{Device, Script};
use super::literal::quoted;
use super::yaml::{Yaml, map};

/// All views.
pub(super) fn dashboard(devices: &[Device]) -> Yaml {
    let labels: Vec<String> = devices.iter().map(Device::label).collect();
    let views = devices.iter().map(|device| {
        let label = device.label();
        let is_alone = labels.iter().filter(|other| **other == label).count() == 1;
        view(device, &if is_alone { label } else { format!("{label} ({})", device.base) })
    });
    map([("title", "Observatory".into()), ("views", Yaml::List(views.collect()))])
}

fn view(device: &Device, title: &str) -> Yaml {
    let cards = [
        no_bridge(device),
        attentions(device),
        stop(device),
        status(device),
        readings(device),
        settings(device),
        commands(device),
    ]
    .into_iter()
    .flatten()
    .chain(charts(device))
    .chain(events(device))
    .chain(diagnostics(device));
    map([("title", title.into()), ("path", device.prefix().into())])
        .with("cards", Yaml::List(cards.collect()))
}

/// Shown only while `entity` is, or is not, in this state.
fn only_if(entity: &str, (key, state): (&str, &str), card: Yaml) -> Yaml {
    let condition = map([("condition", "state".into()), ("entity", entity.into()), (key, state.into())]);
    map([("type", "conditional".into()), ("conditions", vec![condition].into()), ("card", card)])
}

fn markdown(content: String) -> Yaml {
    map([("type", "markdown".into()), ("content", content.into())])
}

fn no_bridge(device: &Device) -> Option<Yaml> {
    let bridge = device.common(Component::BinarySensor, "bridge")?;
    let text = "## Offline\nThe bridge of this device is offline. Nothing is known of the device.".to_owned();
    Some(only_if(&bridge, ("state_not", "on"), markdown(text)))
}

fn attentions(device: &Device) -> Option<Yaml> {
    let attention = device.common(Component::BinarySensor, "attention")?;
    let list = format!("state_attr({}, 'attention') or []", quoted(&attention));
    let text = format!(
        "## Attention\n{{% for it in {list} %}}\n- **{{{{ it.severity }}}}**, since {{{{ as_local(as_datetime(it.since)).strftime('%H:%M') }}}}: {{{{ it.text }}}}\n{{% endfor %}}"
    );
    Some(only_if(&attention, ("state", "on"), markdown(text)))
}

fn status(device: &Device) -> Option<Yaml> {
    let status = device.property("status")?;
    let summary = device.common(Component::Sensor, "summary")?;
    let text =
        format!("# {{{{ {} }}}}\n{{{{ states({}) }}}}", device.status_expression(&status), quoted(&summary));
    Some(markdown(text))
}

/// Large, and never asked about.
fn stop(device: &Device) -> Option<Yaml> {
    let verb = device.meta.verbs.iter().find(|verb| verb.stop)?;
    let button = device.control(verb)?;
    let press = press("button.press").with("target", map([("entity_id", button.clone().into())]));
    Some(
        map([
            ("type", "button".into()),
            ("entity", button.into()),
            ("name", verb.label.to_uppercase().into()),
        ])
        .with("icon", "mdi:stop-circle-outline")
        .with("show_state", false)
        .with("tap_action", press),
    )
}

fn press(service: &str) -> Yaml {
    map([("action", "call-service".into()), ("service", service.into())])
}

fn entities(title: &str, rows: Vec<Yaml>) -> Option<Yaml> {
    let card = map([("type", "entities".into()), ("title", title.into())]).with("show_header_toggle", false);
    (!rows.is_empty()).then(|| card.with("entities", Yaml::List(rows)))
}

fn row(entity: String, name: &str) -> Yaml {
    map([("entity", entity.into()), ("name", name.into())])
}

fn rows(device: &Device, roles: &[Role]) -> Vec<Yaml> {
    let properties = roles
        .iter()
        .flat_map(|role| device.meta.properties.iter().filter(move |property| property.role == *role));
    properties
        .filter(|property| property.key != "status")
        .filter_map(|property| Some(row(device.property(&property.key)?, &property.label)))
        .collect()
}

fn readings(device: &Device) -> Option<Yaml> {
    entities("Readings", rows(device, &[Role::Headline, Role::Reading, Role::Setting]))
}

/// What shows what it sets.
fn settings(device: &Device) -> Option<Yaml> {
    let controls = device.meta.verbs.iter().filter(|verb| !verb.stop).filter_map(|verb| {
        let entity = device.control(verb)?;
        Some(row(entity, &verb.unsigned_label()))
    });
    entities("Settings", controls.collect())
}

/// The scripts, each below what it is given.
fn commands(device: &Device) -> Option<Yaml> {
    let mut scripts = device.scripts();
    // One without arguments would seem to belong to the section above it.
    scripts.sort_by_key(|script| !script.fields.is_empty());
    let mut rows = Vec::new();
    for script in &scripts {
        if !script.fields.is_empty() {
            rows.push(map([("type", "section".into()), ("label", script.label().into())]));
        }
        rows.extend(script.fields.iter().map(|field| row(field.entity_id(), &field.label())));
        rows.push(run(script));
    }
    let cannot = |verb: &VerbMeta| map([("type", "section".into()), ("label", verb.unsigned_label().into())]);
    rows.extend(device.unsendable().map(cannot));
    entities("Commands", rows)
}

fn run(script: &Script<'_>) -> Yaml {
    let question = script.verb.question.clone().map(|question| map([("text", question.into())]));
    map([("type", "button".into()), ("name", script.label().into()), ("icon", "mdi:play".into())])
        .with("action_name", "Send")
        .with("tap_action", press(&format!("script.{}", script.name)).with_some("confirmation", question))
}

/// One for each unit, so that each has an axis of its own.
fn charts(device: &Device) -> Vec<Yaml> {
    let mut units: Vec<(Option<&str>, Quantity, Vec<Yaml>)> = Vec::new();
    let drawn =
        |property: &&PropertyMeta| property.history && property.quantity.is_numeric() && !property.many;
    for property in device.meta.properties.iter().filter(drawn) {
        let Some(entity) = device.property(&property.key) else { continue };
        let row = row(entity, &property.label);
        let unit = property.unit.as_deref();
        match units.iter_mut().find(|(known, quantity, _)| (*known, *quantity) == (unit, property.quantity)) {
            Some((_, _, rows)) => rows.push(row),
            None => units.push((unit, property.quantity, vec![row])),
        }
    }
    units
        .into_iter()
        .map(|(_, _, rows)| {
            map([
                ("type", "history-graph".into()),
                ("hours_to_show", 24.into()),
                ("entities", Yaml::List(rows)),
            ])
        })
        .collect()
}

fn events(device: &Device) -> Option<Yaml> {
    let event = quoted(&device.common(Component::Event, "event")?);
    Some(markdown(format!(
        "**Last event**, {{{{ state_attr({event}, 'date') or 'none yet' }}}}\n\n{{{{ state_attr({event}, 'message') or '' }}}}"
    )))
}

fn diagnostics(device: &Device) -> Option<Yaml> {
    let common = [
        (Component::BinarySensor, "bridge", "Bridge"),
        (Component::BinarySensor, "connected", "Device answers"),
        (Component::Sensor, "last_command", "Last command"),
    ];
    let common = common
        .into_iter()
        .filter_map(|(component, name, label)| Some(row(device.common(component, name)?, label)));
    entities("Diagnostics", common.chain(rows(device, &[Role::Diagnostic])).collect())
}
