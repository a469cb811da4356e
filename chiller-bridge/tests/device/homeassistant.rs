//! The chiller in Home Assistant.

use serde_json::{Value, json};
use testbed::chiller::Config;

use crate::rig::{Rig, assert_succeeded};

fn rig() -> Rig {
    let mut rig = Rig::new(rig::settings::with_home_assistant("clasp"), Config::default());
    rig.run_until_connected();
    rig
}

/// Which of the keys of an entity are these, and what they are.
fn part(config: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| ((*key).to_owned(), config[*key].clone())).collect()
}

#[test]
fn it_has_these_controls_and_a_sensor_for_each_property() {
    let mut rig = rig();
    let entities = rig.entities();
    let controls = entities.iter().filter(|(_, config)| config["command_topic"].is_string());
    assert_eq!(
        controls.map(|(entity, _)| entity.as_str()).collect::<Vec<_>>(),
        ["button.clear_alarms", "number.setpoint", "select.mode", "switch.enabled"],
        "without release, which a script sends"
    );
    for property in rig.meta().properties {
        let object = property.key.replace('.', "_");
        let is_there =
            ["sensor", "binary_sensor"].map(|sort| entities.contains_key(&format!("{sort}.{object}")));
        assert!(is_there[0] != is_there[1], "{object}: {is_there:?}");
    }
}

#[test]
fn they_say_what_home_assistant_must_know() {
    let entities = rig().entities();
    for (entity, expected) in [
        (
            "sensor.water_temp",
            json!({ "unit_of_measurement": "°C", "device_class": "temperature", "expire_after": 30 }),
        ),
        ("sensor.flow", json!({ "unit_of_measurement": "L/min", "device_class": "volume_flow_rate" })),
        ("sensor.tec_power", json!({ "unit_of_measurement": "%", "device_class": null })),
        ("sensor.mode", json!({ "options": ["automatic", "manual", "unknown"], "device_class": "enum" })),
        ("select.mode", json!({ "options": ["automatic", "manual"], "entity_category": "config" })),
        (
            "number.setpoint",
            json!({ "min": 5.0, "max": 30.0, "step": 0.1, "device_class": "temperature",
                    "enabled_by_default": null }),
        ),
        ("switch.enabled", json!({ "payload_on": "on", "payload_off": "off", "enabled_by_default": false })),
        ("button.clear_alarms", json!({ "enabled_by_default": false, "entity_category": "config" })),
        ("sensor.inputs_power_status", json!({ "entity_category": "diagnostic", "device_class": "enum" })),
        ("sensor.device_uptime", json!({ "device_class": "duration", "enabled_by_default": false })),
    ] {
        let keys: Vec<_> = expected.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(part(&entities[entity], &keys), expected, "{entity}");
    }
    // Two dozen readings, and no more than a broker and a bridge hardly notice.
    let bytes: usize = entities.values().map(|config| config.to_string().len()).sum();
    assert!(bytes < 60_000, "{bytes} bytes");
}

#[test]
fn what_home_assistant_sends_is_carried_out_in_its_name() {
    let mut rig = rig();
    assert_succeeded(&rig.use_entity("select.mode", "\"manual\""));
    assert_succeeded(&rig.use_entity("number.setpoint", "12.5"));
    assert_eq!(rig.state().reading.setpoint_temp, Some(12.5));
    assert_succeeded(&rig.use_entity("switch.enabled", "\"on\""));
    assert_eq!(rig.state().requested, Some(true));
    assert_succeeded(&rig.use_entity("button.clear_alarms", "\"PRESS\""));
    assert_eq!(rig.state().mode_by.as_ref().map(bus::topic::Identity::as_str), Some("homeassistant"));
    // As a switch of Home Assistant 2024.3 sends it: without id and time.
    rig.publish_command("homeassistant", "enabled", b"off");
    rig.run_until(|rig| rig.state().requested == Some(false), std::time::Duration::from_secs(60));
}
