//! What the core makes of what the line tells, with a device that a test plays.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bridge::certificate::Certificates;
use bridge::controller::{
    Command, Controller, DeviceRefusal, Effect, Facts, LinkChange, Protocol, Quantity, Undecodable,
};
use bridge::core::{Core, CoreSettings, Event, Output, PreviousRun};
use bridge::line::{Exchange, LineError, LineEvent, OpenError, PortTrouble, Terminator, Timing};
use bus::clock::{Instant, Now, Utc};
use bus::command::DeskSettings;
use bus::device::{Description, Tone, Verb, Word};
use bus::message::{Event as BusEvent, EventKind, Health, Snapshot};
use bus::probe::Verdict;
use bus::session::bridge::{PAYLOAD_LIMIT, SessionEvent};
use bus::settings::{Expiry, Whose};
use bus::topic::Base;

const DESCRIPTION: Description = Description {
    kind: "instrument",
    label: "instrument",
    model: "paper",
    statuses: &[Word::new("offline", "OFFLINE", Tone::Bad), Word::new("idle", "IDLE", Tone::Off)],
    verbs: &[Verb::PING],
    properties: &[],
    ..Description::BARE
};

/// What the controller wants, and what it was told.
#[derive(Default)]
struct Script {
    questions: VecDeque<&'static str>,
    orders: VecDeque<&'static str>,
    unwanted: Vec<&'static str>,
    effects: VecDeque<Effect<&'static str, ()>>,
    told: Vec<String>,
    answers: bool,
}

#[derive(Clone, Default)]
struct Instrument(Rc<RefCell<Script>>);

impl Controller for Instrument {
    type Request = &'static str;
    type Reply = String;
    type State = ();
    type Saved = ();

    fn handle_command(&mut self, _: Command, _: Now) {}
    fn handle_reply(&mut self, request: &'static str, reply: Result<String, DeviceRefusal>, _: Now) {
        self.0.borrow_mut().told.push(format!("{request}: {reply:?}"));
    }
    fn handle_link(&mut self, change: LinkChange, _: Now) {
        let mut script = self.0.borrow_mut();
        script.answers = change == LinkChange::Restored;
        script.told.push(format!("{change:?}"));
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_request(&mut self, now: Now) -> Option<&'static str> {
        self.poll_order(now).or_else(|| self.0.borrow_mut().questions.pop_front())
    }
    fn poll_order(&mut self, _: Now) -> Option<&'static str> {
        self.0.borrow_mut().orders.pop_front()
    }
    fn is_wanted(&self, request: &&'static str) -> bool {
        !self.0.borrow().unwanted.contains(request)
    }
    fn poll_effect(&mut self) -> Option<Effect<&'static str, ()>> {
        self.0.borrow_mut().effects.pop_front()
    }
    fn facts(&self, now: Now) -> Facts {
        let connected = self.0.borrow().answers;
        let (status, reason) = if connected { ("idle", "ready") } else { ("offline", "link_lost") };
        Facts { status, reason, summary: String::new(), date: Some(now.utc), connected }
    }
    fn state(&self, _: Now) {}
    fn quantities(&self) -> Vec<Quantity> {
        Vec::new()
    }
    fn status_word(&self) -> &'static str {
        "idle"
    }
}

impl Protocol for Instrument {
    type Request = &'static str;
    type Reply = String;

    fn exchange(&mut self, request: &&'static str) -> Exchange {
        Exchange::ask(request.as_bytes().to_vec(), Terminator::CR, 8, Duration::from_secs(1))
    }
    fn decode(&self, _: &&'static str, _: &[u8], frame: &[u8]) -> Result<String, Undecodable> {
        Ok(String::from_utf8_lossy(frame).trim_end().to_owned())
    }
}

struct Bridge {
    core: Core<Instrument, Instrument>,
    script: Rc<RefCell<Script>>,
    now: Now,
}

impl Bridge {
    fn begun_with(script: Script) -> Self {
        let desk = DeskSettings {
            base: Base::new("clasp", "instrument").unwrap(),
            verbs: DESCRIPTION.verbs,
            control_clients: BTreeSet::new(),
            stop_clients: BTreeSet::new(),
            ranges: BTreeMap::new(),
            names: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            require_acl: true,
            allow_bare_motion: false,
            stall_guard: Duration::from_secs(1),
            greeting: String::new(),
        };
        let settings = CoreSettings {
            desk,
            require_signature: BTreeSet::new(),
            description: &DESCRIPTION,
            version: "0",
            log_name: "instrument".to_owned(),
            host: "here".to_owned(),
            process: 1,
            session: "s".to_owned(),
            stale_after: Duration::from_secs(30),
            unusual_baud: None,
            serial_timeout: Duration::from_secs(5),
            homeassistant: None,
        };
        let now = Now {
            instant: Instant::from_boot(Duration::from_secs(60)),
            utc: Utc::parse("2026-11-20T10:01:00Z").unwrap(),
        };
        let instrument = Instrument(Rc::new(RefCell::new(script)));
        let script = Rc::clone(&instrument.0);
        let core = Core::new(settings, instrument.clone(), instrument, PreviousRun::default(), now);
        Self { core, script, now }
    }

