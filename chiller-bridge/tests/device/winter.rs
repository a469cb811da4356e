//! A winter of the whole bridge with the unit of bytes, and what a winter brings: weather, camera
//! nights, services that fall silent or lie, restarts, alarms, garbled lines, a broker that comes and
//! goes, operators, a clock that is set, a process that hangs or is killed. After every step the safety
//! rules must hold, and what the bridge [promises](Promises).
//!
//! `OBSBUS_WINTER_DAYS` and `OBSBUS_WINTER_SEEDS` say how much; what fails says how to run it alone.
//! `make season` runs the 168 days from October to March.

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::Instant;
use chiller_bridge::settings::Settings;
use chiller_device::{ChillerStatus, Mode};
use testbed::chiller::{AlarmBit, Config, Fault};

use crate::promises::Promises;
use crate::rig::Shown;
use crate::site::{MINUTE, SECOND, Site, with_inputs};
use crate::weather::Weather;
use rig::SeededRandom;

/// One step: a message of each service.
const STEP: Duration = Duration::from_secs(30);
const STEPS_PER_MINUTE: u64 = 2;
/// How often in a step the water is looked at.
const LOOKS: u32 = 6;
/// The weather begins in July; the winter in October, when on many days only cameras ask for water.
const FIRST_MINUTE: u64 = 105 * 1440;

/// Known to be powered, and no water: a poll, an exchange, a restart.
const DRY_THOUGH_KNOWN: Duration = Duration::from_secs(60);
/// Stale after 60 s, held for 300 s, and what it takes to start.
const DRY: Duration = Duration::from_secs(430);
/// Cold water and no flow.
const COLD: Duration = Duration::from_secs(60);
const STARTS_PER_HOUR: usize = 12;

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Coarse where that changes no rule: the unit is asked half as often as it may be.
fn settings(seed: u64) -> Settings {
    let mut settings = with_inputs();
    settings.bridge.query_delay = Duration::from_secs(10);
    settings.automatic.alarm_retry = seed.is_multiple_of(3);
    settings
}

/// What ends by itself, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    PowerSilent,
    DomeSilent,
    DomeLies,
    Renamed,
    NoBroker,
    Unplugged,
    UnitFault,
    Operator,
    NoDisk,
}

const KINDS: u64 = 17;
const CLIENTS: [&str; 3] = ["alice", "ops", "scheduler"];

struct Winter {
    site: Site,
    weather: Weather,
    chance: SeededRandom,
    first_minute: u64,
    step: u64,
    troubles: Vec<(Trouble, u64)>,
    // What the rules are judged by.
    starts: VecDeque<Instant>,
    latched: bool,
    clearing_until: u64,
    enabled_until: u64,
    dry: Duration,
    dry_though_known: Duration,
    known: Duration,
    cold: Duration,
    promises: Promises,
    orders: u64,
    /// The process was killed, hung, or had its clock set in this step.
    upset: bool,
    // That it was worth it.
    happened: [u64; 17],
}

impl Winter {
    fn new(seed: u64, first_minute: u64) -> Self {
        let mut site = Site::new(settings(seed), Config { seed, ..Config::default() });
        site.keep_states(1);
        Self {
            site,
            weather: Weather::new(seed),
            chance: SeededRandom::new(seed),
            first_minute,
            step: 0,
            troubles: Vec::new(),
            starts: VecDeque::new(),
            latched: false,
            clearing_until: 0,
            enabled_until: 0,
            dry: Duration::ZERO,
            dry_though_known: Duration::ZERO,
            known: Duration::ZERO,
            cold: Duration::ZERO,
            promises: Promises::default(),
            orders: 0,
            upset: false,
            happened: [0; 17],
        }
    }

    fn has(&self, trouble: Trouble) -> bool {
        self.troubles.iter().any(|(other, _)| *other == trouble)
    }

