//! A log in which all is well, and for each rule one in which it is broken. A checker that cannot fail
//! would prove nothing.

mod story;

use serde_json::{Value, json};

use super::{RULES, check};
use crate::torture::log::{Entry, Truth, What, sort};
use story::{date, entry, line, reply, request, state, steps, story, truth};

/// The rules that are broken in the story with these changes.
fn broken(change: impl FnOnce(&mut Vec<Entry>)) -> Vec<&'static str> {
    let mut log = story();
    change(&mut log);
    sort(&mut log);
    let (_, violations) = check(&log);
    let mut rules: Vec<_> = violations.iter().map(|violation| violation.rule).collect();
    rules.dedup();
    rules
}

fn with(more: Vec<Entry>) -> Vec<&'static str> {
    broken(|log| log.extend(more))
}

/// Changes the bodies of what was told about this, at this time.
fn edit(log: &mut [Entry], at: f64, about: &str, key: &str, value: &Value) {
    let mut changed = 0;
    for entry in log {
        if let What::Told { about: of, body, .. } = &mut entry.what
            && of == about
            && (entry.t - at).abs() < 0.001
        {
            body[key] = value.clone();
            changed += 1;
        }
    }
    assert!(changed > 0, "the story has nothing about {about} at {at}");
}

fn without(log: &mut Vec<Entry>, is: impl Fn(&Entry) -> bool) {
    let before = log.len();
    log.retain(|entry| !is(entry));
    assert!(log.len() < before, "there was nothing to leave out");
}

#[test]
fn where_all_is_well_nothing_is_found_and_what_was_seen_is_counted() {
    let mut log = story();
    sort(&mut log);
    let (counts, violations) = check(&log);
    assert_eq!(violations, []);
    assert_eq!((counts.rounds, counts.requests, counts.replies, counts.states), (1, 6, 9, 7));
    assert!(counts.frames > 300);
}

#[test]
fn every_rule_has_a_name_of_its_own_and_its_section() {
    let names: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    let page = include_str!("../../../../docs/torture.md");
    for rule in &RULES {
        assert!(!rule.section.is_empty() && !rule.says.is_empty());
        let row = format!("| `{}` | {} | {} |", rule.name, rule.says, rule.section);
        assert!(page.contains(&row), "docs/torture.md wants this line:\n{row}");
    }
}

#[test]
fn two_verdicts_are_found() {
    assert_eq!(
        with(vec![reply(15.0, "alice", "focuser", "set", "m2", "succeeded", Some(0))])[0],
        "one-verdict"
    );
    assert_eq!(
        with(vec![reply(15.0, "alice", "focuser", "set", "m1", "rejected", Some(23))]),
        ["one-verdict"]
    );
    let again = |log: &mut Vec<Entry>| {
        log.push(reply(15.0, "alice", "focuser", "set", "m1", "succeeded", Some(0)));
        edit(log, 15.0, "reply/alice/m1", "duplicate", &true.into());
    };
    assert_eq!(broken(again), Vec::<&str>::new());
}

#[test]
fn a_request_that_is_accepted_after_its_verdict_is_found() {
    let again = reply(15.0, "alice", "focuser", "set", "m1", "accepted", None);
    assert!(with(vec![again]).contains(&"one-verdict"));
    let stop = reply(15.0, "alice", "focuser", "stop", "s1", "accepted", None);
    assert_eq!(with(vec![stop])[..], [""; 0], "a stop that has ended runs again");
}

#[test]
fn a_verdict_that_no_state_showed_before_is_found() {
    let late = |log: &mut Vec<Entry>| {
        let state = log
            .iter_mut()
            .find(|entry| (entry.t - 10.59).abs() < 0.001)
            .expect("the state that shows the end");
        state.t = 10.61;
    };
    assert_eq!(broken(late), ["state-first"]);
    let other =
        |log: &mut Vec<Entry>| edit(log, 10.59, "state", "last_command", &json!({ "id": "m1", "code": 28 }));
    assert_eq!(broken(other), ["state-first"]);
    let later = json!({ "id": "s0", "code": null, "date": date(10.6) });
    let superseded = |log: &mut Vec<Entry>| edit(log, 10.59, "state", "last_command", &later);
    assert_eq!(broken(superseded)[..], [""; 0], "of a later command the state tells from then on");
}

