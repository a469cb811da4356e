use bus::clock::Utc;
use bus::message::{Code, ReplyStatus};
use bus::topic::Identity;

use super::*;

fn now() -> Now {
    Now { instant: Instant::default(), utc: Utc::from_unix_milliseconds(1_700_000_000_000).unwrap() }
}

fn after(seconds: f64) -> Now {
    now().after(Duration::from_secs_f64(seconds))
}

fn reply(status: ReplyStatus, code: Option<Code>) -> Reply {
    // The bridge's clock is an hour ahead of ours.
    let received_at = now().utc.after(Duration::from_secs(3600));
    Reply {
        id: Some("a1".to_owned()),
        verb: "enabled".to_owned(),
        by: Identity::new("alice").unwrap(),
        status,
        code,
        reason: code.map_or("accepted", Code::reason).to_owned(),
        message: String::new(),
        note: None,
        received_at,
        deadline: Some(received_at.after(Duration::from_secs(30))),
        finished_at: None,
        seq: 1,
        duplicate: false,
    }
}

#[test]
fn without_an_answer_availability_decides_after_a_second() {
    for (word, expected, exit_code) in [
        (Some("online"), Outcome::NoAnswer(ACCEPT_LIMIT), 29),
        (Some("offline"), Outcome::BridgeOffline, 155),
        (None, Outcome::BridgeOffline, 155),
    ] {
        let mut wait = Wait::new(now(), None);
        if let Some(word) = word {
            wait.availability(word.as_bytes());
        }
        assert_eq!(wait.outcome(after(0.9)), None);
        assert_eq!(wait.remaining(after(0.9)), Duration::from_millis(100));
        assert_eq!(wait.outcome(after(1.0)).as_ref(), Some(&expected));
        assert_eq!(expected.exit_code(), exit_code);
    }
}

#[test]
fn the_second_begins_when_the_broker_has_taken_the_request() {
    let mut wait = Wait::new(now(), None);
    wait.delivered(after(4.0));
    assert_eq!(wait.outcome(after(4.5)), None);
    assert_eq!(wait.outcome(after(5.0)), Some(Outcome::BridgeOffline));
}

#[test]
fn an_accepted_request_has_until_its_deadline_whatever_the_clocks_say() {
    let mut wait = Wait::new(now(), None);
    assert_eq!(wait.reply(reply(ReplyStatus::Accepted, None), after(0.5)), None);
    assert_eq!(wait.outcome(after(33.4)), None);
    assert_eq!(wait.outcome(after(33.5)), Some(Outcome::NoVerdict { online: false }));
    wait.availability(b"online");
    assert_eq!(wait.outcome(after(33.5)), Some(Outcome::NoVerdict { online: true }));
}

#[test]
fn a_request_already_in_progress_is_waited_for_too() {
    let mut wait = Wait::new(now(), None);
    let repeated = Reply { deadline: None, ..reply(ReplyStatus::InProgress, None) };
    assert_eq!(wait.reply(repeated, after(0.5)), None);
    assert_eq!(wait.remaining(after(0.5)), ACCEPT_LIMIT + GRACE);
}

#[test]
fn who_does_not_wait_is_told_that_it_began_or_why_not() {
    let mut wait = Wait::new(now(), None).until(Until::Accepted);
    assert_eq!(wait.reply(reply(ReplyStatus::Accepted, None), after(0.1)), Some(Outcome::Accepted));
    assert_eq!(Outcome::Accepted.exit_code(), 0);
    let refused = wait.reply(reply(ReplyStatus::Rejected, Some(Code::Blocked)), after(0.1)).unwrap();
    assert_eq!(refused.exit_code(), 2);
    assert_eq!(wait.outcome(after(1.0)), Some(Outcome::BridgeOffline));
}

#[test]
fn a_stop_to_a_bridge_that_hangs_is_sent_again_when_it_has_expired_or_the_bridge_speaks() {
    let by = after(40.0).instant;
    let no_answer = Outcome::NoAnswer(ACCEPT_LIMIT);
    let mut wait = Wait::new(now(), None);
    wait.availability(b"online");
    wait.delivered(now());
    assert!(wait.hold(&no_answer, after(1.0), by));
    assert_eq!(wait.outcome(after(9.9)), None);
    assert_eq!(wait.outcome(after(10.0)), Some(no_answer.clone()));
    assert!(!wait.hold(&no_answer, after(10.0), by));

    wait.delivered(after(10.0));
    assert!(wait.hold(&no_answer, after(11.0), by));
    wait.spoke(true, after(12.0));
    assert_eq!(wait.remaining(after(12.0)), Duration::from_secs(8), "what is stored is old");
    wait.spoke(false, after(13.0));
    wait.spoke(false, after(13.5));
    assert_eq!(wait.outcome(after(14.0)), Some(no_answer.clone()));
    assert!(!wait.hold(&no_answer, after(14.0), by));
    assert_eq!(wait.insisted(no_answer, after(14.0)), Outcome::NoAnswer(Duration::from_secs(14)));
}

