//! Automatic control with real processes: the services of the site publish, the bridge decides, the
//! unit obeys, the command line says why. The rules themselves are tried in virtual time elsewhere.
//! `C` and a number: the finding about the predecessor that a scene answers.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test an error is a failure, in its helpers too"
)]

use std::time::Duration;

use bus::clock::{Now, Utc};
use serde_json::{Value, json};
use testbed::chiller::{AlarmBit, Chiller, Fault};
use testbed::client::Message;
use testbed::port::{Direction, Passed};
use testbed::publisher::{Dated, Dome, Power};
use testbed::site::{Builder, LIMIT, Site, topic};
use testbed::wait::wait_for;

/// "Within seconds", on a machine that also does other things.
const SECONDS: Duration = Duration::from_secs(10);

const WARM: f64 = 12.0;

/// A running site with `powerd`, all channels off, and `domealertd`, in a warm dome.
fn running(builder: Builder<Chiller>) -> (Site, Power, Dome) {
    let mut site = builder.start_without_bridge().unwrap();
    let power = Power::start(&site.broker, &["cmos", "swir"]).unwrap();
    let dome = Dome::start(&site.broker, WARM).unwrap();
    site.start_bridge().unwrap();
    let settled =
        |state: &Value| state["reason"] == "not_needed" && state["inputs"]["dome"]["status"] == "ok";
    site.wait_state(settled, LIMIT).unwrap();
    (site, power, dome)
}

fn cameras() -> Builder<Chiller> {
    Site::builder().automatic(&["cmos", "swir"])
}

fn is_because(reason: &str, pump_on: bool) -> impl Fn(&Value) -> bool {
    move |state| state["reason"] == reason && state["pump_on"] == pump_on
}

fn attention(state: &Value, name: &str) -> Option<String> {
    let held = state["attention"].as_array().unwrap().iter().find(|it| it["name"] == name)?;
    Some(held["text"].as_str().unwrap().to_owned())
}

fn has_attention(name: &str) -> impl Fn(&Value) -> bool {
    move |state| attention(state, name).is_some()
}

fn orders(site: &Site) -> Vec<String> {
    site.orders().into_iter().map(|(command, data)| format!("{command}/{data}")).collect()
}

/// The events of this kind so far.
fn events(site: &Site, kind: &str) -> Vec<Value> {
    let here = topic("event");
    let messages = site.observer.messages().into_iter().filter(|message| message.topic == here);
    messages.map(|message| message.json().unwrap()).filter(|event| event["kind"] == kind).collect()
}

fn reasons(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["reason"].as_str().unwrap_or_default()).collect()
}

fn decisions(site: &Site) -> Vec<Value> {
    events(site, "decision").into_iter().filter(|event| !event["values"]["wanted"].is_null()).collect()
}

fn date(value: &Value) -> Utc {
    Utc::parse(value.as_str().unwrap()).unwrap()
}

/// C22: a camera that is power-cycled does not toggle the pump at once.
#[test]
fn a_camera_is_powered_and_the_chiller_follows_until_a_while_after_its_end() {
    let (site, power, _dome) = running(cameras().setting("switch_off_delay", "4"));
    assert_eq!(orders(&site), [""; 0]);
    power.set("cmos", true).unwrap();
    let state = site.wait_state(is_because("camera_power", true), SECONDS).unwrap();
    assert_eq!(state["channels_enabled"], json!(["cmos"]), "{state}");
    site.wait_state(|state| state["cooling_ok"] == true && state["status"] == "heating", SECONDS).unwrap();
    let text = site.tool("visitor", &["status"]).unwrap().stdout;
    assert!(text.contains("\n   HEATING because camera cmos is powered\n"), "{text}");
    assert!(text.contains("\n   Inputs: power ok (") && text.contains("), dome ok ("), "{text}");

    // One of two is not the last.
    power.set("swir", true).unwrap();
    power.set("cmos", false).unwrap();
    site.wait_state(|state| state["channels_enabled"] == json!(["swir"]), SECONDS).unwrap();
    for again in [true, false] {
        power.set("swir", false).unwrap();
        site.wait_state(is_because("switch_off_delay", true), SECONDS).unwrap();
        power.set("swir", again).unwrap();
    }
    site.wait_state(|state| state["status"] == "idle" && state["reason"] == "not_needed", SECONDS).unwrap();
    assert_eq!(orders(&site), ["15/1", "15/0"]);
    let decisions = decisions(&site);
    let after_the_start = reasons(&decisions).into_iter().skip_while(|reason| *reason != "camera_power");
    let expected = ["camera_power", "switch_off_delay", "camera_power", "switch_off_delay", "not_needed"];
    assert_eq!(Vec::from_iter(after_the_start), expected);
    let cause = decisions.iter().find(|event| event["reason"] == "camera_power").unwrap();
    assert_eq!(cause["values"]["channels"], json!(["cmos"]), "{cause}");
}

