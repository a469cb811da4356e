//! A bridge against the byte-level model of its device, in stepped virtual time: no thread, no
//! port, no broker, no clock; a day takes seconds.
//!
//! All deciding code is the daemon's own (core, controller, codec, session); the line's task, the
//! broker and the store around it are fakes. Time jumps from one due event to the next, so a test
//! behaves the same on slow and fast machines. For tests only.

mod away;
mod broker;
mod disk;
mod forgetful;
mod homeassistant;
mod line;
mod outcome;
pub mod settings;
mod shown;
mod start;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use bridge::controller::Controller;
use bridge::core::{Event as CoreEvent, Output};
use bridge::daemon::line_settings;
use bridge::instrument::Instrument;
use bridge::settings::{BridgeSettings, DeviceSettings as _};
use bus::clock::{Instant, Now, Utc};
use bus::device::ArgumentKind;
use bus::message::{Event, Health, LinkHealth, Meta, Reply};
use bus::topic::{Base, Identity};
use harness::port::Device;
use serde::de::DeserializeOwned;

pub use broker::Published;
pub use harness::seeded::SeededRandom;
pub use outcome::{assert_failed, assert_succeeded};
pub use shown::{Shown, ShownOf};

use broker::Broker;
use disk::Disk;
use line::Line;
use start::{CoreOf, SettingsOf, start};

/// Shortest time between two wake-ups of a real loop: tokio's timers count milliseconds.
const TICK: Duration = Duration::from_millis(1);

/// A daemon and the device it is for.
pub trait Subject: Sized {
    /// The daemon.
    type Instrument: Instrument<Controller: Controller<State = Self::State>>;
    /// The keys of its state beyond the common ones.
    type State: DeserializeOwned + Debug;
    /// Its status.
    type Status: DeserializeOwned + Copy + Debug + PartialEq;
    /// The device.
    type Model: Device;
    /// The test's view of written bytes.
    type Sent;

    /// The status for this word on the bus.
    fn status(word: &str) -> Self::Status;
    /// Bytes that were written in one go.
    fn sent(at: Instant, bytes: &[u8]) -> Self::Sent;
}

/// See the module.
pub struct Rig<S: Subject> {
    settings: SettingsOf<S>,
    base: Base,
    now: Now,
    /// The origin of dates: adding them up step by step would lose the microseconds.
    epoch: Now,
    core: CoreOf<S>,
    model: S::Model,
    line: Line,
    sent: Vec<S::Sent>,
    broker: Broker,
    disk: Disk,
    starts: u32,
    requests: u32,
    finished: bool,
    needless_wakes: u64,
}

impl<S: Subject> Rig<S> {
    /// The daemon at its start, with an empty state directory; 20 November 2026, 18:00 UTC.
    ///
    /// # Panics
    /// Never, because date and names are valid.
    pub fn new(settings: SettingsOf<S>, mut model: S::Model) -> Self {
        let now = Now {
            instant: Instant::from_boot(Duration::from_secs(1000)),
            utc: Utc::parse("2026-11-20T18:00:00Z").expect("a date"),
        };
        let BridgeSettings { site, device, stall_guard, .. } = settings.bridge();
        let base = Base::new(site, device).expect("names");
        model.receive(&[], now.instant);
        let disk = Disk::default();
        let rules = line_settings(settings.bridge(), S::Instrument::configured(&settings).xon_xoff).rules();
        let mut rig = Self {
            core: start::<S>(&settings, &disk, 1, now),
            line: Line::new(rules, now.instant),
            sent: Vec::new(),
            broker: Broker::new(base.clone(), *stall_guard, now.instant),
            settings,
            base,
            now,
            epoch: now,
            model,
            disk,
            starts: 1,
            requests: 0,
            finished: false,
            needless_wakes: 0,
        };
        rig.carry_out();
        rig.turn();
        rig
    }

    // Time.

    /// The time.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Sets the wall clock; the other one runs on.
    pub fn set_date(&mut self, utc: Utc) {
        self.now.utc = utc;
        self.epoch = self.now;
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while self.now.instant < end {
            self.step(end);
        }
    }