    fn step(&mut self) {
        if self.step.is_multiple_of(STEPS_PER_MINUTE) {
            self.weather.turn(self.first_minute + self.step / STEPS_PER_MINUTE);
            self.site.model().set_ambient_celsius(self.weather.celsius + 1.0);
            self.site.model().set_heat_load_watts(if self.weather.camera { 60.0 } else { 0.0 });
        }
        self.end_troubles();
        if self.chance.below(120) == 0 {
            self.begin_trouble();
        }
        self.site.camera = (!self.has(Trouble::PowerSilent)).then_some(self.weather.camera);
        self.site.channel = if self.has(Trouble::Renamed) { "cam1" } else { "cmos" };
        let dome = if self.has(Trouble::DomeLies) { 255.0 } else { self.weather.celsius };
        self.site.dome = (!self.has(Trouble::DomeSilent)).then_some(dome);
        let before = self.site.view();
        self.site.publish_power();
        self.site.publish_dome();
        if self.chance.below(200) == 0 {
            self.ask_for_something();
        }
        for _ in 0..LOOKS {
            self.site.rig.run_for(STEP / LOOKS);
            self.promises.note_the_water(&mut self.site);
        }
        self.check(&before);
        self.step += 1;
    }

    fn end_troubles(&mut self) {
        let step = self.step;
        let ended: Vec<_> = self.troubles.extract_if(.., |(_, until)| *until <= step).collect();
        for (trouble, _) in ended {
            match trouble {
                Trouble::NoBroker => self.site.broker_up(),
                Trouble::Unplugged => self.site.plug(),
                Trouble::UnitFault => self.site.model().clear_faults(),
                Trouble::NoDisk => self.site.rig.set_disk_full(false),
                Trouble::Operator => self.command("mode", "auto"),
                _ => {}
            }
        }
        // Somebody looks after the alarms within the hour.
        if self.latched && self.chance.below(60) == 0 {
            self.command("clear_alarms", "");
        }
        if self.has(Trouble::Operator) && self.chance.below(40) == 0 {
            let argument = self.chance.of(&["on", "off"]);
            self.command("enabled", argument);
        }
    }

    fn command(&mut self, verb: &str, argument: &str) {
        let by = self.chance.of(&CLIENTS);
        self.promises.ask(&mut self.site, by, verb, argument);
        let soon = self.step + 3;
        match (verb, argument) {
            ("clear_alarms", _) => self.clearing_until = soon,
            ("enabled", "on") => self.enabled_until = soon,
            _ => {}
        }
    }

    /// What changes nothing for the cameras, from anybody.
    fn ask_for_something(&mut self) {
        let by = self.chance.of(&["alice", "ops", "scheduler", "visitor"]);
        let (verb, argument) = match (by, self.chance.below(6)) {
            ("visitor", 0) => ("mode", "manual"),
            ("visitor", 1) => ("enabled", "off"),
            (_, 2) => ("ping", ""),
            (_, 3) => ("setpoint", self.chance.of(&["-5", "4.9", "30.1", "45"])),
            _ => ("setpoint", self.chance.of(&["12", "14.5", "15", "16.2", "18"])),
        };
        self.promises.ask(&mut self.site, by, verb, argument);
    }

    /// The process or the broker is not as it was.
    fn upset(&mut self) {
        self.upset = true;
        self.promises.excuse();
    }

    fn begin_trouble(&mut self) {
        let kind = self.chance.below(KINDS);
        let begun = match kind {
            0 => Some((Trouble::PowerSilent, 80)),
            1 => Some((Trouble::DomeSilent, 80)),
            2 => Some((Trouble::DomeLies, 200)),
            3 => Some((Trouble::Renamed, 80)),
            4 => Some((Trouble::NoBroker, 80)),
            5 => Some((Trouble::Unplugged, 4)),
            6 | 7 => Some((Trouble::UnitFault, 40)),
            8 => Some((Trouble::Operator, 240)),
            13 => Some((Trouble::NoDisk, 60)),
            _ => None,
        };
        if let Some((trouble, longest)) = begun {
            if self.has(trouble) {
                return;
            }
            self.troubles.push((trouble, self.step + 1 + self.chance.below(longest)));
        }
        match kind {
            4 => {
                self.site.broker_down();
                self.upset();
            }
            5 => self.site.unplug(),
            6 | 7 => {
                let fault = self.chance.of(&[
                    Fault::WillNotStart,
                    Fault::DropsRun(Duration::from_secs(25)),
                    Fault::AlarmTrip(AlarmBit::LOW_COOLANT),
                    Fault::AlarmTrip(AlarmBit::FAN_FAILURE),
                ]);
                self.site.model().inject(fault);
            }
            8 => self.command("mode", "manual"),
            9 => {
                let fault = self.chance.of(&[
                    Fault::Garbled,
                    Fault::Truncated,
                    Fault::Silent,
                    Fault::Deaf,
                    Fault::LateByOne,
                    Fault::Short23,
                    Fault::XonXoffNoise,
                ]);
                let replies = 1 + u32::try_from(self.chance.below(6)).expect("small");
                self.site.model().inject_for(fault, replies);
            }
            10 => {
                self.site.restart();
                self.upset();
                self.forget_durations();
            }
            11 => self.site.model().power_cycle(),
            12 => self.command("release", "5"),
            13 => self.site.rig.set_disk_full(true),
            14 => {
                let seconds = self.chance.of(&[-7200, -30, -3, 2, 20, 3600]);
                let now = self.site.now().utc;
                self.site.rig.set_date(now.shifted(1000 * seconds));
                self.upset();
            }
            15 => {
                let time = Duration::from_secs(1 + self.chance.below(40));
                self.site.rig.freeze(time);
                self.upset();
                self.forget_durations();
            }
            _ => {}
        }
        if let Some(count) = self.happened.get_mut(usize::try_from(kind).expect("small")) {
            *count += 1;
        }
    }