    fn begun() -> Self {
        Self::begun_with(Script::default())
    }

    /// What of the outputs is for the line, as words.
    fn for_the_line(&mut self) -> Vec<String> {
        let words = |output| match output {
            Output::Ask(exchange) => Some(String::from_utf8(exchange.bytes).unwrap()),
            Output::SendImmediately(bytes) => Some(format!("at once {}", String::from_utf8(bytes).unwrap())),
            Output::Reopen => Some("reopen".to_owned()),
            Output::ReleasePort => Some("let go".to_owned()),
            _ => None,
        };
        std::iter::from_fn(|| self.core.poll_output()).filter_map(words).collect()
    }

    fn connect(&mut self) {
        self.core.handle(
            Event::Session(SessionEvent::Connected {
                broker: String::new(),
                instead_of: Vec::new(),
                round_trip: Duration::ZERO,
                payload_limit: PAYLOAD_LIMIT,
            }),
            self.now,
        );
        let verdict = Verdict { acl_ok: Some(true), wills_open: false, command_path_ok: true };
        self.core.handle(Event::Session(SessionEvent::Judged(verdict)), self.now);
    }

    /// Lets time pass as the loop would, until it would wait for longer than that.
    fn let_pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= end.instant) {
            self.now = self.now.after(at.since(self.now.instant).max(Duration::from_millis(1)));
            self.core.handle(Event::Timeout, self.now);
        }
        self.now = end;
    }

    fn healths(&mut self) -> Vec<Health> {
        of_topic("health", &self.outputs())
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.core.poll_output()).collect()
    }

    /// The attentions of the newest state, why it says that it is offline, and the events before it.
    fn shows(&mut self) -> (Vec<String>, Option<String>, Vec<BusEvent>) {
        let outputs = self.outputs();
        let state = of_topic::<Snapshot<()>>("state", &outputs).pop().expect("no state").common;
        let names = state.attention.into_iter().map(|held| held.name).collect();
        let offline = state.summary.strip_prefix("offline: ").map(str::to_owned);
        (names, offline, of_topic("event", &outputs))
    }

    fn line_tells(&mut self, event: LineEvent) {
        self.core.handle(Event::Line(event), self.now);
    }

    fn line_replies(&mut self, reply: Result<Vec<u8>, LineError>) {
        let timing = Timing { written: self.now.instant, finished: self.now.instant };
        self.line_tells(LineEvent::Reply(reply, timing));
    }

    fn wants(&mut self, effects: impl IntoIterator<Item = Effect<&'static str, ()>>) {
        self.script.borrow_mut().effects.extend(effects);
        self.core.handle(Event::Timeout, self.now);
    }

    fn asks(&mut self, question: &'static str) {
        self.script.borrow_mut().questions.push_back(question);
        self.core.handle(Event::Timeout, self.now);
    }
}

fn of_topic<T: serde::de::DeserializeOwned>(last: &str, outputs: &[Output]) -> Vec<T> {
    let found = |output: &Output| match output {
        Output::Set { topic, payload, .. } if topic.ends_with(last) => {
            Some(serde_json::from_slice(payload).unwrap())
        }
        Output::Push(message) if message.topic.ends_with(last) => {
            Some(serde_json::from_slice(&message.payload).unwrap())
        }
        _ => None,
    };
    outputs.iter().filter_map(found).collect()
}

fn open_failed(trouble: PortTrouble, text: &str) -> LineEvent {
    LineEvent::OpenFailed(OpenError { trouble, text: text.to_owned() })
}

fn closed(reason: &str) -> LineEvent {
    LineEvent::Closed { reason: reason.to_owned() }
}

