//! The pure core of every bridge: combines the Desk, the link and a device's controller.
//!
//! Events go in, outputs come out; the device loop passes them between the core and the line, the
//! session and the store. The same code runs in the daemon and in a test's virtual time.

mod clock;
mod connection;
mod discovery;
mod disk;
mod exchange;
mod fit;
mod follow;
mod hand_over;
mod host;
mod lost;
mod meta;
mod publish;
mod recent;
mod settle;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::command::{Desk, DeskSettings, Journal, Signatures};
use bus::device::Description;
use bus::homeassistant::HomeAssistant;
use bus::message::Recent as RecentMessage;
use bus::outbox::Message;
use bus::probe::Verdict as ProbeVerdict;
use bus::session::bridge::SessionEvent;
use bus::signature::Trust;

use crate::attention::Ledger;
use crate::certificate::Certificates;
use crate::controller::{Controller, Protocol};
use crate::history::{Recorder, SavedHistory};
use crate::line::{Exchange, LineEvent};
use crate::link::Link;
use crate::reload::{ReloadError, Reloaded};
use crate::rival::Rival;
use crate::store::StoreError;
use clock::{Doubts, Steps};
pub use lost::Lost;

/// Stored messages of our own topics arrive before the loopback; without a loopback, on a link that
/// is not slow, within this time.
const SETTLE_LIMIT: Duration = Duration::from_millis(150);
/// A reply that was read this long after its timeout had waited while the bridge hung.
const READ_LATE: Duration = Duration::from_millis(500);
/// The heartbeat waits this long for a reading after the process did not run.
const SOON: Duration = Duration::from_secs(1);
/// How long the end of the daemon waits for standstill of the device.
const REST_LIMIT: Duration = Duration::from_secs(2);
/// By what signatures are verified is read beside the start. That it has not been read yet is a fault only after
/// this time, when a disk hangs.
const TRUST_LIMIT: Duration = Duration::from_secs(5);
/// How long it waits for the broker to have the last replies.
const DELIVERY_LIMIT: Duration = Duration::from_secs(1);

/// The settings of the core.
#[derive(Clone, Debug)]
pub struct CoreSettings {
    /// Topics, commands and the authorised clients.
    pub desk: DeskSettings,
    /// The verbs that need a signature.
    pub require_signature: BTreeSet<&'static str>,
    /// The instrument's description.
    pub description: &'static Description,
    /// The daemon's version.
    pub version: &'static str,
    /// `source` of events.
    pub log_name: String,
    /// Random for each start.
    pub session: String,
    /// The name of the machine it runs on.
    pub host: String,
    /// Its process id there.
    pub process: u32,
    /// The age at which a state that was not renewed is stale.
    pub stale_after: Duration,
    /// The link is lost after this time of polling without a valid reply.
    pub serial_timeout: Duration,
    /// The speed of the line and the instrument's usual one, baud, if they differ.
    pub unusual_baud: Option<(u32, u32)>,
    /// Discovery by Home Assistant, if it is enabled.
    pub homeassistant: Option<HomeAssistant>,
}

/// The files of the state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// The controller's memory.
    Device,
    /// The Desk's journal.
    Commands,
    /// The last 24 h.
    History,
    /// The last events.
    Recent,
}

/// The data that the previous process left.
#[derive(Clone, Debug, Default)]
pub struct PreviousRun {
    /// The Desk's journal.
    pub journal: Journal,
    /// The last 24 h.
    pub history: Option<SavedHistory>,
    /// The last events.
    pub recent: Option<RecentMessage>,
    /// What could not be read.
    pub lost: Lost,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// On the serial line.
    Line(LineEvent),
    /// On the bus.
    Session(SessionEvent),
    /// On the disk: the save with this number is done, or failed.
    Saved(File, u64, Result<(), StoreError>),
    /// The state directory was probed: it can be written, or not.
    Probed(Result<(), StoreError>),
    /// When the certificates expire, as asked for with [`Output::ReadCertificates`].
    Certificates(Certificates),
    /// By what signatures are verified was read; or the reason why none can be.
    Trust(Result<Trust, String>),
    /// The settings were read again; or the reason why they are refused.
    Reloaded(Result<Reloaded, ReloadError>),
    /// Time has passed.
    Timeout,
    /// The daemon must end.
    Stop,
    /// The daemon must end as soon as the device is at rest.
    EndAtRest,
}

