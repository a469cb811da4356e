//! When the unit does not answer: what is said, how soon, and when it is said to be back.

use std::time::Duration;

use bus::message::EventKind;
use chiller_device::{ChillerStatus, Reading};
use testbed::chiller::{Config, Fault};

use crate::rig::{Rig, settings};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn silence_takes_every_reading_away_within_the_serial_timeout_and_leaves_the_date() {
    let mut rig = Rig::running();
    let before = rig.state();
    rig.forget_sent();
    rig.model().inject(Fault::Silent);
    rig.run_until(|rig| !rig.view().connected, 11 * SECOND);
    let asked = rig.sent()[0].at;
    assert!(rig.now().instant.since(asked) <= 5 * SECOND);
    let state = rig.state();
    assert_eq!((state.connected, state.status), (false, ChillerStatus::Offline));
    assert_eq!(state.reading, Reading::default());
    assert_eq!(state.reason, "link_lost");
    assert_eq!(state.date, before.date);
    assert!(!state.cooling_ok);
}

#[test]
fn c16_the_third_failure_in_a_row_loses_the_link_and_not_the_second() {
    let mut rig = Rig::running();
    for failures in 1..=3 {
        rig.forget_sent();
        rig.model().inject_for(Fault::Garbled, failures);
        rig.run_for(8 * SECOND);
        assert_eq!(rig.health_of_link().losses, u64::from(failures == 3), "{failures}");
    }
}

#[test]
fn a_port_that_opens_restores_nothing_and_a_valid_reply_does() {
    let mut rig = Rig::running();
    rig.unplug();
    rig.run_for(30 * SECOND);
    assert!(!rig.state().connected);
    rig.model().inject(Fault::Deaf);
    rig.plug();
    let asked = rig.sent().len();
    rig.run_for(60 * SECOND);
    assert!(rig.sent().len() > asked, "it asks on the open port");
    assert!(!rig.state().connected);
    assert_eq!(restored(&rig), 1);
    rig.model().clear_faults();
    rig.run_until_connected();
    assert!(rig.state().connected);
    assert_eq!(restored(&rig), 2);
}

#[test]
fn an_unplugged_port_is_tried_with_back_off_and_the_loop_sleeps_between() {
    let mut rig = Rig::running();
    rig.unplug();
    let before = rig.attempts_to_open();
    rig.run_for(600 * SECOND);
    let attempts = rig.attempts_to_open() - before;
    assert!((55..75).contains(&attempts), "{attempts}");
    assert_eq!(rig.needless_wakes(), 0);
    let lost = rig.events().filter(|event| event.body.reason.as_deref() == Some("link_lost"));
    assert_eq!(lost.filter(|event| event.body.kind == EventKind::Link).count(), 1);
    rig.plug();
    assert!(rig.run_until(|rig| rig.view().connected, 11 * SECOND) <= 10 * SECOND + SECOND);
}

#[test]
fn a_silent_unit_does_not_keep_the_loop_awake() {
    let mut rig = Rig::running();
    rig.model().inject(Fault::Deaf);
    rig.run_for(3600 * SECOND);
    assert_eq!(rig.needless_wakes(), 0);
}

#[test]
fn a_unit_that_refuses_answers_and_its_refusals_are_no_readings() {
    let mut rig = Rig::running();
    let before = rig.state().date;
    for fault in [Fault::ErrorDigit(5), Fault::Short23] {
        rig.model().inject(fault);
        rig.run_for(60 * SECOND);
        let state = rig.state();
        assert!(state.connected, "{fault:?}");
        assert_eq!((state.status, state.reason.as_str()), (ChillerStatus::Fault, "reading_refused"));
        assert_eq!(state.summary, "fault: the unit answers, but refuses to tell its status");
        let [attention] = state.attention.as_slice() else { panic!("{:#?}", state.attention) };
        assert_eq!(attention.name, "reading_refused");
        let text = &attention.text;
        assert!(
            text.starts_with("the unit answers, but refuses to tell ") && text.contains("its status"),
            "{text}"
        );
        assert_eq!(state.date, before);
        assert_eq!(state.reading, Reading::default());
    }
    let lost = |rig: &Rig| rig.events().filter(|it| it.body.reason.as_deref() == Some("link_lost")).count();
    assert_eq!((lost(&rig), rig.health().link.losses), (0, 0));
    let reply = rig.command_and_wait("alice", "setpoint", "12");
    assert_eq!(reply.message, "the chiller answers, but refuses to tell its status");
    rig.model().clear_faults();
    rig.run_until_connected();
    rig.run_for(20 * SECOND);
    assert!(rig.state().date > before);
    assert_eq!((rig.state().status, rig.state().attention.as_slice()), (ChillerStatus::Idle, [].as_slice()));
}

