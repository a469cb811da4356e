//! A bridge's Desk and outbox, its disk, its device, its broker and its clients.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::command::{Desk, DeskSettings, Gate, Journal, Outcome, Output, REPLY_EXPIRY, Ticket};
use bus::incoming::Incoming;
use bus::message::{Reply, ReplyStatus, encode};
use bus::outbox::{Message, Outbox, Token};
use bus::topic::{Base, Identity};

/// A command ends at the latest this long after its deadline: the controller's grace, and the wait of
/// a verdict for the disk.
const ENDED_WITHIN: Duration = Duration::from_millis(1_251);

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who.
    pub by: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// The sender's id for it.
    pub id: &'static str,
    /// The payload's members after `id` and `ts`.
    pub argument: &'static str,
}

/// How much may go wrong in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// The process is killed, and the next one starts.
    pub kills: u8,
    /// A command is lost on its way.
    pub losses: u8,
    /// A command arrives twice.
    pub copies: u8,
    /// The connection to the broker breaks.
    pub breaks: u8,
    /// A client asks again.
    pub repeats: u8,
    /// A save fails.
    pub failures: u8,
    /// A save takes any time.
    pub slow_disk: bool,
}

/// What the clients have heard of a request.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The request.
    pub request: Request,
    /// How often it was sent.
    pub sent: u8,
    /// Admitted, by the time it arrived.
    pub accepted: BTreeSet<String>,
    /// Verdicts by the time of arrival and their numbers: what the broker repeats counts once.
    pub verdicts: BTreeMap<String, BTreeSet<(String, u64)>>,
    /// A verdict was told again.
    pub repeated: bool,
    /// It was refused.
    pub refused: bool,
}

/// What can happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client sends a request, for the first time or again.
    Ask(usize),
    /// A request arrives.
    Arrive(usize),
    /// It arrives, and will once more.
    Copy(usize),
    /// It does not arrive.
    Lose(usize),
    /// The newest journal is written.
    Write,
    /// The Desk is told that it was written.
    Report,
    /// The save fails, and the Desk is told.
    Fail,
    /// The device completes a command.
    Complete(usize),
    /// The next message goes to the broker, and on to the client.
    Publish,
    /// The broker acknowledges the oldest.
    Acknowledge,
    /// The connection breaks, and is made again.
    Break,
    /// Nothing happens until the Desk's next limit.
    Lapse,
    /// The process is killed, and the next one starts.
    Kill,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct World {
    left: Bounds,
    now: Now,
    desk: Desk,
    outbox: Outbox,
    unacknowledged: Vec<Token>,
    /// The newest journal that is to be saved.
    to_save: Option<(u64, Journal)>,
    /// Written, and not yet reported.
    written: Option<u64>,
    disk: Journal,
    /// What the device does.
    running: Vec<(Ticket, &'static str)>,
    /// Requests on their way to the bridge.
    wire: Vec<usize>,
    /// By when each admitted request must have its verdict posted, by sender, id and arrival.
    due: BTreeMap<(String, String, String), Instant>,
    /// What the clients know.
    pub heard: Vec<Heard>,
    /// How often each motion began, by sender and id.
    pub ran: BTreeMap<(String, String), u8>,
    /// A verdict that did not come in time.
    pub late: Option<String>,
    /// A motion that began and was not on the disk.
    pub unknown_motion: Option<String>,
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

// Whatever a Desk knows is in its debug output, and nothing in it can be hashed otherwise.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        format!("{self:?}").hash(state);
    }
}

fn settings() -> DeskSettings {
    let identity = |name: &str| Identity::new(name).ok();
    let control: BTreeSet<Identity> = ["alice", "bob"].into_iter().filter_map(identity).collect();
    let description = &focuser_device::DESCRIPTION;
    let Ok(base) = Base::new("clasp", description.kind) else { unreachable!("two names of the alphabet") };
    DeskSettings {
        base,
        verbs: description.verbs,
        stop_clients: control.clone(),
        control_clients: control,
        ranges: BTreeMap::from([(("set", "mm"), 0.0..=8.0), (("offset", "mm"), -8.0..=8.0)]),
        names: BTreeMap::new(),
        timeouts: BTreeMap::new(),
        require_acl: true,
        allow_bare_motion: false,
        stall_guard: Duration::from_secs(1),
        greeting: "hello".to_owned(),
    }
}