    /// Lets time pass until `wanted` is true; returns how long that took.
    ///
    /// # Panics
    /// It is not true within the limit.
    pub fn run_until(&mut self, wanted: impl Fn(&Self) -> bool, limit: Duration) -> Duration {
        let start = self.now.instant;
        while !wanted(self) {
            let spent = self.now.instant.since(start);
            assert!(spent < limit, "not within {limit:?}; {:#?}", self.view());
            self.step(start + limit);
        }
        self.now.instant.since(start)
    }

    /// The process is not scheduled for this time, as after SIGSTOP or a suspend; the unit
    /// continues.
    pub fn freeze(&mut self, time: Duration) {
        self.pass(time);
        self.core.note_absence(time, self.now);
        self.turn();
    }

    fn pass(&mut self, time: Duration) {
        let instant = self.now.instant + time;
        self.now = self.epoch.after(instant.since(self.epoch.instant));
    }

    fn step(&mut self, end: Instant) {
        let due = [
            self.core.poll_timeout().filter(|_| !self.finished),
            self.model.poll_timeout(),
            self.line.poll_timeout().filter(|_| !self.finished),
            self.broker.poll_timeout(),
            self.disk.poll_timeout(),
        ];
        let due = due.into_iter().flatten().min().map_or(end, |at| at.min(end));
        let passed = due.since(self.now.instant);
        if passed.is_zero() {
            self.needless_wakes += 1;
            assert!(self.needless_wakes < 100_000, "the loop spins; {:#?}", self.view());
        }
        self.pass(passed.max(TICK));
        self.broker.was_scheduled(self.now.instant);
        self.turn();
    }

