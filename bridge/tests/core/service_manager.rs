//! The one line that the service manager shows.

use bridge::controller::Condition;
use bridge::core::{Event, Output};
use bus::session::bridge::SessionEvent;

use crate::rig::{Rig, concern};

fn told(rig: &mut Rig) -> Vec<String> {
    let lines = rig.outputs().into_iter().filter_map(|output| match output {
        Output::Status(line) => Some(line),
        _ => None,
    });
    lines.collect()
}

#[test]
fn it_is_told_what_the_bridge_does_once_for_each_change() {
    let mut rig = Rig::new();
    rig.turn();
    assert_eq!(told(&mut rig), ["IDLE; no connection to the broker"]);
    let connected = rig.connect();
    let line = "IDLE; connected to the broker".to_owned();
    assert!(connected.contains(&Output::Status(line)), "{connected:?}");
    rig.let_pass(100);
    assert_eq!(told(&mut rig), [] as [String; 0]);
    rig.device.set(|device| {
        device.status = "cooling";
        device.conditions =
            vec![Condition::new(&concern::MANUAL_LONG, "12 h"), Condition::new(&concern::ALARM, "pump")];
    });
    rig.let_pass(11);
    assert_eq!(
        told(&mut rig).last().unwrap(),
        "COOLING; connected to the broker; attention: alarm, manual_long"
    );
    rig.device.set(|device| device.conditions = vec![Condition::new(&concern::ALARM, "another text")]);
    rig.let_pass(11);
    assert_eq!(told(&mut rig), ["COOLING; connected to the broker; attention: alarm"]);
    rig.core.handle(Event::Session(SessionEvent::Lost { error: "gone".to_owned() }), rig.now);
    assert_eq!(told(&mut rig), ["COOLING; no connection to the broker; attention: alarm"]);
}
