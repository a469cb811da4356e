//! The last readings of the unit, and the conclusions from them.
//!
//! All readings are discarded when the link is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use chiller_device::{Reading, TecMode, UnitMode};

use crate::protocol::{
    AlarmBits, AlarmDetail1Bits, AlarmDetail2Bits, Drive, HeatOrCool, Reply, Request, Status, TecBank,
    UnitMode as UnitModeDigit, WarningBits,
};

/// A drive at 0 % for this time means that the unit only circulates.
const NEUTRAL_FOR: Duration = Duration::from_secs(60);

/// The unit, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Unit {
    status: Option<Status>,
    reading: Reading,
    drive: Option<Drive>,
    neutral_since: Option<Instant>,
    currents: [Option<f64>; 2],
    fans: [Option<f64>; 4],
    alarms: Option<AlarmBits>,
    details: (Option<AlarmDetail1Bits>, Option<AlarmDetail2Bits>),
    warnings: Option<WarningBits>,
    date: Option<Utc>,
    /// The readings of the quick set that it has told, ever.
    told: BTreeSet<&'static str>,
    /// Those that it refuses to tell now, in its words.
    refused: BTreeMap<&'static str, String>,
}

const STATUS: &str = "its status";

/// The readings that matter, for people. The unit may lack the sensors of others.
fn name(request: &Request) -> Option<&'static str> {
    match request {
        Request::ReadStatus => Some(STATUS),
        Request::ReadSetTemperature => Some("its set point"),
        Request::ReadSupplyTemperature => Some("the water's temperature"),
        Request::ReadAmbientTemperature => Some("the ambient temperature"),
        Request::ReadProcessFlow => Some("the flow"),
        Request::ReadDriveLevel => Some("its drive level"),
        _ => None,
    }
}

impl Unit {
    /// Discards all readings, but keeps their time.
    pub(super) fn forget(&mut self) {
        let told = std::mem::take(&mut self.told);
        *self = Self { date: self.date, told, ..Self::default() };
    }

    /// Whether it answers, but not to say its status.
    pub(super) fn refuses_status(&self) -> bool {
        self.refused.contains_key(STATUS)
    }

    /// What it refuses to tell, although it has told it before, or must; a sensor that it never had
    /// is not worth a word.
    pub(super) fn refusals(&self) -> Option<String> {
        let held = |name: &&str| *name == STATUS || self.told.contains(*name);
        let names: Vec<_> = self.refused.keys().copied().filter(|name| held(&name)).collect();
        let said = self.refused.get(names.first()?)?;
        Some(format!("the unit answers, but refuses to tell {}: {said}", names.join(", ")))
    }

    pub(super) fn date(&self) -> Option<Utc> {
        self.date
    }

    pub(super) fn status(&self) -> Option<Status> {
        self.status
    }

    pub(super) fn pump_on(&self) -> Option<bool> {
        self.status.map(|status| status.pump_on)
    }

    /// Whether it is in its test mode (service).
    pub(super) fn in_test_mode(&self) -> bool {
        self.status.is_some_and(|status| status.unit_mode == UnitModeDigit::Test)
    }

    /// Whether the unit reports an alarm, or has stopped itself.
    pub(super) fn has_alarm(&self) -> bool {
        self.status.is_some_and(|status| status.alarm || status.unit_mode == UnitModeDigit::Safety)
    }

