//! Chance: two clients, faults of line and motor, a cable that comes and goes, power cycles,
//! restarts. After every step: never outside the range, nothing that the chip forbids, a stop
//! answered only at standstill, and no position claimed that was not measured.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::message::{Code, ReplyStatus};
use focuser_device::FocuserStatus;
use rig::SeededRandom;
use testbed::focuser::{Config, Fault, Forbidden, ResetFlag, Violation};

use crate::rig::{MILLISECOND, Rig, SECOND, assert_succeeded, lag, settings};

const SEEDS: u64 = 40;
const STEPS: u64 = 50;
/// Looked at so often.
pub(crate) const SLICE: Duration = Duration::from_millis(20);
/// A reading may be so old when it is taken: three attempts of 250 ms, then the link is lost.
const READING: f64 = 0.8;

const LINE_FAULTS: [Fault; 6] = [
    Fault::Deaf,
    Fault::Silent,
    Fault::Garbled,
    Fault::Truncated,
    Fault::LateByOne,
    Fault::Slow(Duration::from_millis(180)),
];

const MOTOR_FAULTS: [Fault; 4] =
    [Fault::Jammed, Fault::Stalled, Fault::StopIgnored, Fault::SlowStart(Duration::from_millis(400))];

pub(crate) struct Campaign {
    pub(crate) seed: u64,
    pub(crate) rig: Rig,
    pub(crate) chance: SeededRandom,
    /// Who asked, verb and argument of each request.
    requests: BTreeMap<String, (&'static str, &'static str, String)>,
    pub(crate) open: BTreeSet<String>,
    /// When the last was asked.
    asked: Option<Utc>,
    pub(crate) asked_at: Option<Instant>,
    /// Orders may not have been heard.
    deaf: bool,
    /// The process was neither frozen nor killed.
    always_ran: bool,
    /// Where it really was.
    places: VecDeque<(Now, f64)>,
    succeeded: BTreeMap<&'static str, u32>,
}