#[test]
fn what_is_let_go_of_with_an_exchange_out_stays_let_go_of() {
    let mut bridge = Bridge::begun();
    bridge.line_tells(LineEvent::Opened);
    bridge.asks("one");
    bridge.line_replies(Ok(b"1\r".to_vec()));
    bridge.asks("two");
    assert_eq!(bridge.for_the_line(), ["reopen", "one", "two"]);

    bridge.wants([Effect::SendImmediately("stop"), Effect::ReleasePort(true)]);
    assert_eq!(bridge.for_the_line(), ["at once stop", "let go"]);
    bridge.asks("three");
    bridge.line_replies(Err(LineError::Gone("released".to_owned())));
    bridge.line_tells(closed("released"));
    assert_eq!(bridge.for_the_line(), [""; 0], "it is opened again, or asked");
    assert_eq!(bridge.script.borrow().told, ["Opened", "Restored", "one: Ok(\"1\")"], "nothing was lost");

    bridge.wants([Effect::ReleasePort(false)]);
    assert_eq!(bridge.for_the_line(), ["reopen"]);
    bridge.line_tells(LineEvent::Opened);
    assert_eq!(bridge.for_the_line(), ["three"]);
}

#[test]
fn whatever_the_line_still_tells_does_not_open_what_was_let_go_of() {
    let told = [
        LineEvent::Opened,
        open_failed(PortTrouble::Busy, "busy"),
        LineEvent::SendImmediatelyFailed(LineError::NotOpen),
        closed("unplugged"),
    ];
    for event in told {
        let mut bridge = Bridge::begun();
        bridge.wants([Effect::ReleasePort(true)]);
        assert_eq!(bridge.for_the_line(), ["reopen", "let go"]);
        bridge.asks("one");
        bridge.line_tells(event.clone());
        bridge.wants([Effect::SendImmediately("stop")]);
        assert_eq!(bridge.for_the_line(), [""; 0], "{event:?}");
        assert_eq!(bridge.script.borrow().told, [""; 0], "{event:?}");
    }
}

#[test]
fn what_was_let_go_of_before_a_restart_is_never_opened() {
    let script = Script { effects: VecDeque::from([Effect::ReleasePort(true)]), ..Script::default() };
    assert_eq!(Bridge::begun_with(script).for_the_line(), ["let go"]);
}

#[test]
fn an_order_overtakes_the_repeats_of_a_question_which_is_not_forgotten() {
    let mut bridge = Bridge::begun();
    bridge.line_tells(LineEvent::Opened);
    bridge.asks("question");
    bridge.asks("another");
    bridge.script.borrow_mut().orders.push_back("order");
    assert_eq!(bridge.for_the_line(), ["reopen", "question"]);
    bridge.line_replies(Err(LineError::Silent));
    assert_eq!(bridge.for_the_line(), ["order"]);
    // Its own silence does not cost the question its turn either.
    bridge.line_replies(Err(LineError::Silent));
    assert_eq!(bridge.for_the_line(), ["order"]);
    bridge.line_replies(Ok(b"done\r".to_vec()));
    assert_eq!(bridge.for_the_line(), ["question"]);
    bridge.line_replies(Ok(b"1\r".to_vec()));
    assert_eq!(bridge.for_the_line(), ["another"]);
}

#[test]
fn what_was_overridden_while_it_waited_to_be_repeated_is_not_ordered_again() {
    let mut bridge = Bridge::begun();
    bridge.line_tells(LineEvent::Opened);
    bridge.asks("on");
    bridge.line_replies(Err(LineError::Silent));
    assert_eq!(bridge.for_the_line(), ["reopen", "on", "on"]);
    bridge.script.borrow_mut().orders.extend(["off", "check"]);
    bridge.line_replies(Err(LineError::Silent));
    assert_eq!(bridge.for_the_line(), ["off"]);
    bridge.script.borrow_mut().unwanted.push("on");
    bridge.line_replies(Ok(b"done\r".to_vec()));
    assert_eq!(bridge.for_the_line(), ["check"]);
    bridge.line_replies(Ok(b"done\r".to_vec()));
    assert_eq!(bridge.for_the_line(), [""; 0]);
}

#[test]
fn a_counter_that_changes_all_the_time_is_published_once_a_second() {
    let mut bridge = Bridge::begun();
    bridge.connect();
    bridge.line_tells(LineEvent::Opened);
    bridge.healths();
    let limit = Duration::from_secs(10);
    let mut published = Vec::new();
    for _ in 0..100 {
        bridge.asks("question");
        bridge.line_replies(Err(LineError::Silent));
        bridge.line_replies(Ok(b"1\r".to_vec()));
        bridge.let_pass(limit / 100);
        published.extend(bridge.healths());
    }
    bridge.let_pass(Duration::from_secs(1));
    published.extend(bridge.healths());
    assert!((10..=12).contains(&published.len()), "{}", published.len());
    assert_eq!(published.last().unwrap().link.missing_replies, 100);
    bridge.let_pass(Duration::from_secs(20));
    assert_eq!(bridge.healths(), []);
}

