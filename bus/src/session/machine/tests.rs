mod brokers;
mod stalls;

use super::*;
use crate::clock::{Now, Utc};
use crate::incoming::Incoming;
use crate::message::OFFLINE;
use crate::probe::Verdict;
use crate::topic::{Base, Identity};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const GOOD: Verdict = Verdict { acl_ok: Some(true), wills_open: false, command_path_ok: true };

/// A machine, its time, and its outputs.
struct Bench {
    machine: Machine,
    now: Instant,
    done: Vec<Output>,
}

impl Bench {
    fn new() -> Self {
        Self::of(&["a"])
    }

    fn of(brokers: &[&str]) -> Self {
        let settings = MachineSettings {
            brokers: brokers.iter().map(|broker| (*broker).to_owned()).collect(),
            identity: Identity::new("lamp-bridge").unwrap(),
            base: Base::new("clasp", "lamp").unwrap(),
            filters: vec!["clasp/lamp/state".to_owned(), "clasp/lamp/command/+/+".to_owned()],
            stall_guard: SECOND,
        };
        let now = Instant::from_boot(1000 * SECOND);
        let mut bench =
            Self { machine: Machine::new(settings, Box::new(|| 0.5), now), now, done: Vec::new() };
        bench.take();
        bench
    }

    fn connected() -> Self {
        let mut bench = Self::new();
        bench.connect(20 * MS);
        bench.done.clear();
        bench
    }

    /// Connects with this round trip, and with an ACL in force.
    fn connect(&mut self, round_trip: Duration) {
        self.pass(3 * round_trip);
        let broker = self.machine.retry.broker();
        self.tell(Event::Connected { broker, nonce: "n".to_owned(), largest_packet: None });
        self.pass(round_trip);
        self.tell(Event::Subscribed(vec![Ok(()), Ok(())]));
        self.pass(round_trip);
        self.answer("acl-canary", Some(Refusal::NotAuthorised));
        self.answer("lamp-bridge/ping", None);
        let (topic, payload) = self.published("lamp-bridge/ping");
        self.tell(Event::Message(self.message(&topic, &payload)));
    }

    fn take(&mut self) {
        self.done.extend(std::iter::from_fn(|| self.machine.poll_output()));
    }

    fn tell(&mut self, event: Event) {
        self.machine.handle(event, self.now);
        self.take();
    }

    /// Lets time pass, ticking as the session's task does.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let due = self.machine.poll_timeout().map_or(end, |due| due.max(self.now + MS));
            self.now = due.min(end).min(self.now + 250 * MS);
            self.tell(Event::Timeout);
        }
    }

    fn message(&self, topic: &str, payload: &[u8]) -> Incoming {
        Incoming {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            retain: false,
            response_topic: None,
            correlation: None,
            signatures: Vec::new(),
            received: Now { instant: self.now, utc: Utc::from_unix_milliseconds(0).unwrap() },
            stalled: false,
        }
    }

    fn command(&mut self) {
        self.tell(Event::Message(self.message("clasp/lamp/command/alice/mode", b"manual")));
    }

    /// The newest publish on a topic that contains this.
    fn number(&self, what: &str) -> Number {
        let publishes = self.done.iter().rev().filter_map(|output| match output {
            Output::Publish(number, outgoing) => Some((*number, outgoing)),
            _ => None,
        });
        publishes.into_iter().find(|(_, outgoing)| outgoing.topic.contains(what)).unwrap().0
    }

    fn published(&self, what: &str) -> (String, Vec<u8>) {
        let number = self.number(what);
        let found = self.done.iter().find_map(|output| match output {
            Output::Publish(this, outgoing) if *this == number => Some(outgoing),
            _ => None,
        });
        let outgoing = found.unwrap();
        (outgoing.topic.clone(), outgoing.payload.clone())
    }

    fn publishes(&self, what: &str) -> usize {
        let is_it = |output: &&Output| matches!(output, Output::Publish(_, out) if out.topic.contains(what));
        self.done.iter().filter(is_it).count()
    }

    fn answer(&mut self, what: &str, refused: Option<Refusal>) {
        let number = self.number(what);
        self.tell(Event::Acknowledged { number, refused, at: self.now });
    }

    fn state(&mut self, text: &str) {
        self.machine.set("clasp/lamp/state", text.as_bytes().to_vec(), None);
        self.tell(Event::Timeout);
    }

    fn reports(&self) -> Vec<&SessionEvent> {
        let reports = self.done.iter().filter_map(|output| match output {
            Output::Report(event) => Some(event),
            _ => None,
        });
        reports.collect()
    }

    fn losses(&self) -> usize {
        self.reports().iter().filter(|event| matches!(event, SessionEvent::Lost { .. })).count()
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let verdicts = self.reports().into_iter().filter_map(|event| match event {
            SessionEvent::Judged(verdict) => Some(*verdict),
            _ => None,
        });
        verdicts.collect()
    }

    /// Whether each reported message had waited.
    fn stalled(&self) -> Vec<bool> {
        let messages = self.reports().into_iter().filter_map(|event| match event {
            SessionEvent::Message(incoming) => Some(incoming.stalled),
            _ => None,
        });
        messages.collect()
    }
}