/// What the loop must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Start an exchange with the device.
    Ask(Exchange),
    /// Write to the device at once; there is no reply.
    SendImmediately(Vec<u8>),
    /// Open the serial port; an open one is closed first.
    Reopen,
    /// Close the serial port until [`Output::Reopen`].
    ReleasePort,
    /// Let the session publish on this connection, counted from 1.
    Open(u64),
    /// Drop everything that waits to be published.
    Clear,
    /// Set a retained topic.
    Set {
        /// The topic.
        topic: String,
        /// The payload.
        payload: Vec<u8>,
        /// How long it is valid.
        expiry: Option<Duration>,
    },
    /// Publish a reply or an event.
    Push(Message),
    /// Send the service manager this one-line status.
    Status(String),
    /// Write a file.
    Save(File, u64, Vec<u8>),
    /// Probe whether the state directory can be written.
    Probe,
    /// Read when the certificates expire, and by what signatures are verified.
    ReadCertificates,
    /// Drop this connection to the broker and reconnect.
    Reconnect(u64),
    /// Close this connection, and reconnect with the TLS files as they are now.
    Renew(u64),
    /// End the session, then the daemon.
    Finish {
        /// Whether to publish `offline`: no other bridge has the device.
        say_offline: bool,
    },
}

struct Asked<R> {
    request: R,
    sent: Vec<u8>,
    limit: Duration,
    /// Without a reply it proves nothing about the link.
    has_reply: bool,
}

