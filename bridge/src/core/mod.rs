//! The pure heart of every bridge: the Desk, the link and a device's controller, put together.
//!
//! Events go in, outputs come out; the device loop carries them between here and the line, the
//! session and the store. It is the same code in the daemon and in a test's virtual time.

mod connection;
mod exchange;
mod publish;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::command::{Desk, DeskSettings, Journal, Output as DeskOutput, Post};
use bus::message::{Code, Happening, History};
use bus::outbox::Message;
use bus::probe::Verdict as ProbeVerdict;
use bus::session::bridge::SessionEvent;

use crate::attention::Ledger;
use crate::controller::{Command, Controller, Effect, Protocol};
use crate::history::Recorder;
use crate::line::{Exchange, LineEvent};
use crate::link::Link;
use crate::rival::Rival;

/// Stored messages of our own topics arrive before the loopback; without it, not later than this.
const SETTLE_LIMIT: Duration = Duration::from_millis(150);
/// An answer that was read so long after its limit had lain there while the bridge stood still.
const READ_LATE: Duration = Duration::from_millis(500);
/// How long the end of the daemon waits for the device to come to rest.
const REST_LIMIT: Duration = Duration::from_secs(2);
const SKEW_SHOWN_FOR: Duration = Duration::from_secs(600);

/// What a bridge says about itself.
#[derive(Clone, Debug)]
pub struct CoreSettings {
    /// Topics, commands and who may give them.
    pub desk: DeskSettings,
    /// `chiller` or `focuser`.
    pub kind: &'static str,
    /// Maker and type of the instrument.
    pub model: &'static str,
    /// The daemon's version.
    pub version: &'static str,
    /// `source` of events.
    pub log_name: String,
    /// Random for each start.
    pub session: String,
    /// From when on nobody may believe a state that was not renewed.
    pub stale_after: Duration,
    /// Asking for so long without a valid reply loses the link.
    pub serial_timeout: Duration,
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
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// On the serial line.
    Line(LineEvent),
    /// On the bus.
    Session(SessionEvent),
    /// On the disk: the save with this number is done, or failed.
    Saved(File, u64, Result<(), String>),
    /// When our certificate ends, as read at a connect.
    Certificate(Option<Utc>),
    /// Time has passed.
    Timeout,
    /// The daemon is to end.
    Stop,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Ask the device.
    Ask(Exchange),
    /// Write to the device at once; nothing is answered.
    WriteNow(Vec<u8>),
    /// Close and open the serial port.
    Reopen,
    /// Close the serial port until it is to be reopened.
    LetGo,
    /// Let the session publish.
    Open,
    /// Forget what waits to be published.
    Clear,
    /// Set a retained topic.
    Set {
        /// Where.
        topic: String,
        /// What.
        payload: Vec<u8>,
        /// For how long it may be believed.
        expiry: Option<Duration>,
    },
    /// Publish a reply or an event.
    Push(Message),
    /// Write a file.
    Save(File, u64, Vec<u8>),
    /// Drop the connection to the broker and make it anew.
    Reconnect,
    /// End the session, then the daemon.
    Finish {
        /// Whether the device is now without a bridge.
        say_offline: bool,
    },
}

