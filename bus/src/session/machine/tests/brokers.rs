//! Several brokers, and the will that tells whether one of them keeps its promise.

use super::*;
use crate::probe::wills::Left;
use crate::session::connect::unanswered;

const OPEN: Verdict = Verdict { acl_ok: Some(false), wills_open: true, command_path_ok: true };

impl Bench {
    fn fail(&mut self, error: &str, is_answer: bool) {
        let broker = self.machine.retry.broker();
        self.tell(Event::Failed { broker, error: error.to_owned(), is_answer });
    }

    /// The brokers to which attempts were made since the outputs were forgotten.
    fn attempts(&self) -> Vec<usize> {
        let attempts = self.done.iter().filter_map(|output| match output {
            Output::Connect { broker, .. } => Some(*broker),
            _ => None,
        });
        attempts.collect()
    }

    fn errors(&self) -> Vec<&str> {
        let errors = self.reports().into_iter().filter_map(|event| match event {
            SessionEvent::Lost { error } => Some(error.as_str()),
            _ => None,
        });
        errors.collect()
    }

    /// The broker and the number of the wills that were to be left.
    fn wills(&self) -> Vec<(usize, u64)> {
        let wills = self.done.iter().filter_map(|output| match output {
            Output::LeaveWill { broker, round, .. } => Some((*broker, *round)),
            _ => None,
        });
        wills.collect()
    }

    /// The last will that was left arrives.
    fn will_speaks(&mut self) {
        let last = self.done.iter().rev().find_map(|output| match output {
            Output::LeaveWill { topic, payload, .. } => Some((topic.clone(), payload.clone())),
            _ => None,
        });
        let (topic, payload) = last.unwrap();
        assert_eq!(topic, "clasp/lamp/command/acl-canary/ping");
        self.tell(Event::Message(self.message(&topic, &payload)));
    }
}

#[test]
fn if_a_broker_does_not_answer_the_next_is_tried_at_once_and_a_round_waits() {
    let mut bench = Bench::of(&["a", "b"]);
    bench.fail("nobody at a", false);
    assert_eq!(bench.attempts(), [0, 1]);
    assert!(bench.errors().is_empty(), "there is no connection to lose, and one broker is left");
    bench.fail("b is too busy", true);
    assert_eq!(bench.errors(), ["nobody at a; b is too busy"]);
    assert_eq!(bench.attempts(), [0, 1], "the round is over");
    bench.pass(751 * MS);
    assert_eq!(bench.attempts(), [0, 1, 0]);
}

#[test]
fn while_a_broker_is_silent_the_next_is_tried_beside_it_and_the_first_that_answers_counts() {
    for (answers, other) in [(0, 1), (1, 0)] {
        let mut bench = Bench::of(&["a", "b"]);
        bench.pass(1499 * MS);
        assert_eq!(bench.attempts(), [0]);
        bench.pass(2 * MS);
        assert_eq!(bench.attempts(), [0, 1], "a may still answer");
        bench.pass(SECOND);
        assert!(bench.errors().is_empty(), "neither has failed");
        bench.tell(Event::Connected { broker: answers, nonce: "n".to_owned(), largest_packet: None });
        // Both were under way, and the second is too late.
        bench.tell(Event::Connected { broker: other, nonce: "n".to_owned(), largest_packet: None });
        bench.tell(Event::Subscribed(vec![Ok(()), Ok(())]));
        let told = bench.reports().into_iter().find_map(|event| match event {
            SessionEvent::Connected { broker, instead_of, .. } => {
                Some((broker.as_str(), instead_of.join("; ")))
            }
            _ => None,
        });
        let (broker, instead_of) = told.unwrap();
        assert_eq!(broker, ["a", "b"][answers]);
        assert_eq!(instead_of.contains("a did not answer in time: "), answers == 1, "{instead_of}");
    }
}

