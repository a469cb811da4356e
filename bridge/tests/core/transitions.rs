//! The events of a device's changes, which the core makes from its status.

use bridge::controller::Effect;
use bus::message::{EventBody, EventKind, Severity};
use serde_json::json;

use crate::rig::{Rig, events};

#[test]
fn a_change_of_status_is_one_event_with_where_from_and_why() {
    let mut rig = Rig::new();
    rig.connect();
    rig.device.set(|device| {
        (device.status, device.reason) = ("fault", "alarm");
        device.details = vec![("steps", json!(17))];
    });
    rig.turn();
    rig.let_pass(20);
    let told = events(&rig.outputs());
    assert_eq!(told.len(), 1, "{told:?}");
    let body = &told[0].body;
    assert_eq!((body.kind, body.severity), (EventKind::Transition, Severity::Warning));
    assert_eq!((body.message.as_str(), body.reason.as_deref()), ("idle -> fault (alarm)", Some("alarm")));
    assert_eq!(json!(body.values), json!({ "from": "idle", "to": "fault", "steps": 17 }));
}

#[test]
fn another_reason_is_no_transition() {
    let mut rig = Rig::new();
    rig.connect();
    rig.device.set(|device| device.reason = "manual");
    rig.turn();
    assert_eq!(events(&rig.outputs()), []);
}

#[test]
fn what_led_to_a_change_is_told_before_it() {
    let mut rig = Rig::new();
    rig.connect();
    rig.device.set(|device| {
        device.status = "fault";
        let alarm = EventBody::new(EventKind::Decision, Severity::Error, "alarm of the unit: pump");
        device.effects.push_back(Effect::Event(alarm));
    });
    rig.turn();
    let kinds: Vec<_> = events(&rig.outputs()).iter().map(|event| event.body.kind).collect();
    assert_eq!(kinds, [EventKind::Decision, EventKind::Transition]);
}

#[test]
fn no_status_on_the_way_is_left_out() {
    let mut rig = Rig::new();
    rig.connect();
    rig.device.set(|device| device.on_command = vec!["starting", "cooling"]);
    let mut outputs = Vec::new();
    for mode in ["manual", "automatic"] {
        rig.hear("clasp/chiller/command/alice/mode", mode.as_bytes(), false);
        outputs.extend(rig.outputs_with_disk());
    }
    let changes: Vec<_> = events(&outputs)
        .into_iter()
        .filter(|event| event.body.kind == EventKind::Transition)
        .map(|event| event.body.message)
        .collect();
    assert_eq!(changes, ["idle -> starting (ready)", "starting -> cooling (ready)"]);
}
