//! The water, the thermoelectric banks and the pump's flow, stepped in fixed time.
//!
//! A plausible unit, not a measured one: one lump of water and metal, a loss to the surroundings,
//! the camera's heat, and a PI controller. Currents are fitted to the two pairs recorded from a
//! real unit (0.021 A at 16 %, 0.245 A at 69 %). No noise, so that tests repeat.

/// Water and metal of the loop, J/K.
const HEAT_CAPACITY: f64 = 6000.0;
/// Loss to the surroundings, W/K.
const LOSS: f64 = 10.0;
/// What the banks move at full drive, W.
const FULL_DRIVE_WATTS: f64 = 350.0;
/// Share of the camera's heat that reaches the water while the pump stands.
const STANDING_SHARE: f64 = 0.1;
const PROPORTIONAL: f64 = 0.25;
const INTEGRAL_SECONDS: f64 = 150.0;
/// How fast the flow comes up.
const FLOW_SECONDS: f64 = 1.5;

/// What the unit stands in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    pub(super) ambient_celsius: f64,
    pub(super) heat_load_watts: f64,
    /// Flow of the running pump, l/min.
    pub(super) full_flow: f64,
}

/// The loop's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thermal {
    pub(super) supply_celsius: f64,
    /// -1 (full heating) to 1 (full cooling).
    pub(super) drive: f64,
    /// l/min.
    pub(super) flow: f64,
    integral: f64,
    /// The least and the most of `supply_celsius` since [`Thermal::take_range`].
    range: (f64, f64),
}

impl Thermal {
    pub(super) const fn new(supply_celsius: f64) -> Self {
        Self { supply_celsius, drive: 0.0, flow: 0.0, integral: 0.0, range: (supply_celsius, supply_celsius) }
    }

    /// Lets `seconds` pass, with the pump and control on towards `set_point` or both off.
    pub(super) fn step(&mut self, seconds: f64, around: Surroundings, set_point: Option<f64>) {
        let share = if let Some(set_point) = set_point {
            let error = self.supply_celsius - set_point;
            let wanted = PROPORTIONAL * error + self.integral;
            self.drive = wanted.clamp(-1.0, 1.0);
            // Integrates only while the drive is not at its stop, or it would overshoot by minutes.
            if wanted.abs() < 1.0 || wanted.signum() * error < 0.0 {
                self.integral += PROPORTIONAL * error * seconds / INTEGRAL_SECONDS;
            }
            self.flow += (around.full_flow - self.flow) * (1.0 - (-seconds / FLOW_SECONDS).exp());
            1.0
        } else {
            self.drive = 0.0;
            self.integral = 0.0;
            self.flow = 0.0;
            STANDING_SHARE
        };
        let watts = LOSS * (around.ambient_celsius - self.supply_celsius) + share * around.heat_load_watts
            - self.drive * FULL_DRIVE_WATTS;
        self.supply_celsius += watts * seconds / HEAT_CAPACITY;
        self.range = (self.range.0.min(self.supply_celsius), self.range.1.max(self.supply_celsius));
    }

    /// Between which temperatures the water was since the last call.
    pub(super) const fn take_range(&mut self) -> (f64, f64) {
        std::mem::replace(&mut self.range, (self.supply_celsius, self.supply_celsius))
    }

    /// `C` cooling or `H` heating; a unit in standby says `C` (recorded).
    pub(super) const fn letter(&self) -> char {
        if self.drive < 0.0 { 'H' } else { 'C' }
    }

    /// Current of bank 1 or 2, A.
    pub(super) fn current(&self, bank: u8) -> f64 {
        let share = if bank == 1 { 1.0 } else { 0.9 };
        share * 0.46 * self.drive.abs().powf(1.7)
    }
}

/// `value` in units of 1/`per`, rounded, within the four digits the device has for a number.
#[expect(clippy::cast_possible_truncation, reason = "clamped to four digits in the same expression")]
pub(super) fn scaled(value: f64, per: f64) -> i32 {
    (value * per).round().clamp(-9999.0, 9999.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT: Surroundings = Surroundings { ambient_celsius: 8.0, heat_load_watts: 60.0, full_flow: 1.9 };

    fn after(thermal: &mut Thermal, minutes: u32, around: Surroundings, set_point: Option<f64>) {
        for _ in 0..minutes * 120 {
            thermal.step(0.5, around, set_point);
        }
    }

    #[test]
    fn the_water_of_a_standing_unit_goes_to_ambient() {
        let mut thermal = Thermal::new(20.0);
        after(&mut thermal, 120, NIGHT, None);
        assert!((thermal.supply_celsius - 8.6).abs() < 0.05, "{thermal:?}");
        assert_eq!((thermal.letter(), scaled(thermal.flow, 10.0)), ('C', 0));
    }

    #[test]
    fn a_running_unit_holds_its_set_point_by_cooling_or_heating() {
        for (set_point, letter) in [(5.0, 'C'), (30.0, 'H')] {
            let mut thermal = Thermal::new(8.0);
            after(&mut thermal, 60, NIGHT, Some(set_point));
            assert!((thermal.supply_celsius - set_point).abs() < 0.1, "{thermal:?}");
            assert_eq!(thermal.letter(), letter);
            assert_eq!(scaled(thermal.flow, 10.0), 19);
        }
    }

    #[test]
    fn a_far_set_point_takes_full_drive() {
        let mut thermal = Thermal::new(30.0);
        thermal.step(0.5, NIGHT, Some(5.0));
        assert_eq!(scaled(thermal.drive, 100.0), 100);
    }

    #[test]
    fn the_currents_are_those_recorded() {
        for (drive, milliamperes) in [(0.69, 245), (0.16, 20)] {
            let thermal = Thermal { drive, ..Thermal::new(20.0) };
            assert!((scaled(thermal.current(1), 1000.0) - milliamperes).abs() <= 1);
            assert!(thermal.current(2) < thermal.current(1));
        }
    }
}
