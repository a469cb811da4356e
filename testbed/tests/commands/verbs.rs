//! Each command with its effect: what went over the wire, what the state said meanwhile, and when
//! the reply came.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::chiller::{Fault, Status};
use testbed::client::Message;
use testbed::operator::{Operator, instant_now};
use testbed::process::Launch;
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

fn succeeded(reply: &Value) {
    assert_eq!((&reply["status"], &reply["code"]), (&json!("succeeded"), &json!(0)), "{reply}");
    assert!(!reply["finished_at"].is_null(), "{reply}");
}

/// The statuses of the states between two places in what was received, each once.
fn statuses(messages: &[Message]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for message in messages.iter().filter(|message| message.topic == topic("state")) {
        let status = message.json().unwrap()["status"].as_str().unwrap().to_owned();
        if found.last() != Some(&status) {
            found.push(status);
        }
    }
    found
}

#[test]
fn enable_succeeds_only_when_the_unit_says_that_it_runs() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    // Slow enough that no state in between can be overtaken by the next.
    site.port.with(|unit| unit.inject(Fault::Slow(Duration::from_millis(300))));
    let id = alice.send("enabled", json!({ "enabled": "on" })).unwrap();
    succeeded(&alice.terminal(&id).unwrap());
    assert_eq!(site.port.with(|unit| unit.status()), Status::Run);
    assert_eq!(site.orders(), [(15, "1".to_owned())]);

    let replies: Vec<_> = alice.replies(&id).iter().map(|reply| reply["status"].clone()).collect();
    assert_eq!(replies, ["accepted", "succeeded"]);
    let accepted = alice.reply(&id, "accepted").unwrap();
    assert_eq!((&accepted["code"], &accepted["finished_at"]), (&Value::Null, &Value::Null), "{accepted}");
    assert!(accepted["deadline"].is_string(), "{accepted}");
    let messages = alice.client.messages();
    let terminal = messages
        .iter()
        .position(|message| message.topic == alice.reply_topic(&id) && message.json().unwrap()["code"] == 0)
        .unwrap();
    let before = &messages[..terminal];
    let seen = statuses(before);
    assert_eq!(seen[..2], ["idle", "starting"], "{seen:?}");
    assert!(["cooling", "heating", "circulating"].contains(&seen[2].as_str()), "{seen:?}");
    // The outcome stands in the state before the reply announces it.
    let state = before.iter().rfind(|message| message.topic == topic("state")).unwrap().json().unwrap();
    assert_eq!(state["last_command"]["id"], id, "{state}");
    assert_eq!(state["last_command"]["outcome"], "succeeded", "{state}");
    assert_eq!((&state["pump_on"], &state["unit_mode"]), (&json!(true), &json!("run")), "{state}");
}

#[test]
fn a_unit_that_acknowledges_run_and_does_not_start_is_a_failure_with_its_reason() {
    let site = Site::builder().setting("start_deadline", "5").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    site.port.with(|unit| unit.inject(Fault::WillNotStart));
    let id = alice.send("enabled", json!({ "enabled": "on" })).unwrap();
    site.wait_state(|state| state["status"] == "starting", LIMIT).unwrap();
    let reply = alice.terminal(&id).unwrap();
    assert_eq!((&reply["status"], &reply["code"]), (&json!("failed"), &json!(1)), "{reply}");
    assert!(reply["message"].as_str().unwrap().contains("did not start within 5 s"), "{reply}");
    assert_eq!(site.orders(), [(15, "1".to_owned())]);
    let state = site.wait_state(|state| state["status"] == "fault", LIMIT).unwrap();
    assert_eq!(state["reason"], "start_failed");
    assert!(state["attention"].as_array().unwrap().iter().any(|it| it["name"] == "start_failed"), "{state}");
    assert_eq!(statuses(&alice.client.messages()), ["idle", "starting", "fault"]);
    assert!(site.tool("alice", &["status"]).unwrap().stdout.contains("did not start"));

    // Once it can, the next attempt is taken, and nothing of the fault is left.
    site.port.with(testbed::chiller::Chiller::clear_faults);
    succeeded(&alice.ask("enabled", json!({ "enabled": "on" })).unwrap());
    let state = site.wait_state(|state| state["pump_on"] == true, LIMIT).unwrap();
    assert_eq!(state["attention"], json!([]), "{state}");
}