#[test]
fn power_switches_that_publish_a_bare_word_for_each_channel_are_understood() {
    let builder = cameras().setting_in("power", "format", "\"bare\"").setting_in(
        "power",
        "topic",
        "\"clasp/power/{channel}\"",
    );
    let mut site = builder.start_without_bridge().unwrap();
    let _dome = Dome::start(&site.broker, WARM).unwrap();
    let power = Power::start_bare(&site.broker, &["cmos", "swir"]).unwrap();
    site.start_bridge().unwrap();
    site.wait_state(is_because("not_needed", false), LIMIT).unwrap();
    power.set("swir", true).unwrap();
    let state = site.wait_state(is_because("camera_power", true), SECONDS).unwrap();
    assert_eq!(state["channels_enabled"], json!(["swir"]), "{state}");
}

/// C3: for the predecessor, no word from the power switch meant that no camera was powered.
#[test]
fn when_the_power_publisher_dies_the_chiller_is_held_as_it_is_and_then_runs() {
    let (site, power, _dome) = running(cameras());
    power.silence();
    let held = site.wait_state(is_because("input_hold", false), SECONDS).unwrap();
    assert_eq!(held["inputs"]["power"]["status"], "stale", "{held}");
    assert!(attention(&held, "input_stale").unwrap().contains("clasp/power/state"), "{held}");
    let state = site.wait_state(is_because("input_failsafe", true), SECONDS).unwrap();
    assert_eq!((&state["wanted_by_automatic"], &state["channels_enabled"]), (&json!(true), &Value::Null));
    let text = site.tool("visitor", &["status"]).unwrap().stdout;
    assert!(
        text.contains("COOLING because camera power is stale for too long: it runs to be safe\n"),
        "{text}"
    );

    // With a camera on it just goes on, hold or not.
    power.set("cmos", true).unwrap();
    power.speak().unwrap();
    site.wait_state(is_because("camera_power", true), SECONDS).unwrap();
    drop(power);
    site.wait_state(is_because("input_hold", true), SECONDS).unwrap();
    site.wait_state(is_because("input_failsafe", true), SECONDS).unwrap();
    assert_eq!(orders(&site), ["15/1"]);
}

/// C7: the age of what others published was never looked at.
#[test]
fn an_off_that_was_left_behind_stops_nothing() {
    let mut site = cameras()
        .setting("input_hold", "4")
        .model(|model| model.auto_start = true)
        .start_without_bridge()
        .unwrap();
    let power = Power::start(&site.broker, &["cmos", "swir"]).unwrap();
    power.dated(Dated::Never).unwrap();
    drop(power);
    let _dome = Dome::start(&site.broker, WARM).unwrap();
    site.start_bridge().unwrap();
    let stale = |state: &Value| state["inputs"]["power"] == json!({ "status": "stale", "age_s": null });
    let state = site.wait_state(stale, LIMIT).unwrap();
    assert!(attention(&state, "input_stale").unwrap().contains("it was stored and bears no date"), "{state}");
    site.wait_state(is_because("input_failsafe", true), SECONDS).unwrap();
    assert_eq!(orders(&site), [""; 0]);
    // Said live it counts, dated or not.
    let power = Power::start(&site.broker, &["cmos", "swir"]).unwrap();
    power.retained(false).unwrap();
    power.dated(Dated::Never).unwrap();
    site.wait_state(is_because("not_needed", false), SECONDS).unwrap();
    assert_eq!(orders(&site), ["15/0"]);
}