#[test]
fn a_port_that_is_missing_or_forbidden_and_a_silent_device_are_told_apart() {
    let mut bridge = Bridge::begun();
    bridge.connect();
    bridge.outputs();
    let words = |events: &[BusEvent]| -> Vec<_> {
        events.iter().map(|event| (event.body.kind, event.body.reason.clone().unwrap())).collect()
    };
    let lost = (EventKind::Link, "link_lost".to_owned());
    let attention = |name: &str| (EventKind::Attention, name.to_owned());

    bridge.line_tells(open_failed(PortTrouble::Missing, "it does not exist"));
    let (names, offline, events) = bridge.shows();
    assert_eq!((names, offline.as_deref()), (vec!["port_missing".to_owned()], Some("it does not exist")));
    assert_eq!(words(&events), [lost], "told once, not by its attention too");
    assert_eq!(events[0].body.message, "it does not exist");
    assert_eq!(events[0].body.values["cause"], "port_missing");

    bridge.line_tells(open_failed(PortTrouble::Denied, "permission denied"));
    let (names, offline, events) = bridge.shows();
    assert_eq!((names, offline.as_deref()), (vec!["port_denied".to_owned()], Some("permission denied")));
    assert_eq!(words(&events), [attention("port_denied"), attention("port_missing")], "what changed is told");

    bridge.line_tells(LineEvent::Opened);
    assert_eq!(bridge.shows().0, [""; 0], "nothing is wrong with the port any more");
    for question in ["one", "two", "three"] {
        bridge.asks(question);
        bridge.line_replies(Err(LineError::Silent));
    }
    let (names, offline, _) = bridge.shows();
    assert_eq!(names, ["no_answer"]);
    let said = "the device does not answer: 3 failures in a row, the last: no reply";
    assert_eq!(offline.as_deref(), Some(said));

    bridge.line_tells(closed("reopened on request"));
    bridge.line_tells(LineEvent::Opened);
    assert_eq!(bridge.shows().0, ["no_answer"]);
    bridge.asks("four");
    bridge.line_replies(Ok(b"4\r".to_vec()));
    let (names, offline, events) = bridge.shows();
    assert_eq!((names, offline), (vec![], None));
    assert_eq!(words(&events), [(EventKind::Link, "restored".to_owned())]);
}

fn own(expires: Utc) -> Certificates {
    let (place, name) = ("own.pem".to_owned(), Some("barometer-bridge".to_owned()));
    let own = Expiry { whose: Whose::Own, place, name, expires };
    Certificates { known: vec![own], errors: Vec::new() }
}

#[test]
fn a_certificate_that_ends_soon_is_told_as_soon_as_it_was_read() {
    let mut bridge = Bridge::begun();
    bridge.connect();
    bridge.outputs();
    let soon = bridge.now.utc.after(Duration::from_secs(86_400));
    bridge.let_pass(Duration::from_secs(1));
    bridge.core.handle(Event::Certificates(own(soon)), bridge.now);
    assert_eq!(bridge.shows().0, ["certificate_expiring"]);
    bridge.let_pass(Duration::from_secs(1));
    bridge.core.handle(Event::Certificates(own(soon.after(Duration::from_secs(86_400 * 365)))), bridge.now);
    let outputs = bridge.outputs();
    assert_eq!(of_topic::<Snapshot<()>>("state", &outputs).pop().unwrap().common.attention, []);
    assert!(of_topic::<Health>("health", &outputs).pop().unwrap().certificate_expires > Some(soon));
}

#[test]
fn what_a_stop_has_overtaken_is_no_failure_and_goes_out_only_if_it_is_still_wanted() {
    for still_wanted in [true, false] {
        let mut bridge = Bridge::begun();
        bridge.connect();
        bridge.line_tells(LineEvent::Opened);
        bridge.asks("go");
        bridge.wants([Effect::SendImmediately("stop")]);
        if !still_wanted {
            bridge.script.borrow_mut().unwanted.push("go");
        }
        bridge.line_replies(Err(LineError::Overtaken));
        let expected = if still_wanted {
            &["reopen", "go", "at once stop", "go"][..]
        } else {
            &["reopen", "go", "at once stop"]
        };
        assert_eq!(bridge.for_the_line(), expected);
        assert_eq!(bridge.script.borrow().told, ["Opened"]);
    }
}
