//! Whatever comes, in whatever order: no panic, nothing run twice, and exactly one terminal reply
//! to each who was told `accepted`.

use std::collections::BTreeMap;

use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{Arrival, Gate, Outcome, Room, seconds};
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
        4 => prop::strategy::Just(Step::Saved),
        3 => (0..30_000_u16).prop_map(Step::Pass),
        1 => (0..6_u8).prop_map(Step::Gate),
        1 => prop::strategy::Just(Step::Death),
    ]
}

/// Who is owed a terminal reply: one for each `accepted`, by identity and id.
#[derive(Default)]
struct Owed(BTreeMap<(String, Option<String>), i64>);

impl Owed {
    fn read(&mut self, room: &mut Room) -> Result<(), proptest::test_runner::TestCaseError> {
        for post in room.posts.drain(..) {
            let reply = post.reply;
            prop_assert_eq!(reply.code.is_some(), reply.status.is_terminal());
            prop_assert_eq!(reply.finished_at.is_some(), reply.status.is_terminal());
            let owed = self.0.entry((reply.by.to_string(), reply.id.clone())).or_default();
            match reply.status {
                ReplyStatus::Accepted => *owed += 1,
                ReplyStatus::InProgress | ReplyStatus::Rejected => {}
                _ if reply.duplicate => {}
                _ => *owed -= 1,
            }
            prop_assert!(*owed >= 0, "a second terminal reply: {:?}", reply);
            prop_assert!(reply.id.is_none() || *owed <= 1, "accepted twice under one id: {:?}", reply);
        }
        Ok(())
    }
}

fn act(room: &mut Room, step: Step) {
    match step {
        Step::Send { by, verb, id, argument, aged, retain, stalled, elsewhere } => {
            let by = ["alice", "bob", "guard", "visitor"][by];
            let stamp = room.now.utc.unix_milliseconds() as f64 / 1000.0 - if aged { 30.0 } else { 0.0 };
            let mut members = vec![format!(r#""ts":{stamp}"#)];
            if id > 0 {
                members.push(format!(r#""id":"r{id}""#));
            }
            if !ARGUMENTS[argument].is_empty() {
                members.push(ARGUMENTS[argument].to_owned());
            }
            let mut arrival = room.arrival(by, VERBS[verb], &format!("{{{}}}", members.join(",")));
            arrival.retain = retain;
            arrival.stalled = stalled;
            if elsewhere {
                arrival.response_topic = Some(format!("{}/reply/{by}/panel", room.desk.settings().base));
            }
            deliver(room, &arrival);
        }
        Step::Bytes(bytes, verb) => {
            let mut arrival = room.arrival("alice", VERBS[verb], "");
            arrival.correlation = Some(bytes.clone());
            arrival.response_topic = Some(String::from_utf8_lossy(&bytes).into_owned());
            arrival.payload = bytes;
            deliver(room, &arrival);
        }
        Step::Answer(which, how) => {
            // Also tickets that were answered before.
            let recent = room.admitted.iter().rev().nth(which).map(|(ticket, ..)| ticket.clone());
            if let Some(ticket) = recent {
                let outcome = match how {
                    0 => Outcome::succeeded("done"),
                    1 => Outcome::failed(Code::Failed, "no"),
                    2 => Outcome::timed_out("late"),
                    _ => Outcome::stopped(&ticket.by, "stop"),
                };
                room.desk.answer(&ticket, &outcome, room.now);
            }
        }
        Step::Saved => room.save(),
        Step::Pass(milliseconds) => {
            room.now = room.now.after(seconds(f64::from(milliseconds) / 1000.0));
            room.desk.handle_timeout(room.now);
        }
        Step::Gate(which) => {
            room.desk.set_gate([Gate::Pending, Gate::AclOpen, Gate::Ready][usize::from(which.min(2))]);
        }
        Step::Death => {
            *room = room.after_death(0.5);
        }
    }
    room.take();
}

fn deliver(room: &mut Room, arrival: &Arrival) {
    room.desk.receive(arrival, room.now, |_, _| Ok(()));
    room.take();
}

proptest! {
    #[test]
    fn no_request_gets_two_terminal_replies_and_none_stays_without(
        focuser: bool,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut room = if focuser { Room::focuser() } else { Room::chiller() };
        let mut owed = Owed::default();
        let mut started = BTreeMap::new();
        for step in steps {
            let seen = if matches!(step, Step::Death) { 0 } else { room.admitted.len() };
            act(&mut room, step);
            for (ticket, verb, _) in room.admitted.iter().skip(seen) {
                if let Some(id) = ticket.id.as_ref().filter(|_| verb.motion) {
                    let before = started.insert((ticket.by.clone(), id.clone()), room.now.utc);
                    let ago = before.map(|before| room.now.utc.seconds_since(before));
                    prop_assert!(ago.is_none_or(|ago| ago >= 900.0), "{ticket:?} ran {ago:?} s ago, too");
                }
            }
            owed.read(&mut room)?;
        }
        room.desk.interrupt(room.now);
        room.take();
        owed.read(&mut room)?;
        for (who, owed) in owed.0 {
            prop_assert_eq!(owed, 0, "{:?} was never answered", who);
        }
    }
}
