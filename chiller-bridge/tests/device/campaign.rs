//! Chance: operators, faults of the line and of the unit, restarts, a broker that comes and goes.
//! After every step it must hold that each accepted command ends exactly once, and that the unit
//! was given no order that the last word did not want.

use std::collections::BTreeMap;
use std::time::Duration;

use rig::SeededRandom;
use testbed::chiller::{AlarmBit, Config, Fault};

use crate::rig::{Rig, settings};

const SECOND: Duration = Duration::from_secs(1);
const SEEDS: u64 = 120;
const STEPS: u64 = 60;

const FAULTS: [Fault; 10] = [
    Fault::Deaf,
    Fault::Silent,
    Fault::Garbled,
    Fault::Truncated,
    Fault::LateByOne,
    Fault::ErrorDigit(1),
    Fault::Short23,
    Fault::XonXoffNoise,
    Fault::Slow(Duration::from_millis(2900)),
    Fault::Slow(Duration::from_millis(4000)),
];

const UNIT_FAULTS: [Fault; 4] = [
    Fault::WillNotStart,
    Fault::DropsRun(Duration::from_secs(20)),
    Fault::AlarmTrip(AlarmBit::LOW_COOLANT),
    Fault::AlarmTrip(AlarmBit::FAN_FAILURE),
];

const COMMANDS: [(&str, &[&str]); 6] = [
    ("enabled", &["on", "off"]),
    ("enabled", &["on"]),
    ("setpoint", &["8", "12.5", "20", "40"]),
    ("clear_alarms", &[""]),
    ("release", &["0", "0.2"]),
    ("mode", &["manual"]),
];

struct Campaign {
    rig: Rig,
    chance: SeededRandom,
    /// Verb and argument of each request.
    requests: BTreeMap<String, (&'static str, &'static str)>,
    orders_seen: usize,
}

impl Campaign {
    fn new(seed: u64) -> Self {
        let unit = Config { seed, auto_start: seed.is_multiple_of(2), ..Config::default() };
        let mut rig = Rig::new(settings(), unit);
        rig.run_until_connected();
        rig.command_and_wait("alice", "mode", "manual");
        Self { rig, chance: SeededRandom::new(seed), requests: BTreeMap::new(), orders_seen: 0 }
    }

    fn command(&mut self) {
        let (verb, arguments) = self.chance.of(&COMMANDS);
        let (by, argument) = (self.chance.of(&["alice", "ops", "visitor"]), self.chance.of(arguments));
        let heard = self.rig.is_heard();
        let id = self.rig.command(by, verb, argument);
        if heard {
            self.requests.insert(id, (verb, argument));
        }
    }

    /// The opposite is wanted while the order finds no answer.
    fn change_of_mind(&mut self) {
        let fault = self.chance.of(&[Fault::Deaf, Fault::Silent, Fault::Truncated]);
        self.rig.model().inject_for(fault, 1);
        for (verb, argument) in self.chance.of(&[
            [("enabled", "on"), ("enabled", "off")],
            [("enabled", "on"), ("release", "0.2")],
            [("setpoint", "8"), ("mode", "manual")],
            [("enabled", "off"), ("enabled", "on")],
        ]) {
            let heard = self.rig.is_heard();
            let id = self.rig.command("ops", verb, argument);
            if heard {
                self.requests.insert(id, (verb, argument));
            }
            self.rig.run_for(Duration::from_millis(300));
            self.check_orders();
        }
    }

    fn trouble(&mut self) {
        match self.chance.below(12) {
            0..=4 => {
                let (fault, replies) = (self.chance.of(&FAULTS), self.chance.of(&[1, 2, 3, 4]));
                self.rig.model().inject_for(fault, replies);
            }
            5 => self.rig.model().inject(self.chance.of(&UNIT_FAULTS)),
            6 | 7 => self.rig.model().clear_faults(),
            8 => self.rig.unplug(),
            9 | 10 => self.rig.plug(),
            _ => self.rig.freeze(Duration::from_millis(100 * self.chance.below(400))),
        }
    }

