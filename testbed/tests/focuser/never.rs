//! Commands that must never move it: retained, repeated, aged, from the future, without a time.

use serde_json::json;
use testbed::client::{Message, Puback};
use testbed::operator::{Operator, request, seconds_from_now};
use testbed::site::LIMIT;

use super::{at_rest, ended, homed, succeeded, targets_sent};

#[test]
fn a_retained_motion_is_refused_and_what_was_left_behind_is_never_delivered() {
    let (mut site, alice) = homed();
    let sent = targets_sent(&site);
    let (id, payload) = request(json!({ "mm": 1.0, "ttl_s": 3600 })).unwrap();
    let post = alice.post("set", payload).retained();
    assert_eq!(alice.client.publish(post).unwrap(), Puback(0));
    ended(&alice.terminal(&id).unwrap(), "rejected", 22, "retained");
    // It lies at the broker still, and is good for an hour; a new bridge and a new connection find it.
    assert_eq!(site.bridge.stop().unwrap(), 0);
    site.start_bridge().unwrap();
    let mark = site.observer.mark();
    site.broker.restart().unwrap();
    let here = site.topic("health");
    let ready = |message: &Message| {
        message.topic == here && message.json().is_ok_and(|health| health["command_path_ok"] == true)
    };
    site.observer.wait_after(mark, ready, LIMIT).unwrap();
    let back = Operator::new(&site, "alice").unwrap();
    succeeded(&back.ask("ping", json!({})).unwrap());
    assert_eq!(targets_sent(&site), sent);
    assert_eq!(at_rest(&site)["current_mm"], 0.0);
}

#[test]
fn a_repeated_motion_moves_once() {
    let (site, alice) = homed();
    let (id, payload) = request(json!({ "mm": 0.5 })).unwrap();
    succeeded(&alice.ask_raw(alice.post("offset", payload.clone()), &id).unwrap());
    let sent = targets_sent(&site);
    let again = alice.ask_raw(alice.post("offset", payload), &id).unwrap();
    assert_eq!((&again["code"], &again["duplicate"]), (&json!(0), &json!(true)), "{again}");
    let other = alice.ask("offset", json!({ "id": id, "mm": 0.6 })).unwrap();
    ended(&other, "rejected", 26, "id_reused");
    assert_eq!(targets_sent(&site), sent);
    assert_eq!(at_rest(&site)["current_mm"], 0.5);

    // While it runs, too: one motion, one terminal reply for both.
    let (id, payload) = request(json!({ "mm": 0.5 })).unwrap();
    alice.client.publish(alice.post("offset", payload.clone())).unwrap();
    alice.client.publish(alice.post("offset", payload)).unwrap();
    succeeded(&alice.terminal(&id).unwrap());
    alice.settle().unwrap();
    let terminal = alice.replies(&id).iter().filter(|reply| !reply["code"].is_null()).count();
    assert_eq!(terminal, 1, "{:?}", alice.replies(&id));
    assert_eq!(at_rest(&site)["current_mm"], 1.0);
}

#[test]
fn a_motion_that_is_too_old_or_from_the_future_or_without_a_time_is_refused() {
    let (site, alice) = homed();
    let sent = targets_sent(&site);
    for (verb, seconds, ttl, code, reason) in [
        ("set", -11.0, 10.0, 23, "expired"),
        ("offset", -2.0, 1.0, 23, "expired"),
        ("init", -60.0, 10.0, 23, "expired"),
        ("set", 10.0, 10.0, 24, "clock_skew"),
        ("set", -7200.0, 3600.0, 24, "clock_skew"),
    ] {
        let mut keys = json!({ "mm": 1.0, "ts": seconds_from_now(seconds).to_string(), "ttl_s": ttl });
        if verb == "init" {
            keys.as_object_mut().unwrap().remove("mm");
            keys["force"] = true.into();
        }
        ended(&alice.ask(verb, keys).unwrap(), "rejected", code, reason);
    }
    let bare = alice.ask_raw(alice.post("set", "1.0"), "last").unwrap();
    ended(&bare, "rejected", 25, "ts_required");
    let bare = alice.ask_raw(alice.post("offset", "1.0"), "last").unwrap();
    ended(&bare, "rejected", 25, "id_required");
    let bare = alice.ask_raw(alice.post("init", ""), "last").unwrap();
    ended(&bare, "rejected", 25, "ts_required");
    assert_eq!(targets_sent(&site), sent);
    assert_eq!(at_rest(&site)["current_mm"], 0.0);
}

#[test]
fn what_is_sent_while_the_bridge_is_down_is_not_run_when_it_comes() {
    let (mut site, alice) = homed();
    let sent = targets_sent(&site);
    assert_eq!(site.bridge.stop().unwrap(), 0);
    site.wait_availability("offline", LIMIT).unwrap();
    let (id, payload) = request(json!({ "mm": 1.0, "ttl_s": 3600 })).unwrap();
    assert_eq!(alice.client.publish(alice.post("set", payload)).unwrap(), Puback::NO_SUBSCRIBERS);
    site.start_bridge().unwrap();
    alice.settle().unwrap();
    assert!(alice.replies(&id).is_empty(), "{:?}", alice.replies(&id));
    assert_eq!(targets_sent(&site), sent);
    assert_eq!(at_rest(&site)["current_mm"], 0.0);
}
