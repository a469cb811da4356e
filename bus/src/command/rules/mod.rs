//! The contract's rules for requests and replies; each rule has its own tests, which bear its
//! number.
//!
//! This module: a Desk on the test's own clock, and the helpers of the tests.

mod admission;
mod disk;
mod memory;
mod overdue;
mod random;
mod replies;
mod signed;

use std::time::Duration;

use super::fixture::{self, MOVES, OUTLETS};
use super::{Arguments, Desk, DeskSettings, Gate, Journal, Outcome, Output, Post, Refusal, Ticket};
use crate::clock::{Instant, Now, Utc};
use crate::device::Verb;
use crate::incoming::Incoming;
use crate::message::{Code, EventBody, Reply, ReplyStatus};
use crate::topic::{Base, Identity};

fn identity(name: &str) -> Identity {
    Identity::new(name).unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// 2023-11-14T22:13:20Z, a day after the machine started.
fn start() -> Now {
    Now {
        instant: Instant::from_boot(Duration::from_secs(86_400)),
        utc: Utc::from_unix_milliseconds(1_700_000_000_000).unwrap(),
    }
}

fn settings(device: &str, verbs: &'static [Verb]) -> DeskSettings {
    DeskSettings {
        base: Base::new("clasp", device).unwrap(),
        verbs,
        control_clients: ["alice", "bob"].map(identity).into(),
        stop_clients: ["alice", "bob", "guard"].map(identity).into(),
        ranges: [
            (("setpoint", "celsius"), 5.0..=25.0),
            (("release", "minutes"), 0.0..=15.0),
            (("switch", "minutes"), 1.0..=60.0),
            (("set", "mm"), -1.0..=8.0),
        ]
        .into(),
        names: fixture::names(),
        timeouts: [("init", Duration::from_secs(60))].into(),
        require_acl: true,
        allow_bare_motion: false,
        stall_guard: Duration::from_secs(1),
        greeting: "hello".to_owned(),
    }
}

/// A Desk, the time, and everything it has sent so far.
struct Room {
    desk: Desk,
    now: Now,
    /// The device's reply when asked whether a command is possible and how long it will take.
    device: Result<Option<Duration>, Refusal>,
    posts: Vec<Post>,
    events: Vec<EventBody>,
    admitted: Vec<(Ticket, &'static Verb, Arguments)>,
    /// What may be prepared while it waits for the disk.
    prepared: Vec<Ticket>,
    withdrawn: Vec<Ticket>,
    saves: Vec<u64>,
    reconnects: usize,
    /// How often a sender's clock was found to agree.
    agreements: usize,
    /// The broker acknowledges nothing.
    broker_is_silent: bool,
}

impl Room {
    fn with(settings: DeskSettings) -> Self {
        let mut desk = Desk::new(settings);
        desk.set_gate(Gate::Ready);
        Self {
            desk,
            now: start(),
            device: Ok(None),
            posts: Vec::new(),
            events: Vec::new(),
            admitted: Vec::new(),
            prepared: Vec::new(),
            withdrawn: Vec::new(),
            saves: Vec::new(),
            reconnects: 0,
            agreements: 0,
            broker_is_silent: false,
        }
    }

    fn switched() -> Self {
        Self::with(settings("outlets", OUTLETS))
    }

    fn moving() -> Self {
        Self::with(settings("slide", MOVES))
    }

    fn pass(&mut self, time: f64) {
        self.now = self.now.after(seconds(time));
    }

    /// Lets time pass as in the bridge's loop: everything is done when it is due.
    fn wait(&mut self, time: f64) {
        let end = self.now.instant + seconds(time);
        while let Some(due) = self.desk.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.after(due.since(self.now.instant));
            self.desk.handle_timeout(self.now);
            self.take();
        }
        self.now = self.now.after(end.since(self.now.instant));
    }

    /// A message that has just arrived.
    fn arrival(&self, by: &str, verb: &str, payload: &str) -> Incoming {
        Incoming {
            topic: format!("{}/command/{by}/{verb}", self.desk.settings().base),
            payload: payload.as_bytes().to_vec(),
            retain: false,
            response_topic: None,
            correlation: None,
            signatures: Vec::new(),
            received: self.now,
            stalled: false,
        }
    }

    fn take(&mut self) {
        while let Some(output) = self.desk.poll_output() {
            match output {
                Output::Post(post) => {
                    if let Some(receipt) = post.receipt.filter(|_| !self.broker_is_silent) {
                        self.desk.delivered(receipt);
                    }
                    self.posts.push(post);
                }
                Output::Event(body) => self.events.push(body),
                Output::Prepare(ticket, ..) => self.prepared.push(ticket),
                Output::Withdraw(ticket) => self.withdrawn.push(ticket),
                Output::Admit(ticket, verb, arguments) => self.admitted.push((ticket, verb, arguments)),
                Output::Save(number) => self.saves.push(number),
                Output::Reconnect => self.reconnects += 1,
                Output::ClocksAgree => self.agreements += 1,
            }
        }
    }

    /// Delivers `arrival`; returns the replies to it.
    fn deliver(&mut self, arrival: &Incoming) -> Vec<Reply> {
        let before = self.posts.len();
        let device = self.device.clone();
        self.desk.receive(arrival, self.now, |_, _| device);
        self.take();
        self.posts[before..].iter().map(|post| post.reply.clone()).collect()
    }

    fn send(&mut self, by: &str, verb: &str, payload: &str) -> Vec<Reply> {
        let arrival = self.arrival(by, verb, payload);
        self.deliver(&arrival)
    }

    /// Sends a request that is refused; returns the code.
    #[track_caller]
    fn refusal(&mut self, by: &str, verb: &str, payload: &str) -> Code {
        let replies = self.send(by, verb, payload);
        assert_eq!(replies.len(), 1, "{by} {verb} {payload}: {replies:?}");
        assert_eq!(replies[0].status, ReplyStatus::Rejected, "{by} {verb} {payload}");
        replies[0].code.unwrap()
    }

    /// The code with which `arrival` is refused.
    #[track_caller]
    fn refusal_of(&mut self, arrival: &Incoming) -> Code {
        let replies = self.deliver(arrival);
        assert_eq!(replies.len(), 1, "{arrival:?}: {replies:?}");
        assert_eq!(replies[0].status, ReplyStatus::Rejected);
        replies[0].code.unwrap()
    }

    /// Sends a request that is admitted, and saves the journal.
    #[track_caller]
    fn admit(&mut self, by: &str, verb: &str, payload: &str) -> Ticket {
        let arrival = self.arrival(by, verb, payload);
        self.admit_arrival(&arrival)
    }

    #[track_caller]
    fn admit_arrival(&mut self, arrival: &Incoming) -> Ticket {
        let before = self.admitted.len();
        let posted = self.posts.len();
        self.deliver(arrival);
        self.save();
        let replies: Vec<_> = self.posts[posted..].iter().map(|post| &post.reply).collect();
        assert_eq!(replies.first().map(|reply| reply.status), Some(ReplyStatus::Accepted), "{replies:?}");
        assert_eq!(self.admitted.len(), before + 1, "{arrival:?} was not admitted");
        self.admitted.last().unwrap().0.clone()
    }

    /// Completes all saves; replies that waited for them are sent.
    fn save(&mut self) {
        if let Some(number) = self.saves.last() {
            self.desk.journalled(*number);
            self.take();
        }
    }

    /// The controller ends `ticket`, and the disk has it; returns the replies that are sent.
    fn answer(&mut self, ticket: &Ticket, outcome: &Outcome) -> Vec<Reply> {
        let before = self.posts.len();
        self.end(ticket, outcome);
        assert_eq!(self.posts.len(), before, "the disk does not know yet");
        self.save();
        self.posts[before..].iter().map(|post| post.reply.clone()).collect()
    }

    /// The controller ends `ticket`, and the disk is slow.
    fn end(&mut self, ticket: &Ticket, outcome: &Outcome) {
        self.desk.answer(ticket, outcome, self.now);
        self.take();
    }

    fn succeed(&mut self, ticket: &Ticket) -> Vec<Reply> {
        self.answer(ticket, &Outcome::succeeded("done"))
    }

    /// `{"id": id, "ts": now, more}`.
    fn stamped(&self, id: &str, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { "," };
        format!(r#"{{"id":"{id}","ts":"{}"{comma}{more}}}"#, self.now.utc)
    }

    /// The journal that the process wrote just before it died.
    fn journal(&self) -> Journal {
        let text = serde_json::to_string(&self.desk.journal(self.now)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The same device, after the process was killed and `time` has passed.
    fn after_death(&self, time: f64) -> Self {
        let mut next = self.next_life(self.journal(), time);
        next.save();
        next
    }

    /// The same device, after the process was killed with this journal on the disk, and `time` has
    /// passed.
    fn next_life(&self, on_disk: Journal, time: f64) -> Self {
        let mut next = Self::with(self.desk.settings().clone());
        next.now = self.now.after(seconds(time));
        next.desk.recover(on_disk, next.now);
        next.take();
        next
    }
}
