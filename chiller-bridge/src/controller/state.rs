//! The controller's published data: status, reason, and state.

use bridge::controller::Quantity;
use bus::clock::{Instant, Now};
use chiller_device::{ChillerState, ChillerStatus, Mode, Reading, TecMode};

use super::summary::Situation;
use super::{Chiller, decision};
use crate::protocol::{Threshold, UnitMode};

impl Chiller {
    /// The status from the unit's replies (the contract's rules, in order).
    pub(super) fn current_status(&self, now: Instant) -> ChillerStatus {
        if self.contact.is_released() {
            return ChillerStatus::Released;
        }
        let Some(status) = self.unit.status().filter(|_| self.contact.is_connected()) else {
            if self.contact.is_connected() && self.unit.refuses_status() {
                return ChillerStatus::Fault;
            }
            let is_resuming = self.contact.is_resuming();
            return if is_resuming { ChillerStatus::Released } else { ChillerStatus::Offline };
        };
        if self.has_alarm() {
            return ChillerStatus::Fault;
        }
        if status.unit_mode == UnitMode::Test {
            return ChillerStatus::Service;
        }
        let asked_for = self.work.switch.as_ref().map(|switch| switch.on);
        if !status.pump_on {
            return match asked_for {
                Some(true) => ChillerStatus::Starting,
                _ if self.trials.start_failed().is_some() => ChillerStatus::Fault,
                _ => ChillerStatus::Idle,
            };
        }
        if asked_for == Some(false) {
            return ChillerStatus::Stopping;
        }
        match self.unit.working(now) {
            Some(TecMode::Cool) => ChillerStatus::Cooling,
            Some(TecMode::Heat) => ChillerStatus::Heating,
            None => ChillerStatus::Circulating,
        }
    }

    /// When the status may change without an event.
    pub(super) fn status_timeout(&self) -> Option<Instant> {
        let works = matches!(self.status, ChillerStatus::Cooling | ChillerStatus::Heating);
        self.unit.neutral_at().filter(|_| works)
    }

    /// One word: why the chiller does what it does.
    pub(super) fn reason(&self) -> &'static str {
        match self.status {
            ChillerStatus::Released => "released",
            ChillerStatus::Offline => "link_lost",
            ChillerStatus::Fault if self.has_alarm() => "alarm",
            ChillerStatus::Fault if self.unit.refuses_status() => "reading_refused",
            ChillerStatus::Fault => "start_failed",
            ChillerStatus::Service => "service",
            _ if self.notes.saved.mode_lost => "mode_lost",
            _ if self.notes.saved.mode == Mode::Manual => "manual",
            _ => self.site.decider.last().map_or(decision::INPUT_HOLD, |decision| decision.reason),
        }
    }

    /// Whether the unit should run now.
    fn requested(&self) -> Option<bool> {
        match self.notes.saved.mode {
            Mode::Manual => self.notes.saved.request,
            Mode::Automatic => self.wanted_by_automatic(),
        }
    }

    pub(super) fn cooling_ok(&self) -> bool {
        self.contact.is_connected()
            && self.unit.pump_on() == Some(true)
            && !self.unit.has_alarm()
            && self.unit.flow().is_some_and(|flow| flow >= self.settings.min_flow)
    }

    /// All alarms by name, including those that nobody has cleared; `null` if the unit has one
    /// whose name was not read yet, or does not answer: then the alarms are unknown.
    fn alarms(&self) -> Option<Vec<String>> {
        self.unit.status()?;
        let names = self.alarm_names();
        (!names.is_empty() || !self.has_alarm()).then_some(names)
    }

    pub(super) fn published(&self) -> ChillerState {
        ChillerState {
            mode: self.notes.saved.mode,
            mode_since: self.notes.saved.since,
            mode_by: self.notes.saved.by.clone(),
            requested: self.requested(),
            wanted_by_automatic: self.wanted_by_automatic(),
            cooling_ok: self.cooling_ok(),
            reading: Reading { alarms: self.alarms(), ..self.unit.reading() },
            dome_temp: self.site.shown.dome,
            channels_enabled: self.site.shown.channels.clone(),
            antifreeze_enabled: self.site.decider.antifreeze(),
            inputs: self.site.shown.inputs,
        }
    }
}

impl Chiller {
    /// The data for the sentence for people.
    #[must_use]
    pub fn situation(&self, now: Now) -> Situation<'_> {
        let saved = &self.notes.saved;
        let shown = &self.site.shown;
        Situation {
            status: self.current_status(now.instant),
            pump_on: self.unit.pump_on(),
            mode: saved.mode,
            mode_by: saved.by.as_ref(),
            mode_lost: saved.mode_lost,
            requested: saved.request,
            decision: self.site.decider.last(),
            cameras: shown.channels.as_deref(),
            has_power: self.site.has_power(),
            inputs: shown.inputs,
            has_dome: self.site.has_dome(),
            cold: self.cold(),
            alarm: self.has_alarm().then(|| self.alarm_in_words()),
            refuses_status: self.unit.refuses_status(),
            start_failed: self.trials.start_failed(),
            was_heard: self.contact.was_heard(),
            silence: self.contact.silence(),
            released_until: self.contact.released().map(|released| released.until_utc),
        }
    }

    /// The quantities of the history, by the keys of the published state.
    pub(super) fn charted(&self) -> Vec<Quantity> {
        let reading = self.unit.reading();
        let quantity = |name, unit, value| Quantity { name, unit, value };
        vec![
            quantity("water_temp", "degC", reading.water_temp),
            quantity("setpoint_temp", "degC", reading.setpoint_temp),
            quantity("ambient_temp", "degC", reading.ambient_temp),
            quantity("dome_temp", "degC", self.site.shown.dome),
            quantity("tec_power", "%", reading.tec_power),
            quantity("flow", "l/min", reading.flow),
        ]
    }
}

/// The name of a threshold in an event; temperatures in degrees Celsius, flows in l/min.
pub(super) fn threshold_name(threshold: Threshold) -> &'static str {
    match threshold {
        Threshold::HighSupplyWarning => "high_supply_warning",
        Threshold::LowSupplyWarning => "low_supply_warning",
        Threshold::HighAmbientWarning => "high_ambient_warning",
        Threshold::LowAmbientWarning => "low_ambient_warning",
        Threshold::LowFlowWarning => "low_flow_warning",
        Threshold::HighSupplyAlarm => "high_supply_alarm",
        Threshold::LowSupplyAlarm => "low_supply_alarm",
        Threshold::HighAmbientAlarm => "high_ambient_alarm",
        Threshold::LowAmbientAlarm => "low_ambient_alarm",
        Threshold::LowFlowAlarm => "low_flow_alarm",
    }
}
