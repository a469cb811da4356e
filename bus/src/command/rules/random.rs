//! Whatever comes, in whatever order, killed at any moment: no panic, nothing run twice, and exactly
//! one terminal reply to each who was told `accepted`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::super::verb::find;
use super::{Gate, Incoming, Journal, Outcome, Room, seconds};
use crate::clock::{Instant, Utc};
use crate::message::{Code, ReplyStatus};

const VERBS: [&str; 14] = [
    "ping",
    "mode",
    "enabled",
    "setpoint",
    "clear_alarms",
    "release",
    "init",
    "set",
    "offset",
    "stop",
    "stop",
    "kill",
    "set",
    "nonsense",
];
const ARGUMENTS: [&str; 8] = [
    "",
    r#""mm":2"#,
    r#""mm":99"#,
    r#""mode":"manual""#,
    r#""enabled":"off""#,
    r#""enabled":"on""#,
    r#""celsius":20"#,
    r#""minutes":5"#,
];

/// A disk that is well has a journal within this time.
const SAVED_WITHIN: f64 = 0.07;

#[derive(Clone, Debug)]
enum Step {
    Send {
        by: usize,
        verb: usize,
        id: u8,
        argument: usize,
        aged: bool,
        retain: bool,
        stalled: bool,
        elsewhere: bool,
    },
    Bytes(Vec<u8>, usize),
    Answer(usize, u8),
    /// A journal is on the disk, and the bridge does not know yet.
    Written,
    /// It is told.
    Saved,
    Pass(u16),
    Gate(u8),
    Death,
}

fn step() -> impl Strategy<Value = Step> {
    let send =
        (0..4_usize, 0..VERBS.len(), 0..6_u8, 0..ARGUMENTS.len(), any::<bool>(), 0..40_u8, any::<bool>());
    prop_oneof![
        12 => send.prop_map(|(by, verb, id, argument, aged, odd, elsewhere)| Step::Send {
            by, verb, id, argument, aged: aged && odd < 10, retain: odd == 20, stalled: odd == 21, elsewhere,
        }),
        1 => (prop::collection::vec(any::<u8>(), 0..40), 0..VERBS.len()).prop_map(|(bytes, verb)| Step::Bytes(bytes, verb)),
        6 => (0..4_usize, 0..4_u8).prop_map(|(which, how)| Step::Answer(which, how)),
        2 => prop::strategy::Just(Step::Written),
        4 => prop::strategy::Just(Step::Saved),
        2 => (0..30_000_u16).prop_map(Step::Pass),
        2 => (0..100_u16).prop_map(Step::Pass),
        1 => (0..6_u8).prop_map(Step::Gate),
        2 => prop::strategy::Just(Step::Death),
    ]
}

/// One message of a client: no two come in the same millisecond.
type Request = (String, Option<String>, Utc);

/// A bridge, its disk, and what its clients were told, over the lives of the process.
struct World {
    room: Room,
    /// The disk takes its time, but not too much, and loses nothing. Else it takes for ever, or
    /// nothing, and nobody is killed: what was not saved is lost.
    healthy: bool,
    disk: Journal,
    queue: VecDeque<(u64, Journal)>,
    queued: u64,
    waits_since: Option<Instant>,
    unreported: Option<u64>,
    accepted: BTreeSet<Request>,
    ended: BTreeSet<Request>,
    /// Told `accepted` by one that was killed, and to be asked for again: verb and argument.
    sent: BTreeMap<Request, (usize, usize)>,
    /// Told the verdict again.
    repeated: BTreeSet<(String, Option<String>)>,
    /// Told that it was not done.
    refused: BTreeSet<(String, Option<String>)>,
}