#[test]
fn a_stop_is_not_held_back_for_a_bridge_that_is_offline() {
    let mut wait = Wait::new(now(), None);
    wait.delivered(now());
    wait.availability(b"offline");
    assert!(!wait.hold(&Outcome::BridgeOffline, after(1.0), after(40.0).instant));
    wait.online = None;
    assert!(wait.hold(&Outcome::BridgeOffline, after(1.0), after(40.0).instant));
}

#[test]
fn the_users_own_limit_is_kept() {
    let mut wait = Wait::new(now(), Some(Duration::from_secs(10)));
    wait.reply(reply(ReplyStatus::Accepted, None), after(0.5));
    assert_eq!(wait.remaining(after(1.0)), Duration::from_secs(9));
    assert_eq!(wait.outcome(after(10.0)), Some(Outcome::GaveUp));
    assert_eq!(wait.return_by(after(2.0)), after(10.0).instant);
}

#[test]
fn the_exit_code_is_the_code_of_the_verdict() {
    for code in Code::ALL {
        let status = if code.number() == 0 { ReplyStatus::Succeeded } else { ReplyStatus::Failed };
        let outcome = Wait::new(now(), None).reply(reply(status, Some(*code)), after(0.1)).unwrap();
        assert_eq!(outcome.exit_code(), code.number());
    }
    assert_eq!(Outcome::BrokerForbids.exit_code(), 3);
    assert_eq!(Outcome::NobodyListens.exit_code(), 155);
    assert_eq!(Outcome::BrokerLost(String::new()).exit_code(), 155);
}

#[test]
fn a_refusal_says_who_refused_and_why() {
    let refusal = Reply {
        message: "say `lamp mode manual`\u{1b}[2J first".to_owned(),
        ..reply(ReplyStatus::Rejected, Some(Code::ModeIsAutomatic))
    };
    let at = Duration::ZERO;
    for (outcome, expected) in [
        (
            Outcome::Answered(Box::new(refusal), at),
            "enable: refused by the bridge: mode_is_automatic (code 10): say `lamp mode manual`\\u{1b}[2J first",
        ),
        (
            Outcome::Answered(Box::new(reply(ReplyStatus::Failed, Some(Code::Interrupted))), at),
            "enable: failed: interrupted (code 30)",
        ),
        (
            Outcome::Answered(Box::new(reply(ReplyStatus::TimedOut, Some(Code::TimedOut))), at),
            "enable: timed out (code 29)",
        ),
        (
            Outcome::BrokerForbids,
            "enable: refused by the broker: its access rules do not let alice command clasp/lamp (0x87)",
        ),
        (
            Outcome::NobodyListens,
            "enable: nobody listens to commands for clasp/lamp: its bridge is not running; nothing was done",
        ),
    ] {
        assert_eq!(outcome.message("enable", "alice", "clasp/lamp"), expected);
    }
}

#[test]
fn a_bridge_that_is_far_from_the_broker_is_given_three_of_its_round_trips() {
    let mut wait = Wait::new(now(), None);
    wait.measured(Duration::from_millis(1));
    wait.delivered(after(0.1));
    wait.health(br#"{"no": "health"}"#);
    let end_of = |wait: &Wait| wait.remaining(now()).as_secs_f64();
    assert!((end_of(&wait) - 1.1).abs() < 1e-6, "{wait:?}");
    let example = include_str!("../../../schemas/examples/health/good.json");
    let mut health: serde_json::Value = serde_json::from_str(example).unwrap();
    health["broker_round_trip_ms"] = 1400.into();
    wait.health(health.to_string().as_bytes());
    assert!((end_of(&wait) - 4.3).abs() < 1e-6, "{wait:?}");
    health["broker_round_trip_ms"] = 1e9.into();
    wait.health(health.to_string().as_bytes());
    assert!((end_of(&wait) - 30.1).abs() < 1e-6, "whatever a message says");
}

#[test]
fn on_a_slow_link_every_wait_is_three_round_trips() {
    let mut wait = Wait::new(now(), None);
    wait.measured(Duration::from_secs(2));
    wait.delivered(after(2.0));
    assert_eq!(wait.outcome(after(7.9)), None);
    wait.availability(b"online");
    assert_eq!(wait.outcome(after(8.1)), Some(Outcome::NoAnswer(Duration::from_secs(6))));
    let said = Outcome::NoAnswer(Duration::from_secs(6)).message("set 2", "alice", "clasp/dome");
    assert!(said.contains("did not answer within 6 s"), "{said}");
    // Plus the time for the last reply to arrive.
    assert_eq!(wait.reply(reply(ReplyStatus::Accepted, None), after(4.0)), None);
    assert_eq!(wait.remaining(after(4.0)), Duration::from_secs(30 + 6));
}