#[test]
fn a_state_of_a_bridge_after_one_of_its_successor_is_found() {
    assert!(with(vec![state(17.0, 5, "one", "idle", 0.9)]).contains(&"in-order"));
}

#[test]
fn a_verdict_that_never_comes_is_found_and_one_that_comes_late() {
    let lost = |log: &mut Vec<Entry>| {
        without(
            log,
            |entry| matches!(&entry.what, What::Told { body, .. } if body["id"] == "c1" && body["code"] == 0),
        );
    };
    assert_eq!(broken(lost), ["verdict-comes"]);
    let late = |log: &mut Vec<Entry>| {
        edit(log, 10.02, "reply/ops/c1", "deadline", &json!(date(10.05)));
        let is = |entry: &&mut Entry| matches!(&entry.what, What::Told { body, .. } if body["id"] == "c1" && body["code"] == 0);
        log.iter_mut().filter(is).for_each(|entry| entry.t = 14.0);
    };
    assert_eq!(broken(late), ["verdict-comes"]);
}

#[test]
fn a_code_that_does_not_fit_its_status_is_found() {
    let wrong =
        |key: &'static str, value: Value| broken(move |log| edit(log, 10.6, "reply/alice/m1", key, &value));
    assert_eq!(wrong("reason", json!("stopped")), ["codes"]);
    assert!(wrong("code", json!(1)).contains(&"codes"));
    assert!(wrong("code", Value::Null).contains(&"codes"));
    // Of a code that does not exist, and of a status that has another one.
    for (status, code, reason) in [
        ("failed", 99, "failed"),
        ("timed_out", 1, "failed"),
        ("rejected", 33, "alarm"),
        ("rejected", 35, ""),
    ] {
        let wrong = broken(|log| {
            edit(log, 14.0, "reply/alice/m2", "status", &json!(status));
            edit(log, 14.0, "reply/alice/m2", "code", &json!(code));
            edit(log, 14.0, "reply/alice/m2", "reason", &json!(reason));
        });
        assert!(wrong.contains(&"codes"), "{status} {code}: {wrong:?}");
    }
}

#[test]
fn a_reply_to_somebody_else_is_found() {
    let strange = |log: &mut Vec<Entry>| {
        let Some(mut stolen) = log.iter().find(|entry| (entry.t - 10.6).abs() < 0.001).cloned() else {
            return;
        };
        if let What::Told { who, .. } = &mut stolen.what {
            "bob".clone_into(who);
        }
        log.push(stolen);
    };
    assert_eq!(broken(strange), ["private"]);
}

#[test]
fn a_stranger_who_is_admitted_is_found_and_a_forged_command_that_the_broker_takes() {
    assert!(
        with(vec![reply(10.73, "bob", "focuser", "set", "b1", "accepted", None)]).contains(&"authorised")
    );
    let taken = |log: &mut Vec<Entry>| {
        for entry in log {
            if let What::Taken { code: code @ Some(0x87), .. } = &mut entry.what {
                *code = Some(0);
            }
        }
    };
    assert_eq!(broken(taken), ["authorised"]);
}

#[test]
fn a_stop_that_is_refused_is_found_and_one_that_does_not_arrive() {
    let sent = |t: f64| entry(t, What::Sent(request("ops", "focuser", "stop", "s2", None, t)));
    assert_eq!(
        with(vec![
            sent(11.5),
            line(11.6, "focuser", true, "#P021 F $"),
            reply(11.6, "ops", "focuser", "stop", "s2", "rejected", Some(33))
        ]),
        ["stop-admitted"]
    );
    let deaf = |log: &mut Vec<Entry>| {
        without(log, |entry| matches!(&entry.what, What::Line { bytes, .. } if bytes.starts_with("#P021")))
    };
    assert_eq!(broken(deaf), ["stop-arrives"]);
}

#[test]
fn a_stop_that_joins_a_running_one_needs_no_order_of_its_own() {
    let joined = vec![
        entry(11.05, What::Sent(request("ops", "focuser", "stop", "s2", None, 11.05))),
        reply(11.06, "ops", "focuser", "stop", "s2", "accepted", None),
        reply(11.1, "ops", "focuser", "stop", "s2", "succeeded", Some(0)),
    ];
    assert_eq!(with(joined), Vec::<&str>::new());
}