    /// The names of the alarms that were read.
    pub(super) fn alarm_names(&self) -> Vec<&'static str> {
        if !self.has_alarm() {
            return Vec::new();
        }
        let level1 = self.alarms.map(|alarms| alarms.names()).unwrap_or_default();
        let detail1 = self.details.0.map(|details| details.names()).unwrap_or_default();
        let detail2 = self.details.1.map(|details| details.names()).unwrap_or_default();
        [level1, detail1, detail2].concat()
    }

    pub(super) fn flow(&self) -> Option<f64> {
        self.reading.flow
    }

    /// The direction of the drive; `None` if the unit only circulates, or was not read yet.
    pub(super) fn working(&self, now: Instant) -> Option<TecMode> {
        let drive = self.drive?;
        let neutral = self.neutral_since.is_some_and(|since| now.since(since) >= NEUTRAL_FOR);
        (!neutral).then_some(tec_mode(drive.direction))
    }

    /// When [`Unit::working`] changes if the drive stays neutral.
    pub(super) fn neutral_at(&self) -> Option<Instant> {
        self.neutral_since.map(|since| since + NEUTRAL_FOR)
    }

    /// Handles a valid reply.
    pub(super) fn take(&mut self, request: &Request, reply: Reply, now: Now) {
        if matches!(reply, Reply::Accepted) {
            return;
        }
        self.date = Some(now.utc);
        if let Some(name) = name(request) {
            self.told.insert(name);
            self.refused.remove(name);
        }
        let reading = &mut self.reading;
        match (request, reply) {
            (_, Reply::Status(status)) => {
                self.status = Some(status);
                if !self.has_alarm() {
                    self.alarms = None;
                    self.details = (None, None);
                }
            }
            (Request::ReadSetTemperature, Reply::Temperature(value)) => {
                reading.setpoint_temp = Some(value.celsius());
            }
            (Request::ReadSupplyTemperature, Reply::Temperature(value)) => {
                reading.water_temp = Some(value.celsius());
            }
            (Request::ReadAmbientTemperature, Reply::Temperature(value)) => {
                reading.ambient_temp = Some(value.celsius());
            }
            (Request::ReadProcessFlow, Reply::Flow(flow)) => reading.flow = Some(flow.litres_per_minute()),
            (_, Reply::Drive(drive)) => {
                self.drive = Some(drive);
                self.neutral_since = (drive.percent == 0).then(|| self.neutral_since.unwrap_or(now.instant));
            }
            (Request::ReadTecCurrent(bank), Reply::Current(current)) => {
                let [first, second] = &mut self.currents;
                *(if *bank == TecBank::One { first } else { second }) = Some(current.amperes());
            }
            (Request::ReadFanSpeed(fan), Reply::FanHertz(hertz)) => {
                if let Some(slot) = self.fans.get_mut(*fan as usize) {
                    *slot = Some(f64::from(hertz));
                }
            }
            (_, Reply::Uptime(uptime)) => reading.device_uptime = Some(f64::from(uptime.seconds())),
            (_, Reply::Alarms(alarms)) => self.alarms = Some(alarms),
            (_, Reply::AlarmDetail1(details)) => self.details.0 = Some(details),
            (_, Reply::AlarmDetail2(details)) => self.details.1 = Some(details),
            (_, Reply::Warnings(warnings)) => self.warnings = Some(warnings),
            _ => {}
        }
    }

    /// The unit refuses a query: the earlier reading no longer counts.
    pub(super) fn refused(&mut self, request: &Request, said: &str) {
        if let Some(name) = name(request) {
            self.refused.insert(name, said.to_owned());
        }
        let reading = &mut self.reading;
        match request {
            Request::ReadStatus => self.status = None,
            Request::ReadSetTemperature => reading.setpoint_temp = None,
            Request::ReadSupplyTemperature => reading.water_temp = None,
            Request::ReadAmbientTemperature => reading.ambient_temp = None,
            Request::ReadProcessFlow => reading.flow = None,
            Request::ReadDriveLevel => {
                self.drive = None;
                self.neutral_since = None;
            }
            Request::ReadTecCurrent(_) => self.currents = [None; 2],
            Request::ReadFanSpeed(_) => self.fans = [None; 4],
            Request::ReadUptime => reading.device_uptime = None,
            Request::ReadWarnings => self.warnings = None,
            _ => {}
        }
    }

    /// The published readings.
    pub(super) fn reading(&self) -> Reading {
        let status = self.status;
        let names = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
        Reading {
            unit_mode: status.map(|status| unit_mode(status.unit_mode)),
            pump_on: status.map(|status| status.pump_on),
            tec_power: self.drive.map(|drive| f64::from(drive.percent)),
            tec_mode: self.drive.map(|drive| tec_mode(drive.direction)),
            tec_current: match self.currents {
                [Some(first), Some(second)] => Some([first, second]),
                _ => None,
            },
            fan_speed: match self.fans {
                [Some(a), Some(b), Some(c), Some(d)] => Some([a, b, c, d]),
                _ => None,
            },
            warnings: match status {
                Some(Status { warning: false, .. }) => Some(Vec::new()),
                _ => self.warnings.map(|warnings| names(warnings.names())),
            },
            ..self.reading.clone()
        }
    }
}

fn tec_mode(direction: HeatOrCool) -> TecMode {
    match direction {
        HeatOrCool::Cool => TecMode::Cool,
        HeatOrCool::Heat => TecMode::Heat,
    }
}

fn unit_mode(mode: UnitModeDigit) -> UnitMode {
    match mode {
        UnitModeDigit::AutoStart => UnitMode::AutoStart,
        UnitModeDigit::Standby => UnitMode::Standby,
        UnitModeDigit::Run => UnitMode::Run,
        UnitModeDigit::Safety => UnitMode::Safety,
        UnitModeDigit::Test => UnitMode::Test,
    }
}