struct Asked<R> {
    request: R,
    sent: Vec<u8>,
    limit: Duration,
    /// Without a reply nothing is proved of the link.
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
    started: Now,
    outputs: VecDeque<Output>,
    // The line.
    port_open: bool,
    asked: Option<Asked<P::Request>>,
    repeat: Option<P::Request>,
    // The bus.
    announce_at: Option<Instant>,
    announced: bool,
    probe: Option<ProbeVerdict>,
    dirty: bool,
    heartbeat: Instant,
    health_due: Instant,
    health_shown: Option<publish::HealthMark>,
    connections: u64,
    broker_error: Option<String>,
    certificate_expires: Option<Utc>,
    dropped_messages: u64,
    state_seq: u64,
    event_seq: u64,
    skew: Option<(Instant, String)>,
    /// When the parts were last asked what they want.
    pumped: Instant,
    // The disk.
    unsaved: BTreeSet<File>,
    journal_due: Option<u64>,
    /// What the process before left, until it is known that no other bridge is there: another's
    /// journal is not ours to write, nor are its commands ours to answer.
    left: Option<Journal>,
    device_saves: u64,
    history: Recorder,
    history_saves: u64,
    // The end.
    stopping: Option<Instant>,
    /// What ran was answered; the journal that says so is on its way to the disk.
    ending: bool,
    finished: bool,
}

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    /// Takes over from the process before, whose journal and history these are.
    pub fn new(
        settings: CoreSettings,
        controller: C,
        protocol: P,
        journal: Journal,
        history: Option<&History>,
        now: Now,
    ) -> Self {
        let desk = Desk::new(settings.desk.clone());
        let mut core = Self {
            history: Recorder::new(history, settings.stale_after),
            link: Link::new(settings.serial_timeout, settings.stale_after),
            rival: Rival::new(settings.session.clone(), now.utc, settings.stale_after),
            settings,
            controller,
            protocol,
            desk,
            ledger: Ledger::default(),
            started: now,
            outputs: VecDeque::new(),
            port_open: false,
            asked: None,
            repeat: None,
            announce_at: None,
            announced: false,
            probe: None,
            dirty: true,
            heartbeat: now.instant,
            health_due: now.instant,
            health_shown: None,
            connections: 0,
            broker_error: None,
            certificate_expires: None,
            dropped_messages: 0,
            state_seq: 0,
            event_seq: 0,
            skew: None,
            pumped: now.instant,
            unsaved: BTreeSet::new(),
            journal_due: None,
            left: Some(journal),
            device_saves: 0,
            history_saves: 0,
            stopping: None,
            ending: false,
            finished: false,
        };
        core.pump(now);
        core
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The device's controller, for tests.
    pub fn controller(&self) -> &C {
        &self.controller
    }

    /// The state directory was found not to be writable before anything was to be saved.
    pub fn note_unwritable(&mut self) {
        self.unsaved.insert(File::Device);
        self.dirty = true;
    }

    /// How many replies and events the session had to drop.
    pub fn note_dropped(&mut self, dropped: u64) {
        self.dropped_messages = dropped;
    }

    /// When [`Event::Timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let quiet = self.rival.poll_timeout().filter(|_| self.announce_at.is_some());
        // A question that is due waits for the port, or for the answer to the one before: no use in
        // being woken for it.
        let controller = self.controller.poll_timeout().filter(|at| *at > self.pumped);
        let own = [
            controller,
            self.desk.poll_timeout(),
            self.link.poll_timeout(),
            Some(self.heartbeat),
            Some(self.health_due),
            quiet.or(self.announce_at),
            self.stopping.filter(|at| *at > self.pumped),
        ];
        own.into_iter().flatten().min()
    }

    /// Takes what happened, and decides what follows.
    pub fn handle(&mut self, event: Event, now: Now) {
        match event {
            Event::Line(event) => self.handle_line(event, now),
            Event::Session(event) => self.handle_session(event, now),
            Event::Saved(file, number, result) => self.handle_saved(file, number, result, now),
            Event::Certificate(expires) => self.certificate_expires = expires,
            Event::Timeout => {}
            Event::Stop => {
                self.stopping = Some(now.instant + REST_LIMIT);
                self.desk.close(now);
                self.controller.handle_shutdown(now);
            }
        }
        self.pump(now);
    }

    fn handle_saved(&mut self, file: File, number: u64, result: Result<(), String>, now: Now) {
        // Each file for itself: a short one may fit on a disk that a long one does not.
        match &result {
            Ok(()) => {
                self.unsaved.remove(&file);
            }
            Err(error) => {
                if self.unsaved.is_empty() {
                    tracing::error!(error, "cannot save; what is set now is lost with the next restart");
                }
                self.unsaved.insert(file);
            }
        }
        self.dirty = true;
        match file {
            File::Commands => self.desk.journalled(number),
            File::Device if number == self.device_saves => self.controller.handle_saved(result, now),
            File::Device | File::History => {}
        }
    }

    /// Carries everything to its end: what the parts want of each other, then what they want done.
    fn pump(&mut self, now: Now) {
        if self.finished {
            return;
        }
        self.pumped = now.instant;
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
        if !self.ending && self.is_over(now.instant) {
            self.ending = true;
            self.desk.interrupt(now);
            self.dirty = true;
        }
        let opens = self.announce(now);
        let mut posts = Vec::new();
        let mut happenings = Vec::new();
        while self.settle(&mut posts, &mut happenings, now) {}
        self.dirty |= self.desk.note_rest(self.controller.is_at_rest());
        self.record(now);
        self.publish(&mut happenings, now);
        if opens {
            // Only now, or what was set before the connection was lost could go out once more.
            self.outputs.push_back(Output::Open);
        }
        for post in posts {
            self.post(post, now);
        }
        for happening in happenings {
            self.happened(happening, now);
        }
        self.save_journal(now);
        if self.ending {
            if self.desk.holds_replies() {
                return;
            }
            self.finished = true;
            self.save_history(bus::message::encode(&self.history.history(now)));
            // While another bridge may be alive, its availability is its own.
            let say_offline = !self.rival.settle(now.instant);
            self.outputs.push_back(Output::Finish { say_offline });
            return;
        }
        self.ask(now);
    }

    /// Whether the daemon may end: the exchange that was out is in, and the device at rest, or
    /// waiting for that has been long enough.
    fn is_over(&self, now: Instant) -> bool {
        self.stopping.is_some_and(|limit| {
            (self.asked.is_none() && self.controller.is_at_rest())
                || (now >= limit && !self.controller.is_at_rest())
        })
    }

    /// One round between controller and Desk; true while there may be more.
    fn settle(&mut self, posts: &mut Vec<Post>, happenings: &mut Vec<Happening>, now: Now) -> bool {
        let mut busy = false;
        while let Some(effect) = self.controller.poll_effect() {
            busy = true;
            match effect {
                Effect::Publish => self.dirty = true,
                Effect::Answer(ticket, outcome) => {
                    self.desk.answer(&ticket, &outcome, now);
                    self.dirty = true;
                }
                Effect::Happened(happening) => happenings.push(happening),
                Effect::Save(saved) => {
                    self.device_saves += 1;
                    let contents = bus::message::encode(&saved);
                    self.outputs.push_back(Output::Save(File::Device, self.device_saves, contents));
                }
                // With the port closed there is nothing that could hear it.
                Effect::WriteNow(_) if !self.port_open => {}
                Effect::WriteNow(request) => {
                    let bytes = self.protocol.exchange(&request).bytes;
                    self.outputs.push_back(Output::WriteNow(bytes));
                }
                Effect::LetGo(true) => {
                    self.link.let_go();
                    self.outputs.push_back(Output::LetGo);
                }
                Effect::LetGo(false) => {
                    self.link.pause(false);
                    self.outputs.push_back(Output::Reopen);
                }
                Effect::Pause(paused) => {
                    self.link.pause(paused);
                    self.dirty = true;
                }
            }
        }
        while let Some(output) = self.desk.poll_output() {
            busy = true;
            match output {
                DeskOutput::Post(post) => {
                    if post.reply.code == Some(Code::ClockSkew) {
                        self.skew = Some((now.instant, format!("{}: {}", post.reply.by, post.reply.message)));
                        self.dirty = true;
                    }
                    posts.push(post);
                }
                DeskOutput::Happened(happening) => happenings.push(happening),
                DeskOutput::Admit(ticket, verb, argument) => {
                    self.begin(Command { ticket, verb, argument }, now);
                    self.dirty = true;
                }
                DeskOutput::Save(number) => self.journal_due = Some(number),
                DeskOutput::Reconnect => self.outputs.push_back(Output::Reconnect),
            }
        }
        busy
    }

    /// What was examined may have changed while the journal went to the disk.
    fn begin(&mut self, command: Command, now: Now) {
        match self.controller.examine(command.verb, command.argument) {
            Err(refusal) if !command.verb.stop => self.desk.answer(&command.ticket, &refusal.into(), now),
            _ => self.controller.handle_command(command, now),
        }
    }

    fn save_journal(&mut self, now: Now) {
        if self.left.is_some() {
            return;
        }
        if let Some(number) = self.journal_due.take() {
            let contents = bus::message::encode(&self.desk.journal(now));
            self.outputs.push_back(Output::Save(File::Commands, number, contents));
        }
    }
}