#[test]
fn what_had_expired_and_what_is_from_the_future_is_found() {
    let dated = |shift: f64| {
        broken(move |log| {
            for entry in log {
                if let What::Sent(request) = &mut entry.what
                    && request.id.as_deref() == Some("m1")
                {
                    request.dated = Some(10.0 + shift);
                }
            }
        })
    };
    assert_eq!(dated(-6.0), ["in-time"]);
    assert_eq!(dated(6.0), ["in-time"]);
    // By the bridge's own clock.
    let stepped = broken(|log| {
        log.push(entry(9.0, What::Clock { device: "focuser".to_owned(), ahead: 20.0 }));
        for entry in log {
            if let (What::Told { device, about, body, .. }, t) = (&mut entry.what, entry.t)
                && device == "focuser"
                && about == "state"
                && t > 9.0
            {
                body["date"] = date(t + 19.95).into();
                body["published_at"] = date(t + 20.0).into();
            }
        }
    });
    assert!(stepped.contains(&"in-time"), "{stepped:?}");
}

#[test]
fn two_commands_that_run_at_once_are_found() {
    let other = vec![
        entry(10.1, What::Sent(request("ops", "focuser", "set", "m9", Some(0.45), 10.1))),
        reply(10.15, "ops", "focuser", "set", "m9", "accepted", None),
        reply(11.0, "ops", "focuser", "set", "m9", "failed", Some(1)),
    ];
    assert_eq!(with(other), ["one-at-a-time"]);
}

#[test]
fn an_order_that_nobody_asked_for_or_was_not_allowed_to_is_found() {
    assert_eq!(with(vec![line(12.0, "focuser", true, &format!("#P092 F {}$", steps(0.25)))]), ["asked-for"]);
    assert_eq!(with(vec![line(12.0, "focuser", true, &format!("#P092 F {}$", steps(0.31)))]), ["asked-for"]);
    assert_eq!(with(vec![line(12.0, "focuser", true, &format!("#P092 F {}$", steps(0.32)))]), ["asked-for"]);
    assert_eq!(with(vec![line(12.0, "focuser", true, "#P103 F V 21341$")]), ["asked-for"]);
    assert_eq!(with(vec![line(12.0, "chiller", true, ".0117sCtrlT__+0130C4")]), ["asked-for"]);
    assert_eq!(with(vec![line(12.0, "chiller", true, ".0115sStatus_1A2")]), ["asked-for"]);
}

#[test]
fn a_request_that_runs_twice_is_found_unless_its_reply_was_spoilt() {
    assert_eq!(with(vec![line(11.0, "focuser", true, &format!("#P092 F {}$", steps(0.3)))]), ["never-twice"]);
    let twice = || line(10.06, "chiller", true, ".0117sCtrlT__+0125C4");
    assert_eq!(with(vec![twice()]), ["never-twice"]);
    let fault = |t: f64, on: bool| {
        entry(t, What::Fault { name: "silent".to_owned(), device: "chiller".to_owned(), on })
    };
    assert_eq!(with(vec![fault(10.025, true), twice(), fault(10.07, false)]), Vec::<&str>::new());
}

#[test]
fn a_command_that_goes_on_after_a_restart_is_found() {
    let leg = line(14.0, "focuser", true, &format!("#P092 F {}$", steps(0.4)));
    assert_eq!(with(vec![leg]), ["not-after-restart"]);
    // It was sent before, and neither accepted nor ordered then.
    let waited = vec![
        entry(13.1, What::Sent(request("ops", "focuser", "set", "m3", Some(0.46), 13.1))),
        entry(
            13.11,
            What::Taken {
                who: "ops".to_owned(),
                device: "focuser".to_owned(),
                id: "m3".to_owned(),
                code: Some(0),
            },
        ),
        line(14.5, "focuser", true, &format!("#P092 F {}$", steps(0.96))),
    ];
    assert_eq!(with(waited), ["not-after-restart"]);
}

