//! The unit behind the serial port: standby and run, thresholds, alarms, what each command does.
//!
//! Knows nothing of frames and of reply times. Time comes in whole steps from [`super::Chiller`].

use std::time::Duration;

use bus::clock::Instant;

use super::alarm::Indications;
use super::fault::Fault;
use super::frame::{Request, nibbles, read_signed, signed};
use super::thermal::{Surroundings, Thermal, scaled};
use super::{Config, Status};
use harness::fault::Faults;

/// The physics' time step.
pub(super) const STEP: Duration = Duration::from_millis(500);

/// An alarm read (18) this soon after an alarm drop hangs the unit: the panel looks at the alarms
/// every 1.5 s and shows "mode mismatch" when they are gone but the mode has changed (Rubin).
const PANEL_PERIOD: Duration = Duration::from_millis(1500);

/// Flow is not judged this soon after the pump's start (RC-3U manual).
const FLOW_GRACE: Duration = Duration::from_secs(10);

/// Lower and upper limit of the set point, 0.1 C. The upper one is the vendor's word, the lower
/// one Rubin's.
const SET_POINT: std::ops::RangeInclusive<i32> = -70..=450;

/// Thresholds as commands 21-30 set them and 34-43 read them, in that order, 0.1 C and 0.1 l/min:
/// high and low supply, high and low ambient, low flow; warnings, then alarms.
pub(super) type Thresholds = [i32; 10];

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Data(Vec<u8>),
    /// The request's own data comes back.
    Echo,
    Error(u8),
    /// The four bytes `#23` CR.
    Short,
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) status: Status,
    pub(super) around: Surroundings,
    pub(super) thermal: Thermal,
    pub(super) set_point: i32,
    thresholds: Thresholds,
    external_enabled: bool,
    external: [Option<f64>; 2],
    shown: Indications,
    /// What stays lit when its cause is gone, until command 18.
    latched: [u8; 6],
    drop_to: Status,
    dropped_at: Option<Instant>,
    hung: bool,
    /// When the pump started, while it runs.
    pump_since: Option<Instant>,
    powered_at: Instant,
    uptime_minutes: u64,
}

