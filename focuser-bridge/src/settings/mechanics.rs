//! The mechanics' settings, and their limits by the motor chip.

use std::ops::RangeInclusive;
use std::time::Duration;

use bus::settings::{Origin, Section};

use crate::geometry::{Mechanics, RegisterValues};
use crate::protocol::COUNTER;

/// Longest travel that the predecessor's settings allow, mm.
const MECHANICAL_RANGE_MM: f64 = 9.0;
/// The longest `move_timeout`, s.
const LONGEST_MOVE: f64 = 600.0;

/// Reads the mechanics, and the upper bound of a motion's deadline.
pub(super) fn read(s: &mut Section) -> (Mechanics, Duration) {
    let origins = KEYS.map(|key| (key, s.origin(key)));
    let mechanics = Mechanics {
        steps_per_mm: s.number("steps_per_mm", "steps/mm", 100.0..=100_000.0).default(5088.0),
        anti_backlash_mm: s.number("anti_backlash_mm", "mm", 0.0..=2.0).default(0.5),
        focus_range_mm: s.number("focus_range_mm", "mm", 0.1..=MECHANICAL_RANGE_MM).default(6.0),
        mechanical_range_mm: s.number("mechanical_range_mm", "mm", 0.1..=MECHANICAL_RANGE_MM).default(9.0),
        speed_mm_sec: s.number("speed_mm_sec", "mm/s", 0.01..=5.0).default(0.5),
        acceleration_mm_sec_sec: s.number("acceleration_mm_sec_sec", "mm/s^2", 0.1..=50.0).default(5.0),
        tolerance_mm: s.number("tolerance_mm", "mm", 0.0001..=0.05).default(0.0004),
    };
    let move_timeout = s.seconds("move_timeout", 5.0..=LONGEST_MOVE, 180.0);
    let mut checks = Checks { section: s, origins };
    checks.fits_together(&mechanics);
    checks.chip_takes(&mechanics);
    checks.homing_ends(&mechanics, move_timeout);
    (mechanics, move_timeout)
}

const KEYS: [&str; 8] = [
    "steps_per_mm",
    "anti_backlash_mm",
    "focus_range_mm",
    "mechanical_range_mm",
    "speed_mm_sec",
    "acceleration_mm_sec_sec",
    "tolerance_mm",
    "move_timeout",
];

struct Checks<'a> {
    section: &'a mut Section,
    origins: [(&'static str, Origin); 8],
}

impl Checks<'_> {
    fn are_good(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.section.is_good(key))
    }

    fn refuse(&mut self, key: &'static str, message: String, allowed: String) {
        let found = self.origins.iter().find(|(name, _)| *name == key);
        if let Some((_, origin)) = found {
            self.section.refuse(key, origin.clone(), message, Some(allowed));
        }
    }

    fn fits_together(&mut self, m: &Mechanics) {
        if self.are_good(&["focus_range_mm", "mechanical_range_mm"])
            && m.focus_range_mm > m.mechanical_range_mm
        {
            let message = format!("{} mm is more than mechanical_range_mm", m.focus_range_mm);
            self.refuse("focus_range_mm", message, format!("0.1 to {} mm", m.mechanical_range_mm));
        }
        // A target within one step counts as reached, so a step must be within the tolerance.
        let step = 1.0 / m.steps_per_mm;
        if self.are_good(&["tolerance_mm", "steps_per_mm"]) && m.tolerance_mm < step {
            let message = format!("{} mm is less than one step of steps_per_mm", m.tolerance_mm);
            self.refuse("tolerance_mm", message, format!("{step:.6} to 0.05 mm"));
        }
        let reach = f64::from(*COUNTER.end());
        if self.are_good(&["steps_per_mm", "mechanical_range_mm"])
            && m.mechanical_range_mm * m.steps_per_mm > reach / 2.0
        {
            let message = format!(
                "{} steps/mm over mechanical_range_mm would fill the motor chip's counter of 22 bits",
                m.steps_per_mm
            );
            let most = reach / 2.0 / m.mechanical_range_mm;
            self.refuse("steps_per_mm", message, format!("100 to {most:.0} steps/mm"));
        }
    }

    /// Checks that the register values fit the chip.
    fn chip_takes(&mut self, m: &Mechanics) {
        let values = m.register_values();
        let registers = [
            (
                "speed_mm_sec",
                m.speed_mm_sec,
                "mm/s",
                values.max_speed,
                RegisterValues::MAX_SPEED,
                "MAX_SPEED",
            ),
            (
                "speed_mm_sec",
                m.speed_mm_sec,
                "mm/s",
                values.homing_speed,
                RegisterValues::HOMING_SPEED,
                "SPEED (for homing)",
            ),
            (
                "acceleration_mm_sec_sec",
                m.acceleration_mm_sec_sec,
                "mm/s^2",
                values.acceleration,
                RegisterValues::ACCELERATION,
                "ACC and DEC",
            ),
        ];
        for (key, is, unit, value, range, register) in registers {
            if !self.are_good(&[key, "steps_per_mm"]) || range_contains(&range, value) {
                continue;
            }
            let (least, most) = (f64::from(*range.start()), f64::from(*range.end()));
            let message = format!(
                "{is} {unit} at {} steps_per_mm would be {value:.1} in the motor chip's register {register}, \
                 which takes {least} to {most}",
                m.steps_per_mm
            );
            // The registers are proportional to the setting.
            let allowed = format!("{:.4} to {:.4} {unit}", is * least / value, is * most / value);
            self.refuse(key, message, allowed);
        }
    }

    fn homing_ends(&mut self, m: &Mechanics, move_timeout: Duration) {
        let keys = [
            "move_timeout",
            "mechanical_range_mm",
            "speed_mm_sec",
            "acceleration_mm_sec_sec",
            "steps_per_mm",
        ];
        let (is, least) = (move_timeout.as_secs_f64(), m.homing_time().as_secs_f64().ceil());
        if self.are_good(&keys) && is < least {
            let message =
                format!("{is} s is less than homing over mechanical_range_mm takes at speed_mm_sec");
            self.refuse("move_timeout", message, format!("{least} to {LONGEST_MOVE} s"));
        }
    }
}

fn range_contains(range: &RangeInclusive<u32>, value: f64) -> bool {
    (f64::from(*range.start())..f64::from(*range.end()) + 1.0).contains(&value)
}