impl World {
    fn new(room: Room, healthy: bool) -> Self {
        Self {
            room,
            healthy,
            disk: Journal::default(),
            queue: VecDeque::new(),
            queued: 0,
            waits_since: None,
            unreported: None,
            accepted: BTreeSet::new(),
            ended: BTreeSet::new(),
            sent: BTreeMap::new(),
            repeated: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    fn act(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Send { by, verb, id, argument, aged, retain, stalled, elsewhere } => {
                let by = ["alice", "bob", "guard", "visitor"][by];
                let id = (id > 0).then(|| format!("r{id}"));
                let mut arrival = self.arrival(by, verb, id.as_deref(), argument, aged);
                arrival.retain = retain;
                arrival.stalled = stalled;
                if elsewhere {
                    arrival.response_topic =
                        Some(format!("{}/reply/{by}/panel", self.room.desk.settings().base));
                }
                let request = (by.to_owned(), id, self.room.now.utc);
                self.sent.insert(request, (verb, argument));
                self.deliver(&arrival);
            }
            Step::Bytes(bytes, verb) => {
                self.pass(0.001);
                let mut arrival = self.room.arrival("alice", VERBS[verb], "");
                arrival.correlation = Some(bytes.clone());
                arrival.response_topic = Some(String::from_utf8_lossy(&bytes).into_owned());
                arrival.payload = bytes;
                self.deliver(&arrival);
            }
            Step::Answer(which, how) => {
                // Also tickets that were answered before.
                let recent = self.room.admitted.iter().rev().nth(which).map(|(ticket, ..)| ticket.clone());
                if let Some(ticket) = recent {
                    let outcome = match how {
                        0 => Outcome::succeeded("done"),
                        1 => Outcome::failed(Code::Failed, "no"),
                        2 => Outcome::timed_out("late"),
                        _ => Outcome::stopped(&ticket.by, "stop"),
                    };
                    self.room.end(&ticket, &outcome);
                }
            }
            Step::Written => self.write(),
            Step::Saved => self.report(),
            Step::Pass(milliseconds) => self.pass(f64::from(milliseconds) / 1000.0),
            Step::Gate(which) => {
                let gates = [Gate::Pending, Gate::AclOpen, Gate::Ready];
                self.room.desk.set_gate(gates[usize::from(which.min(2))]);
            }
            Step::Death if self.healthy => return self.die(),
            Step::Death => {}
        }
        self.settle()
    }

    fn arrival(&mut self, by: &str, verb: usize, id: Option<&str>, argument: usize, aged: bool) -> Incoming {
        self.pass(0.001);
        let stamp = self.room.now.utc.unix_milliseconds() as f64 / 1000.0 - if aged { 30.0 } else { 0.0 };
        let mut members = vec![format!(r#""ts":{stamp}"#)];
        members.extend(id.map(|id| format!(r#""id":"{id}""#)));
        if !ARGUMENTS[argument].is_empty() {
            members.push(ARGUMENTS[argument].to_owned());
        }
        self.room.arrival(by, VERBS[verb], &format!("{{{}}}", members.join(",")))
    }

    fn deliver(&mut self, arrival: &Incoming) {
        self.room.desk.receive(arrival, self.room.now, |_, _| Ok(None));
        self.room.take();
    }

    fn pass(&mut self, time: f64) {
        let due = self.room.now.instant + seconds(time);
        if self.healthy && self.waits_since.is_some_and(|since| due.since(since) > seconds(SAVED_WITHIN)) {
            self.write_all();
        }
        self.room.pass(time);
        self.room.desk.handle_timeout(self.room.now);
        self.room.take();
    }

    // The disk.

    fn write(&mut self) {
        if let Some((number, journal)) = self.queue.pop_front() {
            if self.healthy {
                self.disk = journal;
            }
            self.unreported = Some(number);
        }
    }

    fn report(&mut self) {
        if self.unreported.is_none() {
            self.write();
        }
        if let Some(number) = self.unreported.take() {
            self.room.desk.journalled(number);
            self.room.take();
        }
        if self.queue.is_empty() {
            self.waits_since = None;
        }
        self.queue_newest();
    }

    fn write_all(&mut self) {
        while self.unreported.is_some() || !self.queue.is_empty() {
            self.report();
        }
    }

    fn queue_newest(&mut self) {
        let newest = self.room.saves.last().copied().unwrap_or_default();
        if newest > self.queued {
            self.queued = newest;
            self.queue.push_back((newest, self.room.journal()));
            self.waits_since.get_or_insert(self.room.now.instant);
        }
    }

    // The clients.

    fn settle(&mut self) -> Result<(), TestCaseError> {
        self.queue_newest();
        for post in self.room.posts.drain(..) {
            let reply = post.reply;
            prop_assert_eq!(reply.code.is_some(), reply.status.is_terminal());
            prop_assert_eq!(reply.finished_at.is_some(), reply.status.is_terminal());
            let request = (reply.by.to_string(), reply.id.clone(), reply.received_at);
            match reply.status {
                ReplyStatus::InProgress => {}
                ReplyStatus::Rejected => {
                    self.refused.insert((request.0, request.1));
                }
                ReplyStatus::Accepted => {
                    prop_assert!(!self.ended.contains(&request), "accepted after its end: {reply:?}");
                    prop_assert!(self.accepted.insert(request), "accepted twice: {reply:?}");
                }
                _ if reply.duplicate => {
                    self.repeated.insert((request.0, request.1));
                }
                _ => prop_assert!(self.ended.insert(request), "a second terminal reply: {reply:?}"),
            }
        }
        Ok(())
    }

    /// The process is killed. Who was told `accepted`, and will not hear more by itself, asks again.
    fn die(&mut self) -> Result<(), TestCaseError> {
        self.settle()?;
        self.room = self.room.next_life(self.disk.clone(), 0.5);
        self.queue.clear();
        (self.queued, self.waits_since, self.unreported) = (0, None, None);
        let open = self.disk.open.iter().map(|open| {
            let id = open.asker.id.as_ref().map(ToString::to_string);
            (open.asker.by.to_string(), id, open.asker.received_at)
        });
        let open: BTreeSet<Request> = open.collect();
        let lost: Vec<_> =
            self.accepted.difference(&self.ended).filter(|it| !open.contains(*it)).cloned().collect();
        self.settle()?;
        let mut asked = BTreeSet::new();
        for request in lost {
            self.accepted.remove(&request);
            let (by, Some(id), _) = &request else { continue };
            let Some((verb, argument)) = self.sent.get(&request).copied() else { continue };
            let who = (by.clone(), Some(id.clone()));
            if !asked.insert(who.clone()) {
                continue;
            }
            self.repeated.remove(&who);
            self.refused.remove(&who);
            let before = self.accepted.len();
            let arrival = self.arrival(by, verb, Some(id), argument, false);
            let again = (by.clone(), Some(id.clone()), self.room.now.utc);
            self.sent.insert(again, (verb, argument));
            self.deliver(&arrival);
            self.queue_newest();
            self.write_all();
            self.settle()?;
            let told = self.repeated.contains(&who);
            let motion = find(self.room.desk.settings().verbs, VERBS[verb]).is_some_and(|verb| verb.motion);
            prop_assert!(told || !motion, "{request:?} moved something, and its verdict is lost");
            let answered = told || self.refused.contains(&who) || self.accepted.len() > before;
            prop_assert!(answered, "{request:?} asked in vain");
        }
        self.settle()
    }
}

proptest! {
    #[test]
    fn no_request_gets_two_terminal_replies_and_none_stays_without(
        focuser: bool,
        healthy: bool,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new(if focuser { Room::focuser() } else { Room::chiller() }, healthy);
        let mut started = BTreeMap::new();
        for step in steps {
            let seen = if healthy && matches!(step, Step::Death) { 0 } else { world.room.admitted.len() };
            world.act(step)?;
            let room = &world.room;
            for (ticket, verb, _) in room.admitted.iter().skip(seen) {
                if let Some(id) = ticket.id.as_ref().filter(|_| verb.motion) {
                    let before = started.insert((ticket.by.clone(), id.clone()), room.now.utc);
                    let ago = before.map(|before| room.now.utc.seconds_since(before));
                    prop_assert!(ago.is_none_or(|ago| ago >= 900.0), "{ticket:?} ran {ago:?} s ago, too");
                }
            }
        }
        world.room.desk.interrupt(world.room.now);
        world.room.take();
        world.settle()?;
        if healthy {
            world.write_all();
        } else {
            world.pass(0.25);
        }
        world.settle()?;
        prop_assert!(!world.room.desk.holds_replies());
        let without: Vec<_> = world.accepted.difference(&world.ended).collect();
        prop_assert!(without.is_empty(), "never answered: {without:?}");
    }
}
