//! What goes into Home Assistant as a package: scripts for the commands that are no entity, with a
//! helper for each argument, and automations that tell people. Pure.

use bus::homeassistant::Component;

use super::device::{Device, Field, Helper, Script};
use super::literal::quoted;
use super::template::{given, new_alarms, request};
use super::yaml::{Yaml, map};

/// How long a bridge may be away: a restart of it, or of the broker, is no news.
const GONE_AFTER_S: i64 = 60;
/// By then a Home Assistant that can connect again by itself has tried several times.
const RECONNECT_AFTER_S: i64 = 90;

/// The scripts, helpers and automations for these devices; `notify` is what tells people, such as
/// `notify.mobile_app_phone`: without one it is a notification in Home Assistant itself.
pub(super) fn package(devices: &[Device], notify: Option<&str>) -> Yaml {
    let scripts: Vec<(&Device, Script<'_>)> = devices
        .iter()
        .flat_map(|device| device.scripts().into_iter().map(move |script| (device, script)))
        .collect();
    let mut package = Yaml::Map(Vec::new());
    for domain in ["input_boolean", "input_number", "input_select", "input_text"] {
        let fields = scripts
            .iter()
            .flat_map(|(device, script)| script.fields.iter().map(move |field| (*device, script, field)));
        let helpers: Vec<(String, Yaml)> = fields
            .filter(|(_, _, field)| field.helper.domain() == domain)
            .map(|(device, script, field)| (field.name.clone(), helper(device, script, field)))
            .collect();
        package = package.with_some(domain, (!helpers.is_empty()).then_some(Yaml::Map(helpers)));
    }
    let scripts: Vec<(String, Yaml)> =
        scripts.iter().map(|(device, it)| (it.name.clone(), script(device, it))).collect();
    package.with_some("script", (!scripts.is_empty()).then_some(Yaml::Map(scripts))).with(
        "automation",
        vec![alarm(devices, notify), gone(devices, notify), refused(devices), reconnect(devices)],
    )
}

fn helper(device: &Device, script: &Script<'_>, field: &Field<'_>) -> Yaml {
    let name = format!("{}: {}: {}", device.label(), script.label(), field.label());
    let helper = map([("name", name.into())]);
    match &field.helper {
        Helper::Flag => helper.with("initial", false),
        Helper::Choice(words) => helper.with("options", words.clone()),
        Helper::Text => helper.with("initial", ""),
        Helper::Number { minimum, maximum, step } => helper
            .with("min", *minimum)
            .with("max", *maximum)
            .with("step", *step)
            // Whoever only presses the button has asked for as little as can be.
            .with("initial", 0.0_f64.clamp(*minimum, *maximum))
            .with("mode", "box")
            .with_some("unit_of_measurement", field.unit()),
    }
}

fn script(device: &Device, script: &Script<'_>) -> Yaml {
    let fields: Vec<(String, Yaml)> =
        script.fields.iter().map(|field| (field.argument.name.clone(), described(field))).collect();
    let given: Vec<(String, Yaml)> =
        script.fields.iter().map(|field| (field.argument.name.clone(), given(field).into())).collect();
    let topic = device.base.command(&device.settings.identity, &script.verb.name);
    let message = map([("topic", topic.into()), ("payload", request(script).into())])
        .with("qos", 1)
        .with("retain", false);
    let mut sequence = Vec::new();
    if !given.is_empty() {
        sequence.push(map([("variables", Yaml::Map(given))]));
    }
    sequence.push(map([("service", "mqtt.publish".into()), ("data", message)]));
    map([("alias", format!("{}: {}", device.label(), script.label()).into())])
        .with_some("description", script.verb.question.clone())
        // Which of two has to wait, or is refused, is for the bridge to say.
        .with("mode", "parallel")
        .with_some("fields", (!fields.is_empty()).then_some(Yaml::Map(fields)))
        .with("sequence", Yaml::List(sequence))
}

fn described(field: &Field<'_>) -> Yaml {
    // A map with nothing in it is lost when Home Assistant puts packages together.
    let selector = match &field.helper {
        Helper::Flag => map([("boolean", Yaml::Nothing)]),
        Helper::Choice(words) => map([("select", map([("options", words.clone().into())]))]),
        Helper::Text => map([("text", Yaml::Nothing)]),
        Helper::Number { minimum, maximum, step } => {
            let number =
                map([("min", (*minimum).into()), ("max", (*maximum).into()), ("step", (*step).into())]);
            let number = number.with_some("unit_of_measurement", field.unit());
            map([("number", number.with("mode", "box"))])
        }
    };
    map([("name", field.label().into())])
        .with("description", format!("Default: the value of {}", field.entity_id()))
        .with("selector", selector)
}

/// An automation that has to do with every device.
fn automation(id: &str, alias: &str, triggers: Vec<Yaml>) -> Yaml {
    map([("id", id.into()), ("alias", alias.into()), ("trigger", Yaml::List(triggers))])
}

/// One that does it for each time that it is triggered.
fn each_time(id: &str, alias: &str, triggers: Vec<Yaml>) -> Yaml {
    automation(id, alias, triggers).with("mode", "queued").with("max", 100).with("max_exceeded", "silent")
}

/// Tells people, or replaces what it told them before about the same thing.
fn tell(notify: Option<&str>, title: &str, message: &str, about: &str) -> Yaml {
    let data = map([("title", title.into()), ("message", message.into())]);
    match notify {
        Some(notify) => map([("service", notify.into()), ("data", data)]),
        None => map([
            ("service", "persistent_notification.create".into()),
            ("data", data.with("notification_id", about)),
        ]),
    }
}

fn entities(devices: &[Device], name: &'static str) -> Vec<String> {
    devices.iter().filter_map(|device| device.common(Component::BinarySensor, name)).collect()
}

/// What people call the device of the entity that triggers.
fn label(devices: &[Device], name: &'static str) -> String {
    let labels = devices.iter().filter_map(|device| {
        let entity = device.common(Component::BinarySensor, name)?;
        Some(format!("{}: {}", quoted(&entity), quoted(&device.label())))
    });
    let labels = labels.collect::<Vec<_>>().join(", ");
    format!("{{{{ {{{labels}}}.get(trigger.entity_id, 'Observatory') }}}}")
}

fn alarm(devices: &[Device], notify: Option<&str>) -> Yaml {
    let attentions = entities(devices, "attention");
    let started = map([("platform", "homeassistant".into()), ("event", "start".into())]);
    let changed = map([("platform", "state".into()), ("entity_id", attentions.clone().into())]);
    each_time("obsbus_alarm", "obsbus: notify of an error", vec![changed, started])
        .with(
            "variables",
            map([("texts", new_alarms(&attentions).into()), ("device", label(devices, "attention").into())]),
        )
        .with("condition", vec![condition("{{ texts | count > 0 }}")])
        .with(
            "action",
            vec![tell(
                notify,
                "{{ device }}",
                "{{ texts | join('\\n') }}",
                "obsbus_alarm_{{ device | slugify }}",
            )],
        )
}

/// When nothing was heard of one of these devices for so long.
fn silent_for(devices: &[Device], seconds: i64) -> Yaml {
    map([("platform", "state".into()), ("entity_id", entities(devices, "connected").into())])
        .with("to", "unavailable")
        .with("for", map([("seconds", seconds.into())]))
}

fn gone(devices: &[Device], notify: Option<&str>) -> Yaml {
    let trigger = silent_for(devices, GONE_AFTER_S);
    each_time("obsbus_gone", "obsbus: notify if a device is unavailable", vec![trigger])
        .with("variables", map([("device", label(devices, "connected").into())]))
        .with("action", vec![tell(
            notify,
            "{{ device }}",
            "Nothing is known of this device: its bridge, the broker or the connection to the broker is down.",
            "obsbus_gone_{{ device | slugify }}",
        )])
}

/// Before 2024.6 the part of Home Assistant that speaks to the broker may end when the broker does, and
/// Home Assistant does not notice.
fn reconnect(devices: &[Device]) -> Yaml {
    let all = entities(devices, "connected");
    let names: Vec<String> = all.iter().map(|entity| quoted(entity)).collect();
    let is_silent = format!(
        "{{{{ expand({}) | rejectattr('state', 'eq', 'unavailable') | list | count == 0 }}}}",
        names.join(", ")
    );
    let reload = map([("service", "homeassistant.reload_config_entry".into())])
        .with("target", map([("entity_id", all.first().cloned().unwrap_or_default().into())]));
    automation(
        "obsbus_reconnect",
        "obsbus: reconnect if all devices are unavailable",
        vec![silent_for(devices, RECONNECT_AFTER_S)],
    )
    .with("mode", "single")
    .with("max_exceeded", "silent")
    .with("condition", vec![condition(&is_silent)])
    .with("action", vec![reload])
}

/// Home Assistant shows nothing where a command has no effect.
fn refused(devices: &[Device]) -> Yaml {
    let replies = devices.iter().map(|device| {
        map([
            ("platform", "mqtt".into()),
            ("topic", device.base.reply_filter(&device.settings.identity).into()),
        ])
        .with("qos", 1)
        .with("id", device.label())
    });
    each_time("obsbus_refused", "obsbus: notify of a refused command", replies.collect())
        .with(
            "condition",
            vec![condition("{{ trigger.payload_json.status in ['rejected', 'failed', 'timed_out'] }}")],
        )
        .with(
            "action",
            vec![tell(
                None,
                "{{ trigger.id }}: {{ trigger.payload_json.verb | replace('_', ' ') }} was refused or failed",
                "{{ trigger.payload_json.message }}",
                "obsbus_refused_{{ trigger.id | slugify }}",
            )],
        )
}

fn condition(template: &str) -> Yaml {
    map([("condition", "template".into()), ("value_template", template.into())])
}
