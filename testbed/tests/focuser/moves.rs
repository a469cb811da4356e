//! Homing, moves, an autofocus run, and what is refused.

use serde_json::{Value, json};
use testbed::operator::{Operator, seconds_from_now};
use testbed::site::{FocuserSite, LIMIT};

use super::{at_rest, ended, homed, nothing_forbidden, succeeded, targets_sent};

#[test]
fn init_finds_the_inner_end_and_moves_go_where_they_are_sent() {
    let site = FocuserSite::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let state = site.wait_state(|state| state["status"] == "not_homed", LIMIT).unwrap();
    assert!(state["current_mm"].is_null() && state["homed"] == false, "{state}");
    ended(&alice.ask("set", json!({ "mm": 1.0 })).unwrap(), "rejected", 7, "not_homed");
    assert_eq!(site.orders(), [], "it moves nothing by itself");

    let id = alice.send("init", json!({})).unwrap();
    let state = site.wait_state(|state| state["status"] == "homing", LIMIT).unwrap();
    assert!(!state["deadline"].is_null() && state["current_mm"].is_null(), "{state}");
    succeeded(&alice.terminal(&id).unwrap());
    let state = at_rest(&site);
    assert_eq!((&state["current_mm"], &state["homed"]), (&json!(0.0), &json!(true)), "{state}");
    assert_eq!(site.port.with(|unit| unit.registers()), [41, 437, 437, 3]);

    for (verb, mm, there) in
        [("set", 1.0, 1.0), ("offset", -0.25, 0.75), ("offset", 0.1, 0.85), ("set", 0.0, 0.0)]
    {
        succeeded(&alice.ask(verb, json!({ "mm": mm })).unwrap());
        let state = at_rest(&site);
        assert_eq!(state["current_mm"], there, "after {verb} {mm}: {state}");
        assert_eq!(state["last_command"]["code"], 0, "{state}");
    }
    // Where it stands already.
    let sent = targets_sent(&site);
    succeeded(&alice.ask("set", json!({ "mm": 0.0 })).unwrap());
    succeeded(&alice.ask("init", json!({})).unwrap());
    assert_eq!(targets_sent(&site), sent);
    succeeded(&alice.ask("init", json!({ "force": true })).unwrap());
    assert!(targets_sent(&site) > sent);
    nothing_forbidden(&site);
}

