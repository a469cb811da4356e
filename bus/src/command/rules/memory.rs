//! Rules 9 to 13: memory, age of a request, busy, and the journal.

use super::{Code, MOVES, Outcome, Refusal, ReplyStatus, Room, identity, settings};
use crate::message::EventKind;

#[test]
fn rule_09_the_same_request_gets_its_verdict_again_and_is_not_run() {
    let mut room = Room::switched();
    let ticket = room.admit("alice", "mode", r#"{"id":"a","mode":"manual"}"#);
    let first = room.succeed(&ticket);
    // The same in another notation; `ts` and `ttl_s` do not count.
    for payload in [
        r#"{"id":"a","mode":"manual"}"#.to_owned(),
        r#"{"mode":"MANUAL","id":"a","ttl_s":3}"#.to_owned(),
        room.stamped("a", r#""mode":"manual""#),
    ] {
        let again = room.send("alice", "mode", &payload);
        assert_eq!(again.len(), 1);
        assert!(again[0].duplicate);
        assert_eq!((again[0].status, again[0].code), (first[0].status, first[0].code));
        assert_eq!(again[0].finished_at, first[0].finished_at);
        assert!(again[0].seq > first[0].seq);
    }
    assert_eq!(room.admitted.len(), 1);
}

#[test]
fn rule_09_a_different_request_under_the_same_id_gets_26() {
    let mut room = Room::switched();
    let ticket = room.admit("alice", "setpoint", r#"{"id":"a","celsius":20}"#);
    assert_eq!(room.refusal("alice", "setpoint", r#"{"id":"a","celsius":21}"#), Code::IdReused);
    assert_eq!(room.refusal("alice", "mode", r#"{"id":"a","mode":"manual"}"#), Code::IdReused);
    room.succeed(&ticket);
    assert_eq!(room.refusal("alice", "setpoint", r#"{"id":"a","celsius":21}"#), Code::IdReused);
    let again = room.send("alice", "setpoint", r#"{"id":"a","celsius":20}"#);
    assert_eq!(again[0].status, ReplyStatus::Succeeded, "the first verdict stands");
    room.admit("bob", "setpoint", r#"{"id":"a","celsius":21}"#);
}

#[test]
fn rule_09_asked_again_while_it_runs_shares_the_one_terminal_reply() {
    let mut room = Room::switched();
    let payload = r#"{"id":"a","celsius":20}"#;
    let ticket = room.admit("alice", "setpoint", payload);
    for _ in 0..3 {
        let again = room.send("alice", "setpoint", payload);
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].status, again[0].duplicate), (ReplyStatus::InProgress, true));
        assert_eq!(again[0].code, None);
    }
    let ends = room.succeed(&ticket);
    assert_eq!(ends.len(), 1, "all asked on one topic");
    assert!(!ends[0].duplicate);
}

#[test]
fn rule_09_who_asks_again_from_elsewhere_is_told_there_too() {
    let mut room = Room::switched();
    let payload = r#"{"id":"a","celsius":20}"#;
    let ticket = room.admit("alice", "setpoint", payload);
    let mut elsewhere = room.arrival("alice", "setpoint", payload);
    elsewhere.response_topic = Some("clasp/outlets/reply/alice/panel".to_owned());
    room.deliver(&elsewhere);
    room.deliver(&elsewhere);
    room.save();
    let before = room.posts.len();
    room.succeed(&ticket);
    let ends: Vec<_> =
        room.posts[before..].iter().map(|post| (post.topic.as_str(), post.reply.duplicate)).collect();
    assert_eq!(ends, [("clasp/outlets/reply/alice/a", false), ("clasp/outlets/reply/alice/panel", true)]);
}

#[test]
fn rule_09_refusals_are_remembered_from_here_on() {
    let mut room = Room::switched();
    let running = room.admit("bob", "setpoint", "20");
    let payload = r#"{"id":"a","celsius":20}"#;
    assert_eq!(room.refusal("alice", "setpoint", payload), Code::Blocked);
    room.succeed(&running);
    let again = room.send("alice", "setpoint", payload);
    assert_eq!((again[0].code, again[0].duplicate), (Some(Code::Blocked), true));
    assert_eq!(room.admitted.len(), 1);
}

#[test]
fn rule_09_a_verdict_comes_before_an_aged_ts() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    let ticket = room.admit("alice", "set", &payload);
    room.succeed(&ticket);
    room.pass(60.0);
    let again = room.send("alice", "set", &payload);
    assert_eq!((again[0].status, again[0].duplicate), (ReplyStatus::Succeeded, true));
    assert_eq!(room.refusal("alice", "set", &payload.replace("\"a\"", "\"b\"")), Code::Expired);
}

#[test]
fn rule_09_a_verdict_is_kept_for_15_minutes_and_no_longer() {
    let mut room = Room::switched();
    let payload = r#"{"id":"a","mode":"manual"}"#;
    let ticket = room.admit("alice", "mode", payload);
    room.pass(100.0);
    room.succeed(&ticket);
    room.pass(899.0);
    assert!(room.send("alice", "mode", payload)[0].duplicate);
    room.pass(2.0);
    room.admit("alice", "mode", payload);
}

#[test]
fn rule_09_256_ids_are_kept_for_each_identity() {
    let mut room = Room::switched();
    let bobs = room.admit("bob", "mode", r#"{"id":"b","mode":"manual"}"#);
    room.succeed(&bobs);
    for n in 0..257 {
        room.pass(0.2);
        room.send("alice", "ping", &format!(r#"{{"id":"p{n}"}}"#));
    }
    assert!(room.send("alice", "ping", r#"{"id":"p1"}"#)[0].duplicate);
    room.pass(1.0);
    assert_eq!(room.send("alice", "ping", r#"{"id":"p0"}"#)[0].status, ReplyStatus::Accepted);
    assert!(room.send("bob", "mode", r#"{"id":"b","mode":"manual"}"#)[0].duplicate);
}

#[test]
fn rule_09_a_running_command_is_not_forgotten_for_others() {
    let mut room = Room::switched();
    let payload = r#"{"id":"a","celsius":20}"#;
    let ticket = room.admit("alice", "setpoint", payload);
    for n in 0..300 {
        room.pass(0.2);
        room.send("alice", "ping", &format!(r#"{{"id":"p{n}"}}"#));
    }
    assert_eq!(room.send("alice", "setpoint", payload)[0].status, ReplyStatus::InProgress);
    assert_eq!(room.succeed(&ticket).len(), 1);
}

#[test]
fn rule_09_questions_and_refusals_are_forgotten_before_what_acted() {
    let mut room = Room::switched();
    let payload = r#"{"id":"a","celsius":20}"#;
    let ticket = room.admit("alice", "setpoint", payload);
    room.succeed(&ticket);
    room.device = Err(Refusal::new(Code::ModeIsAutomatic, "the mode is automatic"));
    for n in 0..1000 {
        room.pass(0.2);
        room.send("alice", "ping", &format!(r#"{{"id":"p{n}"}}"#));
        room.pass(0.2);
        room.send("alice", "enabled", &format!(r#"{{"id":"e{n}","enabled":"on"}}"#));
    }
    assert!(room.send("alice", "setpoint", payload)[0].duplicate);
    assert!(room.events.iter().all(|event| event.kind != EventKind::Flood), "nothing that matters is lost");
}

#[test]
fn rule_09_a_verdict_that_is_forgotten_before_its_time_is_told() {
    let mut room = Room::switched();
    for n in 0..300 {
        room.pass(0.2);
        let payload = format!(r#"{{"id":"a{n}","celsius":20}}"#);
        let ticket = room.admit("alice", "setpoint", &payload);
        room.succeed(&ticket);
    }
    room.wait(10.1);
    let told: Vec<_> =
        room.events.iter().filter(|event| event.reason.as_deref() == Some("verdicts_forgotten")).collect();
    assert_eq!(told.len(), 2, "at once, and what came since");
    assert_eq!(told[0].by.as_deref(), Some("alice"));
    assert_eq!(told.iter().map(|event| event.values["dropped"].as_u64().unwrap()).sum::<u64>(), 44);
}

#[test]
fn rule_09_whoever_is_one_too_many_to_wait_is_told_and_counted() {
    for (mut room, verb, member) in
        [(Room::switched(), "setpoint", r#","celsius":20"#), (Room::moving(), "stop", "")]
    {
        let payload = format!(r#"{{"id":"a"{member}}}"#);
        let ticket = room.admit("alice", verb, &payload);
        let mut arrival = room.arrival("alice", verb, &payload);
        for n in 0..256_u32 {
            room.pass(0.2);
            arrival.received = room.now;
            arrival.correlation = Some(n.to_be_bytes().to_vec());
            room.deliver(&arrival);
            room.save();
            let told = &room.posts.last().unwrap().reply;
            if n < 255 {
                assert_eq!(told.status, ReplyStatus::InProgress, "{verb} {n}");
            } else {
                assert_eq!((told.status, told.code), (ReplyStatus::Rejected, Some(Code::Blocked)), "{verb}");
                assert!(
                    told.message.contains("is running, and 256 clients already wait for its end"),
                    "{told:?}"
                );
            }
        }
        assert_eq!(room.desk.flooded_commands(), 1, "{verb}");
        assert!(room.events.iter().any(|event| event.kind == EventKind::Flood), "{verb}");
        assert_eq!(room.succeed(&ticket).len(), 256, "{verb}");
    }
}

#[test]
fn the_journal_is_the_same_bytes_whoever_asked_first() {
    let journal = |order: [&str; 2]| {
        let mut room = Room::switched();
        for by in order {
            let ticket = room.admit(by, "setpoint", r#"{"id":"a","celsius":20}"#);
            room.succeed(&ticket);
        }
        serde_json::to_value(room.journal()).unwrap()["ended"]
            .as_array()
            .unwrap()
            .iter()
            .map(|ended| ended["reply"]["by"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(journal(["alice", "bob"]), journal(["bob", "alice"]));
}

#[test]
fn rule_10_a_relative_verb_without_an_id_gets_25() {
    let mut room = Room::moving();
    let without = format!(r#"{{"ts":"{}","mm":0.1}}"#, room.now.utc);
    let replies = room.send("alice", "offset", &without);
    assert_eq!((replies[0].code, replies[0].reason.as_str()), (Some(Code::IdRequired), "id_required"));
    let mut correlated = room.arrival("alice", "offset", &without);
    correlated.correlation = Some(b"c1".to_vec());
    room.admit_arrival(&correlated);
}

#[test]
fn rule_10_comes_before_the_time() {
    let mut room = Room::moving();
    let replies = room.send("alice", "offset", "0.1");
    assert_eq!(replies[0].reason, "id_required");
}

#[test]
fn rule_11_a_request_past_its_time_to_live_gets_23() {
    let mut room = Room::switched();
    for (ttl, lives, dies) in [("", 9.9, 10.1), (r#","ttl_s":0.5"#, 0.4, 0.6), (r#","ttl_s":60"#, 59.0, 61.0)]
    {
        let payload = |room: &Room, id: &str| {
            format!(r#"{{"id":"{id}","ts":"{}"{ttl},"mode":"manual"}}"#, room.now.utc)
        };
        let (young, old) = (payload(&room, &format!("y{lives}")), payload(&room, &format!("o{lives}")));
        room.pass(lives);
        let ticket = room.admit("alice", "mode", &young);
        room.succeed(&ticket);
        room.pass(dies - lives);
        assert_eq!(room.refusal("alice", "mode", &old), Code::Expired, "{ttl}");
    }
}

#[test]
fn rule_11_a_clock_that_cannot_be_right_gets_24_with_by_how_much() {
    let mut room = Room::switched();
    let unix = room.now.utc.unix_milliseconds() as f64 / 1000.0;
    let at = |seconds: f64| format!(r#"{{"ts":{},"ttl_s":3600,"mode":"manual"}}"#, unix + seconds);
    let ahead = room.send("alice", "mode", &at(2.5));
    assert_eq!(ahead[0].code, Some(Code::ClockSkew));
    assert!(ahead[0].message.contains("2.5 s ahead"), "{}", ahead[0].message);
    let back = room.send("alice", "mode", &at(-3601.0));
    assert_eq!(back[0].code, Some(Code::ClockSkew));
    assert!(back[0].message.contains("3601 s back"), "{}", back[0].message);
    for reply in [&ahead[0], &back[0]] {
        assert!(reply.message.ends_with("; one of the two clocks is wrong"), "{}", reply.message);
    }
    room.admit("alice", "mode", &at(1.9));
    room.admit("alice", "mode", &at(-3599.0));
}

#[test]
fn rule_11_says_what_both_clocks_say_and_does_not_judge_which_is_wrong() {
    let mut room = Room::switched();
    let payload = room.stamped("a", r#""ttl_s":3599.5,"mode":"manual""#);
    let sent = room.now.utc;
    room.pass(3599.9);
    let replies = room.send("alice", "mode", &payload);
    assert_eq!(replies[0].code, Some(Code::Expired));
    let (message, now) = (&replies[0].message, room.now.utc);
    let clocks = format!("the sender's clock said {sent}, the bridge's says {now}");
    assert!(message.contains(&clocks) && message.starts_with("sent 3599.9 s ago"), "{message}");
    assert!(message.ends_with("unless it was held up, one of the two clocks is wrong"), "{message}");
}

#[test]
fn rule_11_only_a_request_that_was_sent_just_now_shows_that_the_clocks_agree() {
    let mut room = Room::moving();
    let unix = room.now.utc.unix_milliseconds() as f64 / 1000.0;
    for (age, agrees) in [(-2.5, 0), (-1.5, 1), (0.0, 1), (9.0, 1), (11.0, 0), (3000.0, 0), (4000.0, 0)] {
        room.agreements = 0;
        let payload = format!(r#"{{"ts":{},"ttl_s":3600,"mm":1}}"#, unix - age);
        room.send("alice", "set", &payload);
        assert_eq!(room.agreements, agrees, "{age} s old");
        room.send("alice", "stop", &payload);
        assert_eq!(room.agreements, agrees, "the time of a stop does not count");
        room = Room::moving();
    }
    room.send("alice", "ping", "");
    assert_eq!(room.agreements, 0, "without a time nothing is known");
}

#[test]
fn rule_11_motion_without_ts_gets_25() {
    let mut room = Room::moving();
    for (verb, payload) in [("set", "2.5"), ("init", ""), ("offset", r#"{"id":"o","mm":1}"#)] {
        let replies = room.send("alice", verb, payload);
        assert_eq!((replies[0].code, replies[0].reason.as_str()), (Some(Code::IdRequired), "ts_required"));
    }
    let mut lenient = settings("slide", MOVES);
    lenient.allow_bare_motion = true;
    let mut room = Room::with(lenient);
    room.admit("alice", "set", "2.5");
}

#[test]
fn rule_11_a_stop_is_never_too_old() {
    let mut room = Room::moving();
    let payload = room.stamped("s", "");
    room.pass(7200.0);
    room.admit("alice", "stop", &payload);
    let mut room = Room::moving();
    let payload = room.stamped("k", "");
    room.pass(60.0);
    assert_eq!(room.refusal("alice", "kill", &payload), Code::Expired, "a kill is a command like others");
}

#[test]
fn rule_12_an_exclusive_command_is_refused_while_another_runs() {
    let mut room = Room::switched();
    room.admit("bob", "setpoint", r#"{"id":"b1","celsius":20}"#);
    for (verb, payload) in [("setpoint", "21"), ("clear_alarms", ""), ("enabled", "on")] {
        let replies = room.send("alice", verb, payload);
        assert_eq!(replies[0].code, Some(Code::Blocked), "{verb}");
        assert!(replies[0].message.contains("bob") && replies[0].message.contains("b1"), "{replies:?}");
    }
    assert_eq!(room.send("alice", "ping", "").len(), 2, "a question is never busy");
    for (verb, payload) in [("enabled", "off"), ("mode", "auto"), ("release", "5")] {
        room.admit("alice", verb, payload);
    }
}

#[test]
fn rule_12_nothing_queues() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    let ticket = room.admit("alice", "set", &payload);
    let payload = room.stamped("b", r#""mm":3"#);
    assert_eq!(room.refusal("bob", "set", &payload), Code::Blocked);
    room.succeed(&ticket);
    room.save();
    assert_eq!(room.admitted.len(), 1);
}

#[test]
fn rule_12_the_device_is_asked_last_and_of_a_relative_range() {
    let mut room = Room::moving();
    room.device = Err(Refusal::new(Code::OutsideLimits, "9.1 mm is outside -1 to 8"));
    let payload = room.stamped("b", r#""mm":100"#);
    assert_eq!(room.refusal("alice", "offset", &payload), Code::OutsideLimits);
    room.device = Ok(None);
    let running = room.stamped("a", r#""mm":2"#);
    room.admit("alice", "set", &running);
    room.device = Err(Refusal::new(Code::OutsideLimits, "9.1 mm is outside -1 to 8"));
    let payload = room.stamped("c", r#""mm":100"#);
    assert_eq!(room.refusal("alice", "offset", &payload), Code::Blocked, "busy comes first");
}

#[test]
fn rule_12_what_the_device_refuses_ends_nothing() {
    let mut room = Room::switched();
    let running = room.admit("alice", "setpoint", "20");
    room.device = Err(Refusal::new(Code::ModeIsAutomatic, "the mode is automatic"));
    assert_eq!(room.refusal("bob", "enabled", "off"), Code::ModeIsAutomatic);
    assert_eq!(room.succeed(&running)[0].status, ReplyStatus::Succeeded);
}

#[test]
fn rule_13_the_same_commands_make_the_same_journal() {
    let names: Vec<_> = (0..16).map(|number| format!("client{number}")).collect();
    let journal = || {
        let mut settings = settings("slide", MOVES);
        settings.control_clients = names.iter().map(|name| identity(name)).collect();
        let mut room = Room::with(settings);
        for name in &names {
            let payload = room.stamped("a", r#""mm":2"#);
            let ticket = room.admit(name, "set", &payload);
            room.succeed(&ticket);
        }
        serde_json::to_string(&room.desk.journal(room.now)).unwrap()
    };
    assert_eq!(journal(), journal());
}

#[test]
fn rule_13_motion_starts_when_the_journal_has_it() {
    let mut room = Room::moving();
    for (verb, id, more) in [("set", "a", r#""mm":2"#), ("offset", "b", r#""mm":0.5"#), ("init", "c", "")] {
        let payload = room.stamped(id, more);
        let before = room.admitted.len();
        assert!(room.send("alice", verb, &payload).is_empty());
        assert_eq!(room.admitted.len(), before, "{verb} waits for the disk");
        let open = serde_json::to_value(room.journal()).unwrap()["open"].clone();
        assert_eq!(open[0]["verb"], verb);
        room.save();
        assert_eq!(room.admitted.len(), before + 1, "{verb}");
        let ticket = room.admitted[before].0.clone();
        room.succeed(&ticket);
    }
}

#[test]
fn rule_13_an_earlier_save_is_not_this_one() {
    let mut room = Room::moving();
    room.admit("alice", "kill", "");
    let earlier = *room.saves.last().unwrap();
    let kill = room.admitted[0].0.clone();
    room.succeed(&kill);
    let payload = room.stamped("a", r#""mm":2"#);
    room.send("alice", "set", &payload);
    room.desk.journalled(earlier);
    room.take();
    assert_eq!(room.admitted.len(), 1);
    room.save();
    assert_eq!(room.admitted.len(), 2);
}

#[test]
fn rule_13_a_stop_never_waits_and_ends_motion_that_does() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    room.send("alice", "set", &payload);
    let replies = room.send("guard", "stop", "");
    assert_eq!((replies[0].verb.as_str(), replies[0].status), ("stop", ReplyStatus::Accepted));
    assert_eq!(room.admitted.len(), 1);
    assert_eq!(room.admitted[0].1.name, "stop");
    room.save();
    let told =
        |status| room.posts.iter().find(|post| post.reply.verb == "set" && post.reply.status == status);
    let (accepted, stopped) = (told(ReplyStatus::Accepted).unwrap(), told(ReplyStatus::Stopped).unwrap());
    assert!(accepted.reply.seq < stopped.reply.seq);
    let stopped = &stopped.reply;
    assert_eq!((stopped.status, stopped.code), (ReplyStatus::Stopped, Some(Code::Stopped)));
    assert!(stopped.message.contains("guard"), "{}", stopped.message);
    assert_eq!(room.admitted.len(), 1, "the motion never starts");
}

#[test]
fn rule_13_a_disk_that_never_answers_does_not_block_the_device_for_good() {
    let mut room = Room::moving();
    let payload = room.stamped("a", r#""mm":2"#);
    room.send("alice", "set", &payload);
    room.wait(9.9);
    assert_eq!(room.posts.last().unwrap().reply.status, ReplyStatus::Accepted);
    room.wait(0.4);
    let end = &room.posts.last().unwrap().reply;
    assert_eq!((end.status, end.code), (ReplyStatus::TimedOut, Some(Code::TimedOut)));
    room.save();
    assert!(room.admitted.is_empty(), "it does not start late");
    let payload = room.stamped("b", r#""mm":2"#);
    let ticket = room.admit("alice", "set", &payload);
    assert_eq!(room.admitted[0].2.number("mm"), Some(2.0));
    room.wait(9.9);
    assert_eq!(room.answer(&ticket, &Outcome::timed_out("still moving")).len(), 1, "the controller's to end");
}
