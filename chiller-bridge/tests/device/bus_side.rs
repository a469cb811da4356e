//! What the bus sees: order, promptness, who did what, and a broker that comes and goes.

use std::time::Duration;

use bus::clock::Utc;
use bus::message::{Code, EventKind, ReplyStatus};
use chiller_device::Mode;
use testbed::chiller::Fault;

use crate::rig::Rig;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_state_that_shows_an_outcome_comes_before_the_reply_that_tells_it() {
    let mut rig = Rig::running();
    for (verb, argument) in
        [("mode", "manual"), ("enabled", "on"), ("setpoint", "11.5"), ("enabled", "off"), ("release", "1")]
    {
        let id = rig.command("alice", verb, argument);
        rig.wait_for(&id);
        let told = rig.replies(&id).last().unwrap().order;
        let shown = rig.states().rfind(|state| state.order < told).unwrap().what;
        let last = shown.last_command.unwrap();
        assert_eq!(last.id.unwrap().as_str(), id, "{verb}");
        assert_eq!(last.outcome, ReplyStatus::Succeeded, "{verb}");
    }
}

#[test]
fn c12_a_command_is_taken_at_once_however_the_unit_keeps_the_bridge_waiting() {
    let mut rig = Rig::running();
    rig.model().inject(Fault::Deaf);
    rig.run_until(|rig| rig.is_asking(), 10 * SECOND);
    let id = rig.command("alice", "mode", "manual");
    let took = rig.run_until(|rig| !rig.replies(&id).is_empty(), SECOND);
    assert_eq!(rig.replies(&id)[0].what.status, ReplyStatus::Accepted);
    assert!(took <= Duration::from_millis(6), "the disk is waited for, and nothing else: {took:?}");
    let reply = rig.wait_for(&id);
    assert_eq!(reply.status, ReplyStatus::Succeeded);
    assert!(rig.replies(&id)[1].at.instant.since(rig.replies(&id)[0].at.instant) < Duration::from_millis(50));
}

#[test]
fn c12_a_verdict_can_be_asked_for_again() {
    let mut rig = Rig::running();
    let payload = b"{\"id\":\"once\",\"mode\":\"manual\"}";
    rig.publish_command("alice", "mode", payload);
    rig.wait_for("once");
    rig.command_and_wait("ops", "mode", "automatic");
    rig.publish_command("alice", "mode", payload);
    let again = &rig.replies("once").last().unwrap().what;
    assert_eq!((again.status, again.duplicate), (ReplyStatus::Succeeded, true));
    rig.run_for(SECOND);
    assert_eq!(rig.state().mode, Mode::Automatic, "told again, not run again");
}

#[test]
fn c13_what_arrives_together_is_judged_one_after_the_other() {
    let mut rig = Rig::running();
    let manual = rig.command("alice", "mode", "manual");
    let on = rig.command("alice", "enabled", "on");
    let automatic = rig.command("ops", "mode", "automatic");
    let off = rig.command("alice", "enabled", "off");
    rig.run_for(SECOND);
    assert_eq!(rig.outcome(&manual).unwrap().status, ReplyStatus::Stopped);
    assert_eq!(rig.outcome(&on).unwrap().code, Some(Code::Blocked));
    assert_eq!(rig.outcome(&automatic).unwrap().status, ReplyStatus::Succeeded);
    assert_eq!(rig.outcome(&off).unwrap().code, Some(Code::ModeIsAutomatic));
    assert_eq!(rig.model().writes().count(), 0);
}