#[test]
fn a_subscription_that_is_acknowledged_late_is_proved_all_the_same() {
    let mut bench = Bench::new();
    bench.tell(Event::Connected { broker: 0, nonce: "n".to_owned(), largest_packet: None });
    bench.pass(4 * SECOND);
    assert!(bench.verdicts().is_empty());
    bench.tell(Event::Subscribed(vec![Ok(()), Ok(())]));
    bench.pass(100 * MS);
    let (topic, payload) = bench.published("lamp-bridge/ping");
    bench.tell(Event::Message(bench.message(&topic, &payload)));
    assert_eq!(bench.verdicts(), [GOOD]);
}

#[test]
fn on_a_slow_link_nothing_is_taken_for_a_stall_or_for_a_loss() {
    let mut bench = Bench::new();
    bench.connect(3800 * MS);
    assert_eq!(bench.verdicts(), [GOOD], "no verdict before its time");
    bench.machine.open(1);
    for _ in 0..5 {
        bench.state("{}");
        bench.pass(3800 * MS);
        bench.answer("state", None);
        bench.command();
    }
    assert_eq!(bench.losses(), 0);
    assert_eq!(bench.stalled(), [false; 5]);
}

#[test]
fn what_arrives_after_the_bridge_stood_still_has_waited_and_no_will_speaks() {
    let mut bench = Bench::connected();
    bench.now += 1100 * MS;
    bench.command();
    bench.now += 40 * MS;
    bench.command();
    bench.pass(50 * MS);
    assert_eq!(bench.stalled(), [true, true]);
    assert!(bench.done.contains(&Output::Disconnect));
    bench.tell(Event::HungUp);
    assert_eq!((bench.losses(), bench.done.last()), (1, Some(&Output::Report(lost_by_stall()))));
    bench.done.clear();
    bench.pass(1001 * MS);
    assert_eq!(bench.done, [Output::Connect { broker: 0, limit: 5 * SECOND }]);
}

fn lost_by_stall() -> SessionEvent {
    SessionEvent::Lost { error: "the bridge or the broker had stood still".to_owned() }
}

#[test]
fn a_refused_publish_is_told_once_for_each_grant_and_again_when_it_is_taken() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    let reply = |id: &str| Message {
        topic: format!("clasp/lamp/reply/alice/{id}"),
        payload: b"{}".to_vec(),
        correlation: None,
        expires: None,
        receipt: None,
    };
    for id in ["a", "b", "c"] {
        bench.machine.push(reply(id));
        bench.state("{}");
        bench.answer("state", None);
        bench.answer("reply", Some(Refusal::NotAuthorised));
    }
    let grant = "clasp/lamp/reply/+/+".to_owned();
    let text = "the broker refuses what is published on clasp/lamp/reply/+/+: its ACL lacks \
                \"topic write clasp/lamp/reply/+/+\" under \"user lamp-bridge\""
        .to_owned();
    assert_eq!(bench.reports(), [&SessionEvent::Refused { grant: grant.clone(), text }]);
    bench.done.clear();
    bench.machine.push(reply("d"));
    bench.tell(Event::Timeout);
    bench.answer("reply", None);
    assert_eq!(bench.reports(), [&SessionEvent::TakenAgain { grant }]);
}

#[test]
fn what_the_broker_would_disconnect_for_is_not_published_and_told_once() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    for extra in 1..4 {
        bench.state(&"x".repeat(PAYLOAD_LIMIT + extra));
    }
    assert_eq!(bench.publishes("state"), 0);
    assert!(matches!(bench.reports()[..], [SessionEvent::Refused { .. }]), "{:?}", bench.reports());
    bench.state(&"x".repeat(PAYLOAD_LIMIT));
    bench.answer("state", None);
    assert!(matches!(bench.reports()[..], [_, SessionEvent::TakenAgain { .. }]));
}

