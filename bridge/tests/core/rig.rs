//! A core whose device, time and events are the test's.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bridge::controller::{
    Command, Condition, Controller, DeviceRefusal, Effect, Facts, LinkChange, Protocol, Quantity, Undecodable,
};
use bridge::core::{Core, CoreSettings, Event, Output, PreviousRun};
use bridge::line::Exchange;
use bridge::store::StoreError;
use bus::clock::{Instant, Now, Utc};
use bus::command::{DeskSettings, Outcome};
use bus::device::{ArgumentKind, ArgumentSpec, Choice, Class, Description, Tone, Verb, Word};
use bus::homeassistant::HomeAssistant;
use bus::incoming::Incoming;
use bus::message::Event as BusEvent;
use bus::probe::Verdict;
use bus::session::bridge::{PAYLOAD_LIMIT, SessionEvent};
use bus::topic::{Base, Identity};
use serde_json::Value;

const MODES: &[Choice] = &[Choice::new("automatic", "Automatic"), Choice::new("manual", "Manual")];

/// What the device may say of itself.
pub(crate) mod concern {
    bus::concerns! {
        MANUAL_LONG = warning("manual_long", "manual for long", "set the mode");
        LONG = warning("long", "it has much to say", "read it");
        ALARM = error("alarm", "an alarm", "look at it");
    }
}

/// What the device is.
const DESCRIPTION: Description = Description {
    kind: "chiller",
    label: "chiller",
    model: "of no maker",
    statuses: &[
        Word::new("offline", "OFFLINE", Tone::Bad),
        Word::new("idle", "IDLE", Tone::Off),
        Word::new("starting", "STARTING", Tone::Busy),
        Word::new("cooling", "COOLING", Tone::Good),
        Word::new("fault", "FAULT", Tone::Bad),
    ],
    verbs: &[
        Verb::PING,
        Verb::new("mode", "Mode", Class::Overriding).with(&[ArgumentSpec::new(
            "mode",
            "Who decides",
            ArgumentKind::Choice(MODES),
        )]),
    ],
    properties: &[],
    services: &[],
    concerns: concern::CONCERNS,
};

/// What the device does, for the test to set.
pub(crate) struct Device {
    pub(crate) status: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) details: Vec<(&'static str, Value)>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) effects: VecDeque<Effect<(), ()>>,
    /// The figures of which a history is kept.
    pub(crate) quantities: Vec<Quantity>,
    /// What a command is answered.
    pub(crate) outcome: String,
    /// The statuses that a command leads through.
    pub(crate) on_command: Vec<&'static str>,
    /// An order to it is in progress, or it moves.
    pub(crate) is_busy: bool,
}

/// A controller that is in the test's hands.
#[derive(Clone)]
pub(crate) struct Puppet(Rc<RefCell<Device>>);

impl Puppet {
    pub(crate) fn set(&self, change: impl FnOnce(&mut Device)) {
        change(&mut self.0.borrow_mut());
    }
}

impl Controller for Puppet {
    type Request = ();
    type Reply = ();
    type State = ();
    type Saved = ();

    fn handle_command(&mut self, command: Command, _: Now) {
        let mut device = self.0.borrow_mut();
        if let Some(word) = (!device.on_command.is_empty()).then(|| device.on_command.remove(0)) {
            device.status = word;
        }
        let outcome = Outcome::succeeded(device.outcome.clone());
        device.effects.push_back(Effect::Answer(command.ticket, outcome));
    }
    fn handle_reply(&mut self, (): (), _: Result<(), DeviceRefusal>, _: Now) {}
    fn handle_link(&mut self, _: LinkChange, _: Now) {}
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_request(&mut self, _: Now) -> Option<()> {
        None
    }
    fn is_wanted(&self, (): &()) -> bool {
        false
    }
    fn poll_effect(&mut self) -> Option<Effect<(), ()>> {
        self.0.borrow_mut().effects.pop_front()
    }
    fn may_hand_over(&self) -> bool {
        !self.0.borrow().is_busy
    }
    fn conditions(&self, _: Now) -> Vec<Condition> {
        self.0.borrow().conditions.clone()
    }
    fn facts(&self, now: Now) -> Facts {
        let device = self.0.borrow();
        Facts {
            status: device.status,
            reason: device.reason,
            summary: String::new(),
            date: Some(now.utc),
            connected: true,
        }
    }
    fn state(&self, _: Now) {}
    fn quantities(&self) -> Vec<Quantity> {
        self.0.borrow().quantities.clone()
    }
    fn status_word(&self) -> &'static str {
        self.0.borrow().status
    }
    fn details(&self) -> Vec<(&'static str, Value)> {
        self.0.borrow().details.clone()
    }
}