#[test]
fn a_broker_that_comes_back_while_another_hangs_is_found_within_two_seconds() {
    let mut bench = Bench::of(&["a", "b"]);
    bench.fail("a is away", false);
    bench.connect(20 * MS);
    bench.pass(20 * SECOND);
    bench.tell(Event::Broken { error: "b closed the connection".to_owned() });
    // A hangs for as long as an attempt may take, each time; b refuses at once, each time.
    let (mut limit, mut a_began, mut b_tried) = (5 * SECOND, None, bench.now);
    let end = bench.now + 590 * SECOND;
    let mut longest = Duration::ZERO;
    bench.done.clear();
    while bench.now < end {
        for output in std::mem::take(&mut bench.done) {
            match output {
                Output::Connect { broker: 0, limit: allowed } => {
                    assert_eq!(a_began.replace(bench.now), None, "one attempt at a time");
                    limit = allowed;
                }
                Output::Connect { broker, .. } => {
                    longest = longest.max(bench.now.since(b_tried));
                    b_tried = bench.now;
                    let error = "nothing listens at b".to_owned();
                    bench.tell(Event::Failed { broker, error, is_answer: false });
                }
                _ => {}
            }
        }
        if a_began.is_some_and(|began| bench.now >= began + limit) {
            a_began = None;
            let error = unanswered("a");
            bench.tell(Event::Failed { broker: 0, error, is_answer: false });
        }
        bench.pass(50 * MS);
    }
    assert!(longest <= 2 * SECOND, "{longest:?}");
    // When a wakes up, it is taken.
    bench.pass(2 * SECOND);
    bench.tell(Event::Connected { broker: 0, nonce: "n".to_owned(), largest_packet: None });
    assert_eq!(bench.done.last(), Some(&Output::Subscribe));
}

#[test]
fn what_is_said_of_a_silent_and_a_dead_broker_does_not_change_from_round_to_round() {
    let mut bench = Bench::of(&["a", "b"]);
    bench.pass(1600 * MS);
    for _ in 0..3 {
        bench.fail("nothing listens at b", false);
        bench.pass(800 * MS);
    }
    let error = format!("{}; nothing listens at b", unanswered("a"));
    assert_eq!(bench.errors(), [error.as_str(); 3]);
}

#[test]
fn a_connection_that_is_lost_is_made_at_the_next_broker_and_stays_there() {
    let mut bench = Bench::of(&["a", "b"]);
    bench.connect(20 * MS);
    bench.pass(20 * SECOND);
    bench.done.clear();
    bench.tell(Event::Broken { error: "a closed the connection".to_owned() });
    assert_eq!(bench.errors(), ["a closed the connection"], "the bridge knows at once");
    bench.pass(500 * MS);
    assert_eq!(bench.attempts(), [1]);
    bench.connect(20 * MS);
    let told = bench.reports().into_iter().find_map(|event| match event {
        SessionEvent::Connected { broker, instead_of, .. } => Some((broker.as_str(), instead_of.len())),
        _ => None,
    });
    assert_eq!(told, Some(("b", 1)));
    bench.pass(20 * SECOND);
    bench.machine.renew(2);
    bench.done.clear();
    bench.tell(Event::Timeout);
    bench.tell(Event::HungUp);
    bench.pass(2 * SECOND);
    assert_eq!(bench.attempts(), [1], "for new files it does not go elsewhere");
}

#[test]
fn a_broker_that_hangs_is_left_for_the_next_one() {
    let mut bench = Bench::of(&["a", "b"]);
    bench.connect(20 * MS);
    bench.machine.open(1);
    bench.pass(20 * SECOND);
    bench.done.clear();
    bench.state("{}");
    bench.pass(7 * SECOND);
    assert_eq!(bench.attempts(), [1]);
}

#[test]
fn a_will_that_arrives_where_the_bridge_may_not_publish_means_that_the_acl_is_open() {
    let mut bench = Bench::new();
    bench.connect(20 * MS);
    assert_eq!(bench.verdicts(), [GOOD]);
    assert_eq!(bench.wills(), [(0, 1)]);
    bench.tell(Event::WillLeft { round: 1, left: Left::There });
    bench.will_speaks();
    assert_eq!(bench.verdicts(), [GOOD, OPEN]);
    assert!(
        !bench.reports().iter().any(|event| matches!(event, SessionEvent::Message(_))),
        "it is no command"
    );
    // The broker was repaired.
    bench.pass(61 * SECOND);
    assert_eq!(bench.wills(), [(0, 1), (0, 2)]);
    bench.tell(Event::WillLeft { round: 2, left: Left::Refused });
    assert_eq!(bench.verdicts(), [GOOD, OPEN, GOOD]);
}