    fn step(&mut self) {
        match self.chance.below(8) {
            0..=2 => self.command(),
            3 => self.change_of_mind(),
            4 | 5 => self.trouble(),
            _ => {}
        }
        let time = self.chance.of(&[1, 20, 300, 2_000, 9_000]);
        for _ in 0..4 {
            self.rig.run_for(Duration::from_millis(time) / 4);
            self.check_orders();
        }
    }

    /// What the newest accepted request for one of `verbs` wants; and any newer one that has no reply
    /// yet, because the broker went away just then.
    fn last_words(&self, verbs: &[&str]) -> Vec<(&'static str, &'static str)> {
        let mut requests: Vec<_> =
            self.requests.iter().filter(|(_, (verb, _))| verbs.contains(verb)).collect();
        requests.sort_by_key(|(id, _)| id.trim_start_matches('r').parse::<u32>().ok());
        let mut words = Vec::new();
        for (id, request) in requests.into_iter().rev() {
            match self.rig.replies(id).first() {
                None => words.push(*request),
                Some(reply) if reply.what.status.is_terminal() => {}
                Some(_) => {
                    words.push(*request);
                    break;
                }
            }
        }
        words
    }

    fn check_orders(&mut self) {
        crate::sentence::check(self.rig.controller(), self.rig.now());
        let orders: Vec<_> = self.rig.model().writes().skip(self.orders_seen).cloned().collect();
        self.orders_seen += orders.len();
        for order in orders {
            let switch = self.last_words(&["enabled", "clear_alarms"]);
            let wanted = match (order.command, order.data.as_str()) {
                (15, "1") => switch.contains(&("enabled", "on")),
                (15, "0") => {
                    switch.iter().any(|word| matches!(word, ("enabled", "off") | ("clear_alarms", _)))
                }
                (17, data) => self.last_words(&["setpoint"]).iter().any(|(_, celsius)| {
                    celsius.parse().is_ok_and(|celsius: f64| data == format!("+{:04.0}", celsius * 10.0))
                }),
                _ => false,
            };
            assert!(wanted, "{order:?}; last words {switch:?}; {:#?}", self.rig.view());
        }
    }

    fn terminal_replies(&self, id: &str) -> (bool, usize) {
        let replies = self.rig.replies(id);
        let accepted = replies.first().is_some_and(|reply| !reply.what.status.is_terminal());
        (accepted, replies.iter().filter(|reply| reply.what.status.is_terminal()).count())
    }
}

#[test]
fn every_command_ends_exactly_once_and_the_unit_gets_no_order_that_nobody_wants() {
    let mut accepted = 0;
    for seed in 0..SEEDS {
        let mut campaign = Campaign::new(seed);
        for _ in 0..STEPS {
            campaign.step();
        }
        campaign.rig.run_for(60 * SECOND);
        campaign.check_orders();
        for id in campaign.requests.keys() {
            let (was_accepted, ends) = campaign.terminal_replies(id);
            accepted += u64::from(was_accepted);
            let request = campaign.requests[id];
            assert_eq!(ends, 1, "seed {seed}: {id} {request:?}: {:#?}", campaign.rig.replies(id));
        }
        assert!(!campaign.rig.model().hung(), "seed {seed}");
        campaign.rig.plug();
        campaign.rig.model().clear_faults();
        campaign.rig.run_until(|rig| rig.view().connected, 60 * SECOND);
    }
    assert!(accepted > SEEDS * 3, "{accepted}");
}

#[test]
fn through_restarts_and_without_the_broker_nothing_is_run_twice_or_answered_twice() {
    for seed in 1000..1000 + SEEDS {
        let mut campaign = Campaign::new(seed);
        for _ in 0..STEPS {
            campaign.step();
            match campaign.chance.below(20) {
                0 => campaign.rig.broker_down(),
                1 | 2 => campaign.rig.broker_up(),
                3 => campaign.rig.restart(),
                _ => {}
            }
        }
        campaign.rig.broker_up();
        campaign.rig.run_for(60 * SECOND);
        for id in campaign.requests.keys() {
            let (_, ends) = campaign.terminal_replies(id);
            assert!(ends <= 1, "seed {seed}: {id}: {:#?}", campaign.rig.replies(id));
        }
        assert_eq!(campaign.rig.state().mode, chiller_device::Mode::Manual, "seed {seed}");
        assert!(!campaign.rig.model().hung(), "seed {seed}");
    }
}
