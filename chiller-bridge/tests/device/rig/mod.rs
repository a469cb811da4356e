//! The chiller's bridge against the byte-level model of its unit, in stepped virtual time: no
//! thread, no port, no broker, no clock; a day costs seconds.
//!
//! Everything that decides is the daemon's own (core, controller, codec, outbox); what is around it
//! is played: the line's task, the session, the store. Time jumps from one thing that is due to
//! the next, so a test sees what a slow and what a fast machine would.

mod broker;
mod disk;
mod line;

use std::time::Duration;

use bridge::controller::{Common, Controller as _};
use bridge::core::{Core, Event as CoreEvent, File, Output};
use bridge::device_loop;
use bridge::settings::BridgeSettings;
use bus::clock::{Instant, Now, Utc};
use bus::command::{ArgumentKind, CHILLER, find};
use bus::message::{ChillerState, Event, Health, LinkHealth, Mode, Reply, Snapshot};
use bus::settings::{BrokerSettings, Credentials};
use bus::topic::{Base, Identity};
use chiller_bridge::controller::decision::Rules;
use chiller_bridge::controller::{Chiller, Memory};
use chiller_bridge::daemon::{Wire, controller_settings, core_settings};
use chiller_bridge::settings::{AutomaticSettings, FrameNames, Settings, StartMode};
use testbed::chiller::{Chiller as Model, Config};

use broker::{Broker, Published};
use disk::Disk;
use line::{Line, Sent};

/// No wake-up of a real loop comes sooner after the one before: tokio's timers count milliseconds.
const TICK: Duration = Duration::from_millis(1);

/// As a minimal file says it, on a broker that nobody reaches.
pub(crate) fn settings() -> Settings {
    let clients = || vec!["alice".to_owned(), "ops".to_owned(), "scheduler".to_owned()];
    Settings {
        bridge: BridgeSettings {
            site: "clasp".to_owned(),
            device: "chiller".to_owned(),
            log_name: "chiller-bridge@clasp".to_owned(),
            serial_port: "/dev/chiller".into(),
            serial_baud: 9600,
            serial_timeout: Duration::from_secs(5),
            exchange_limit: Duration::from_secs(3),
            query_delay: Duration::from_secs(5),
            stale_after: Duration::from_secs(30),
            stall_guard: Duration::from_secs(1),
            control_clients: clients(),
            stop_clients: clients(),
            require_acl: true,
            state_directory: "/var/lib/obsbus".into(),
            broker: BrokerSettings {
                host: "localhost".to_owned(),
                port: 8883,
                ca_file: "ca.pem".into(),
                credentials: Credentials::Certificate {
                    certificate_file: "own.pem".into(),
                    key_file: "own.key".into(),
                },
                keep_alive: Duration::from_secs(10),
            },
        },
        xon_xoff: true,
        command_gap: Duration::ZERO,
        start_deadline: Duration::from_secs(30),
        frame_names: FrameNames::Tagged,
        setpoint_limits: (5.0, 30.0),
        min_flow: 0.5,
        automatic: AutomaticSettings {
            rules: Rules {
                antifreeze_enable_limit: 5.0,
                antifreeze_disable_limit: 7.0,
                input_hold: Duration::from_secs(300),
                power_failsafe: true,
                minimum_run_time: Duration::from_secs(60),
                switch_off_delay: Duration::from_secs(60),
            },
            power: None,
            dome: None,
            alarm_retry: false,
            manual_long: Duration::from_secs(43_200),
        },
        start_mode: StartMode::Automatic,
    }
}

/// See the module.
pub(crate) struct Rig {
    settings: Settings,
    base: Base,
    now: Now,
    core: Core<Chiller, Wire>,
    model: Model,
    line: Line,
    broker: Broker,
    disk: Disk,
    starts: u32,
    requests: u32,
    finished: bool,
    needless_wakes: u64,
}

impl Rig {
    /// The daemon at its start, with an empty state directory; 20 November 2026, 18:00 UTC.
    pub(crate) fn new(settings: Settings, unit: Config) -> Self {
        let now = Now {
            instant: Instant::from_boot(Duration::from_secs(1000)),
            utc: Utc::parse("2026-11-20T18:00:00Z").expect("a date"),
        };
        let base = Base::new(&settings.bridge.site, &settings.bridge.device).expect("names");
        let mut model = Model::new(unit);
        model.receive(&[], now.instant);
        let disk = Disk::default();
        let reopen_max = Duration::from_secs(10).min(settings.bridge.stale_after / 3);
        let mut rig = Self {
            core: start(&settings, &base, &disk, 1, now),
            line: Line::new(settings.xon_xoff, reopen_max, now.instant),
            broker: Broker::new(base.clone(), now.instant),
            settings,
            base,
            now,
            model,
            disk,
            starts: 1,
            requests: 0,
            finished: false,
            needless_wakes: 0,
        };
        rig.turn();
        rig
    }