#[test]
fn what_is_known_of_a_broker_holds_on_its_next_connection_and_not_at_another_broker() {
    let mut bench = Bench::of(&["a", "b"]);
    bench.connect(20 * MS);
    bench.will_speaks();
    bench.pass(20 * SECOND);
    for (broker, expected) in [(1, GOOD), (0, OPEN)] {
        bench.tell(Event::Broken { error: "lost".to_owned() });
        bench.pass(500 * MS);
        bench.done.clear();
        bench.connect(20 * MS);
        assert_eq!(bench.verdicts(), [expected], "{broker}");
        assert_eq!(bench.wills().is_empty(), broker == 0, "once for each broker");
        bench.pass(20 * SECOND);
    }
}

/// The broker drops the bridge while hundreds of others connect, and does not get each handshake twice.
#[test]
fn a_will_whose_connection_was_lost_is_left_some_seconds_after_the_next_and_still_tells() {
    let mut bench = Bench::new();
    bench.connect(20 * MS);
    for _ in 0..2 {
        bench.tell(Event::Broken { error: "too busy".to_owned() });
        bench.pass(1500 * MS);
        bench.tell(Event::WillLeft { round: 1, left: Left::There });
        bench.connect(20 * MS);
        bench.pass(SECOND);
        assert_eq!(bench.wills(), [(0, 1)]);
    }
    bench.pass(12 * SECOND);
    assert_eq!(bench.wills().len(), 2);
    bench.will_speaks();
    assert_eq!(bench.verdicts().last(), Some(&OPEN));
}

#[test]
fn without_a_loopback_no_will_is_left() {
    let mut bench = Bench::new();
    bench.tell(Event::Connected { broker: 0, nonce: "n".to_owned(), largest_packet: None });
    bench.tell(Event::Subscribed(vec![Ok(()), Ok(())]));
    bench.pass(100 * SECOND);
    assert!(bench.wills().is_empty());
}

#[test]
fn a_will_is_left_once_a_day() {
    let mut bench = Bench::new();
    bench.connect(20 * MS);
    bench.tell(Event::WillLeft { round: 1, left: Left::There });
    bench.pass(4 * SECOND);
    assert_eq!(bench.machine.poll_timeout().unwrap().since(bench.now).as_secs() / 3600, 23);
    bench.pass(86_400 * SECOND);
    assert_eq!(bench.wills(), [(0, 1), (0, 2)]);
    assert_eq!(bench.verdicts(), [GOOD]);
}

/// 500 bridges lose the broker together: the attempts are spread, and each is back in time.
#[test]
fn five_hundred_bridges_do_not_come_back_at_the_same_moment() {
    let restart = SECOND;
    let mut per_tenth = [0; 30];
    for bridge in 0..500 {
        let mut retry = Retry::new(1);
        let start = Instant::from_boot(1000 * SECOND);
        retry.connected(0, 20 * MS, start);
        let lost = start + 20 * SECOND;
        // Any sequence that is spread evenly.
        let mut random = f64::from(bridge) * 0.618_033_988_749_895;
        let mut next = || {
            random = (random + 0.754_877_666_246_693).fract();
            random
        };
        let mut now = lost + retry.delay(Cause::Lost, lost, next());
        while now < lost + restart {
            now += retry.delay(Cause::Nobody, now, next());
        }
        let back = now.since(lost + restart);
        assert!(back < 2 * SECOND - 500 * MS, "{back:?}");
        per_tenth[usize::try_from(back.as_millis() / 100).unwrap()] += 1;
    }
    let most = per_tenth.iter().max().unwrap();
    assert!(*most <= 100, "{per_tenth:?}");
}