    /// Everything that happens at this moment.
    fn turn(&mut self) {
        let mut woken = false;
        if self.finished {
            self.broker.turn(self.now);
        }
        while !self.finished {
            let more = self.line.turn(&mut self.model, self.now.instant);
            let written = self.line.sent.drain(..);
            self.sent.extend(written.map(|(at, bytes)| S::sent(at, &bytes)));
            self.broker.turn(self.now);
            let event = if let Some(event) = self.line.poll_event() {
                CoreEvent::Line(event)
            } else if let Some(event) = self.disk.turn(self.now.instant) {
                event
            } else if let Some(event) = self.broker.events_in.pop_front() {
                CoreEvent::Session(event)
            } else if !woken && self.core.poll_timeout().is_some_and(|at| at <= self.now.instant) {
                woken = true;
                CoreEvent::Timeout
            } else if more {
                continue;
            } else {
                return;
            };
            self.core.note_dropped(self.broker.session.dropped());
            self.core.handle(event, self.now);
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Ask(exchange) => self.line.ask(exchange, &mut self.model, self.now.instant),
                Output::SendImmediately(bytes) => {
                    self.line.write_now(bytes, &mut self.model, self.now.instant);
                }
                Output::ReleasePort => self.line.release(&mut self.model, self.now.instant),
                Output::Reopen => self.line.reopen(&mut self.model, self.now.instant),
                Output::Open(connection) => self.broker.session.open(connection),
                Output::Clear => self.broker.session.clear(),
                Output::Set { topic, payload, expiry } => self.broker.session.set(&topic, payload, expiry),
                Output::Push(message) => self.broker.session.push(message),
                Output::Status(_) | Output::ReadCertificates => {}
                Output::Save(file, number, contents) => {
                    self.disk.save(file, number, contents, self.now.instant);
                }
                Output::Probe => self.disk.probe(self.now.instant),
                Output::Reconnect(connection) => self.broker.session.reconnect(connection),
                Output::Renew(connection) => self.broker.session.renew(connection),
                Output::Finish { say_offline } => {
                    self.finished = true;
                    self.broker.session.stop(say_offline);
                    self.disk.process_ends(self.now.instant);
                }
            }
        }
        self.broker.turn(self.now);
    }

    // The unit and the line.

    /// The unit, for inspection and faults.
    pub fn model(&mut self) -> &mut S::Model {
        &mut self.model
    }

    /// Every frame written so far.
    pub fn sent(&self) -> &[S::Sent] {
        &self.sent
    }

    /// Forgets the frames written so far.
    pub fn forget_sent(&mut self) {
        self.sent.clear();
    }

    /// The adapter is pulled out.
    pub fn unplug(&mut self) {
        self.line.set_plugged(false, self.now.instant);
        self.turn();
    }

    /// The adapter is put back.
    pub fn plug(&mut self) {
        self.line.set_plugged(true, self.now.instant);
        self.turn();
    }

    /// Number of attempts to open the port.
    pub fn attempts_to_open(&self) -> u64 {
        self.line.attempts
    }

    /// Whether an exchange is in progress.
    pub fn is_asking(&self) -> bool {
        self.line.is_asking()
    }

    /// How often the loop was woken needlessly: the time of the wake-up had passed already.
    pub fn needless_wakes(&self) -> u64 {
        self.needless_wakes
    }

    // The bus.

    /// The controller.
    pub fn controller(&self) -> &<S::Instrument as Instrument>::Controller {
        &self.core.controller().0
    }

    /// As the daemon reads them from its file.
    pub fn settings(&self) -> &SettingsOf<S> {
        &self.settings
    }

    /// As the daemon reads them at its next start.
    pub fn settings_mut(&mut self) -> &mut SettingsOf<S> {
        &mut self.settings
    }

    /// Keeps only this many states, for a test with millions of them.
    pub fn keep_states(&mut self, number: usize) {
        self.broker.states_kept = number;
    }

    /// A client sends a command; `argument` as on a command line, empty for none. Returns the
    /// request's id.
    pub fn command(&mut self, by: &str, verb: &str, argument: &str) -> String {
        self.requests += 1;
        let id = format!("r{}", self.requests);
        self.ask(&id, by, verb, argument);
        id
    }

    /// [`Rig::command`] with the test's own id, so that it can be repeated.
    pub fn ask(&mut self, id: &str, by: &str, verb: &str, argument: &str) {
        let row = S::Instrument::DESCRIPTION.verb(verb);
        // Motion needs the time of the request.
        let ts = if row.is_some_and(|row| row.motion) {
            format!(",\"ts\":\"{}\"", self.now.utc)
        } else {
            String::new()
        };
        let payload = match row.and_then(|row| row.bare()) {
            Some(spec) if !argument.is_empty() => {
                let is_text = matches!(spec.kind, ArgumentKind::Choice(_) | ArgumentKind::Name(_));
                let quote = if is_text { "\"" } else { "" };
                format!("{{\"id\":\"{id}\"{ts},\"{}\":{quote}{argument}{quote}}}", spec.name)
            }
            _ if argument.is_empty() => format!("{{\"id\":\"{id}\"{ts}}}"),
            _ => panic!("{verb} has no bare form: publish_command takes a whole payload"),
        };
        self.publish_command(by, verb, payload.as_bytes());
    }

    /// A client sends a command with this payload.
    pub fn publish_command(&mut self, by: &str, verb: &str, payload: &[u8]) {
        let by = Identity::new(by).expect("an identity");
        let topic = self.base.command(&by, verb);
        self.broker.publish(topic, payload.to_vec(), false, self.now);
        self.turn();
    }

    /// Another bridge publishes on our topics: our own state, except for these keys.
    pub fn another_bridge_publishes(&mut self, session: &str, uptime_s: f64) {
        let own = &self.broker.states.back().expect("a state was published").what;
        let mut state: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(own).expect("a state is one");
        state.insert("session".to_owned(), session.into());
        state.insert("uptime_s".to_owned(), uptime_s.into());
        let state = serde_json::Value::Object(state).to_string();
        self.broker.publish(self.base.state(), state.into_bytes(), false, self.now);
        self.turn();
    }

    /// [`Rig::command`]; returns its terminal reply.
    pub fn command_and_wait(&mut self, by: &str, verb: &str, argument: &str) -> Reply {
        let id = self.command(by, verb, argument);
        self.wait_for(&id)
    }

    /// Lets time pass until the request has ended.
    pub fn wait_for(&mut self, id: &str) -> Reply {
        self.run_until(|rig| rig.outcome(id).is_some(), Duration::from_secs(120));
        self.outcome(id).expect("just seen")
    }

    /// Another service publishes; `stored`: the broker had retained it.
    pub fn input(&mut self, topic: &str, payload: &str, stored: bool) {
        self.broker.publish_input(topic, payload.as_bytes(), stored, self.now);
        self.turn();
    }

    /// All replies to a request, in their order.
    pub fn replies(&self, id: &str) -> Vec<&Published<Reply>> {
        self.broker.replies.get(&Some(id.to_owned())).into_iter().flatten().collect()
    }

    /// How many verdicts a request has had; one that is said again after a kill is the same.
    pub fn outcomes(&self, id: &str) -> usize {
        let terminal =
            self.replies(id).into_iter().map(|reply| &reply.what).filter(|it| it.status.is_terminal());
        let verdicts = terminal.map(|reply| (format!("{:?}", reply.code), &reply.message, reply.finished_at));
        verdicts.collect::<BTreeSet<_>>().len()
    }

    /// The newest terminal reply to a request.
    pub fn outcome(&self, id: &str) -> Option<Reply> {
        let mut replies = self.replies(id).into_iter().rev().map(|reply| &reply.what);
        replies.find(|reply| reply.status.is_terminal()).cloned()
    }

    /// All events, in their order.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.broker.events.iter().map(|event| &event.what)
    }

    /// The newest states that were published.
    pub fn states(&self) -> impl DoubleEndedIterator<Item = Published<ShownOf<S>>> + '_ {
        self.broker.states.iter().map(|state| Published {
            at: state.at,
            order: state.order,
            what: Shown::read(&state.what),
        })
    }

    /// The state as a subscriber has it.
    pub fn state(&self) -> ShownOf<S> {
        self.states().next_back().expect("a state was published").what
    }

    /// The health as a subscriber has it.
    pub fn health(&self) -> Health {
        let payload = self.broker.retained.get(&self.base.health()).expect("health was published");
        serde_json::from_slice(payload).expect("health is health")
    }

    /// The `meta` as a subscriber has it, once it was published.
    pub fn meta(&mut self) -> Meta {
        let topic = self.base.meta();
        self.run_until(|rig| rig.broker.retained.contains_key(&topic), Duration::from_secs(6));
        let payload = self.broker.retained.get(&self.base.meta()).expect("meta was published");
        serde_json::from_slice(payload).expect("meta is meta")
    }

    /// The counters of the line, as they will be published within the minute.
    pub fn health_of_link(&mut self) -> LinkHealth {
        self.run_for(Duration::from_secs(60));
        self.health().link
    }

    /// All messages on the availability topic, in order.
    pub fn availability(&self) -> Vec<&str> {
        self.broker.availability.iter().map(|said| said.what.as_str()).collect()
    }

    /// The controller's present state, published or not; cheap enough for every step.
    pub fn view(&self) -> ShownOf<S> {
        let controller = self.core.controller();
        shown::of::<S>(controller.facts(self.now), controller.state(self.now), self.now.utc)
    }

    // The process and its disk.

    /// The bridge is killed (SIGKILL) and started again.
    pub fn restart(&mut self) {
        self.starts += 1;
        self.finished = false;
        self.disk.process_killed();
        self.broker.bridge_killed(self.now);
        self.line.restart(self.now.instant);
        self.core = start::<S>(&self.settings, &self.disk, self.starts, self.now);
        self.carry_out();
        self.turn();
    }

    /// As [`Self::restart`], with settings that were changed meanwhile.
    pub fn restart_with(&mut self, change: impl FnOnce(&mut SettingsOf<S>)) {
        change(&mut self.settings);
        self.restart();
    }

    /// The bridge is stopped (SIGTERM); true once it has ended.
    pub fn stop(&mut self) {
        self.core.handle(CoreEvent::Stop, self.now);
        self.carry_out();
    }

    /// The bridge is asked to end when at rest (SIGUSR1).
    pub fn end_at_rest(&mut self) {
        self.core.handle(CoreEvent::EndAtRest, self.now);
        self.carry_out();
    }

    /// Whether the bridge has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.finished
    }
}