#[test]
fn c20_every_command_leaves_one_event_with_who_what_and_how_it_ended() {
    let mut rig = Rig::running();
    let set = rig.command("alice", "mode", "manual");
    rig.wait_for(&set);
    let refused = rig.command("visitor", "enabled", "on");
    rig.wait_for(&refused);
    for (id, by, verb, argument, code) in [
        (&set, "alice", "mode", "manual", Code::Succeeded),
        (&refused, "visitor", "enabled", "on", Code::NotAuthorised),
    ] {
        let mut events = rig.events().filter(|event| event.body.id.as_ref() == Some(id));
        let event = &events.next().unwrap().body;
        assert_eq!(event.kind, EventKind::Command);
        assert_eq!((event.by.as_deref(), event.verb.as_deref()), (Some(by), Some(verb)));
        assert_eq!(event.argument, Some(argument.into()));
        assert_eq!(event.code, Some(code));
        assert!(events.next().is_none());
    }
}

#[test]
fn without_the_broker_the_unit_is_polled_and_events_are_kept_with_their_own_dates() {
    let mut rig = Rig::running();
    rig.broker_down();
    rig.run_for(60 * SECOND);
    rig.unplug();
    let lost = rig.now().utc;
    rig.run_for(120 * SECOND);
    rig.plug();
    rig.run_for(60 * SECOND);
    let asked = rig.sent().len();
    rig.run_for(60 * SECOND);
    assert!(rig.sent().len() >= asked + 6 * 12);
    let seen = rig.events().count();
    rig.broker_up_and_found();
    rig.run_for(2 * SECOND);
    let links: Vec<_> = rig.events().skip(seen).filter(|event| event.body.kind == EventKind::Link).collect();
    let reasons: Vec<_> = links.iter().filter_map(|event| event.body.reason.as_deref()).collect();
    assert_eq!(reasons, ["link_lost", "restored", "thresholds"]);
    assert_eq!(links[0].date, lost);
    let numbers: Vec<_> = rig.events().map(|event| event.seq).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(rig.state().connected);
    assert_eq!(rig.availability().last(), Some(&"online"));
    assert_eq!(rig.health().broker_connections, 2);
    assert!(rig.health().broker_error.is_some(), "why it was lost is still to be seen");
}

#[test]
fn a_command_sent_while_the_broker_is_away_is_never_run() {
    let mut rig = Rig::running();
    rig.broker_down();
    let id = rig.command("alice", "mode", "manual");
    rig.run_for(5 * SECOND);
    rig.broker_up();
    rig.run_for(60 * SECOND);
    assert!(rig.replies(&id).is_empty());
    assert_eq!(rig.state().mode, Mode::Automatic);
}

#[test]
fn a_leap_of_the_wall_clock_moves_dates_and_nothing_else() {
    let mut rig = Rig::running();
    let seen = rig.states().count();
    for date in ["2031-01-01T00:00:00Z", "2001-01-01T00:00:00Z"] {
        let date = Utc::parse(date).unwrap();
        rig.set_date(date);
        rig.run_for(30 * SECOND);
        assert!(rig.state().date.unwrap().seconds_since(date) > 20.0);
        assert!(rig.states().skip(seen).all(|state| state.what.connected));
    }
    assert_eq!(rig.health_of_link().losses, 0);
}

#[test]
fn what_a_counter_of_the_health_counts_is_published_within_two_seconds() {
    let mut rig = Rig::running();
    rig.publish_command("alice", "Set-Point", b"");
    rig.run_for(2 * SECOND);
    assert_eq!(rig.health().dropped_topics, 1);

    rig.model().inject_for(Fault::Garbled, 1);
    rig.run_for(7 * SECOND);
    let link = rig.health().link;
    assert_eq!(link.bad_replies, 1);
    assert!(link.last_error.is_some_and(|error| !error.is_empty()));

    for _ in 0..40 {
        rig.publish_command("alice", "ping", b"");
    }
    rig.run_for(2 * SECOND);
    assert_eq!(rig.health().flooded_commands, 40 - 20);
}

fn attentions(rig: &Rig) -> Vec<String> {
    rig.states().next_back().expect("a state").what.attention.into_iter().map(|held| held.name).collect()
}

