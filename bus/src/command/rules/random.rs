//! Any messages in any order, kills at any moment, and a controller that forgets: no panic, no
//! command runs twice or without being on the disk, and every sender that got `accepted` gets
//! exactly one terminal reply, not much later than promised.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{Gate, Incoming, Journal, Outcome, Room, seconds};
use crate::clock::{Instant, Utc};
use crate::device::Class;
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

/// A healthy disk saves a journal within this time.
const SAVED_WITHIN: f64 = 0.07;
/// A command ends at the latest this long after its deadline: the controller's grace, and the wait
/// of a verdict for the disk.
const ENDED_WITHIN: f64 = 1.0 + 0.25 + 0.01;

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
    /// A journal is on the disk, but the bridge does not know it yet.
    Written,
    /// The bridge is told.
    Saved,
    Pass(u16),
    /// The bridge is not scheduled for this long.
    Freeze(u16),
    /// The motor was read at standstill.
    Rest,
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
        1 => (0..30_000_u16).prop_map(Step::Freeze),
        1 => prop::strategy::Just(Step::Rest),
        1 => (0..6_u8).prop_map(Step::Gate),
        2 => prop::strategy::Just(Step::Death),
    ]
}

/// One message of a client; no two come in the same millisecond.
type Request = (String, Option<String>, Utc);

