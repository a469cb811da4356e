//! Rules 1 to 8: refusals before anything is remembered.

use super::{Code, Gate, MOVES, OUTLETS, ReplyStatus, Room, identity, settings};
use crate::message::EventKind;

#[test]
fn rule_01_what_is_no_command_topic_is_dropped_and_counted() {
    let mut room = Room::switched();
    for topic in [
        "clasp/outlets/command/alice",
        "clasp/outlets/command/alice/mode/now",
        "clasp/outlets/command/Alice/mode",
        "clasp/outlets/command/al\u{1}ice/mode",
        "clasp/outlets/command/alice/mo-de",
        "clasp/outlets/command/alice/a_verb_of_more_than_thirty_two_characters",
    ] {
        let mut arrival = room.arrival("alice", "mode", "manual");
        arrival.topic = topic.to_owned();
        assert!(room.deliver(&arrival).is_empty(), "{topic}");
    }
    assert_eq!(room.desk.dropped_topics(), 6);
    assert!(room.admitted.is_empty());
}

#[test]
fn rule_01_what_is_dropped_is_told_once_per_ten_seconds() {
    let mut room = Room::switched();
    let mut arrival = room.arrival("alice", "mode", "manual");
    arrival.topic = "clasp/outlets/command/al\u{1}ice/mode".to_owned();
    for _ in 0..100 {
        room.deliver(&arrival);
    }
    assert_eq!(room.events.len(), 1);
    assert_eq!(room.events[0].reason.as_deref(), Some("dropped_topics"));
    let told = &room.events[0].message;
    assert!(
        told.ends_with("identity outside its alphabet: clasp/outlets/command/al\\u{1}ice/mode"),
        "{told}"
    );
    room.wait(10.1);
    assert_eq!(room.events[1].values["dropped"], 99);
    room.wait(60.0);
    assert_eq!(room.events.len(), 2);
}

#[test]
fn rule_02_a_retained_command_is_refused_and_its_clearing_ignored() {
    let mut room = Room::moving();
    for (verb, payload) in [("stop", "PRESS"), ("set", "1"), ("nonsense", "1"), ("set", "{")] {
        let mut retained = room.arrival("alice", verb, payload);
        retained.retain = true;
        assert_eq!(room.refusal_of(&retained), Code::Retained, "{verb}");
        retained.payload.clear();
        assert!(room.deliver(&retained).is_empty(), "{verb}");
    }
    assert!(room.admitted.is_empty());
}

#[test]
fn rule_02_comes_before_every_other() {
    let mut room = Room::moving();
    room.desk.set_gate(Gate::Pending);
    let mut arrival = room.arrival("visitor", "nonsense", &"x".repeat(5000));
    arrival.retain = true;
    arrival.stalled = true;
    assert_eq!(room.refusal_of(&arrival), Code::Retained);
    assert_eq!(room.reconnects, 0);
}