#[test]
fn a_state_that_looks_fresh_while_the_device_is_silent_is_found() {
    let silent = |log: &mut Vec<Entry>| {
        without(log, |entry| (16.2..20.0).contains(&entry.t) && matches!(entry.what, What::Line { .. }));
        log.push(state(19.5, 3, "two", "idle", 0.9));
        edit(log, 19.5, "state", "date", &json!(date(16.1)));
    };
    assert_eq!(broken(silent), ["never-fresh"]);
    let kept = |log: &mut Vec<Entry>| edit(log, 16.0, "state", "connected", &false.into());
    assert_eq!(broken(kept), ["never-fresh"]);
}

#[test]
fn a_date_without_a_reading_is_found() {
    let silent = |log: &mut Vec<Entry>| {
        without(log, |entry| (14.9..16.5).contains(&entry.t) && matches!(entry.what, What::Line { .. }));
    };
    assert_eq!(broken(silent), ["dated"]);
}

#[test]
fn a_death_that_nobody_is_told_is_found_and_words_of_the_dead() {
    let untold = |log: &mut Vec<Entry>| {
        without(log, |entry| matches!(&entry.what, What::Told { body, .. } if *body == "offline"));
    };
    assert_eq!(broken(untold), ["offline"]);
    let dead = |log: &mut Vec<Entry>| {
        without(log, |entry| entry.t > 13.45);
        log.push(state(16.5, 9, "one", "idle", 0.9));
        log.push(line(16.45, "focuser", false, "#P081 F 1$"));
        log.push(entry(20.0, What::Settled { number: 1 }));
    };
    assert!(broken(dead).contains(&"dead-silent"));
}

#[test]
fn a_position_where_it_never_was_is_found_and_rest_that_is_none() {
    let elsewhere = |log: &mut Vec<Entry>| edit(log, 16.0, "state", "current_steps", &steps(0.7).into());
    assert_eq!(broken(elsewhere), ["position"]);
    let turns = |log: &mut Vec<Entry>| {
        log.extend(
            (0..20_u32).map(|step| truth(15.0 + f64::from(step) / 10.0, 0.9 + f64::from(step) / 1e5, true)),
        );
    };
    assert_eq!(broken(turns), ["position"]);
}

#[test]
fn a_success_that_is_none_is_found_of_a_request_and_of_a_tool() {
    let other = |log: &mut Vec<Entry>| {
        for entry in log {
            if let What::Truth(Truth::Chiller { set_point, .. }) = &mut entry.what {
                *set_point = 11.0;
            }
        }
    };
    assert_eq!(broken(other), ["success"]);
    let tool = |code: i32| {
        entry(
            18.0,
            What::Tool {
                who: "alice".to_owned(),
                words: "focus set 0.44".to_owned(),
                device: "focuser".to_owned(),
                value: Some(0.44),
                began: 17.0,
                code,
                said: String::new(),
            },
        )
    };
    assert_eq!(with(vec![tool(0)]), ["success"]);
    assert_eq!(with(vec![tool(1)]), Vec::<&str>::new());
}

#[test]
fn a_stored_state_that_is_old_is_found() {
    let stored = |t: f64, seq: u64, session: &str, published: f64| {
        broken(move |log| {
            log.push(state(t, seq, session, "idle", 0.9));
            edit(log, t, "state", "published_at", &json!(date(published)));
            if let Some(What::Told { retained, .. }) = log.last_mut().map(|entry| &mut entry.what) {
                *retained = true;
            }
        })
    };
    assert_eq!(stored(17.0, 2, "two", 16.0), Vec::<&str>::new());
    assert_eq!(stored(17.0, 1, "two", 14.0), ["retained"]);
    assert_eq!(stored(19.5, 2, "two", 11.0), ["retained"]);
}

#[test]
fn a_state_out_of_order_is_found() {
    assert_eq!(with(vec![state(17.0, 2, "two", "idle", 0.9)]), ["in-order"]);
}

#[test]
fn what_the_motor_chip_forbids_is_found_and_a_message_that_fits_no_schema() {
    let forbidden = Truth::Focuser { steps: steps(0.9), place_mm: 0.9, turning: false, violations: 1 };
    assert_eq!(with(vec![entry(17.0, What::Truth(forbidden))]), ["forbidden"]);
    assert_eq!(with(vec![entry(17.0, What::Schema { text: "state: no `seq`".to_owned() })]), ["schema"]);
}
