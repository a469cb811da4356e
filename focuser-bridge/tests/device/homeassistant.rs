//! The focuser in Home Assistant.

use focuser_device::FocuserStatus;
use serde_json::{Value, json};
use testbed::focuser::Config;

use crate::rig::{Rig, SECOND, assert_succeeded};

fn rig() -> Rig {
    let mut rig = Rig::new(rig::settings::with_home_assistant("m06"), Config::default());
    rig.run_until_checked();
    rig
}

/// Which of the keys of an entity are these, and what they are.
fn part(config: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| ((*key).to_owned(), config[*key].clone())).collect()
}

#[test]
fn it_has_these_entities() {
    let entities = rig().entities();
    assert_eq!(
        entities.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "binary_sensor.attention",
            "binary_sensor.bridge",
            "binary_sensor.connected",
            "binary_sensor.homed",
            "binary_sensor.moving",
            "button.init",
            "button.kill",
            "button.stop",
            "event.event",
            "number.set",
            "sensor.attention",
            "sensor.current_mm",
            "sensor.current_steps",
            "sensor.last_command",
            "sensor.limits_mm",
            "sensor.origin_steps",
            "sensor.status",
            "sensor.summary",
            "sensor.target_mm",
            "sensor.temperature_raw",
        ],
        "without offset, which a script sends, and without the progress of a motion"
    );
}

#[test]
fn they_say_what_home_assistant_must_know() {
    let entities = rig().entities();
    for (entity, expected) in [
        (
            "sensor.current_mm",
            json!({ "unit_of_measurement": "mm", "device_class": null, "expire_after": 5 }),
        ),
        (
            "number.set",
            json!({ "min": 0.0, "max": 6.0, "step": 0.001, "mode": "box", "unit_of_measurement": "mm",
                    "device_class": null, "entity_category": "config", "enabled_by_default": null }),
        ),
        ("button.stop", json!({ "entity_category": null, "enabled_by_default": null, "retain": false })),
        ("button.init", json!({ "entity_category": "config", "enabled_by_default": false })),
        ("button.kill", json!({ "entity_category": "config", "enabled_by_default": false })),
        ("sensor.current_steps", json!({ "entity_category": "diagnostic", "unit_of_measurement": "steps" })),
    ] {
        let keys: Vec<_> = expected.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(part(&entities[entity], &keys), expected, "{entity}");
    }
    // The target, and never where it is.
    let template = entities["number.set"]["value_template"].as_str().unwrap();
    assert!(template.contains("target_mm") && !template.contains("current_mm"), "{template}");
}

#[test]
fn home_assistant_can_undo_a_kill_and_stop_what_does_not_answer() {
    let entities = rig().entities();
    for (entity, topics) in [("button.init", 1), ("button.stop", 1), ("button.kill", 2), ("number.set", 2)] {
        assert_eq!(entities[entity]["availability"].as_array().unwrap().len(), topics, "{entity}");
    }
}

#[test]
fn what_home_assistant_sends_homes_moves_and_stops_it() {
    let mut rig = rig();
    assert_succeeded(&rig.use_entity("button.init", "\"PRESS\""));
    assert_succeeded(&rig.use_entity("number.set", "3.25"));
    assert_eq!(rig.state().current_mm, Some(3.25));
    assert_succeeded(&rig.use_entity("button.stop", "\"PRESS\""));
    assert_succeeded(&rig.use_entity("button.kill", "\"PRESS\""));
    assert_eq!(rig.state().status, FocuserStatus::Released);
    assert_succeeded(&rig.use_entity("button.init", "\"PRESS\""));
    let by = rig.state().last_command.map(|last| last.by.to_string());
    assert_eq!(by.as_deref(), Some("homeassistant"));
}

#[test]
fn it_is_told_again_after_home_assistants_birth_and_what_was_left_is_gone() {
    let mut rig = rig();
    rig.leave(
        "homeassistant/sensor/m06_focuser/old/config",
        r#"{"default_entity_id":"sensor.m06_focuser_old"}"#,
    );
    assert!(rig.entities().contains_key("sensor.old"));
    rig.restart();
    let told = rig.entities();
    assert!(!told.contains_key("sensor.old"));
    rig.forget("homeassistant/number/m06_focuser/set/config");
    assert!(!rig.entities().contains_key("number.set"));
    rig.home_assistant_says("online");
    rig.run_for(5 * SECOND);
    assert_eq!(rig.entities(), told);
}