/// C3-C6: a renamed channel disabled the chiller silently, an invalid temperature was used, and
/// 255 °C was published for -1 °C.
#[test]
fn what_publishers_say_wrongly_is_named_and_does_not_switch_off() {
    let (site, power, dome) = running(cameras().setting("input_hold", "60"));
    power.set("cmos", true).unwrap();
    site.wait_state(is_because("camera_power", true), SECONDS).unwrap();

    power.rename("cmos", "camera1").unwrap();
    let missing = |state: &Value| state["inputs"]["power"]["status"] == "missing";
    let state = site.wait_state(missing, SECONDS).unwrap();
    assert!(attention(&state, "input_stale").unwrap().contains("does not publish \"cmos\""), "{state}");
    power.rename("camera1", "cmos").unwrap();
    site.wait_state(is_because("camera_power", true), SECONDS).unwrap();

    for unknown in [Value::Null, json!(2), json!("UNKNOWN")] {
        power.set("cmos", unknown).unwrap();
        let state = site.wait_state(is_because("input_hold", true), SECONDS).unwrap();
        assert_eq!(state["channels_enabled"], Value::Null, "{state}");
        power.set("cmos", true).unwrap();
        site.wait_state(is_because("camera_power", true), SECONDS).unwrap();
    }
    for (dated, status) in [(Dated::Shifted(60.0), "invalid"), (Dated::Shifted(-60.0), "stale")] {
        power.dated(dated).unwrap();
        site.wait_state(|state| state["inputs"]["power"]["status"] == status, SECONDS).unwrap();
        power.dated(Dated::Now).unwrap();
        site.wait_state(is_because("camera_power", true), SECONDS).unwrap();
    }
    dome.set(255.0).unwrap();
    let state = site.wait_state(|state| state["inputs"]["dome"]["status"] == "implausible", SECONDS).unwrap();
    assert_eq!((&state["dome_temp"], &state["antifreeze_enabled"]), (&Value::Null, &json!(false)), "{state}");
    dome.set(WARM).unwrap();
    dome.valid(false).unwrap();
    site.wait_state(|state| state["inputs"]["dome"]["status"] == "invalid", SECONDS).unwrap();
    dome.valid(true).unwrap();
    site.wait_state(|state| state["inputs"]["dome"]["status"] == "ok", SECONDS).unwrap();

    // Said again and again by the publisher, it was told once; and nothing has touched the pump.
    let events = events(&site, "decision");
    assert_eq!(reasons(&events).iter().filter(|reason| **reason == "input_missing").count(), 1);
    assert_eq!(orders(&site), ["15/1"]);
}

#[test]
fn on_a_cold_night_the_chiller_runs_until_it_is_warmer() {
    let (site, _power, dome) = running(cameras());
    dome.set(4.0).unwrap();
    let state = site.wait_state(is_because("antifreeze", true), SECONDS).unwrap();
    assert_eq!((&state["antifreeze_enabled"], &state["dome_temp"]), (&json!(true), &json!(4.0)), "{state}");
    let text = site.tool("visitor", &["status"]).unwrap().stdout;
    assert!(text.contains(" because it may freeze: dome is at 4.0°C\n"), "{text}");
    // Between the limits nothing changes.
    dome.set(6.0).unwrap();
    site.wait_state(|state| state["dome_temp"] == 6.0 && state["reason"] == "antifreeze", SECONDS).unwrap();
    dome.set(7.5).unwrap();
    site.wait_state(is_because("not_needed", false), SECONDS).unwrap();
    // The chiller's own sensor counts as well, and a dome that is silent does not warm it.
    drop(dome);
    site.port.with(|unit| unit.set_ambient_celsius(3.0));
    site.wait_state(is_because("antifreeze", true), SECONDS).unwrap();
    site.port.with(|unit| unit.set_ambient_celsius(WARM));
    site.wait_state(is_because("not_needed", false), SECONDS).unwrap();
    assert_eq!(orders(&site), ["15/1", "15/0", "15/1", "15/0"]);
}

/// The requests from the `from`-th frame on, by their numbers.
fn requests(log: &[Passed], from: usize) -> Vec<(u8, Passed)> {
    let number = |frame: &Passed| {
        let start = frame.bytes.iter().position(|byte| *byte == b'.')?;
        std::str::from_utf8(frame.bytes.get(start + 3..start + 5)?).ok()?.parse::<u8>().ok()
    };
    let fresh = log.iter().skip(from).filter(|frame| frame.direction == Direction::Request);
    fresh.filter_map(|frame| Some((number(frame)?, frame.clone()))).collect()
}