#[test]
fn four_refusals_in_a_row_neither_start_the_chiller_nor_lose_the_link() {
    for replies in [1, 4, 40] {
        let mut rig = Rig::running();
        rig.run_for(600 * SECOND);
        let decisions = rig.events().filter(|it| it.body.kind == EventKind::Decision).count();
        rig.model().inject_for(Fault::Short23, replies);
        rig.run_for(120 * SECOND);
        let state = rig.state();
        assert_eq!((state.status, state.connected), (ChillerStatus::Idle, true), "{replies}");
        assert_eq!(rig.model().writes().count(), 0, "{replies}");
        let told = rig.events().filter(|it| it.body.kind == EventKind::Decision).count();
        assert_eq!(told, decisions, "{replies}");
        assert_eq!(state.antifreeze_enabled, Some(false));
    }
}

#[test]
fn the_date_moves_with_valid_readings_and_heartbeats_go_on_without() {
    let mut rig = Rig::running();
    rig.unplug();
    rig.run_for(SECOND);
    let date = rig.state().date;
    rig.run_for(600 * SECOND);
    let states: Vec<_> = rig.states().filter(|state| !state.what.connected).collect();
    assert!(states.len() >= 60);
    for pair in states.windows(2) {
        assert!(pair[1].at.instant.since(pair[0].at.instant) <= 10 * SECOND);
        assert!(pair[1].what.stamp.seq > pair[0].what.stamp.seq);
        assert!(pair[1].what.stamp.published_at >= pair[0].what.stamp.published_at);
        assert_eq!(pair[1].what.date, date);
    }
    assert!(rig.availability().iter().filter(|said| **said == "online").count() >= 60);
}

#[test]
fn a_bridge_that_stood_still_does_not_call_the_unit_silent_and_shows_nothing_old() {
    for seconds in [6, 31, 3600] {
        for asking in [false, true] {
            let mut rig = Rig::running();
            rig.run_until(|rig| rig.is_asking() == asking, 10 * SECOND);
            let losses = rig.health().link.losses;
            let known = rig.states().count();
            rig.freeze(seconds * SECOND);
            rig.run_for(60 * SECOND);
            assert_eq!(rig.health().link.losses, losses, "{seconds} s, asking: {asking}");
            for state in rig.states().skip(known) {
                let stamp = &state.what.stamp;
                let age = state.what.date.map(|date| stamp.published_at.seconds_since(date));
                assert!(
                    age.is_some_and(|age| age < stamp.stale_after_s),
                    "{seconds} s, asking: {asking}: {age:?}"
                );
            }
            assert!(rig.state().connected);
        }
    }
}

#[test]
fn an_answer_that_was_read_after_a_stall_is_no_reading() {
    let slow = Duration::from_millis(20);
    let mut rig = Rig::new(settings(), Config { latency: slow..=slow, ..Config::default() });
    rig.run_until_connected();
    rig.run_until(|rig| rig.is_asking(), 10 * SECOND);
    let date = rig.view().date;
    rig.freeze(31 * SECOND);
    let after: Vec<_> = rig.states().filter(|state| state.at == rig.now()).collect();
    assert!(after.iter().all(|state| state.what.date == date), "{after:#?}");
    rig.run_for(5 * SECOND);
    assert!(rig.state().date > date);
}

#[test]
fn c26_the_bridge_the_link_and_the_unit_are_told_apart() {
    let mut rig = Rig::running();
    assert_eq!((rig.state().status, rig.state().connected), (ChillerStatus::Idle, true));
    rig.unplug();
    rig.run_for(SECOND);
    assert_eq!((rig.state().status, rig.state().connected), (ChillerStatus::Offline, false));
    assert_eq!(rig.availability().last(), Some(&"online"));
    rig.stop();
    assert!(rig.has_ended());
    assert_eq!(rig.availability().last(), Some(&"offline"));
}

fn restored(rig: &Rig) -> usize {
    rig.events().filter(|event| event.body.reason.as_deref() == Some("restored")).count()
}
