//! How a simulated chiller is built: its surroundings, its speed, its settings at power-up.

use std::ops::RangeInclusive;
use std::time::Duration;

/// One character at 9600 baud, 8N1.
pub const CHARACTER_TIME: Duration = Duration::from_nanos(1_041_667);

/// The longest pause a real unit allows inside a request (manual, section 2).
pub const REQUEST_GAP: Duration = Duration::from_millis(10);

/// Thresholds in use on Rubin's T257P, 0.1 C and 0.1 l/min, in the order of commands 21-30.
pub const RUBIN_THRESHOLDS: [i32; 10] = [500, 50, 400, 50, 5, 500, 20, 450, 20, 3];

/// The first character of command 01's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Running after power-up, without a command.
    AutoStart = 0,
    /// Pump off.
    Standby = 1,
    /// Pump on by command.
    Run = 2,
    /// Pump off by an alarm.
    Safety = 3,
    /// In the hands of service.
    Test = 4,
}

/// How a chiller is built and where it stands.
#[derive(Clone, Debug)]
pub struct Config {
    /// Air around it.
    pub ambient_celsius: f64,
    /// What the camera gives to the water.
    pub heat_load_watts: f64,
    /// Water at power-up; `None`: as the air.
    pub supply_celsius: Option<f64>,
    /// Set point at power-up.
    pub set_point_celsius: f64,
    /// Flow of the running pump; 1.9 was recorded.
    pub flow_litres_per_minute: f64,
    /// Runs by itself at power-up (status 0, pump on).
    pub auto_start: bool,
    /// From a request's last byte to the reply's first, drawn anew each time.
    pub latency: RangeInclusive<Duration>,
    /// Whether bytes take their time on the wire ([`CHARACTER_TIME`]), both ways.
    pub wire_time: bool,
    /// A request with a longer pause in it is ignored; `None` takes any, for a pseudo-terminal
    /// under load.
    pub gap: Option<Duration>,
    /// Where an alarm drops a running unit: [`Status::Standby`] or [`Status::Safety`].
    pub alarm_drop: Status,
    /// In the order of commands 21-30, 0.1 C and 0.1 l/min.
    pub thresholds: [i32; 10],
    /// Reading of command 05, if such a sensor is fitted and command 12 has enabled it.
    pub external_rtd_celsius: Option<f64>,
    /// Reading of command 06, likewise.
    pub external_thermistor_celsius: Option<f64>,
    /// Minutes of up time at the start.
    pub uptime_minutes: u64,
    /// Seed of the latencies and of where faults strike.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ambient_celsius: 12.0,
            heat_load_watts: 60.0,
            supply_celsius: None,
            set_point_celsius: 15.0,
            flow_litres_per_minute: 1.9,
            auto_start: false,
            latency: Duration::ZERO..=Duration::from_millis(20),
            wire_time: false,
            gap: Some(REQUEST_GAP),
            alarm_drop: Status::Standby,
            thresholds: RUBIN_THRESHOLDS,
            external_rtd_celsius: None,
            external_thermistor_celsius: None,
            uptime_minutes: 0,
            seed: 1,
        }
    }
}