#[test]
fn on_a_link_with_a_round_trip_of_seconds_commands_work_and_nothing_is_taken_for_a_stall() {
    let mut rig = Rig::running();
    rig.set_latency(Duration::from_millis(1900));
    rig.restart();
    rig.run_until(|rig| rig.knows_verdict(), 60 * SECOND);
    for (verb, argument) in [("mode", "manual"), ("setpoint", "11.5"), ("mode", "automatic")] {
        let reply = rig.command_and_wait("alice", verb, argument);
        assert_eq!(reply.status, ReplyStatus::Succeeded, "{reply:?}");
    }
    rig.run_for(600 * SECOND);
    let health = rig.health();
    assert_eq!((health.acl_ok, health.command_path_ok), (Some(true), Some(true)));
    assert_eq!((health.broker_connections, health.stalled_commands), (1, 0));
    assert_eq!(attentions(&rig), [] as [&str; 0]);
}

#[test]
fn what_the_broker_refuses_is_an_attention_until_it_is_taken_even_if_it_is_seldom_published() {
    let mut rig = Rig::running();
    for topic in ["clasp/chiller/meta", "clasp/chiller/reply/alice/x"] {
        rig.set_refused(topic, true);
    }
    rig.broker_down();
    rig.broker_up_and_found();
    rig.command("alice", "ping", "");
    rig.run_for(5 * SECOND);
    assert_eq!(attentions(&rig), ["publish_refused"]);
    let text = rig.states().next_back().expect("a state").what.attention.remove(0).text;
    for line in ["topic write clasp/chiller/meta", "topic write clasp/chiller/reply/+/+"] {
        assert!(text.contains(line), "{text}");
    }
    let told = rig.events().filter(|event| event.body.reason.as_deref() == Some("publish_refused"));
    assert_eq!(told.count(), 1);
    rig.set_refused("clasp/chiller/reply/alice/x", false);
    rig.command("alice", "ping", "");
    rig.run_for(SECOND);
    assert_eq!(attentions(&rig), ["publish_refused"], "the description is still refused");
    rig.set_refused("clasp/chiller/meta", false);
    rig.run_for(66 * SECOND);
    assert_eq!(attentions(&rig), [] as [&str; 0]);
}

#[test]
fn what_is_larger_than_the_broker_takes_is_kept_back_counted_and_told() {
    let mut rig = Rig::running();
    // Enough for a state, too little for the description.
    rig.set_largest_packet(Some(6_000));
    rig.broker_down();
    rig.broker_up_and_found();
    rig.run_for(70 * SECOND);
    let health = rig.health();
    assert!(health.oversized_messages >= 1 && health.dropped_messages == 0, "{health:?}");
    assert_eq!(health.broker_connections, 2, "the broker does not disconnect");
    assert_eq!(attentions(&rig), ["too_large"]);
    let text = rig.states().next_back().expect("a state").what.attention.remove(0).text;
    assert!(text.contains("clasp/chiller/meta") && text.contains("(5488 bytes)"), "{text}");
    let reply = rig.command_and_wait("alice", "ping", "");
    assert_eq!(reply.status, ReplyStatus::Succeeded, "{reply:?}");

    rig.set_largest_packet(None);
    rig.broker_down();
    rig.broker_up_and_found();
    rig.run_for(70 * SECOND);
    assert_eq!(attentions(&rig), [] as [&str; 0]);
    assert_eq!(rig.health().broker_connections, 3);
}

#[test]
fn a_reply_that_expires_before_it_can_be_sent_is_counted_in_the_health() {
    let mut rig = Rig::running();
    rig.model().inject(Fault::Deaf);
    rig.command("alice", "mode", "manual");
    rig.command("alice", "enabled", "on");
    rig.broker_down();
    rig.run_for(120 * SECOND);
    rig.broker_up_and_found();
    rig.run_for(5 * SECOND);
    assert!(rig.health().dropped_messages >= 1, "{:?}", rig.health());
}