#[test]
fn disable_brings_the_unit_to_standby_and_reads_it_back() {
    let site = Site::builder().model(|model| model.auto_start = true).start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    succeeded(&alice.ask("enabled", json!({ "enabled": "off" })).unwrap());
    assert_eq!(site.port.with(|unit| unit.status()), Status::Standby);
    assert_eq!(site.orders(), [(15, "0".to_owned())]);
    site.wait_state(|state| state["status"] == "idle", LIMIT).unwrap();
    // What is so already is a success, and nothing is written.
    succeeded(&alice.ask("enabled", json!({ "enabled": "off" })).unwrap());
    assert_eq!(site.orders().len(), 1);
}

#[test]
fn a_set_point_is_written_once_and_read_back() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    succeeded(&alice.ask("setpoint", json!({ "celsius": 12.5 })).unwrap());
    assert_eq!(site.orders(), [(17, "+0125".to_owned())]);
    assert_eq!(site.port.with(|unit| unit.set_point_celsius()).to_string(), "12.5");
    assert_eq!(site.wait_state(|state| state["setpoint_temp"] == 12.5, LIMIT).unwrap()["connected"], true);
    for outside in [4.9, 30.1, -300.0] {
        let reply = alice.ask("setpoint", json!({ "celsius": outside })).unwrap();
        assert_eq!((&reply["status"], &reply["code"]), (&json!("rejected"), &json!(6)), "{reply}");
    }
    assert_eq!(site.orders().len(), 1);
    // The words of mosquitto_pub and Home Assistant.
    succeeded(&alice.ask_raw(alice.post("setpoint", "13"), "last").unwrap());
    assert_eq!(site.orders()[1], (17, "+0130".to_owned()));
}

#[test]
fn a_reading_under_way_when_a_set_point_comes_is_not_taken_for_its_read_back() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    site.port.with(|unit| unit.inject(Fault::Slow(Duration::from_millis(500))));
    let asked = || site.port.with(|unit| unit.requests_of(3));
    let before = asked();
    // From now on, for half a second, the unit owes its old set point.
    wait_for("the set point to be asked for", LIMIT, || (asked() > before).then_some(())).unwrap();
    succeeded(&alice.ask("setpoint", json!({ "celsius": 12.5 })).unwrap());
    assert_eq!(site.orders(), [(17, "+0125".to_owned())]);
}

#[test]
fn a_set_point_that_the_unit_refuses_fails_with_its_words() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    site.port.with(|unit| unit.inject(Fault::ErrorDigit(3)));
    let reply = alice.ask("setpoint", json!({ "celsius": 12.5 })).unwrap();
    assert_eq!((&reply["status"], &reply["code"]), (&json!("failed"), &json!(1)), "{reply}");
    assert!(reply["message"].as_str().unwrap().contains("refuses 12.5"), "{reply}");
    assert_eq!(site.port.with(|unit| unit.set_point_celsius()).to_string(), "15");
}

#[test]
fn the_mode_is_changed_saved_and_kept_over_a_restart() {
    let mut site = Site::builder().model(|model| model.auto_start = true).start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    succeeded(&alice.ask("mode", json!({ "mode": "auto" })).unwrap());
    let state = site.wait_state(|state| state["mode"] == "automatic", LIMIT).unwrap();
    assert_eq!(state["mode_by"], "alice");
    let reply = alice.ask("enabled", json!({ "enabled": "off" })).unwrap();
    assert_eq!((&reply["status"], &reply["code"]), (&json!("rejected"), &json!(10)), "{reply}");
    let output = site.tool("alice", &["disable"]).unwrap();
    assert_eq!(output.code, 10, "{output:?}");
    assert!(output.stderr.contains("mode_is_automatic (code 10)"), "{output:?}");
    assert_eq!(site.orders(), []);

    assert_eq!(site.bridge.stop().unwrap(), 0);
    site.start_bridge().unwrap();
    assert_eq!(site.state().unwrap()["mode"], "automatic");
}

