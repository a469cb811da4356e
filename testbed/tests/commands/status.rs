//! What `chiller status` and `chiller json` show, and what the bridge tells about itself.

use testbed::site::{LIMIT, Site};

#[test]
fn status_shows_what_the_unit_does() {
    let site = Site::start().unwrap();
    site.wait_state(|state| !state["tec_power"].is_null(), LIMIT).unwrap();
    let output = site.tool("alice", &["status"]).unwrap();
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    for line in [
        "   Chiller is IDLE",
        "   Mode is MANUAL",
        "   Temperature is 12.0°C",
        "   Set point is 15.0°C",
        "   TEC power is 0%",
        "   Ambient is 12.0°C",
        "   Flow is 0.0 l/min, Pump is off",
        "   Last command: none",
    ] {
        assert!(output.stdout.lines().any(|shown| shown == line), "no {line:?} in\n{}", output.stdout);
    }
    // What says nothing is left out: no alarm, and no camera that lacks cooling.
    for absent in ["Alarms", "Warnings", "Cooling is"] {
        assert!(!output.stdout.contains(absent), "{absent} in\n{}", output.stdout);
    }
    assert!(!output.stdout.contains('\u{1b}'), "colours where there is no terminal: {}", output.stdout);
}

#[test]
fn json_is_the_payload_on_the_bus() {
    let site = Site::start().unwrap();
    let output = site.tool("visitor", &["json"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    let payload = output.stdout.strip_suffix('\n').unwrap();
    site.observer.wait_for(|message| message.payload == payload, LIMIT).unwrap();
}

#[test]
fn status_of_a_unit_that_is_unplugged_shows_no_reading() {
    let site = Site::start().unwrap();
    site.port.unplug().unwrap();
    let state = site.wait_state(|state| state["connected"] == false, LIMIT).unwrap();
    assert_eq!(state["status"], "offline");
    assert_eq!(state["reason"], "link_lost");
    for reading in [
        "unit_mode",
        "water_temp",
        "setpoint_temp",
        "ambient_temp",
        "tec_power",
        "tec_mode",
        "pump_on",
        "flow",
        "fan_speed",
        "device_uptime",
    ] {
        assert!(state[reading].is_null(), "{reading} is still {}", state[reading]);
    }
    let output = site.tool("alice", &["status"]).unwrap();
    assert_eq!(output.code, 4, "{output:?}");
    assert!(!output.stdout.contains("12.0°C"), "an old reading is shown: {}", output.stdout);
    site.port.plug().unwrap();
    site.wait_state(|state| state["connected"] == true && state["water_temp"] == 12.0, LIMIT).unwrap();
    assert_eq!(site.tool("alice", &["status"]).unwrap().code, 0);
}

#[test]
fn a_stopped_bridge_leaves_the_unit_as_it_is_and_says_offline() {
    let mut site = Site::start().unwrap();
    assert_eq!(site.tool("alice", &["enable"]).unwrap().code, 0);
    let written = site.orders();
    assert_eq!(site.bridge.stop().unwrap(), 0);
    site.wait_availability("offline", LIMIT).unwrap();
    assert!(site.port.with(|unit| unit.pump_on()));
    assert_eq!(site.orders(), written);
    let output = site.tool("alice", &["status"]).unwrap();
    assert_eq!(output.code, 155, "{output:?}");
    let output = site.tool("alice", &["ping"]).unwrap();
    assert_eq!(output.code, 155, "{output:?}");
    assert!(output.stderr.contains("not running") || output.stderr.contains("offline"), "{output:?}");
}