impl Campaign {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = SeededRandom::new(seed);
        let place = chance.below(8_000);
        let unit = Config {
            seed,
            place_mm: f64::from(u32::try_from(place).expect("small")) / 1000.0,
            quarter_steps: chance.below(4) == 0,
            wire_time: chance.below(2) == 0,
            shows_after: lag(chance.of(&[0, 1, 2])),
            counter: chance.of(&[0, 0, 100_000, -70_000]),
            reset_flag: chance.of(&[ResetFlag::ClearsWithMotion, ResetFlag::Stays]),
            ..Config::default()
        };
        let mut rig = Rig::new(settings(), unit);
        rig.run_until_checked();
        Self {
            seed,
            rig,
            chance,
            requests: BTreeMap::new(),
            open: BTreeSet::new(),
            asked: None,
            asked_at: None,
            deaf: false,
            always_ran: true,
            places: VecDeque::new(),
            succeeded: BTreeMap::new(),
        }
    }

    fn command(&mut self) {
        let by = self.chance.of(&["alice", "scheduler"]);
        let verb =
            self.chance.of(&["init", "init", "set", "set", "set", "set", "offset", "offset", "stop", "kill"]);
        let argument = match verb {
            "init" => self.chance.of(&["", "", "true"]).to_owned(),
            "set" => {
                self.chance.of(&["0", "0.001", "1.5", "1.999", "2.4", "3.333", "5.2", "6", "7"]).to_owned()
            }
            "offset" => self.chance.of(&["-0.05", "-0.7", "0.002", "0.07", "1.2", "-4"]).to_owned(),
            _ => String::new(),
        };
        self.ask(by, verb, &argument);
    }

    pub(crate) fn ask(&mut self, by: &'static str, verb: &'static str, argument: &str) {
        let heard = self.rig.is_heard();
        let id = self.rig.command(by, verb, argument);
        if heard {
            self.requests.insert(id.clone(), (by, verb, argument.to_owned()));
            self.open.insert(id);
        }
        self.note_asked();
    }

    fn note_asked(&mut self) {
        self.asked = Some(self.rig.now().utc);
        self.asked_at = Some(self.rig.now().instant);
    }

    /// The machine's clock is set by so many milliseconds: no sample from before can be compared.
    pub(crate) fn set_clock(&mut self, step: i64) {
        let now = self.rig.now();
        self.rig.set_date(now.utc.shifted(step));
        self.always_ran = false;
        for (at, _) in &mut self.places {
            at.utc = at.utc.shifted(step);
        }
        self.asked = self.asked.map(|asked| asked.shifted(step));
    }

    /// The bridge is killed, at any moment; who has no verdict when it is back asks again.
    pub(crate) fn restart(&mut self) {
        self.always_ran = false;
        self.rig.restart();
        self.rig.run_for(300 * MILLISECOND);
        self.check();
        for id in self.open.clone() {
            let (by, verb, argument) = self.requests.get(&id).expect("it was asked");
            self.rig.ask(&id, by, verb, argument);
            self.note_asked();
            self.rig.run_for(SLICE);
            self.check();
        }
    }

    pub(crate) fn trouble(&mut self) {
        match self.chance.below(16) {
            0..=4 => {
                let (fault, replies) = (self.chance.of(&LINE_FAULTS), self.chance.of(&[1, 1, 2, 3, 6]));
                self.deaf |= fault == Fault::Deaf;
                self.rig.model().inject_for(fault, replies);
            }
            5 | 6 => self.rig.model().inject(self.chance.of(&MOTOR_FAULTS)),
            7..=9 => self.rig.model().clear_faults(),
            10 => self.rig.unplug(),
            11..=13 => self.rig.plug(),
            14 => self.rig.model().power_cycle(),
            _ => {
                self.always_ran = false;
                let time = self.chance.below(30) * 100 * 1_000_000;
                self.rig.freeze(Duration::from_nanos(time));
            }
        }
    }

    fn step(&mut self) {
        match self.chance.below(8) {
            0..=3 => self.command(),
            4 | 5 => self.trouble(),
            _ => {}
        }
        self.check();
        let time = Duration::from_millis(self.chance.of(&[1, 20, 70, 300, 1_200, 5_000]));
        let end = self.rig.now().instant + time;
        while self.rig.now().instant < end {
            let left = end.since(self.rig.now().instant);
            self.rig.run_for(SLICE.min(left));
            self.check();
        }
    }

    pub(crate) fn check(&mut self) {
        let seed = self.seed;
        let (now, place) = (self.rig.now(), self.rig.model().place_mm());
        // An order to let go that is not heard is followed by one that is refused: no harm in that.
        let unheard = |violation: &&Violation| violation.what == Forbidden::StepModeOutsideHighImpedance;
        let violations = self.rig.model().violations().iter();
        let violations: Vec<_> = violations.filter(|violation| !(self.deaf && unheard(violation))).collect();
        assert!(violations.is_empty(), "seed {seed}, {}: {violations:?}", now.utc);
        self.places.push_back((now, place));
        if self.places.len() > 1_000 {
            self.places.pop_front();
        }
        self.check_claim();
        let ended: Vec<_> = self.open.iter().filter_map(|id| self.rig.outcome(id)).collect();
        for reply in ended {
            let id = reply.id.clone().expect("an id").to_string();
            let (_, verb, argument) = self.requests.get(&id).expect("it was asked").clone();
            self.open.remove(&id);
            if reply.status != ReplyStatus::Succeeded {
                continue;
            }
            *self.succeeded.entry(verb).or_default() += 1;
            // While the disk learned of it, another motion may have begun.
            if reply.finished_at < self.asked {
                continue;
            }
            assert!(!self.rig.model().is_turning(), "seed {seed}: {verb} {argument}: {reply:?}");
            if verb == "set" {
                let target: f64 = argument.parse().expect("a number");
                assert!((place - target).abs() < 0.001, "seed {seed}: it is at {place}: {reply:?}");
            }
            if ["set", "offset"].contains(&verb) {
                let slack = self.rig.model().slack_mm();
                assert!(slack < 0.0005, "seed {seed}: {slack} mm of slack are open: {reply:?}");
            }
        }
    }

    /// What is claimed is where it was when that was measured.
    fn check_claim(&mut self) {
        let state = self.rig.view();
        let named = state.current_mm.map(|mm| format!("at {mm:.3} mm"));
        let is_named = named.is_some_and(|place| state.summary.starts_with(&place));
        let rests = state.status == FocuserStatus::Idle && state.current_mm.is_some();
        assert_eq!(is_named, rests, "seed {}: {state:#?}", self.seed);
        let (Some(claimed), Some(date)) = (state.current_mm, state.date) else { return };
        // The last sample from before the reading can have begun, and all since then.
        let is_before = |at: &Now| date.seconds_since(at.utc) > READING;
        let first = self.places.iter().rposition(|(at, _)| is_before(at)).unwrap_or_default();
        let places = self.places.iter().skip(first).map(|(_, place)| *place);
        let (least, most) =
            places.fold((f64::MAX, f64::MIN), |(least, most), place| (least.min(place), most.max(place)));
        let slack = if most - least < 0.0005 { 0.0015 } else { 0.03 };
        assert!(
            (least - slack..=most + slack).contains(&claimed),
            "seed {}: it says {claimed} and was between {least} and {most}; {state:#?}",
            self.seed
        );
    }

    /// All is well again: it can be homed and says truly where it is; every command has ended once.
    pub(crate) fn end(mut self) -> BTreeMap<&'static str, u32> {
        let seed = self.seed;
        self.rig.model().clear_faults();
        self.rig.plug();
        self.rig.run_for(200 * SECOND);
        self.check();
        assert!(!self.rig.model().is_turning(), "seed {seed}");
        for (id, request) in &self.requests {
            let replies = self.rig.replies(id);
            assert_eq!(self.rig.outcomes(id), 1, "seed {seed}: {id} {request:?}: {replies:#?}");
            // A process that is frozen, or gone, keeps no deadline.
            for reply in replies.iter().filter(|_| self.always_ran) {
                let late = reply.what.deadline.map(|deadline| reply.at.utc.seconds_since(deadline));
                assert!(late.is_none_or(|late| late <= 0.0), "seed {seed}: {id} {request:?}: {replies:#?}");
            }
        }
        let init = self.rig.command_and_wait("alice", "init", "true");
        assert_eq!(init.code, Some(Code::Succeeded), "seed {seed}: {init:?}; {:#?}", self.rig.state());
        assert_succeeded(&self.rig.command_and_wait("alice", "set", "1"));
        let (place, state) = (self.rig.model().place_mm(), self.rig.state());
        assert!((place - 1.0).abs() < 0.0005, "seed {seed}: {place}");
        assert_eq!((state.status, state.current_mm), (FocuserStatus::Idle, Some(1.0)), "seed {seed}");
        self.succeeded
    }
}

#[test]
fn whatever_happens_it_stays_in_its_range_stops_when_told_and_claims_what_was_measured() {
    let mut succeeded = BTreeMap::<_, u32>::new();
    for seed in 0..SEEDS {
        let mut campaign = Campaign::new(seed);
        for _ in 0..STEPS {
            campaign.step();
        }
        for (verb, count) in campaign.end() {
            *succeeded.entry(verb).or_default() += count;
        }
    }
    for verb in ["init", "set", "offset", "stop", "kill"] {
        assert!(succeeded.get(verb).is_some_and(|count| *count >= 5), "{succeeded:?}");
    }
}

#[test]
fn restarts_change_nothing_of_that() {
    for seed in 1000..1000 + SEEDS {
        let mut campaign = Campaign::new(seed);
        for _ in 0..STEPS {
            campaign.step();
            if campaign.chance.below(12) == 0 {
                campaign.restart();
            }
        }
        campaign.end();
    }
}