#[test]
fn the_limit_is_what_the_broker_says_of_itself_and_what_waited_for_it_is_counted() {
    let mut bench = Bench::connected();
    bench.tell(Event::Broken { error: "cut".to_owned() });
    let topic = bench.machine.settings.base.event();
    let payload = vec![b'x'; 8_000];
    bench.machine.push(Message { topic, payload, correlation: None, expires: None, receipt: None });
    bench.pass(SECOND);
    bench.tell(Event::Connected { broker: 0, nonce: "n".to_owned(), largest_packet: Some(8_192) });
    bench.tell(Event::Subscribed(vec![Ok(()), Ok(())]));
    let limit = payload_limit(Some(8_192));
    let told = |report: &&SessionEvent| matches!(report, SessionEvent::Connected { payload_limit, .. } if *payload_limit == limit);
    assert_eq!(bench.reports().iter().filter(|report| told(report)).count(), 1);
    bench.machine.open(2);
    bench.state(&"x".repeat(limit + 1));
    bench.tell(Event::Timeout);
    assert_eq!((bench.publishes("state"), bench.publishes("event"), bench.machine.dropped()), (0, 0, 1));
    bench.state(&"x".repeat(limit));
    assert_eq!(bench.publishes("state"), 1);
}

#[test]
fn a_word_about_a_connection_that_is_gone_does_not_touch_the_next_one() {
    let mut bench = Bench::connected();
    bench.tell(Event::Broken { error: "cut".to_owned() });
    bench.machine.reconnect(1);
    bench.machine.open(1);
    bench.pass(SECOND);
    bench.connect(20 * MS);
    bench.machine.open(1);
    bench.machine.reconnect(1);
    bench.state("old");
    bench.pass(SECOND);
    assert_eq!((bench.publishes("state"), bench.losses()), (0, 1));
    bench.machine.open(2);
    bench.state("new");
    assert_eq!(bench.published("state").1, b"new");
    bench.machine.reconnect(2);
    bench.tell(Event::Timeout);
    bench.pass(200 * MS);
    assert_eq!(bench.losses(), 2);
}

#[test]
fn new_files_are_connected_with_without_a_will_and_without_a_stall() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    bench.machine.renew(2);
    bench.tell(Event::Timeout);
    assert_eq!(bench.losses(), 0, "that connection is not there yet");
    bench.machine.renew(1);
    bench.tell(Event::Timeout);
    assert!(bench.done.contains(&Output::Disconnect), "nobody hears the will");
    assert!(!bench.done.contains(&Output::Drop));
    bench.pass(200 * MS);
    assert_eq!(bench.losses(), 1);
    let reports = bench.reports();
    let Some(SessionEvent::Lost { error }) = reports.last() else { panic!("{reports:?}") };
    assert_eq!(error, "left, to connect with new TLS files");
    bench.pass(2 * SECOND);
    bench.connect(20 * MS);
    bench.pass(5 * SECOND);
    assert_eq!(bench.losses(), 1, "once, and not again");
}

#[test]
fn a_stop_delivers_what_waits_says_offline_and_hangs_up_when_that_was_heard() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    bench.state("last");
    bench.machine.stop(true);
    bench.tell(Event::Timeout);
    bench.pass(100 * MS);
    assert_eq!(bench.publishes("availability"), 0, "not before the state is heard");
    bench.answer("state", None);
    assert_eq!(bench.published("availability").1, OFFLINE.as_bytes());
    bench.pass(100 * MS);
    assert!(!bench.done.contains(&Output::Disconnect));
    bench.answer("availability", None);
    assert_eq!(bench.done.last(), Some(&Output::Disconnect));
    bench.tell(Event::HungUp);
    assert_eq!(bench.done.last(), Some(&Output::End));
}

#[test]
fn a_farewell_that_nobody_heard_is_left_to_the_will() {
    let mut bench = Bench::connected();
    bench.machine.stop(true);
    bench.tell(Event::Timeout);
    bench.pass(1600 * MS);
    assert_eq!(bench.publishes("availability"), 1);
    assert!(!bench.done.contains(&Output::Disconnect));
    assert_eq!(bench.done[bench.done.len() - 2..], [Output::Drop, Output::End]);
}

#[test]
fn on_a_slow_link_a_farewell_is_waited_for_longer() {
    let mut bench = Bench::new();
    bench.connect(1400 * MS);
    bench.machine.stop(true);
    bench.tell(Event::Timeout);
    bench.pass(2800 * MS);
    bench.answer("availability", None);
    assert!(bench.done.contains(&Output::Disconnect));
}

#[test]
fn one_that_leaves_the_topics_to_another_bridge_says_nothing_on_them() {
    let mut bench = Bench::connected();
    bench.machine.stop(false);
    bench.tell(Event::Timeout);
    assert_eq!(bench.done, [Output::Disconnect]);
}

#[test]
fn a_stop_without_a_connection_ends_at_once() {
    let mut connecting = Bench::new();
    connecting.machine.stop(true);
    connecting.tell(Event::Timeout);
    assert_eq!(connecting.done.last(), Some(&Output::End));

    let mut waiting = Bench::connected();
    waiting.tell(Event::Broken { error: "cut".to_owned() });
    waiting.machine.stop(true);
    waiting.tell(Event::Timeout);
    assert_eq!(waiting.done.last(), Some(&Output::End));
}