/// See the module.
pub struct Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    settings: CoreSettings,
    controller: C,
    protocol: P,
    desk: Desk,
    link: Link,
    rival: Rival,
    ledger: Ledger,
    /// The status in the last transition event.
    status: &'static str,
    started: Now,
    outputs: VecDeque<Output>,
    // The line.
    port_open: bool,
    /// The port is released: later events of the line about the time before do not count.
    release_port: bool,
    /// An event has already reported what the link's attention says.
    link_news: bool,
    asked: Option<Asked<P::Request>>,
    /// Requests without a valid reply that wait for their retry, the newest first.
    repeats: VecDeque<P::Request>,
    // The bus.
    announce_at: Option<Instant>,
    announced: bool,
    follow_ups: follow::FollowUps,
    /// The discovery messages for Home Assistant, if discovery is enabled.
    discovery: Option<Box<discovery::Discovery>>,
    /// The publishes that the broker refuses, with the text of the attention.
    refused: BTreeMap<String, String>,
    probe: Option<ProbeVerdict>,
    dirty: bool,
    heartbeat: Instant,
    /// When health and history are due again.
    minute: Instant,
    health_shown: publish::Shown,
    connections: u64,
    broker_error: Option<String>,
    /// The round trip to the broker.
    round_trip: Option<Duration>,
    certificates: Certificates,
    dropped_messages: u64,
    dropped_told: u64,
    state_seq: u64,
    event_seq: u64,
    clock: Steps,
    doubts: Doubts,
    /// When the parts were last polled.
    pumped: Instant,
    // The disk.
    disk: disk::Disk,
    journal_due: Option<u64>,
    /// The journal of the previous process, until it is known that no other bridge is there:
    /// another bridge's journal is not ours to write, nor are its commands ours to answer.
    left: Option<Journal>,
    /// What could not be read of the previous process's files.
    lost: Lost,
    /// Until when it may be unknown by what signatures are verified.
    trust_due: Option<Instant>,
    history: Recorder,
    recent: recent::Recent,
    oversized: fit::Oversized,
    /// The last status line for the service manager.
    manager_told: String,
    // The end.
    stopping: Option<Instant>,
    /// To end as soon as the device is at rest.
    leaving: bool,
    /// Running commands were answered; the journal with these answers is being saved.
    /// ...for so long, until the broker has them.
    ending: Option<Instant>,
    finished: bool,
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// Takes over from the previous process.
    pub fn new(settings: CoreSettings, controller: C, protocol: P, left: PreviousRun, now: Now) -> Self {
        let mut desk = Desk::new(settings.desk.clone());
        desk.set_signatures(Signatures {
            verbs: settings.require_signature.clone(),
            trust: Err("the authority and its list have not been read yet".to_owned()),
        });
        let mut core = Self {
            history: Recorder::new(left.history.as_ref(), settings.stale_after),
            recent: recent::Recent::new(left.recent),
            oversized: fit::Oversized::default(),
            discovery: discovery::Discovery::new(&settings).map(Box::new),
            manager_told: String::new(),
            link: Link::new(settings.serial_timeout, settings.stale_after),
            rival: Rival::new(settings.session.clone(), now.instant, settings.stale_after),
            status: controller.status_word(),
            settings,
            controller,
            protocol,
            desk,
            ledger: Ledger::default(),
            started: now,
            outputs: VecDeque::new(),
            port_open: false,
            release_port: false,
            link_news: false,
            asked: None,
            repeats: VecDeque::new(),
            announce_at: None,
            announced: false,
            follow_ups: follow::FollowUps::default(),
            refused: BTreeMap::new(),
            probe: None,
            dirty: true,
            heartbeat: now.instant,
            minute: now.instant,
            health_shown: publish::Shown::default(),
            connections: 0,
            broker_error: None,
            round_trip: None,
            certificates: Certificates::default(),
            dropped_messages: 0,
            dropped_told: 0,
            state_seq: 0,
            event_seq: 0,
            clock: Steps::new(now),
            doubts: Doubts::default(),
            pumped: now.instant,
            disk: disk::Disk::default(),
            journal_due: None,
            left: Some(left.journal),
            lost: left.lost,
            trust_due: Some(now.instant + TRUST_LIMIT),
            stopping: None,
            leaving: false,
            ending: None,
            finished: false,
        };
        core.pump(now);
        // The line opens nothing by itself: a port that was released before the restart is not
        // touched.
        if !core.release_port {
            core.outputs.push_front(Output::Reopen);
        }
        core
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The device's controller, for tests.
    pub fn controller(&self) -> &C {
        &self.controller
    }

    /// When [`Event::Timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let quiet = self.rival.poll_timeout().filter(|_| self.announce_at.is_some());
        // A query that is due waits for the port, or for the previous reply: waking up for it is
        // useless.
        let controller = self.controller.poll_timeout().filter(|at| *at > self.pumped);
        let own = [
            controller,
            self.desk.poll_timeout(),
            self.link.poll_timeout(),
            self.disk.poll_timeout(),
            Some(self.heartbeat),
            Some(self.minute),
            self.health_shown.poll_timeout().filter(|_| self.announced),
            self.recent_timeout(),
            self.follow_ups.poll_timeout(),
            self.discovery.as_ref().and_then(|discovery| discovery.poll_timeout()),
            quiet.or(self.announce_at),
            self.stopping.filter(|at| *at > self.pumped),
            self.ending.filter(|at| *at > self.pumped),
            self.lost.ends_at(self.started.instant).filter(|at| *at > self.pumped),
            self.trust_due.filter(|at| *at > self.pumped),
        ];
        own.into_iter().flatten().min()
    }

    /// Handles an event, and decides what follows.
    pub fn handle(&mut self, event: Event, now: Now) {
        self.look_at_the_clock(now);
        match event {
            Event::Line(event) => self.handle_line(event, now),
            Event::Session(event) => self.handle_session(event, now),
            Event::Saved(file, number, result) => self.handle_saved(file, number, result, now),
            Event::Probed(result) => self.handle_probed(result, now),
            Event::Certificates(certificates) => self.take_certificates(certificates),
            Event::Trust(trust) => {
                self.desk.set_trust(trust);
                self.trust_due = None;
                self.dirty = true;
            }
            Event::Reloaded(result) => self.handle_reloaded(result, now),
            Event::Timeout => {}
            Event::Stop => {
                self.stopping = Some(now.instant + REST_LIMIT);
                self.desk.close(now);
                self.controller.handle_shutdown(now);
            }
            Event::EndAtRest => self.leave(now),
        }
        self.pump(now);
    }

    /// Runs everything to completion: first what the parts want from each other, then their
    /// outputs.
    fn pump(&mut self, now: Now) {
        if self.finished {
            return;
        }
        self.pumped = now.instant;
        let (mut posts, mut events) = (Vec::new(), Vec::new());
        // First the changes by the event, before the time causes more.
        self.hear_controller(&mut events, now);
        if let Some(verdict) = self.link.handle_timeout(now.instant) {
            self.follow(verdict, now);
        }
        if self.controller.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.controller.handle_timeout(now);
        }
        if self.desk.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.desk.handle_timeout(now);
            self.dirty = true;
        }
        if self.ending.is_none() && self.is_over(now.instant) {
            self.ending = Some(now.instant + DELIVERY_LIMIT);
            self.desk.interrupt(now);
            self.dirty = true;
        }
        if self.may_leave() {
            self.ending = Some(now.instant + DELIVERY_LIMIT);
            self.desk.close(now);
            events.push(self.farewell());
        }
        self.watch_disk(now);
        let opens = self.announce(now);
        while self.settle(&mut posts, &mut events, now) {}
        self.dirty |= self.desk.note_rest(self.controller.is_at_rest());
        self.record(now);
        self.publish(&mut events, now);
        if opens {
            // Only now; otherwise messages from before the loss could be sent once more.
            self.outputs.push_back(Output::Open(self.connections));
        }
        for post in posts {
            self.post(post, now);
        }
        for body in events {
            self.emit(body, now);
        }
        self.show_recent(now);
        self.save_journal(now);
        if let Some(limit) = self.ending {
            // What the broker has need not be said again by the next bridge.
            let may_deliver = self.announced && now.instant < limit && self.desk.owes_replies(now.instant);
            if self.desk.holds_replies() || may_deliver {
                return;
            }
            self.finished = true;
            self.save_history(now);
            self.save_recent(now);
            // While another bridge may be alive, we do not publish its availability; and a bridge
            // that never published `online` has nothing to withdraw.
            let say_offline = self.rival.has_spoken() && !self.rival.settle(now.instant);
            self.outputs.push_back(Output::Finish { say_offline });
            return;
        }
        self.ask(now);
    }

    /// Whether the daemon may end: the exchange has ended and the device is at standstill, or the
    /// wait for that has been long enough.
    fn is_over(&self, now: Instant) -> bool {
        self.stopping.is_some_and(|limit| {
            (self.asked.is_none() && self.controller.is_at_rest())
                || (now >= limit && !self.controller.is_at_rest())
        })
    }
}