/// Nothing is asked.
pub(crate) struct Silence;

impl Protocol for Silence {
    type Request = ();
    type Reply = ();

    fn exchange(&mut self, (): &()) -> Exchange {
        unreachable!("nothing is asked")
    }
    fn decode(&self, (): &(), _: &[u8], _: &[u8]) -> Result<(), Undecodable> {
        Ok(())
    }
}

/// See the module.
pub(crate) struct Rig {
    pub(crate) core: Core<Puppet, Silence>,
    pub(crate) device: Puppet,
    pub(crate) now: Now,
    /// What is to be saved is left to the test.
    pub(crate) disk_hangs: bool,
    outputs: Vec<Output>,
}

impl Rig {
    /// At its first start, for alice and ops to command.
    pub(crate) fn new() -> Self {
        Self::with(PreviousRun::default())
    }

    /// With what an earlier process had saved.
    pub(crate) fn with(left: PreviousRun) -> Self {
        Self::told_to(None, "s", left)
    }

    /// That is to tell this Home Assistant of the device; `session` is random in a daemon.
    pub(crate) fn told_to(homeassistant: Option<HomeAssistant>, session: &str, left: PreviousRun) -> Self {
        Self::changed(left, |settings| {
            session.clone_into(&mut settings.session);
            settings.homeassistant = homeassistant;
        })
    }

    /// With other settings.
    pub(crate) fn changed(left: PreviousRun, change: impl FnOnce(&mut CoreSettings)) -> Self {
        let clients = ["alice", "ops"].map(|name| Identity::new(name).unwrap());
        let desk = DeskSettings {
            base: Base::new("clasp", "chiller").unwrap(),
            verbs: DESCRIPTION.verbs,
            control_clients: clients.clone().into(),
            stop_clients: clients.into(),
            ranges: BTreeMap::new(),
            names: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            require_acl: true,
            allow_bare_motion: false,
            stall_guard: Duration::from_secs(1),
            greeting: String::new(),
        };
        let mut settings = CoreSettings {
            desk,
            require_signature: BTreeSet::new(),
            description: &DESCRIPTION,
            version: "0",
            log_name: "barometer".to_owned(),
            session: "s".to_owned(),
            host: "obs1".to_owned(),
            process: 17,
            stale_after: Duration::from_secs(30),
            serial_timeout: Duration::from_secs(5),
            unusual_baud: None,
            homeassistant: None,
        };
        change(&mut settings);
        let now = Now {
            instant: Instant::from_boot(Duration::from_secs(60)),
            utc: Utc::parse("2026-11-20T10:01:00Z").unwrap(),
        };
        let device = Puppet(Rc::new(RefCell::new(Device {
            status: "idle",
            reason: "ready",
            details: Vec::new(),
            conditions: Vec::new(),
            effects: VecDeque::new(),
            quantities: vec![Quantity { name: "water_temp", unit: "degC", value: Some(10.0) }],
            outcome: "done".to_owned(),
            on_command: Vec::new(),
            is_busy: false,
        })));
        let core = Core::new(settings, device.clone(), Silence, left, now);
        Self { core, device, now, disk_hangs: false, outputs: Vec::new() }
    }