#[test]
fn a_stop_right_after_a_stall_still_says_offline() {
    let mut bench = Bench::connected();
    bench.now += 2 * SECOND;
    bench.tell(Event::Timeout);
    bench.machine.stop(true);
    bench.tell(Event::Timeout);
    assert_eq!(bench.published("availability").1, OFFLINE.as_bytes());
}

#[test]
fn what_is_delivered_before_the_subscription_is_acknowledged_is_told_after_it() {
    let mut bench = Bench::new();
    bench.tell(Event::Connected { broker: 0, nonce: "n".to_owned(), largest_packet: None });
    bench.tell(Event::Message(bench.message("clasp/lamp/state", b"{}")));
    bench.tell(Event::Subscribed(vec![Ok(()), Ok(())]));
    let reports = bench.reports();
    assert!(matches!(reports[..], [SessionEvent::Connected { .. }, SessionEvent::Message(_)]), "{reports:?}");
}

#[test]
fn a_refused_subscription_is_named() {
    let mut bench = Bench::new();
    bench.tell(Event::Connected { broker: 0, nonce: "n".to_owned(), largest_packet: None });
    bench.tell(Event::Subscribed(vec![Ok(()), Err(FilterRefused { word: "NotAuthorized".to_owned() })]));
    let error = "the broker refused to subscribe to clasp/lamp/command/+/+: NotAuthorized".to_owned();
    assert_eq!(bench.reports(), [&SessionEvent::Lost { error }]);
}

#[test]
fn a_command_puts_the_verdict_right_before_it_is_told() {
    let mut bench = Bench::new();
    bench.tell(Event::Connected { broker: 0, nonce: "n".to_owned(), largest_packet: None });
    bench.tell(Event::Subscribed(vec![Ok(()), Ok(())]));
    bench.answer("acl-canary", Some(Refusal::NotAuthorised));
    bench.answer("lamp-bridge/ping", Some(Refusal::NotAuthorised));
    assert!(!bench.verdicts()[0].command_path_ok);
    bench.done.clear();
    bench.command();
    let reports = bench.reports();
    assert!(matches!(reports[..], [SessionEvent::Judged(GOOD), SessionEvent::Message(_)]), "{reports:?}");
}

#[test]
fn a_verdict_that_is_not_good_is_tried_again_with_pings_of_its_own() {
    let mut bench = Bench::new();
    bench.tell(Event::Connected { broker: 0, nonce: "n".to_owned(), largest_packet: None });
    bench.tell(Event::Subscribed(vec![Ok(()), Ok(())]));
    // The ACL is open: the canary comes back.
    let (topic, first) = bench.published("acl-canary");
    bench.tell(Event::Message(bench.message(&topic, &first)));
    assert_eq!(bench.verdicts()[0].acl_ok, Some(false));
    bench.pass(60 * SECOND);
    assert_eq!(bench.publishes("acl-canary"), 2);
    bench.answer("acl-canary", Some(Refusal::NotAuthorised));
    let (topic, second) = bench.published("lamp-bridge/ping");
    assert_ne!(first, second);
    bench.tell(Event::Message(bench.message(&topic, &second)));
    assert_eq!(bench.verdicts().last(), Some(&GOOD));
    bench.pass(600 * SECOND);
    assert_eq!(bench.publishes("acl-canary"), 2);
}

#[test]
fn a_ping_of_somebody_else_is_a_command_like_any_other() {
    let mut bench = Bench::connected();
    for payload in ["{\"id\":\"probe-n-x\"}", "{\"id\":\"probe-m-1\"}", "{\"id\":\"a\"}", ""] {
        let topic = "clasp/lamp/command/acl-canary/ping";
        bench.tell(Event::Message(bench.message(topic, payload.as_bytes())));
    }
    assert_eq!(bench.stalled().len(), 4);
}

#[test]
fn a_reply_that_was_under_way_when_the_connection_was_lost_is_sent_again() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    bench.machine.push(Message {
        topic: "clasp/lamp/reply/alice/a".to_owned(),
        payload: b"{}".to_vec(),
        correlation: None,
        expires: None,
        receipt: None,
    });
    bench.tell(Event::Timeout);
    bench.tell(Event::Broken { error: "cut".to_owned() });
    bench.pass(SECOND);
    bench.connect(20 * MS);
    assert_eq!(bench.publishes("reply"), 1, "not before the bridge opens it");
    bench.machine.open(2);
    bench.tell(Event::Timeout);
    assert_eq!(bench.publishes("reply"), 2);
}