#[test]
fn a_move_outwards_overshoots_and_ends_inwards_and_shows_itself_ten_times_a_second() {
    let (site, alice) = homed();
    let sent = site.orders().len();
    let mark = site.observer.mark();
    let id = alice.send("set", json!({ "mm": 2.0 })).unwrap();
    let accepted = alice.reply(&id, "accepted").unwrap();
    assert!(!accepted["deadline"].is_null(), "{accepted}");
    succeeded(&alice.terminal(&id).unwrap());
    let state = at_rest(&site);
    let origin = state["origin_steps"].as_i64().unwrap();
    let legs = [-12_720, -10_176].map(|steps| ("P092".to_owned(), (origin + steps).to_string()));
    assert_eq!(site.orders().split_off(sent), legs);

    let here = site.topic("state");
    let messages = site.observer.messages();
    let states: Vec<_> = messages.iter().skip(mark).filter(|message| message.topic == here).collect();
    let moving: Vec<_> = states
        .iter()
        .map(|message| (message.at.instant, message.json().unwrap()))
        .filter(|(_, state)| state["status"] == "moving")
        .collect();
    let (first, last) = (moving.first().unwrap().0, moving.last().unwrap().0);
    let rate = f64::from(u32::try_from(moving.len()).unwrap()) / last.since(first).as_secs_f64();
    assert!(rate >= 10.0, "{rate} states per second, {} in all", moving.len());
    let progress: Vec<_> = moving.iter().filter_map(|(_, state)| state["progress"].as_f64()).collect();
    assert!(progress.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{progress:?}");
    assert!(moving.iter().all(|(_, state)| state["target_mm"] == 2.0), "{moving:?}");
    assert!(moving.iter().any(|(_, state)| state["eta_s"].as_f64().is_some_and(|eta| eta > 0.5)));
    nothing_forbidden(&site);
}

#[test]
fn an_autofocus_run_of_twenty_moves_reaches_each_position() {
    let (site, scheduler) = homed();
    let homing = targets_sent(&site);
    let mut targets: Vec<f64> = (0..19).map(|i| f64::from(1500 - 50 * i) / 1000.0).collect();
    targets.push(1.034);
    for target in targets {
        let reply = scheduler.ask("set", json!({ "mm": target })).unwrap();
        succeeded(&reply);
        // The state that shows the outcome is published before the reply that announces it.
        let here = site.topic("state");
        let messages = scheduler.client.messages();
        let state = messages.iter().rfind(|message| message.topic == here).unwrap().json().unwrap();
        assert_eq!((&state["status"], &state["current_mm"]), (&json!("idle"), &json!(target)), "{state}");
        let real = site.port.with(|unit| unit.place_mm());
        assert!((real - target).abs() <= 0.0004, "sent to {target}, is at {real}");
    }
    // 18 inwards in one leg each, two outwards in two.
    assert_eq!(targets_sent(&site) - homing, 18 + 4);
    nothing_forbidden(&site);
}

#[test]
fn what_cannot_be_is_refused_and_moves_nothing() {
    let (site, alice) = homed();
    let sent = site.orders().len();
    for (verb, mm, code) in [
        ("set", "7", 6),
        ("set", "-0.001", 6),
        ("set", "6.001", 6),
        ("offset", "-0.1", 6),
        ("offset", "6.5", 6),
        ("set", "\"1\"", 20),
        ("set", "null", 20),
        ("set", "NaN", 20),
        ("set", "1e999", 20),
    ] {
        let (id, ts) = (Operator::new_id(), seconds_from_now(0.0));
        let payload = format!(r#"{{"id": "{id}", "ts": "{ts}", "mm": {mm}}}"#);
        // What is no JSON has no id.
        let topic = if ["NaN", "1e999"].contains(&mm) { "last" } else { id.as_str() };
        let reply = alice.ask_raw(alice.post(verb, payload), topic).unwrap();
        assert_eq!(
            (&reply["status"], &reply["code"]),
            (&json!("rejected"), &json!(code)),
            "{verb} {mm}: {reply}"
        );
    }
    assert_eq!(alice.ask("home", json!({})).unwrap()["code"], 21);
    assert_eq!(site.orders().len(), sent);
    assert_eq!(at_rest(&site)["current_mm"], 0.0);
}

#[test]
fn two_clients_at_once_and_the_second_is_told_who_is_busy() {
    let (site, alice) = homed();
    let ops = Operator::new(&site, "ops").unwrap();
    let id = alice.send("set", json!({ "mm": 1.0 })).unwrap();
    alice.reply(&id, "accepted").unwrap();
    for (verb, keys) in [("set", json!({ "mm": 2.0 })), ("offset", json!({ "mm": 0.5 })), ("init", json!({}))]
    {
        let reply = ops.ask(verb, keys).unwrap();
        ended(&reply, "rejected", 2, "blocked");
        assert_eq!(reply["message"], format!("alice's set (id {id}) is running"), "{reply}");
    }
    succeeded(&ops.ask("ping", json!({})).unwrap());
    succeeded(&alice.terminal(&id).unwrap());
    assert_eq!(at_rest(&site)["current_mm"], 1.0);
    // Neither waits for the other afterwards.
    succeeded(&ops.ask("set", json!({ "mm": 0.9 })).unwrap());
    let visitor = Operator::new(&site, "bob").unwrap();
    ended(&visitor.ask("set", json!({ "mm": 0.5 })).unwrap(), "rejected", 3, "not_authorised");
    assert_eq!(at_rest(&site)["current_mm"], 0.9);
}

#[test]
fn meta_tells_verbs_ranges_and_times() {
    let site = FocuserSite::start().unwrap();
    let example = include_str!("../../../focuser-bridge/device/examples/meta.json");
    let meta = site.wait_json("meta", |_| true, LIMIT).unwrap();
    assert_eq!(meta["verbs"], serde_json::from_str::<Value>(example).unwrap()["verbs"]);

    let site = FocuserSite::builder().setting("focus_range_mm", "5.5").start().unwrap();
    let meta = site.wait_json("meta", |_| true, LIMIT).unwrap();
    assert_eq!((&meta["kind"], &meta["model"]), (&json!("focuser"), &json!("ASA OK3Z")));
    assert_eq!(meta["stale_after_s"], 5.0);
    // Under the shipped access control.
    let health = site.wait_json("health", |_| true, LIMIT).unwrap();
    assert_eq!((&health["acl_ok"], &health["command_path_ok"]), (&json!(true), &json!(true)), "{health}");
    let verbs = meta["verbs"].as_array().unwrap();
    let named = |name: &str| -> &Value { verbs.iter().find(|verb| verb["name"] == name).unwrap() };
    let names: Vec<_> = verbs.iter().map(|verb| verb["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ping", "init", "set", "offset", "stop", "kill"]);
    let range = |verb: &str| [&named(verb)["argument"]["minimum"], &named(verb)["argument"]["maximum"]];
    assert_eq!((range("set"), range("offset")), ([&json!(0.0), &json!(5.5)], [&json!(-5.5), &json!(5.5)]));
    assert!(named("set")["timeout_s"].as_f64().unwrap() > 180.0);
    assert_eq!(named("stop")["timeout_s"], 5.0);
}