/// A bridge, its disk, and the replies to its clients, over several lives of the process.
struct World {
    room: Room,
    /// A healthy disk takes a limited time and loses nothing. Otherwise it hangs or fails, and
    /// nobody is killed, because unsaved data would be lost.
    healthy: bool,
    disk: Journal,
    queue: VecDeque<(u64, Journal)>,
    queued: u64,
    waits_since: Option<Instant>,
    unreported: Option<u64>,
    /// With the time by which it must have ended, and the verb.
    accepted: BTreeMap<Request, (Instant, String)>,
    ended: BTreeSet<Request>,
    /// A motion was not answered, and no standstill was read since.
    may_turn: bool,
    /// Number of admitted commands that were checked.
    looked_at: usize,
    /// Verb and argument of each request.
    sent: BTreeMap<Request, (usize, usize)>,
    /// Requests that got the verdict again.
    repeated: BTreeSet<(String, Option<String>)>,
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
            accepted: BTreeMap::new(),
            ended: BTreeSet::new(),
            may_turn: false,
            looked_at: 0,
            sent: BTreeMap::new(),
            repeated: BTreeSet::new(),
        }
    }

    fn act(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Send { by, verb, id, argument, aged, retain, stalled, elsewhere } => {
                let by = ["alice", "bob", "guard", "visitor"][by];
                let id = (id > 0).then(|| format!("r{id}"));
                let mut arrival = self.arrival(by, verb, id.as_deref(), argument, aged)?;
                self.sent.insert((by.to_owned(), id, self.room.now.utc), (verb, argument));
                arrival.retain = retain;
                arrival.stalled = stalled;
                if elsewhere {
                    arrival.response_topic =
                        Some(format!("{}/reply/{by}/panel", self.room.desk.settings().base));
                }
                self.deliver(&arrival);
            }
            Step::Bytes(bytes, verb) => {
                self.pass(0.001)?;
                let mut arrival = self.room.arrival("alice", VERBS[verb], "");
                arrival.correlation = Some(bytes.clone());
                arrival.response_topic = Some(String::from_utf8_lossy(&bytes).into_owned());
                arrival.payload = bytes;
                self.deliver(&arrival);
            }
            Step::Answer(which, how) => {
                // Includes tickets that were answered before.
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
            Step::Pass(milliseconds) => return self.pass(f64::from(milliseconds) / 1000.0),
            Step::Freeze(milliseconds) => {
                self.room.pass(f64::from(milliseconds) / 1000.0);
                // The controller gets its full time again.
                self.grant_time();
                if self.healthy {
                    self.write_all();
                }
                self.room.desk.handle_timeout(self.room.now);
                self.room.take();
            }
            Step::Rest => {
                self.room.desk.note_rest(true);
                self.may_turn = false;
            }
            Step::Gate(which) => {
                let gates = [Gate::Pending, Gate::AclOpen, Gate::Ready];
                self.room.desk.set_gate(gates[usize::from(which.min(2))]);
            }
            Step::Death if self.healthy => return self.die(),
            Step::Death => {}
        }
        self.settle()
    }

    fn grant_time(&mut self) {
        let until = self.room.now.instant + seconds(ENDED_WITHIN);
        self.accepted.values_mut().for_each(|(by, _)| *by = (*by).max(until));
    }

    fn arrival(
        &mut self,
        by: &str,
        verb: usize,
        id: Option<&str>,
        argument: usize,
        aged: bool,
    ) -> Result<Incoming, TestCaseError> {
        self.pass(0.001)?;
        let stamp = self.room.now.utc.unix_milliseconds() as f64 / 1000.0 - if aged { 30.0 } else { 0.0 };
        let mut members = vec![format!(r#""ts":{stamp}"#)];
        members.extend(id.map(|id| format!(r#""id":"{id}""#)));
        if !ARGUMENTS[argument].is_empty() {
            members.push(ARGUMENTS[argument].to_owned());
        }
        Ok(self.room.arrival(by, VERBS[verb], &format!("{{{}}}", members.join(","))))
    }

    fn deliver(&mut self, arrival: &Incoming) {
        self.room.desk.receive(arrival, self.room.now, |_, _| Ok(None));
        self.room.take();
    }

    /// Lets time pass as in the bridge's loop; a healthy disk completes its saves in time.
    fn pass(&mut self, time: f64) -> Result<(), TestCaseError> {
        let end = self.room.now.instant + seconds(time);
        loop {
            let written =
                self.waits_since.filter(|_| self.healthy).map(|since| since + seconds(SAVED_WITHIN));
            let timeout = self.room.desk.poll_timeout();
            let Some(due) = written.into_iter().chain(timeout).min().filter(|due| *due <= end) else { break };
            self.room.now = self.room.now.after(due.since(self.room.now.instant));
            if written == Some(due) {
                self.write_all();
            } else {
                self.room.desk.handle_timeout(self.room.now);
                self.room.take();
            }
            self.settle()?;
        }
        self.room.now = self.room.now.after(end.since(self.room.now.instant));
        self.settle()
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
        let now = self.room.now;
        for post in std::mem::take(&mut self.room.posts) {
            let reply = post.reply;
            prop_assert_eq!(reply.code.is_some(), reply.status.is_terminal());
            prop_assert_eq!(reply.finished_at.is_some(), reply.status.is_terminal());
            let request = (reply.by.to_string(), reply.id.clone(), reply.received_at);
            match reply.status {
                ReplyStatus::InProgress | ReplyStatus::Rejected => {}
                ReplyStatus::Accepted => {
                    prop_assert!(!self.ended.contains(&request), "accepted after its end: {reply:?}");
                    let left = reply.deadline.map_or(0.0, |deadline| deadline.seconds_since(now.utc));
                    let by = now.instant + seconds(left.max(0.0) + ENDED_WITHIN);
                    let before = self.accepted.insert(request, (by, reply.verb.clone()));
                    prop_assert!(before.is_none(), "accepted twice: {reply:?}");
                }
                _ if reply.duplicate => {
                    self.repeated.insert((request.0, request.1));
                }
                _ => {
                    self.may_turn |= reply.message.contains("a stop was ordered");
                    prop_assert!(self.ended.insert(request), "a second terminal reply: {reply:?}");
                }
            }
        }
        let late = self.accepted.iter().find(|(it, (by, _))| *by < now.instant && !self.ended.contains(*it));
        prop_assert!(late.is_none(), "not answered in time: {late:?}");
        self.look_at_admitted()
    }

    /// No command begins that is not on the disk, and no motion while something may move.
    fn look_at_admitted(&mut self) -> Result<(), TestCaseError> {
        for (ticket, verb, arguments) in &self.room.admitted[self.looked_at..] {
            prop_assert!(!(verb.motion && self.may_turn), "{ticket:?} moves, and no standstill was read");
            let known = self.disk.open.iter().any(|open| {
                (&open.requester.by, &open.requester.id, open.verb.as_str())
                    == (&ticket.by, &ticket.id, verb.name)
            });
            let ends_motion = verb.class_with(arguments) == Class::Overriding && !verb.motion;
            let may_begin = known || verb.stop || (ends_motion && verb.name == "kill");
            prop_assert!(may_begin || !self.healthy, "{ticket:?} begins, and the disk does not know");
        }
        self.looked_at = self.room.admitted.len();
        Ok(())
    }

    /// The process is killed. A sender that got `accepted` gets its terminal reply without asking,
    /// or, if the verdict was being sent when the process was killed, when it repeats the request.
    /// The next process may know nothing of a stop, which does not wait for the disk.
    fn die(&mut self) -> Result<(), TestCaseError> {
        self.settle()?;
        self.room = self.room.next_life(self.disk.clone(), 0.5);
        self.queue.clear();
        (self.queued, self.waits_since, self.unreported) = (0, None, None);
        (self.looked_at, self.may_turn) = (0, false);
        self.grant_time();
        let owed = self.disk.open.iter().map(|open| {
            let id = open.requester.id.as_ref().map(ToString::to_string);
            (open.requester.by.to_string(), id, open.requester.received_at)
        });
        let owed: BTreeSet<Request> = owed.collect();
        let lost = self.accepted.keys().filter(|it| !self.ended.contains(*it) && !owed.contains(*it));
        for request in lost.cloned().collect::<Vec<_>>() {
            let (_, verb) = self.accepted.remove(&request).unwrap_or_default();
            let (by, Some(id), _) = &request else { continue };
            let Some((sent, argument)) = self.sent.get(&request).copied().filter(|_| verb != "stop") else {
                continue;
            };
            let who = (by.clone(), Some(id.clone()));
            self.repeated.remove(&who);
            let arrival = self.arrival(by, sent, Some(id), argument, false)?;
            self.deliver(&arrival);
            self.queue_newest();
            self.write_all();
            self.settle()?;
            prop_assert!(self.repeated.contains(&who), "{request:?} was done, and its verdict is lost");
        }
        self.settle()
    }
}

proptest! {
    #[test]
    fn no_request_gets_two_terminal_replies_and_none_stays_without(
        moves: bool,
        healthy: bool,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new(if moves { Room::moving() } else { Room::switched() }, healthy);
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
            world.pass(0.25)?;
        }
        world.settle()?;
        prop_assert!(!world.room.desk.holds_replies());
        let without: Vec<_> = world.accepted.keys().filter(|it| !world.ended.contains(*it)).collect();
        prop_assert!(without.is_empty(), "never answered: {without:?}");
    }
}