#[test]
fn from_automatic_to_manual_a_running_unit_runs_on() {
    let site = Site::builder()
        .setting("start_mode", "\"automatic\"")
        .model(|model| model.auto_start = true)
        .start()
        .unwrap();
    let output = site.tool("alice", &["mode", "manual"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    let state = site.wait_state(|state| state["mode"] == "manual", LIMIT).unwrap();
    assert_eq!((&state["requested"], &state["pump_on"]), (&json!(true), &json!(true)), "{state}");
    assert_eq!(site.orders(), []);
}

#[test]
fn release_stops_the_polling_until_it_is_ended() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    succeeded(&alice.ask("release", json!({ "minutes": 15 })).unwrap());
    let state = site.wait_state(|state| state["status"] == "released", LIMIT).unwrap();
    assert!(state["water_temp"].is_null(), "{state}");
    // Ten seconds without a question are what the unit's panel wants.
    let unlocked = || (!site.port.with(|unit| unit.keypad_locked(instant_now()))).then_some(());
    wait_for("the keypad to unlock", LIMIT, unlocked).unwrap();
    let asked = site.port.with(|unit| unit.requests());
    let reply = alice.ask("setpoint", json!({ "celsius": 12.5 })).unwrap();
    assert_eq!((&reply["code"], &reply["reason"]), (&json!(7), &json!("released")), "{reply}");
    succeeded(&alice.ask("ping", json!({})).unwrap());
    assert_eq!(site.port.with(|unit| unit.requests()), asked);
    succeeded(&alice.ask("release", json!({ "minutes": 0 })).unwrap());
    site.wait_state(|state| state["status"] == "idle" && state["water_temp"] == 12.0, LIMIT).unwrap();
    let reply = alice.ask("release", json!({ "minutes": 16 })).unwrap();
    assert_eq!(reply["code"], 6, "{reply}");
}

#[test]
fn a_release_ends_by_itself_and_is_no_loss_of_the_unit() {
    let site = Site::builder().setting("serial_timeout", "1").setting("exchange_limit", "1").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let output = site.tool("alice", &["release", "0.05"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    site.wait_state(|state| state["status"] == "released", LIMIT).unwrap();
    let output = site.tool("alice", &["status"]).unwrap();
    assert_eq!(output.code, 4, "{output:?}");
    assert!(output.stdout.contains("Chiller is RELEASED") && !output.stdout.contains("°C"), "{output:?}");
    site.wait_state(|state| state["status"] == "idle" && state["connected"] == true, LIMIT).unwrap();
    let events: Vec<_> =
        alice.client.messages().into_iter().filter(|it| it.topic == topic("event")).collect();
    let events: Vec<_> = events.iter().map(|it| it.json().unwrap()).collect();
    assert!(events.iter().all(|it| it["kind"] != "link" || it["reason"] == "thresholds"), "{events:?}");
    assert_eq!(site.last("health").unwrap().json().unwrap()["link"]["losses"], 0);
    assert!(events.iter().any(|event| event["reason"] == "released"), "{events:?}");
}

#[test]
fn what_home_assistant_and_node_red_send_is_understood() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    for (verb, bare) in [
        ("ping", "PRESS"),
        ("ping", ""),
        ("enabled", "on"),
        ("setpoint", "12.5"),
        ("setpoint", " 13 "),
        ("enabled", "off"),
        ("clear_alarms", "PRESS"),
        ("release", "0"),
        ("mode", "automatic"),
        ("mode", "auto"),
        ("mode", "manual"),
    ] {
        let reply = alice.ask_raw(alice.post(verb, bare), "last").unwrap();
        succeeded(&reply);
        assert_eq!((&reply["verb"], &reply["id"]), (&json!(verb), &Value::Null), "{reply}");
    }
    let commands: Vec<_> = site.orders().into_iter().map(|(command, _)| command).collect();
    assert_eq!(commands, [15, 17, 17, 15]);
}

#[test]
fn mosquitto_pub_needs_no_code() {
    let site = Site::start().unwrap();
    let files = site.broker.client("alice").unwrap();
    let output = Launch::machine("mosquitto_pub")
        .unwrap()
        .args(["-V", "5", "-q", "1", "-h", "127.0.0.1", "-p", &site.broker.port().to_string()])
        .arg("--cafile")
        .arg(files.ca)
        .arg("--cert")
        .arg(files.cert)
        .arg("--key")
        .arg(files.key)
        .args(["-t", "clasp/chiller/command/alice/setpoint", "-m", "12.5"])
        .run(LIMIT)
        .unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    site.wait_state(|state| state["setpoint_temp"] == 12.5, LIMIT).unwrap();
    assert_eq!(site.orders(), [(17, "+0125".to_owned())]);
}

#[test]
fn watch_tells_of_each_change() {
    let site = Site::start().unwrap();
    let mut watch = site.launch_own_tool("bob", &["watch"]).unwrap().spawn().unwrap();
    watch.wait_for_line(|line| line.contains("IDLE"), LIMIT).unwrap();
    let mark = watch.mark();
    assert_eq!(site.tool("alice", &["enable"]).unwrap().code, 0);
    watch
        .wait_for_line_after(mark, |line| line.contains("HEATING") && line.contains("set 15.0"), LIMIT)
        .unwrap();
    watch.interrupt().unwrap();
    assert_eq!(watch.wait_exit(LIMIT).unwrap(), 0);
}

#[test]
fn alarms_are_cleared_in_standby_and_after_the_panels_pause() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    succeeded(&alice.ask("clear_alarms", json!({})).unwrap());
    assert_eq!((site.orders().len(), site.port.with(|unit| unit.alarm_reads())), (0, 0));

    succeeded(&alice.ask("enabled", json!({ "enabled": "on" })).unwrap());
    // Low coolant stays lit until it is cleared, though its cause has gone.
    site.port.with(|unit| unit.inject(Fault::AlarmTrip("A1:3".parse().unwrap())));
    let state = site.wait_state(|state| state["status"] == "fault", LIMIT).unwrap();
    assert!(state["attention"].as_array().unwrap().iter().any(|it| it["name"] == "alarm"), "{state}");
    let reply = alice.ask("enabled", json!({ "enabled": "on" })).unwrap();
    assert_eq!((&reply["status"], &reply["code"]), (&json!("rejected"), &json!(32)), "{reply}");
    let reply = alice.ask("clear_alarms", json!({})).unwrap();
    assert_eq!((&reply["status"], &reply["code"]), (&json!("failed"), &json!(32)), "{reply}");

    site.port.with(testbed::chiller::Chiller::clear_faults);
    let before = site.orders().len();
    succeeded(&alice.ask("clear_alarms", json!({})).unwrap());
    assert_eq!(site.orders()[before..], [(15, "0".to_owned())]);
    assert_eq!(site.port.with(|unit| (unit.alarm(), unit.hung(), unit.alarm_reads())), (false, false, 2));
    let state = site.wait_state(|state| state["status"] == "idle", LIMIT).unwrap();
    assert_eq!((&state["alarms"], &state["attention"]), (&json!([]), &json!([])), "{state}");
}

#[test]
fn every_command_of_the_command_line_succeeds_and_says_so() {
    let site = Site::start().unwrap();
    for arguments in [
        &["ping"][..],
        &["enable"],
        &["setpoint", "11.5"],
        &["disable"],
        &["clear-alarms"],
        &["release", "1"],
        &["release", "0"],
        &["mode", "auto"],
        &["mode", "manual"],
    ] {
        let unit_read = |state: &Value| state["connected"] == true || state["status"] == "released";
        site.wait_state(unit_read, LIMIT).unwrap();
        let output = site.tool("ops", arguments).unwrap();
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{arguments:?}: {output:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?} says nothing");
    }
    let expected = [(15, "1"), (17, "+0115"), (15, "0")].map(|(command, data)| (command, data.to_owned()));
    assert_eq!(site.orders(), expected);
    site.wait_state(|state| state["last_command"]["by"] == "ops", LIMIT).unwrap();
}