#[test]
fn rule_03_more_than_4_kib_is_malformed_unless_it_is_a_stop() {
    let mut room = Room::moving();
    let large = |bytes: usize| format!(r#"{{"id":"a","force":true{}}}"#, " ".repeat(bytes - 23));
    assert_eq!(large(4097).len(), 4097);
    assert_eq!(room.refusal("visitor", "init", &large(4097)), Code::Malformed, "before authorisation");
    assert_eq!(room.refusal("visitor", "init", &large(4096)), Code::NotAuthorised);
    room.admit("alice", "stop", &large(9000));
}

#[test]
fn rule_03_correlation_data_of_more_than_4_kib_is_malformed_and_not_repeated() {
    let mut room = Room::moving();
    let mut arrival = room.arrival("alice", "init", r#"{"id":"a"}"#);
    arrival.correlation = Some(vec![b'c'; 4097]);
    assert_eq!(room.refusal_of(&arrival), Code::Malformed);
    assert_eq!(room.posts[0].correlation, None);
    let mut stop = room.arrival("alice", "stop", "");
    stop.correlation = Some(vec![b'c'; 60_000]);
    assert_eq!(room.deliver(&stop)[0].code, None, "it is admitted");
    assert_eq!(room.posts.last().unwrap().correlation, None);
}

#[test]
fn rule_04_beyond_the_rate_commands_are_counted_and_not_answered() {
    let mut room = Room::switched();
    for n in 0..20 {
        assert_eq!(room.send("alice", "ping", "").len(), 2, "{n}");
    }
    for _ in 0..100 {
        assert!(room.send("alice", "ping", "").is_empty());
    }
    assert_eq!(room.desk.flooded_commands(), 100);
    assert_eq!(room.send("bob", "ping", "").len(), 2, "each has its own bucket");
    room.pass(1.0);
    let answered = (0..20).filter(|_| !room.send("alice", "ping", "").is_empty()).count();
    assert_eq!(answered, 5, "five come back each second");
}

#[test]
fn rule_04_a_flood_is_one_event_per_ten_seconds() {
    let mut room = Room::switched();
    for _ in 0..1000 {
        for _ in 0..20 {
            room.send("visitor", "mode", "manual");
        }
        room.pass(0.03);
        if room.desk.poll_timeout().is_some_and(|at| at <= room.now.instant) {
            room.desk.handle_timeout(room.now);
            room.take();
        }
    }
    let floods: Vec<_> = room.events.iter().filter(|event| event.kind == EventKind::Flood).collect();
    assert_eq!(floods.len(), 3, "{floods:?}");
    assert_eq!(floods[1].by.as_deref(), Some("visitor"));
    assert!(floods[1].values["dropped"].as_u64().is_some_and(|dropped| dropped > 6000), "{:?}", floods[1]);
    assert!(room.posts.len() < 20 + 5 * 30 + 2, "{} replies", room.posts.len());
}

#[test]
fn rule_04_is_counted_before_authorisation_and_holds_for_refusals() {
    for (retain, payload) in [(false, String::new()), (true, "x".to_owned()), (false, "x".repeat(5000))] {
        for verb in ["mode", "stop"] {
            let mut room = Room::moving();
            let mut arrival = room.arrival("visitor", verb, &payload);
            arrival.retain = retain;
            for _ in 0..500 {
                room.deliver(&arrival);
            }
            assert_eq!(room.posts.len(), 20, "{verb}");
            assert_eq!(room.desk.flooded_commands(), 480, "{verb}");
        }
    }
}

#[test]
fn rule_04_a_stop_has_its_own_rate_and_joins_beyond_it() {
    let mut room = Room::moving();
    for _ in 0..30 {
        room.send("alice", "ping", "");
    }
    let first = room.admit("alice", "stop", r#"{"id":"s0"}"#);
    for n in 1..20 {
        let replies = room.send("alice", "stop", &format!(r#"{{"id":"s{n}"}}"#));
        assert_eq!(replies[0].status, ReplyStatus::Accepted, "{n}");
    }
    for _ in 0..3 {
        assert!(room.send("alice", "stop", r#"{"id":"s20"}"#).is_empty(), "joins without a word");
    }
    let ends = room.succeed(&first);
    assert_eq!(ends.len(), 21, "one for each id");
    assert_eq!(room.admitted.len(), 1);
    assert_eq!(room.desk.flooded_commands(), 10, "the pings");
}

#[test]
fn rule_04_a_stop_is_obeyed_beyond_its_rate() {
    let mut room = Room::moving();
    for n in 0..40 {
        let ticket = room.admit("guard", "stop", "");
        assert_eq!(room.succeed(&ticket).len(), 1, "{n}");
    }
}

#[test]
fn rule_04_a_flood_of_stops_holds_a_bounded_memory() {
    let mut room = Room::moving();
    let first = room.admit("alice", "stop", "");
    for n in 0..20_000 {
        room.send("alice", "stop", &format!(r#"{{"id":"s{n}"}}"#));
    }
    assert!(room.succeed(&first).len() <= 256);
    assert!(room.desk.flooded_commands() > 19_000, "those that will not be told are counted");
    assert_eq!(room.events[0].kind, EventKind::Flood);
}

#[test]
fn rule_04_senders_beyond_those_remembered_are_counted_too() {
    let mut room = Room::switched();
    for _ in 0..3 {
        for n in 0..2000 {
            room.send(&format!("made-up-{n}"), "mode", "manual");
        }
    }
    let answered = u64::try_from(room.posts.len()).unwrap();
    assert_eq!(room.desk.flooded_commands() + answered, 6000);
    room.wait(10.1);
    let floods = room.events.iter().filter(|event| event.kind == EventKind::Flood);
    let told: u64 = floods.map(|event| event.values["dropped"].as_u64().unwrap()).sum();
    assert_eq!(told, room.desk.flooded_commands());
}

#[test]
fn rule_05_what_waited_while_the_bridge_stood_still_is_not_run() {
    let mut room = Room::switched();
    let old = room.arrival("alice", "mode", "manual");
    let mut flagged = old.clone();
    flagged.stalled = true;
    room.pass(1.1);
    for arrival in [&old, &flagged, &old] {
        assert!(room.deliver(arrival).is_empty());
    }
    assert_eq!(room.desk.stalled_commands(), 3);
    assert_eq!((room.events.len(), room.reconnects), (1, 1), "one event, one new connection");

    room.desk.set_gate(Gate::Pending);
    room.desk.set_gate(Gate::Ready);
    room.admit("alice", "mode", "manual");
    room.pass(9.0);
    let again = room.arrival("alice", "mode", "manual");
    room.pass(2.0);
    assert!(room.deliver(&again).is_empty());
    assert_eq!((room.events.len(), room.reconnects), (2, 2), "the next stall is told again");
}

#[test]
fn rule_05_a_stop_among_it_is_obeyed() {
    let mut room = Room::moving();
    let stop = room.arrival("alice", "stop", "");
    room.pass(8.0);
    let ticket = room.admit_arrival(&stop);
    assert_eq!(room.reconnects, 1);
    assert_eq!(room.desk.stalled_commands(), 0);
    assert_eq!(room.succeed(&ticket).len(), 1);
}

#[test]
fn rule_06_before_the_canarys_verdict_a_command_is_not_ready() {
    let mut room = Room::moving();
    room.desk.set_gate(Gate::Pending);
    assert_eq!(room.refusal("alice", "ping", ""), Code::NotReady);
    assert_eq!(room.refusal("visitor", "ping", ""), Code::NotReady, "before authorisation");
    room.admit("alice", "stop", "");
}

#[test]
fn rule_06_while_the_acl_is_open_only_a_stop_is_obeyed() {
    let mut room = Room::moving();
    room.desk.set_gate(Gate::AclOpen);
    assert_eq!(room.refusal("alice", "ping", ""), Code::AclOpen);
    assert_eq!(room.refusal("alice", "nonsense", ""), Code::AclOpen);
    room.admit("alice", "stop", "");

    let mut lenient = settings("outlets", OUTLETS);
    lenient.require_acl = false;
    let mut room = Room::with(lenient);
    room.desk.set_gate(Gate::AclOpen);
    room.admit("alice", "mode", "manual");
}

#[test]
fn rule_07_an_identity_that_is_not_in_control_clients_gets_code_3() {
    for mut room in [Room::switched(), Room::moving()] {
        for verb in ["ping", "mode", "set", "kill", "nonsense"] {
            assert_eq!(room.refusal("visitor", verb, "{"), Code::NotAuthorised, "{verb}");
            assert_eq!(room.refusal("guard", verb, ""), Code::NotAuthorised, "{verb}");
        }
        assert!(room.admitted.is_empty());
        assert_eq!(room.posts.len(), 10);
        assert!(room.posts[0].topic.ends_with("/reply/visitor/last"), "{}", room.posts[0].topic);
        let event = &room.events[0];
        assert_eq!((event.by.as_deref(), event.code), (Some("visitor"), Some(Code::NotAuthorised)));
    }
}

#[test]
fn rule_07_a_stop_asks_for_stop_clients() {
    let mut room = Room::moving();
    assert_eq!(room.refusal("visitor", "stop", ""), Code::NotAuthorised);
    room.admit("guard", "stop", "");

    let mut strict = settings("slide", MOVES);
    strict.stop_clients = [identity("guard")].into();
    let mut room = Room::with(strict);
    assert_eq!(room.refusal("alice", "stop", ""), Code::NotAuthorised);
}

#[test]
fn rule_07_who_began_a_motion_may_stop_it_even_if_removed_from_the_lists_since() {
    let mut room = Room::moving();
    let payload = room.stamped("m1", r#""mm":2"#);
    let motion = room.admit("alice", "set", &payload);
    room.desk.set_clients([identity("bob")].into(), [identity("guard")].into());
    assert_eq!(room.refusal("bob", "stop", ""), Code::NotAuthorised, "bob began nothing");
    assert_eq!(room.refusal("alice", "ping", ""), Code::NotAuthorised, "only a stop");
    // However often.
    for _ in 0..40 {
        room.send("alice", "stop", "");
    }
    let stops: Vec<_> = room.admitted.iter().filter(|(_, verb, _)| verb.stop).cloned().collect();
    assert_eq!(stops.len(), 1);
    room.succeed(&motion);
    room.succeed(&stops[0].0);
    room.pass(60.0);
    assert_eq!(room.refusal("alice", "stop", ""), Code::NotAuthorised, "nothing of hers is open");
}

#[test]
fn rule_08_a_verb_the_device_does_not_have_gets_21() {
    for (mut room, verbs) in
        [(Room::switched(), ["stop", "set", "nonsense"]), (Room::moving(), ["mode", "release", "nonsense"])]
    {
        for verb in verbs {
            assert_eq!(room.refusal("alice", verb, "{ broken"), Code::UnknownVerb, "{verb}");
        }
    }
}

#[test]
fn rule_08_a_payload_that_cannot_be_understood_gets_20() {
    let mut room = Room::switched();
    for (n, (verb, payload)) in [
        ("setpoint", "NaN"),
        ("setpoint", "1e999"),
        ("setpoint", "Infinity"),
        ("setpoint", r#"{"celsius":1e999}"#),
        ("setpoint", r#"{"celsius":"12"}"#),
        ("setpoint", r#"{"celsius":12,"celsius":13}"#),
        ("setpoint", r#"{"celsius":12,"extra":1}"#),
        ("setpoint", r#"{"celsius":12,"ttl_s":0.05}"#),
        ("setpoint", r#"{"celsius":12,"ttl_s":3601}"#),
        ("setpoint", r#"{"celsius":12,"ts":true}"#),
        ("setpoint", r#"{"celsius":12} {"celsius":13}"#),
        ("setpoint", ""),
        ("mode", "\u{feff}manual"),
        ("mode", "{manual"),
        ("mode", " {\"mode\":\"manual\""),
        ("mode", "off"),
        ("clear_alarms", r#"{"minutes":1}"#),
        ("ping", r#"{"id":"last"}"#),
        ("ping", r#"{"id":"a/b"}"#),
        ("ping", r#"{"id":""}"#),
        ("ping", r#"{"id":1}"#),
    ]
    .into_iter()
    .enumerate()
    {
        if n % 15 == 0 {
            room.pass(10.0);
        }
        assert_eq!(room.refusal("alice", verb, payload), Code::Malformed, "{verb} {payload}");
    }
    let mut bytes = room.arrival("alice", "mode", "");
    bytes.payload = vec![0xff, 0xfe];
    assert_eq!(room.refusal_of(&bytes), Code::Malformed);
    assert!(room.admitted.is_empty());
}

#[test]
fn rule_08_an_absolute_value_outside_its_limits_gets_6() {
    let mut room = Room::switched();
    for payload in ["4.9", "25.1", "-1e300", r#"{"celsius":30}"#] {
        assert_eq!(room.refusal("alice", "setpoint", payload), Code::OutsideLimits, "{payload}");
    }
    assert_eq!(room.refusal("alice", "release", "16"), Code::OutsideLimits);
    room.admit("alice", "setpoint", "25");
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":8.001"#);
    assert_eq!(room.refusal("alice", "set", &payload), Code::OutsideLimits);
}

#[test]
fn rule_08_its_refusals_are_not_remembered() {
    let mut room = Room::switched();
    assert_eq!(room.refusal("alice", "setpoint", r#"{"id":"a","celsius":99}"#), Code::OutsideLimits);
    assert_eq!(room.refusal("alice", "nonsense", r#"{"id":"a"}"#), Code::UnknownVerb);
    room.admit("alice", "setpoint", r#"{"id":"a","celsius":20}"#);
}

#[test]
fn rule_08_a_stop_takes_any_payload() {
    for payload in ["{ broken", "{\"id\":\"a/b\"}", "\u{feff}", r#"{"force":1}"#, "now!", ""] {
        let mut room = Room::moving();
        room.admit("alice", "stop", payload);
    }
    let mut room = Room::moving();
    let mut bytes = room.arrival("alice", "stop", "");
    bytes.payload = vec![0xff];
    room.admit_arrival(&bytes);
}

#[test]
fn every_command_leaves_one_event_refused_ones_too() {
    let mut room = Room::switched();
    room.refusal("visitor", "mode", "manual");
    room.refusal("alice", "nonsense", "");
    room.refusal("alice", "setpoint", "99");
    room.send("alice", "ping", "");
    let ticket = room.admit("alice", "mode", r#"{"id":"m","mode":"manual"}"#);
    assert_eq!(room.events.len(), 4, "an admitted one is told when it has ended");
    room.succeed(&ticket);
    assert_eq!(room.events.len(), 5);
    let last = &room.events[4];
    assert_eq!(last.kind, EventKind::Command);
    assert_eq!((last.by.as_deref(), last.verb.as_deref()), (Some("alice"), Some("mode")));
    assert_eq!((last.id.as_deref(), last.argument.as_ref()), (Some("m"), Some(&"manual".into())));
    assert_eq!((last.status, last.code), (Some(ReplyStatus::Succeeded), Some(Code::Succeeded)));
}
