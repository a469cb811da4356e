//! How a simulated focuser is built, and where it stands.

use std::ops::RangeInclusive;
use std::time::Duration;

/// One character at 38400 baud, 8N1.
pub const CHARACTER_TIME: Duration = Duration::from_nanos(260_417);

/// Motor steps in a millimetre, in the step mode that both known drivers set.
pub const STEPS_PER_MM: f64 = 5088.0;

/// When the third status letter goes from `U` to `O`; nobody knows, so a host must do with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetFlag {
    /// With the first motion after power-up.
    ClearsWithMotion,
    /// When it was read.
    ClearsWhenRead,
    /// Not at all: it means something else.
    Stays,
}

/// How a focuser is built and where it stands.
#[derive(Clone, Debug)]
pub struct Config {
    /// From the inner to the outer end, mm.
    pub travel_mm: f64,
    /// Where it stands at power-up, mm out of the inner end.
    pub place_mm: f64,
    /// Play of its drive, mm: so far it turns inwards, after it turned outwards, before anything follows.
    pub backlash_mm: f64,
    /// The counter at power-up: 0 as the chip has it, or what is left of a night before.
    pub counter: i32,
    /// Whether step mode 3 is quarters of a step and not eighths (undecided without hardware).
    pub quarter_steps: bool,
    /// Full steps per second of the drive at constant speed, whatever speed was ordered.
    pub run_speed: Option<f64>,
    /// From an order until its motion shows in the status, drawn anew each time. Not at all usually: the
    /// predecessor's daemon asks at once and takes rest for arrival, and it worked.
    pub shows_after: RangeInclusive<Duration>,
    /// From a request's last byte to the reply's first, drawn anew each time.
    pub latency: RangeInclusive<Duration>,
    /// Whether bytes take their time on the wire ([`CHARACTER_TIME`]), both ways.
    pub wire_time: bool,
    /// What the third status letter does.
    pub reset_flag: ResetFlag,
    /// The raw temperature; 645 was recorded.
    pub temperature: i32,
    /// Seed of the latencies and of where faults strike.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            travel_mm: 9.0,
            place_mm: 2.0,
            backlash_mm: 0.5,
            counter: 0,
            quarter_steps: false,
            run_speed: None,
            shows_after: Duration::ZERO..=Duration::ZERO,
            latency: Duration::from_millis(1)..=Duration::from_millis(8),
            wire_time: false,
            reset_flag: ResetFlag::ClearsWithMotion,
            temperature: 645,
            seed: 1,
        }
    }
}