impl World {
    /// Nothing was sent yet.
    pub(crate) fn new(requests: Vec<Request>, bounds: Bounds) -> Self {
        const MILLISECONDS: i64 = 1_796_000_000_000;
        let Ok(utc) = Utc::from_unix_milliseconds(MILLISECONDS).ok_or(()) else {
            unreachable!("a date of this century")
        };
        let now = Now { instant: Instant::from_boot(Duration::from_secs(86_400)), utc };
        let heard = requests.into_iter().map(|request| Heard {
            request,
            sent: 0,
            accepted: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            repeated: false,
            refused: false,
        });
        let mut world = Self {
            left: bounds,
            now,
            desk: Desk::new(settings()),
            outbox: Outbox::default(),
            unacknowledged: Vec::new(),
            to_save: None,
            written: None,
            disk: Journal::default(),
            running: Vec::new(),
            wire: Vec::new(),
            due: BTreeMap::new(),
            heard: heard.collect(),
            ran: BTreeMap::new(),
            late: None,
            unknown_motion: None,
        };
        world.start();
        world
    }

    /// A process that has connected and found the broker's ACL in force.
    fn start(&mut self) {
        self.desk = Desk::new(settings());
        self.outbox = Outbox::default();
        self.outbox.open();
        self.unacknowledged.clear();
        (self.to_save, self.written) = (None, None);
        self.running.clear();
        self.desk.set_gate(Gate::Ready);
    }

    pub(crate) fn actions(&self, actions: &mut Vec<Action>) {
        for (index, heard) in self.heard.iter().enumerate() {
            let has_verdict = !heard.verdicts.is_empty() || heard.refused || heard.repeated;
            if heard.sent == 0 || (self.left.repeats > 0 && !has_verdict && !self.wire.contains(&index)) {
                actions.push(Action::Ask(index));
            }
        }
        for place in 0..self.wire.len() {
            actions.push(Action::Arrive(place));
            if self.left.copies > 0 {
                actions.push(Action::Copy(place));
            }
            if self.left.losses > 0 {
                actions.push(Action::Lose(place));
            }
        }
        if self.written.is_some() {
            actions.push(Action::Report);
        } else if self.to_save.is_some() {
            actions.push(Action::Write);
            if self.left.failures > 0 {
                actions.push(Action::Fail);
            }
        }
        actions.extend((0..self.running.len()).map(Action::Complete));
        if self.outbox.clone().next(self.now.instant).is_some() {
            actions.push(Action::Publish);
        }
        if !self.unacknowledged.is_empty() {
            actions.push(Action::Acknowledge);
        }
        if self.left.breaks > 0 {
            actions.push(Action::Break);
        }
        // A healthy disk is faster than any limit of the Desk.
        let is_saved = self.to_save.is_none() && self.written.is_none();
        if self.desk.poll_timeout().is_some() && (is_saved || self.left.slow_disk) {
            actions.push(Action::Lapse);
        }
        if self.left.kills > 0 {
            actions.push(Action::Kill);
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Ask(index) => self.ask(index),
            Action::Arrive(place) => {
                let index = self.wire.remove(place);
                self.arrive(index);
            }
            Action::Copy(place) => {
                self.left.copies -= 1;
                if let Some(index) = self.wire.get(place).copied() {
                    self.arrive(index);
                }
            }
            Action::Lose(place) => {
                self.left.losses -= 1;
                self.wire.remove(place);
            }
            Action::Write => {
                if let Some((number, journal)) = self.to_save.take() {
                    self.disk = journal;
                    self.written = Some(number);
                }
            }
            Action::Report => {
                if let Some(number) = self.written.take() {
                    self.desk.journalled(number);
                }
            }
            Action::Fail => {
                self.left.failures -= 1;
                if let Some((number, _)) = self.to_save.take() {
                    self.desk.journalled(number);
                }
            }
            Action::Complete(place) => self.complete(place),
            Action::Publish => self.publish(),
            Action::Acknowledge => {
                let token = self.unacknowledged.remove(0);
                if let Some(receipt) = self.outbox.acknowledge(token) {
                    self.desk.delivered(receipt);
                }
            }
            Action::Break => {
                self.left.breaks -= 1;
                self.outbox.disconnected();
                self.outbox.open();
                self.unacknowledged.clear();
                self.wire.clear();
            }
            Action::Lapse => self.lapse(),
            Action::Kill => {
                self.left.kills -= 1;
                self.start();
                self.now = self.now.after(Duration::from_millis(500));
                let until = self.now.instant + ENDED_WITHIN;
                self.due.values_mut().for_each(|due| *due = (*due).max(until));
                self.desk.recover(self.disk.clone(), self.now);
            }
        }
        self.settle();
    }

    fn ask(&mut self, index: usize) {
        if let Some(heard) = self.heard.get_mut(index) {
            self.left.repeats -= u8::from(heard.sent > 0);
            heard.sent += 1;
            self.wire.push(index);
            self.wire.sort_unstable();
        }
    }

