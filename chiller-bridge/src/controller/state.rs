//! What the controller shows: status, reason, concerns, and the published state.

use bridge::controller::{Concern, Quantity};
use bus::clock::{Instant, Now};
use chiller_device::{ChillerState, ChillerStatus, Mode, Reading, TecMode};

use super::{Chiller, decision};
use crate::protocol::{Threshold, UnitMode};

impl Chiller {
    /// How the unit's answers become a status (the contract's rules, in their order).
    pub(super) fn current_status(&self, now: Instant) -> ChillerStatus {
        if self.is_released() {
            return ChillerStatus::Released;
        }
        let Some(status) = self.unit.status().filter(|_| self.connected) else {
            return if self.resuming { ChillerStatus::Released } else { ChillerStatus::Offline };
        };
        if self.has_alarm() {
            return ChillerStatus::Fault;
        }
        if status.unit_mode == UnitMode::Test {
            return ChillerStatus::Service;
        }
        let asked_for = self.switch.as_ref().map(|switch| switch.on);
        if !status.pump_on {
            return match asked_for {
                Some(true) => ChillerStatus::Starting,
                _ if self.start_failed().is_some() => ChillerStatus::Fault,
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
            ChillerStatus::Fault => "start_failed",
            ChillerStatus::Service => "service",
            _ if self.mode_lost => "mode_lost",
            _ if self.saved.mode == Mode::Manual => "manual",
            _ => self.decider.last().map_or(decision::INPUT_HOLD, |decision| decision.reason),
        }
    }

    /// Why the last start did not come about.
    fn start_failed(&self) -> Option<&str> {
        self.not_done.as_ref().filter(|not_done| not_done.on).map(|not_done| not_done.why.as_str())
    }

    pub(super) fn cooling_ok(&self) -> bool {
        self.connected
            && self.unit.pump_on() == Some(true)
            && !self.unit.has_alarm()
            && self.unit.flow().is_some_and(|flow| flow >= self.settings.min_flow)
    }

    pub(super) fn all_concerns(&self, now: Now) -> Vec<Concern> {
        let mut concerns = Vec::new();
        if self.has_alarm() {
            let text = format!(
                "the chiller has an alarm{}; clear_alarms when its cause is gone",
                self.alarms_in_words()
            );
            concerns.push(Concern::error("alarm", text));
        }
        if let Some(why) = self.start_failed() {
            concerns.push(Concern::error("start_failed", format!("the chiller did not start: {why}")));
        }
        if let Some(not_done) = self.not_done.as_ref().filter(|not_done| !not_done.on) {
            let text = format!("the chiller did not stop: {}", not_done.why);
            concerns.push(Concern::warning("stop_failed", text));
        }
        self.automatic_concerns(&mut concerns, now);
        if self.mode_lost {
            let text =
                "the saved mode could not be read: manual, with the pump as it is, until somebody sets it";
            concerns.push(Concern::error("mode_lost", text));
        }
        if self.mode_not_saved {
            let text = "the mode could not be saved: a restart returns to the one before";
            concerns.push(Concern::warning("mode_not_saved", text));
        }
        concerns
    }

    /// By name; `null` when the unit has one whose name was not read yet, or says nothing.
    fn alarms(&self) -> Option<Vec<String>> {
        let names = self.alarm_names();
        let known = !names.is_empty() || (self.connected && !self.has_alarm());
        known.then_some(names)
    }

    pub(super) fn published(&self) -> ChillerState {
        ChillerState {
            mode: self.saved.mode,
            mode_since: self.saved.since,
            mode_by: self.saved.by.clone(),
            requested: self.requested(),
            wanted_by_automatic: self.wanted_by_automatic(),
            cooling_ok: self.cooling_ok(),
            reading: Reading { alarms: self.alarms(), ..self.unit.reading() },
            dome_temp: self.inputs.dome,
            channels_enabled: self.inputs.channels.clone(),
            antifreeze_enabled: self.decider.antifreeze(),
            inputs: self.inputs.inputs,
        }
    }
}

impl Chiller {
    /// What `chiller history` draws, by the keys of the published state.
    pub(super) fn charted(&self) -> Vec<Quantity> {
        let reading = self.unit.reading();
        let quantity = |name, unit, value| Quantity { name, unit, value };
        vec![
            quantity("water_temp", "degC", reading.water_temp),
            quantity("setpoint_temp", "degC", reading.setpoint_temp),
            quantity("ambient_temp", "degC", reading.ambient_temp),
            quantity("dome_temp", "degC", self.inputs.dome),
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
