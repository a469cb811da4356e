//! What the controller shows: status, reason, concerns, and the published state.

use bridge::controller::{Common, Concern, Quantity};
use bus::clock::{Instant, Now};
use bus::message::{ChillerState, ChillerStatus, Mode, Reading, TecMode};

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
            _ if self.notes.saved.mode_lost => "mode_lost",
            _ if self.notes.saved.mode == Mode::Manual => "manual",
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
                "{}; when its cause is gone, the command clear_alarms ends it",
                self.alarm_in_words()
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
        if self.notes.saved.mode_lost {
            let text = "the saved mode could not be read: it is manual until somebody sets the mode";
            concerns.push(Concern::error("mode_lost", text));
        }
        if self.notes.not_saved {
            let text = match self.notes.other_mode_after_restart() {
                Some(other) => {
                    format!("the mode could not be saved: a restart returns to {}", super::mode_word(other))
                }
                None => "what was set last could not be saved: a restart forgets it".to_owned(),
            };
            concerns.push(Concern::warning("mode_not_saved", text));
        }
        concerns
    }

    /// By name, with those that nobody has cleared; `null` when the unit has one whose name was not
    /// read yet, or says nothing: then nobody knows which it has.
    fn alarms(&self) -> Option<Vec<String>> {
        self.unit.status()?;
        let names = self.alarm_names();
        (!names.is_empty() || !self.has_alarm()).then_some(names)
    }

    pub(super) fn published(&self, common: Common, now: Now) -> ChillerState {
        ChillerState {
            status: self.current_status(now.instant),
            reason: self.reason().to_owned(),
            date: self.unit.date(),
            connected: self.connected,
            attention: common.attention,
            last_command: common.last_command,
            mode: self.notes.saved.mode,
            mode_since: self.notes.saved.since,
            mode_by: self.notes.saved.by.clone(),
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

/// The word on the bus.
pub(super) fn word(status: ChillerStatus) -> &'static str {
    match status {
        ChillerStatus::Offline => "offline",
        ChillerStatus::Idle => "idle",
        ChillerStatus::Starting => "starting",
        ChillerStatus::Cooling => "cooling",
        ChillerStatus::Heating => "heating",
        ChillerStatus::Circulating => "circulating",
        ChillerStatus::Stopping => "stopping",
        ChillerStatus::Fault => "fault",
        ChillerStatus::Service => "service",
        ChillerStatus::Released => "released",
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