    fn arrive(&mut self, index: usize) {
        let Some(Request { by, verb, id, argument }) = self.heard.get(index).map(|heard| heard.request.clone())
        else {
            return;
        };
        // No two arrive in the same millisecond, so that its arrival tells a request.
        self.now = self.now.after(Duration::from_millis(1));
        let base = &self.desk.settings().base;
        let incoming = Incoming {
            topic: format!("{base}/command/{by}/{verb}"),
            payload: format!(r#"{{"id":"{id}","ts":"{}"{argument}}}"#, self.now.utc).into_bytes(),
            retain: false,
            response_topic: None,
            correlation: None,
            received: self.now,
            stalled: false,
        };
        self.desk.receive(&incoming, self.now, |_, _| Ok(None));
    }

    /// The device does what it was told; a stop ends a motion first.
    fn complete(&mut self, place: usize) {
        let (ticket, verb) = self.running.remove(place);
        if verb == "stop" || verb == "kill" {
            let others = std::mem::take(&mut self.running);
            for (other, _) in others {
                self.desk.answer(&other, &Outcome::stopped(&ticket.by, verb), self.now);
            }
            self.desk.note_rest(true);
        }
        self.desk.answer(&ticket, &Outcome::succeeded("done"), self.now);
    }

    fn publish(&mut self) {
        let Some((token, outgoing)) = self.outbox.next(self.now.instant) else { return };
        self.unacknowledged.push(token);
        let Ok(reply) = serde_json::from_slice::<Reply>(&outgoing.payload) else { return };
        let is_its = |heard: &&mut Heard| {
            heard.request.by == reply.by.as_str() && Some(heard.request.id) == reply.id.as_deref()
        };
        // Two requests may bear one id: the verb's argument is not in the reply, so both hear it.
        for heard in self.heard.iter_mut().filter(is_its) {
            let arrival = reply.received_at.to_string();
            match reply.status {
                ReplyStatus::Accepted => drop(heard.accepted.insert(arrival)),
                ReplyStatus::InProgress => {}
                ReplyStatus::Rejected => heard.refused = true,
                _ if reply.duplicate => heard.repeated = true,
                status => {
                    let verdict = (format!("{status:?}"), reply.seq);
                    heard.verdicts.entry(arrival).or_default().insert(verdict);
                }
            }
        }
    }

    fn lapse(&mut self) {
        if let Some(due) = self.desk.poll_timeout() {
            self.now = self.now.after(due.since(self.now.instant));
            self.desk.handle_timeout(self.now);
        }
    }

    /// What the bridge's loop does after each event.
    fn settle(&mut self) {
        while let Some(output) = self.desk.poll_output() {
            match output {
                Output::Post(post) => {
                    self.note(&post.reply);
                    self.outbox.push(Message {
                        topic: post.topic,
                        payload: encode(&post.reply),
                        correlation: post.correlation,
                        expires: Some(self.now.instant + REPLY_EXPIRY),
                        receipt: post.receipt,
                    });
                }
                Output::Admit(ticket, verb, arguments) => {
                    let id = ticket.id.as_ref().map(ToString::to_string).unwrap_or_default();
                    if verb.motion {
                        *self.ran.entry((ticket.by.to_string(), id.clone())).or_default() += 1;
                        let known = serde_json::to_string(&self.disk).unwrap_or_default();
                        if !known.contains(&format!("\"{id}\"")) && !self.left.slow_disk {
                            self.unknown_motion = Some(format!("{} {id} {arguments:?}", verb.name));
                        }
                    }
                    self.running.push((ticket, verb.name));
                }
                Output::Save(number) => self.to_save = Some((number, self.desk.journal(self.now))),
                Output::Event(_) | Output::ClocksAgree | Output::Reconnect => {}
            }
        }
        if let Some((who, _)) = self.due.iter().find(|(_, due)| **due < self.now.instant) {
            self.late = Some(format!("{who:?}"));
        }
    }

    fn note(&mut self, reply: &Reply) {
        let who = (reply.by.to_string(), reply.id.clone().unwrap_or_default(), reply.received_at.to_string());
        if reply.status == ReplyStatus::Accepted {
            let left = reply.deadline.map_or(0.0, |deadline| deadline.seconds_since(self.now.utc));
            let by = self.now.instant + Duration::from_secs_f64(left.max(0.0)) + ENDED_WITHIN;
            self.due.insert(who, by);
        } else if reply.status.is_terminal() {
            self.due.remove(&who);
        }
    }

    /// Whether nothing is under way any more.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_saved = self.to_save.is_none() && self.written.is_none();
        let is_sent = self.outbox.is_settled() && self.unacknowledged.is_empty();
        is_saved && is_sent && self.running.is_empty() && self.wire.is_empty() && !self.desk.holds_replies()
            && self.desk.open_command().is_none()
    }
}