    /// [`Rig::new`] with defaults, after the first readings.
    pub(crate) fn running() -> Self {
        let mut rig = Self::new(settings(), Config::default());
        rig.run_until_connected();
        rig
    }

    // Time.

    pub(crate) fn now(&self) -> Now {
        self.now
    }

    /// Sets the wall clock; the other one runs on.
    pub(crate) fn set_date(&mut self, utc: Utc) {
        self.now.utc = utc;
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while self.now.instant < end {
            self.step(end);
        }
    }

    /// Lets time pass until it is so; how long that took.
    ///
    /// # Panics
    /// It is not so within the limit.
    pub(crate) fn run_until(&mut self, wanted: impl Fn(&Self) -> bool, limit: Duration) -> Duration {
        let start = self.now.instant;
        while !wanted(self) {
            let spent = self.now.instant.since(start);
            assert!(spent < limit, "not within {limit:?}; {:#?}", self.view());
            self.step(start + limit);
        }
        self.now.instant.since(start)
    }

    /// Until a whole poll set has been read over a link that is up.
    pub(crate) fn run_until_connected(&mut self) {
        self.run_until(|rig| rig.view().reading.tec_power.is_some(), Duration::from_secs(60));
        self.run_for(Duration::from_secs(1));
    }

    /// The process is not scheduled for so long, as after SIGSTOP or a suspend; the unit is.
    pub(crate) fn freeze(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.turn();
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
        self.now = self.now.after(passed.max(TICK));
        self.turn();
    }

    /// Everything that happens at this moment.
    fn turn(&mut self) {
        let mut woken = false;
        while !self.finished {
            let more = self.line.turn(&mut self.model, self.now.instant);
            self.broker.turn(self.now);
            let event = if let Some(event) = self.line.events.pop_front() {
                CoreEvent::Line(event)
            } else if let Some((file, number, result)) = self.disk.turn(self.now.instant) {
                CoreEvent::Saved(file, number, result)
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
            self.core.handle(event, self.now);
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Ask(exchange) => self.line.ask(exchange, self.now.instant),
                Output::Reopen => self.line.reopen(self.now.instant),
                Output::WriteNow(_) | Output::LetGo => panic!("not for a chiller: {output:?}"),
                Output::Open => self.broker.outbox.open(),
                Output::Clear => self.broker.outbox.clear(),
                Output::Set { topic, payload, expiry } => self.broker.outbox.set(&topic, payload, expiry),
                Output::Push(message) => self.broker.outbox.push(message),
                Output::Save(file, number, contents) => {
                    self.disk.save(file, number, contents, self.now.instant);
                }
                Output::Reconnect => self.broker.reconnect(self.now),
                Output::Finish { say_offline } => {
                    self.finished = true;
                    self.broker.farewell(say_offline, self.now);
                }
            }
        }
        self.broker.turn(self.now);
    }

    // The unit and the line.

    /// The unit, to look at and to break.
    pub(crate) fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Every frame written so far.
    pub(crate) fn sent(&self) -> &[Sent] {
        &self.line.sent
    }

    /// Forgets the frames written so far.
    pub(crate) fn forget_sent(&mut self) {
        self.line.sent.clear();
    }

    /// The adapter is pulled out.
    pub(crate) fn unplug(&mut self) {
        self.line.set_plugged(false, self.now.instant);
        self.turn();
    }

    /// The adapter is put back.
    pub(crate) fn plug(&mut self) {
        self.line.set_plugged(true, self.now.instant);
        self.turn();
    }

    /// How often the port was tried to be opened.
    pub(crate) fn attempts_to_open(&self) -> u64 {
        self.line.attempts
    }

    /// Whether an exchange is out.
    pub(crate) fn is_asking(&self) -> bool {
        self.line.is_asking()
    }

    /// How often the loop was woken for nothing: what it asked to be woken for was past already.
    pub(crate) fn needless_wakes(&self) -> u64 {
        self.needless_wakes
    }

    // The bus.

    /// A client commands; `argument` as on a command line, empty for none. The request's id.
    pub(crate) fn command(&mut self, by: &str, verb: &str, argument: &str) -> String {
        self.requests += 1;
        let id = format!("r{}", self.requests);
        let spec = find(CHILLER, verb).and_then(|verb| verb.argument);
        let payload = match spec {
            Some(spec) if matches!(spec.kind, ArgumentKind::Number(_)) => {
                format!("{{\"id\":\"{id}\",\"{}\":{argument}}}", spec.name)
            }
            Some(spec) => format!("{{\"id\":\"{id}\",\"{}\":\"{argument}\"}}", spec.name),
            None => format!("{{\"id\":\"{id}\"}}"),
        };
        self.publish_command(by, verb, payload.as_bytes());
        id
    }

    /// A client commands, with this payload.
    pub(crate) fn publish_command(&mut self, by: &str, verb: &str, payload: &[u8]) {
        let by = Identity::new(by).expect("an identity");
        let topic = self.base.command(&by, verb);
        self.broker.publish(topic, payload.to_vec(), false, self.now);
        self.turn();
    }