/// C2, C8: alarms were never read, and a restart started the pump again.
#[test]
fn an_alarm_is_read_in_standby_and_kept_until_somebody_clears_it() {
    let (mut site, power, _dome) = running(cameras().setting("start_deadline", "5"));
    power.set("cmos", true).unwrap();
    site.wait_state(is_because("camera_power", true), SECONDS).unwrap();
    let from = site.port.log().len();
    site.port.with(|unit| unit.inject(Fault::AlarmTrip(AlarmBit::LOW_COOLANT)));
    let fault = |state: &Value| {
        state["status"] == "fault" && state["reason"] == "alarm" && state["alarms"] != Value::Null
    };
    let state = site.wait_state(fault, SECONDS).unwrap();
    assert!(attention(&state, "alarm").is_some(), "{state}");
    let cleared = || {
        let asked = requests(&site.port.log(), from);
        let clearing = asked.iter().position(|(number, _)| *number == 18)?;
        (asked.len() > clearing + 3).then_some((asked, clearing))
    };
    let (asked, clearing) = wait_for("the alarms to be read", SECONDS, cleared).unwrap();
    let numbers: Vec<u8> = asked[clearing..].iter().map(|(number, _)| *number).take(4).collect();
    assert_eq!(numbers, [18, 19, 19, 20]);
    let standby = asked[..clearing].iter().rfind(|(number, _)| *number == 15).unwrap();
    let pause = asked[clearing].1.at.since(standby.1.at);
    assert!(pause >= Duration::from_millis(1500), "{pause:?}");
    assert!(!site.port.with(|unit| unit.hung()));
    let state = site.wait_state(has_attention("camera_without_cooling"), SECONDS).unwrap();
    assert_eq!((&state["wanted_by_automatic"], &state["pump_on"]), (&json!(true), &json!(false)), "{state}");

    // The unit's own latch is gone with the reading of it; the bridge's outlives the bridge.
    site.port.with(Chiller::clear_faults);
    assert_eq!(site.bridge.stop().unwrap(), 0);
    let before = orders(&site);
    site.start_bridge().unwrap();
    let state =
        site.wait_state(|state| fault(state) && state["channels_enabled"] == json!(["cmos"]), LIMIT).unwrap();
    assert_ne!(state["alarms"], json!([]), "{state}");
    site.wait_state(has_attention("camera_without_cooling"), SECONDS).unwrap();
    assert!(!orders(&site)[before.len()..].contains(&"15/1".to_owned()), "{:?}", orders(&site));

    let cleared = site.tool("alice", &["clear-alarms"]).unwrap();
    assert_eq!(cleared.code, 0, "{cleared:?}");
    let state = site.wait_state(is_because("camera_power", true), SECONDS).unwrap();
    assert_eq!((&state["alarms"], attention(&state, "alarm")), (&json!([]), None), "{state}");
}

#[test]
fn without_the_broker_control_runs_on_and_tells_of_it_afterwards_with_its_own_times() {
    let (mut site, power, _dome) = running(cameras().setting("start_deadline", "5"));
    power.set("cmos", true).unwrap();
    site.wait_state(is_because("camera_power", true), SECONDS).unwrap();
    site.broker.stop().unwrap();
    #[expect(clippy::disallowed_methods, reason = "compares with the dates of events")]
    let down = Now::read().utc;
    // Nobody sees the states now; that the unit is asked, and an order that only control can give,
    // show what goes on: the unit drops out of run, and is brought back.
    let asked = site.port.with(|unit| unit.requests_of(1));
    site.port.with(|unit| unit.power_cycle());
    let runs_again = || (orders(&site).len() == 2).then_some(());
    wait_for("the unit to be started again", LIMIT, runs_again).unwrap();
    // Held, and then on the safe side: two seconds after the two that an input lives.
    let polls = || (site.port.with(|unit| unit.requests_of(1)) >= asked + 8).then_some(());
    wait_for("more polls", LIMIT, polls).unwrap();
    assert_eq!(orders(&site), ["15/1", "15/1"]);
    let mark = site.observer.mark();
    site.broker.restart().unwrap();
    #[expect(clippy::disallowed_methods, reason = "compares with the dates of events")]
    let up = Now::read().utc;

    let here = topic("event");
    let failsafe = |message: &Message| {
        message.topic == here && message.json().is_ok_and(|event| event["reason"] == "input_failsafe")
    };
    site.observer.wait_after(mark, failsafe, LIMIT).unwrap();
    site.wait_state(is_because("camera_power", true), LIMIT).unwrap();
    let messages = site.observer.messages();
    let late: Vec<Value> = messages[mark..]
        .iter()
        .filter(|message| message.topic == here)
        .map(|message| message.json().unwrap())
        // What was under way when the broker went may be told again after it.
        .filter(|event| (down..up).contains(&date(&event["date"])))
        .collect();
    let told = reasons(&late);
    for reason in ["input_stale", "input_hold", "input_failsafe"] {
        assert!(told.contains(&reason), "{reason} is not among {told:?}");
    }
    let numbers: Vec<u64> = late.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted() && late.iter().map(|event| date(&event["date"])).is_sorted(), "{late:?}");
}