impl Unit {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let mut unit = Self {
            status: Status::Standby,
            around: Surroundings {
                ambient_celsius: config.ambient_celsius,
                heat_load_watts: config.heat_load_watts,
                full_flow: config.flow_litres_per_minute,
            },
            thermal: Thermal::new(config.supply_celsius.unwrap_or(config.ambient_celsius)),
            set_point: scaled(config.set_point_celsius, 10.0),
            thresholds: config.thresholds,
            external_enabled: false,
            external: [config.external_rtd_celsius, config.external_thermistor_celsius],
            shown: Indications::default(),
            latched: [0; 6],
            drop_to: config.alarm_drop,
            dropped_at: None,
            hung: false,
            pump_since: None,
            powered_at: now,
            uptime_minutes: config.uptime_minutes,
        };
        unit.power_up(config.auto_start, now);
        unit
    }

    /// Mains on: the water keeps its temperature and the EEPROM its settings.
    pub(super) fn power_up(&mut self, auto_start: bool, now: Instant) {
        self.status = if auto_start { Status::AutoStart } else { Status::Standby };
        self.pump_since = auto_start.then_some(now);
        self.latched = [0; 6];
        self.dropped_at = None;
        self.hung = false;
        self.powered_at = now;
    }

    /// Mains off and on: the up time begins anew.
    pub(super) fn power_cycle(&mut self, auto_start: bool, now: Instant) {
        self.uptime_minutes = 0;
        self.power_up(auto_start, now);
    }

    pub(super) fn set_status(&mut self, status: Status, now: Instant) {
        match status {
            Status::Run | Status::AutoStart => self.pump_since = self.pump_since.or(Some(now)),
            Status::Standby | Status::Safety => self.stop(status),
            Status::Test => {}
        }
        self.status = status;
    }

    pub(super) const fn pump_on(&self) -> bool {
        self.pump_since.is_some()
    }

    pub(super) const fn hung(&self) -> bool {
        self.hung
    }

    pub(super) fn alarm(&self) -> bool {
        self.shown.alarm()
    }

    /// Lets one [`STEP`] pass, which ends at `now`.
    pub(super) fn step(&mut self, now: Instant, faults: &Faults<Fault>) {
        let set_point = self.pump_on().then(|| f64::from(self.set_point) / 10.0);
        self.thermal.step(STEP.as_secs_f64(), self.around, set_point);
        for fault in faults.all() {
            if let Fault::DropsRun(after) = fault
                && self.pump_since.is_some_and(|since| now.since(since) >= after)
            {
                self.stop(Status::Standby);
            }
        }
        self.judge(now, faults);
    }

    /// Looks at every cause, lights what is to be lit, and drops the unit on an alarm.
    pub(super) fn judge(&mut self, now: Instant, faults: &Faults<Fault>) {
        let mut lit = self.out_of_bounds(now);
        for fault in faults.all() {
            if let Fault::AlarmTrip(bit) = fault {
                lit.light(bit);
            }
        }
        // Latched by the manual: supply sensor and low coolant. The flow alarms are kept as well,
        // as they can be judged only while the pump runs, and they have just stopped it.
        for (character, mask) in [(1, 1), (2, 1 | 2), (4, 4)] {
            if let (Some(latched), Some(lit)) = (self.latched.get_mut(character), lit.a.get(character)) {
                *latched |= lit & mask;
            }
        }
        for (lit, latched) in lit.a.iter_mut().zip(self.latched) {
            *lit |= latched;
        }
        self.shown = lit;
        if self.alarm() && self.pump_on() {
            self.stop(self.drop_to);
            self.dropped_at = Some(now);
        }
    }

    fn out_of_bounds(&self, now: Instant) -> Indications {
        let [w_high, w_low, w_hot, w_cold, w_flow, a_high, a_low, a_hot, a_cold, a_flow] = self.thresholds;
        let supply = scaled(self.thermal.supply_celsius, 10.0);
        let ambient = scaled(self.around.ambient_celsius, 10.0);
        let flow = scaled(self.thermal.flow, 10.0);
        let flow_counts = self.pump_since.is_some_and(|since| now.since(since) >= FLOW_GRACE);
        let bit = |condition: bool, mask: u8| if condition { mask } else { 0 };
        let mut lit = Indications::default();
        lit.w[0] = bit(flow_counts && flow < w_flow, 1);
        lit.w[1] = bit(supply > w_high, 1)
            | bit(supply < w_low, 2)
            | bit(ambient > w_hot, 4)
            | bit(ambient < w_cold, 8);
        lit.a[0] = bit(supply > a_high, 2) | bit(supply < a_low, 8);
        lit.a[2] = bit(flow_counts && flow < a_flow, 2);
        lit.a[3] = bit(ambient > a_hot, 2) | bit(ambient < a_cold, 4);
        lit.a[4] = bit(flow_counts && flow == 0, 4);
        lit
    }

    const fn stop(&mut self, status: Status) {
        self.status = status;
        self.pump_since = None;
        // At once, so that no reply says "pump off" and "1.9 l/min".
        self.thermal.drive = 0.0;
        self.thermal.flow = 0.0;
    }

    /// Does what a request asks. `now` is when its last byte was in.
    pub(super) fn execute(&mut self, request: &Request, now: Instant, faults: &Faults<Fault>) -> Answer {
        let thermal = self.thermal;
        let celsius = |value: f64| Answer::Data(signed(scaled(value, 10.0)));
        match request.command {
            1 => Answer::Data(self.watchdog()),
            2 => Answer::Data(b"0".to_vec()),
            3 => Answer::Data(signed(self.set_point)),
            4 => celsius(thermal.supply_celsius),
            5 | 6 => match self.external.get(usize::from(request.command) - 5) {
                Some(Some(value)) if self.external_enabled => celsius(*value),
                _ => Answer::Error(5),
            },
            // The sensor of a real T257P is broken or absent: always 12.3 C.
            7 => Answer::Data(b"+0123".to_vec()),
            8 => celsius(self.around.ambient_celsius),
            9 => celsius(thermal.flow),
            10 | 11 => Answer::Data(signed(scaled(thermal.current(request.command - 9), 1000.0))),
            12 | 15 | 59 => self.switch(request, faults, now),
            13 => Answer::Data(format!("{:03},{}", percent(thermal.drive), thermal.letter()).into_bytes()),
            // Recorded: a T257P has no other control sensor than the supply's and says so like this.
            16 => Answer::Short,
            17 => match read_signed(&request.data) {
                Some(value) if SET_POINT.contains(&value) => {
                    self.set_point = value;
                    Answer::Echo
                }
                _ => Answer::Error(3),
            },
            18 => Answer::Data(self.read_alarms(now, faults)),
            19 => match request.data.as_slice() {
                b"1" => Answer::Data([b"1", &*nibbles(&self.shown.b)].concat()),
                b"2" => Answer::Data([b"2", &*nibbles(&self.shown.c)].concat()),
                _ => Answer::Error(3),
            },
            20 => Answer::Data(nibbles(&self.shown.w)),
            21..=30 => {
                let place = self.thresholds.get_mut(usize::from(request.command) - 21);
                match (place, read_signed(&request.data)) {
                    (Some(place), Some(value)) => {
                        *place = value;
                        self.judge(now, faults);
                        Answer::Echo
                    }
                    _ => Answer::Error(3),
                }
            }
            34..=43 => match self.thresholds.get(usize::from(request.command) - 34) {
                Some(value) => Answer::Data(signed(*value)),
                None => Answer::Error(2),
            },
            46 => {
                let duty = scaled(thermal.drive.abs(), 255.0).max(1);
                Answer::Data(format!("{duty:03},{}", thermal.letter()).into_bytes())
            }
            48 => {
                let mut data = signed(scaled(thermal.supply_celsius, 10.0));
                data.extend_from_slice(if self.pump_on() { b",3" } else { b",0" });
                Answer::Data(data)
            }
            49 => {
                let minutes = self.uptime_minutes + now.since(self.powered_at).as_secs() / 60;
                Answer::Data(format!("{:06}", minutes % 1_000_000).into_bytes())
            }
            50..=53 => Answer::Data(if self.pump_on() { b"0131".to_vec() } else { b"0000".to_vec() }),
            _ => Answer::Error(2),
        }
    }

    /// Status, pump, alarm, warning.
    pub(super) fn watchdog(&self) -> Vec<u8> {
        let flags = [self.pump_on(), self.shown.alarm(), self.shown.warning()];
        let mut data = vec![b'0' + self.status as u8];
        data.extend(flags.map(|flag| if flag { b'1' } else { b'0' }));
        data
    }

    /// Commands 12, 15 and 59, whose data is one character.
    fn switch(&mut self, request: &Request, faults: &Faults<Fault>, now: Instant) -> Answer {
        match (request.command, request.data.as_slice()) {
            (12, [digit @ (b'0' | b'1')]) => self.external_enabled = *digit == b'1',
            (15, b"0" | b"1") if self.hung => return Answer::Nothing,
            (15, b"0") => {
                self.stop(Status::Standby);
                self.dropped_at = None;
            }
            // An alarm that is shown, cause there or not, keeps the pump off (inferred).
            (15, b"1") if self.alarm() || faults.has(Fault::WillNotStart) => {}
            (15, b"1") => {
                self.status = Status::Run;
                self.pump_since = self.pump_since.or(Some(now));
            }
            (59, b"U") => {
                self.thresholds = super::RUBIN_THRESHOLDS;
                self.judge(now, faults);
            }
            _ => return Answer::Error(3),
        }
        Answer::Echo
    }

    /// Command 18: says what is lit, and puts out what is lit without a cause.
    fn read_alarms(&mut self, now: Instant, faults: &Faults<Fault>) -> Vec<u8> {
        let shown = nibbles(&self.shown.a);
        if self.dropped_at.is_some_and(|dropped| now.since(dropped) < PANEL_PERIOD) {
            self.hung = true;
        }
        self.latched = [0; 6];
        self.judge(now, faults);
        shown
    }
}

fn percent(drive: f64) -> i32 {
    scaled(drive.abs(), 100.0)
}