    /// [`Rig::command`], and its terminal reply.
    pub(crate) fn command_and_wait(&mut self, by: &str, verb: &str, argument: &str) -> Reply {
        let id = self.command(by, verb, argument);
        self.wait_for(&id)
    }

    /// Lets time pass until the request has ended.
    pub(crate) fn wait_for(&mut self, id: &str) -> Reply {
        self.run_until(|rig| rig.outcome(id).is_some(), Duration::from_secs(120));
        self.outcome(id).expect("just seen")
    }

    /// Another service publishes; `stored`: the broker had kept it from before.
    pub(crate) fn input(&mut self, topic: &str, payload: &str, stored: bool) {
        self.broker.publish_input(topic, payload.as_bytes(), stored, self.now);
        self.turn();
    }

    /// The broker is killed.
    pub(crate) fn broker_down(&mut self) {
        self.broker.down();
        self.turn();
    }

    /// The broker is back, without what it had retained.
    pub(crate) fn broker_up(&mut self) {
        self.broker.up(self.now.instant);
    }

    /// All replies to a request, in their order.
    pub(crate) fn replies(&self, id: &str) -> Vec<&Published<Reply>> {
        self.broker.replies.iter().filter(|reply| reply.what.id.as_deref() == Some(id)).collect()
    }

    /// The terminal reply to a request.
    pub(crate) fn outcome(&self, id: &str) -> Option<Reply> {
        let mut replies = self.broker.replies.iter().rev().map(|reply| &reply.what);
        replies.find(|reply| reply.id.as_deref() == Some(id) && reply.status.is_terminal()).cloned()
    }

    /// All events, in their order.
    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.broker.events.iter().map(|event| &event.what)
    }

    /// The newest states that were published.
    pub(crate) fn states(&self) -> impl DoubleEndedIterator<Item = Published<Snapshot<ChillerState>>> {
        self.broker.states.iter().map(|state| Published {
            at: state.at,
            order: state.order,
            what: serde_json::from_slice(&state.what).expect("a state is one"),
        })
    }

    /// The state as a subscriber has it.
    pub(crate) fn state(&self) -> ChillerState {
        self.states().next_back().expect("a state was published").what.device
    }

    /// The health as a subscriber has it.
    pub(crate) fn health(&self) -> Health {
        let payload = self.broker.retained.get(&self.base.health()).expect("health was published");
        serde_json::from_slice(payload).expect("health is health")
    }

    /// The counters of the line, as they will be published within the minute.
    pub(crate) fn health_of_link(&mut self) -> LinkHealth {
        self.run_for(Duration::from_secs(60));
        self.health().link
    }

    /// What availability said, in its order.
    pub(crate) fn availability(&self) -> Vec<&str> {
        self.broker.availability.iter().map(|said| said.what.as_str()).collect()
    }

    /// The controller's own view, published or not; cheap enough for every step.
    pub(crate) fn view(&self) -> ChillerState {
        self.core.controller().state(Common::default(), self.now)
    }

    // The process and its disk.

    /// The bridge is killed (SIGKILL) and started again.
    pub(crate) fn restart(&mut self) {
        self.starts += 1;
        self.finished = false;
        self.disk.process_killed();
        self.broker.bridge_killed(self.now);
        self.line.restart(self.now.instant);
        self.core = start(&self.settings, &self.base, &self.disk, self.starts, self.now);
        self.carry_out();
        self.turn();
    }

    /// The bridge is stopped (SIGTERM); true once it has ended.
    pub(crate) fn stop(&mut self) {
        self.core.handle(CoreEvent::Stop, self.now);
        self.carry_out();
    }

    /// Whether the bridge has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.finished
    }

    /// Whether the disk takes nothing.
    pub(crate) fn set_disk_full(&mut self, full: bool) {
        self.disk.full = full;
    }

    /// The file and the copy before it are damaged.
    pub(crate) fn damage(&mut self, file: File) {
        self.disk.files.insert(device_loop::name(file), b"\0\0\0".to_vec());
    }
}

fn start(settings: &Settings, base: &Base, disk: &Disk, starts: u32, now: Now) -> Core<Chiller, Wire> {
    let read = |file| disk.files.get(device_loop::name(file));
    let memory = match read(File::Device).map(|bytes| serde_json::from_slice(bytes)) {
        Some(Ok(saved)) => Memory::Kept(saved),
        Some(Err(_)) => Memory::Lost,
        None => Memory::First(match settings.start_mode {
            StartMode::Automatic => Mode::Automatic,
            StartMode::Manual => Mode::Manual,
        }),
    };
    let journal = read(File::Commands).and_then(|bytes| serde_json::from_slice(bytes).ok());
    let session = format!("session{starts}");
    let controller = Chiller::new(controller_settings(settings), memory, now);
    let core_settings = core_settings(settings, base.clone(), session).expect("identities");
    Core::new(core_settings, controller, Wire::new(settings), journal.unwrap_or_default(), now)
}