    /// A new process begins to hold anew.
    fn forget_durations(&mut self) {
        (self.dry, self.dry_though_known, self.cold, self.known) = Default::default();
    }

    fn check(&mut self, before: &Shown) {
        let state = self.site.view();
        crate::sentence::check(self.site.controller(), self.site.now());
        let is_well = !self.upset && !self.has(Trouble::NoBroker);
        self.upset = false;
        self.promises.check(&mut self.site, is_well);
        self.check_orders(before);
        self.latched = match (state.reason.as_str(), self.step < self.clearing_until) {
            ("alarm", _) => true,
            // With alarm_retry the bridge itself ends it; else only the operator does.
            _ if state.status != ChillerStatus::Offline && !self.has_alarm(&state) => false,
            _ => self.latched,
        };
        // A unit in fault, a link that is down and an operator's word excuse everything.
        let excused = state.mode == Mode::Manual
            || matches!(
                state.status,
                ChillerStatus::Fault | ChillerStatus::Offline | ChillerStatus::Released
            )
            || before.status == ChillerStatus::Offline;
        let pump_on = self.site.model().pump_on();
        let grow = |sum: Duration, holds: bool| if holds { sum + STEP } else { Duration::ZERO };
        let speaks = ![Trouble::PowerSilent, Trouble::Renamed, Trouble::NoBroker]
            .iter()
            .any(|trouble| self.has(*trouble));
        self.known = grow(self.known, speaks);
        let dry = self.weather.camera && !pump_on && !excused;
        self.dry = grow(self.dry, dry);
        self.dry_though_known = grow(self.dry_though_known, dry && self.known >= STEP * 2);
        let cold = self.site.model().supply_celsius() < 4.9 && !pump_on && !excused;
        self.cold = grow(self.cold, cold);
        assert!(self.dry <= DRY, "a powered camera has no water: {state:#?}");
        assert!(
            self.dry_though_known <= DRY_THOUGH_KNOWN,
            "a camera that is known to be powered: {state:#?}"
        );
        assert!(self.cold <= COLD, "it freezes, and the pump is off: {state:#?}");
        assert!(!self.site.model().hung(), "the panel hangs");
    }

    fn has_alarm(&self, state: &Shown) -> bool {
        state.reason == "alarm" || state.reading.alarms.as_ref().is_some_and(|names| !names.is_empty())
    }

    /// Every frame that was sent in this step.
    fn check_orders(&mut self, before: &Shown) {
        let retries = self.site.rig.settings().automatic.alarm_retry;
        let runs: Vec<_> = self.site.sent_at("1");
        self.orders += u64::try_from(self.site.orders().len()).expect("few");
        self.site.forget_sent();
        for at in runs {
            if before.mode == Mode::Manual {
                let asked = self.step < self.enabled_until;
                let automatic_again = self.site.view().mode == Mode::Automatic;
                assert!(asked || automatic_again, "a pump start in manual: {:#?}", self.site.view());
                continue;
            }
            let may = !self.latched || self.step < self.clearing_until || retries;
            assert!(may, "a start on a latched alarm: {:#?}", self.site.view());
            self.starts.push_back(at);
            while self.starts.front().is_some_and(|first| at.since(*first) > 60 * MINUTE) {
                self.starts.pop_front();
            }
            assert!(self.starts.len() <= STARTS_PER_HOUR, "{} starts in an hour", self.starts.len());
        }
    }