    /// What the core wants done since it was asked last.
    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        self.collect();
        std::mem::take(&mut self.outputs)
    }

    /// Takes what the core wants done; the disk does its part at once.
    fn collect(&mut self) {
        while let Some(output) = self.core.poll_output() {
            if let Output::Save(file, number, _) = &output
                && !self.disk_hangs
            {
                self.core.handle(Event::Saved(*file, *number, Ok(())), self.now);
            }
            self.outputs.push(output);
        }
    }

    pub(crate) fn connect(&mut self) -> Vec<Output> {
        self.connect_to(&[])
    }

    /// Connects to a broker that has this in store.
    pub(crate) fn connect_to(&mut self, stored: &[(&str, Vec<u8>)]) -> Vec<Output> {
        self.core.handle(
            Event::Session(SessionEvent::Connected {
                broker: String::new(),
                instead_of: Vec::new(),
                round_trip: Duration::ZERO,
                payload_limit: PAYLOAD_LIMIT,
            }),
            self.now,
        );
        for (topic, payload) in stored {
            self.hear(topic, payload, true);
        }
        let verdict = Verdict { acl_ok: Some(true), wills_open: false, command_path_ok: true };
        self.core.handle(Event::Session(SessionEvent::Judged(verdict)), self.now);
        self.outputs()
    }

    /// What there is to do, and the disk takes at once what is to be saved.
    pub(crate) fn outputs_with_disk(&mut self) -> Vec<Output> {
        let mut all = Vec::new();
        loop {
            let outputs = self.outputs();
            let saves: Vec<_> = outputs
                .iter()
                .filter_map(|output| {
                    if let Output::Save(file, number, _) = output { Some((*file, *number)) } else { None }
                })
                .collect();
            all.extend(outputs);
            if saves.is_empty() {
                return all;
            }
            for (file, number) in saves {
                self.core.handle(Event::Saved(file, number, Ok(())), self.now);
            }
        }
    }

    /// Something changed of itself.
    pub(crate) fn turn(&mut self) {
        self.core.handle(Event::Timeout, self.now);
        self.collect();
    }

    /// Lets time pass until so long from now, stopping whenever the core wants to be asked; what it wants
    /// done, with the milliseconds from now.
    pub(crate) fn watch(&mut self, time: Duration) -> Vec<(u64, Output)> {
        let start = self.now;
        let end = start.after(time);
        let mut seen = Vec::new();
        while self.now.instant < end.instant {
            let due = self.core.poll_timeout().unwrap_or(end.instant).min(end.instant);
            self.now = self.now.after(due.since(self.now.instant).max(Duration::from_millis(1)));
            self.turn();
            let at = u64::try_from(self.now.instant.since(start.instant).as_millis()).unwrap();
            seen.extend(self.outputs().into_iter().map(|output| (at, output)));
        }
        seen
    }

    /// Lets so many seconds pass, as the loop would.
    pub(crate) fn let_pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.after(Duration::from_secs(1));
            self.turn();
        }
    }

    /// A message arrives; `stored` if the broker had kept it.
    pub(crate) fn hear(&mut self, topic: &str, payload: &[u8], stored: bool) {
        let incoming = Incoming {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            retain: stored,
            response_topic: None,
            correlation: None,
            signatures: Vec::new(),
            received: self.now,
            stalled: false,
        };
        self.core.handle(Event::Session(SessionEvent::Message(incoming)), self.now);
        self.collect();
    }
}

/// What was set on a retained topic, oldest first.
pub(crate) fn set(outputs: &[Output], wanted: &str) -> Vec<Value> {
    let payload = |output: &Output| match output {
        Output::Set { topic, payload, .. } if topic == wanted => {
            Some(serde_json::from_slice(payload).unwrap())
        }
        _ => None,
    };
    outputs.iter().filter_map(payload).collect()
}

/// The events that were published.
pub(crate) fn events(outputs: &[Output]) -> Vec<BusEvent> {
    let event = |output: &Output| match output {
        Output::Push(message) if message.topic == "clasp/chiller/event" => {
            Some(serde_json::from_slice(&message.payload).unwrap())
        }
        _ => None,
    };
    outputs.iter().filter_map(event).collect()
}

/// A disk that takes nothing.
pub(crate) fn full() -> StoreError {
    StoreError {
        attempt: "write",
        path: "/state/file.json".into(),
        kind: std::io::ErrorKind::StorageFull,
        text: "no space left on device".to_owned(),
        only_here: false,
    }
}