    /// Spring: everything works, nobody observes.
    fn ends_off(&mut self) {
        self.site.broker_up();
        self.site.plug();
        self.site.model().clear_faults();
        self.site.model().set_ambient_celsius(14.0);
        self.site.model().set_heat_load_watts(0.0);
        (self.site.camera, self.site.dome, self.site.channel) = (Some(false), Some(12.0), "cmos");
        self.site.pass(2 * MINUTE);
        for (verb, argument) in [("release", "0"), ("mode", "auto"), ("clear_alarms", "")] {
            self.command(verb, argument);
            self.site.pass(30 * SECOND);
        }
        // A dome that was at -10 °C an hour ago is believed to be warm only after a while.
        self.site.pass(90 * MINUTE);
        let state = self.site.view();
        assert!(!self.site.model().pump_on(), "a powered-off, warm system does not end off: {state:#?}");
        assert_eq!((state.status, state.reason.as_str()), (ChillerStatus::Idle, "not_needed"));
    }
}

/// One part of a winter, from its first day on; what happened in it.
fn run(seed: u64, days: std::ops::Range<u64>) -> Told {
    let mut winter = Winter::new(seed, FIRST_MINUTE + days.start * 1440);
    for step in 0..(days.end - days.start) * 1440 * STEPS_PER_MINUTE {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| winter.step()));
        let day = days.start + step / STEPS_PER_MINUTE / 1440;
        assert!(
            ran.is_ok(),
            "day {day}, troubles {:?}: OBSBUS_WINTER_SEED={seed} OBSBUS_WINTER_FROM={} OBSBUS_WINTER_DAYS={}",
            winter.troubles,
            days.start,
            day + 1 - days.start
        );
    }
    winter.ends_off();
    if days.end - days.start >= 20 {
        assert!(winter.happened.iter().all(|count| *count > 0), "{:?}", winter.happened);
        assert!(winter.promises.answered > 20 && winter.promises.refused > 5);
    }
    Told {
        troubles: winter.happened.iter().sum(),
        answered: winter.promises.answered,
        refused: winter.promises.refused,
        orders: winter.orders,
    }
}

/// What happened.
struct Told {
    troubles: u64,
    answered: u64,
    refused: u64,
    orders: u64,
}

/// Two halves at once, as there are two cores nearly everywhere.
fn both_halves(seed: u64, days: u64) -> [Told; 2] {
    std::thread::scope(|scope| {
        let halves = [(seed, 0..days / 2), (seed + 1000, days / 2..days)];
        let halves = halves.map(|(seed, days)| scope.spawn(move || run(seed, days)));
        halves.map(|half| half.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[test]
fn in_a_winter_of_troubles_the_safety_rules_hold_in_every_step() {
    let (days, seeds) = (setting("OBSBUS_WINTER_DAYS", 2), setting("OBSBUS_WINTER_SEEDS", 2));
    let only = setting("OBSBUS_WINTER_SEED", 0);
    if only != 0 {
        let from = setting("OBSBUS_WINTER_FROM", 0);
        run(only, from..from + days);
        return;
    }
    for seed in 1..=seeds {
        both_halves(seed, days);
    }
}

#[test]
#[ignore = "`make season` runs it, with an optimised build"]
#[expect(clippy::disallowed_methods, reason = "says how long it took")]
fn a_season_from_october_to_march() {
    let (days, seed) = (setting("OBSBUS_SEASON_DAYS", 168), setting("OBSBUS_SEASON_SEED", 1));
    let start = std::time::Instant::now();
    let halves = both_halves(seed, days);
    let sum = |of: fn(&Told) -> u64| halves.iter().map(of).sum::<u64>();
    println!(
        "chiller: {days} days, seed {seed}: {} troubles, {} commands answered ({} of them refused), {} orders to run or \
         stand by, {} steps, no rule broken; {:.0} s",
        sum(|told| told.troubles),
        sum(|told| told.answered),
        sum(|told| told.refused),
        sum(|told| told.orders),
        days * 1440 * STEPS_PER_MINUTE,
        start.elapsed().as_secs_f64()
    );
}
