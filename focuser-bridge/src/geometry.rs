//! Millimetres and motor steps, register values, the legs of a move and how long they take. Pure.
//!
//! The counter grows inwards, millimetres grow outwards from the inner end. The motor chip's
//! registers count in *full* steps; without hardware it is unknown whether the unit's step mode 3
//! means eighths (636 full steps per millimetre) or quarters: deadlines are computed for the slower
//! case, and the displayed time left is computed from the measurement during homing.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// MAX_SPEED: 250 ns / 2^-18 per full step/s (ST L6470).
const MAX_SPEED_UNIT: f64 = 0.065_536;
/// ACC and DEC: (250 ns)^2 / 2^-40 per full step/s^2.
const ACCELERATION_UNIT: f64 = 0.068_719_476_736;
/// SPEED: 250 ns / 2^-28 per full step/s.
const RUN_SPEED_UNIT: f64 = 67.108_864;
/// Homing uses half the speed.
const HOMING_SPEED: f64 = 0.5;
/// Distance from the end at which a further approach begins, mm.
pub const RETREAT_MM: f64 = 0.5;
/// Least distance of a target from a counter that may have been reset, steps.
const CLEAR_OF_ZERO: i32 = 2;

/// The most steps that a motor may have left when it is last seen.
const LAST_STEPS: i32 = 2;

/// Whether a counter at standstill may have been reset: it reads 0, plus or minus a step.
#[must_use]
pub fn may_be_reset(steps: i32) -> bool {
    steps.abs() < CLEAR_OF_ZERO
}

/// The mechanics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mechanics {
    /// Motor steps per millimetre.
    pub steps_per_mm: f64,
    /// Every move ends inwards, over at least this distance, mm.
    pub anti_backlash_mm: f64,
    /// Targets are from 0 to this, mm.
    pub focus_range_mm: f64,
    /// The whole travel, which no motion may leave, mm.
    pub mechanical_range_mm: f64,
    /// Greatest speed, mm/s.
    pub speed_mm_sec: f64,
    /// Acceleration and deceleration, mm/s^2.
    pub acceleration_mm_sec_sec: f64,
    /// Largest distance from the target that counts as arrived, mm.
    pub tolerance_mm: f64,
}

/// Register values for the motor chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// MAX_SPEED.
    pub max_speed: u16,
    /// ACC and DEC.
    pub acceleration: u16,
    /// SPEED of the drive to the end.
    pub homing_speed: u32,
}

impl Registers {
    /// The registers that hold for a move, too: MAX_SPEED and ACC.
    #[must_use]
    pub const fn speeds(&self) -> (u16, u16) {
        (self.max_speed, self.acceleration)
    }
}

/// The values that the motor chip's registers would need, with fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegisterValues {
    /// MAX_SPEED.
    pub max_speed: f64,
    /// ACC and DEC.
    pub acceleration: f64,
    /// SPEED of the drive to the end.
    pub homing_speed: f64,
}

/// Motor steps in a full step, as a power of two: 2 or 3, the two that step mode 3 may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FullStep(u8);

impl FullStep {
    /// The value that was used for the register values that are known to work, and the slower of
    /// the two possible ones.
    pub const USUAL: Self = Self(2);

    /// Motor steps in a full step.
    #[must_use]
    pub fn motor_steps(self) -> f64 {
        f64::from(self.0.min(7)).exp2()
    }

    /// Whether it is plausible: saved data may contain a value that was measured before this check
    /// existed.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        [Self(2), Self(3)].contains(self)
    }

    /// The plausible value within a seventh of the measured one; `None` without one.
    #[must_use]
    pub fn near(motor_steps: f64) -> Option<Self> {
        [Self(2), Self(3)].into_iter().find(|it| (motor_steps.log2() - f64::from(it.0)).abs() < 0.2)
    }
}

impl RegisterValues {
    /// MAX_SPEED has 10 bits; at 0 nothing moves.
    pub const MAX_SPEED: RangeInclusive<u32> = 1..=1023;
    /// ACC and DEC have 12 bits, and 4095 means no ramp at all.
    pub const ACCELERATION: RangeInclusive<u32> = 1..=4094;
    /// SPEED has 20 bits.
    pub const HOMING_SPEED: RangeInclusive<u32> = 1..=0x000F_FFFF;
}

impl Mechanics {
    /// The register values for these mechanics, possible or not.
    #[must_use]
    pub fn register_values(&self) -> RegisterValues {
        let full_steps = |mm: f64| mm * self.steps_per_mm / FullStep::USUAL.motor_steps();
        let speed = full_steps(self.speed_mm_sec);
        RegisterValues {
            max_speed: speed * MAX_SPEED_UNIT,
            acceleration: full_steps(self.acceleration_mm_sec_sec) * ACCELERATION_UNIT,
            homing_speed: speed * HOMING_SPEED * RUN_SPEED_UNIT,
        }
    }

    /// The nearest possible register values for these mechanics.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked ranges; the casts saturate"
    )]
    pub fn registers(&self) -> Registers {
        let values = self.register_values();
        Registers {
            max_speed: (values.max_speed as u16).clamp(1, 1023),
            acceleration: (values.acceleration as u16).clamp(1, 4094),
            homing_speed: (values.homing_speed.round() as u32).clamp(1, 0x000F_FFFF),
        }
    }

    /// mm/s of a move at its fastest, if a full step is `full_step` motor steps.
    #[must_use]
    pub fn moving_speed(&self, full_step: FullStep) -> f64 {
        f64::from(self.registers().max_speed) / MAX_SPEED_UNIT * full_step.motor_steps() / self.steps_per_mm
    }

    /// mm/s of the drive to the inner end, likewise.
    #[must_use]
    pub fn homing_speed(&self, full_step: FullStep) -> f64 {
        // Run is limited to the greatest speed.
        let fastest = f64::from(self.registers().max_speed) / MAX_SPEED_UNIT;
        self.homing_full_steps().min(fastest) * full_step.motor_steps() / self.steps_per_mm
    }

    /// Full steps per second of the drive to the inner end.
    fn homing_full_steps(&self) -> f64 {
        f64::from(self.registers().homing_speed) / RUN_SPEED_UNIT
    }

    /// Motor steps for each ordered full step, if the drive to the inner end made `steps` in
    /// `time`.
    #[must_use]
    pub fn motor_steps_per_full_step(&self, steps: i32, time: Duration) -> f64 {
        f64::from(steps) / time.as_secs_f64() / self.homing_full_steps()
    }

    /// How long a braking motor still turns, `steps` before the end of its ramp.
    #[must_use]
    pub fn braking_time(&self, steps: i32, full_step: FullStep) -> Duration {
        let full_steps = f64::from(self.registers().acceleration) / ACCELERATION_UNIT;
        let deceleration = full_steps * full_step.motor_steps();
        Duration::from_secs_f64((2.0 * f64::from(steps.abs()) / deceleration).sqrt())
    }

    /// Steps in `mm`, the nearest.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "millimetres of a focuser; the cast saturates")]
    pub fn steps(&self, mm: f64) -> i32 {
        (mm * self.steps_per_mm).round() as i32
    }

    /// The position of `steps`, in mm from the inner end at `origin`, 3 decimals.
    #[must_use]
    pub fn millimetres(&self, origin: i32, steps: i32) -> f64 {
        let mm = f64::from(origin - steps) / self.steps_per_mm;
        // Never minus zero.
        (mm * 1000.0).round() / 1000.0 + 0.0
    }

    /// The target for `mm`: the nearest counter for which [`may_be_reset`] is false.
    #[must_use]
    pub fn target(&self, origin: i32, mm: f64) -> i32 {
        self.clear_of_zero(f64::from(origin) - mm * self.steps_per_mm)
    }

    /// The counter nearest to `exact` that a restart can distinguish from a reset one, unless that
    /// is half a micrometre away: the position must be shown as commanded.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "steps of a focuser; the cast saturates")]
    pub fn clear_of_zero(&self, exact: f64) -> i32 {
        let nearest = exact.round() as i32;
        let is_too_coarse = f64::from(CLEAR_OF_ZERO) / self.steps_per_mm >= 0.0005;
        if is_too_coarse || !may_be_reset(nearest) {
            nearest
        } else if exact > 0.0 {
            CLEAR_OF_ZERO
        } else {
            // Exactly at zero both are equally near, and the end may be inwards.
            -CLEAR_OF_ZERO
        }
    }

    /// The legs from `from`, after a run of `run` steps inwards, to `to`: none if it is there, and
    /// two if one would not end inwards over enough distance: it then goes further out and comes
    /// back in.
    #[must_use]
    pub fn legs(&self, from: i32, run: i32, to: i32) -> Vec<i32> {
        let is_there = self.is_there(from, to) && (may_be_reset(to) || !may_be_reset(from));
        if is_there && self.takes_up_slack(run) {
            Vec::new()
        } else if !is_there && to > from && self.takes_up_slack(run.saturating_add(to - from)) {
            vec![to]
        } else {
            let beyond = self.steps(self.anti_backlash_mm);
            if beyond == 0 { vec![to] } else { vec![to.saturating_sub(beyond), to] }
        }
    }

    /// Whether the backlash of the drive is taken up after `run` steps inwards.
    #[must_use]
    pub fn takes_up_slack(&self, run: i32) -> bool {
        f64::from(run) >= (self.anti_backlash_mm - self.tolerance_mm) * self.steps_per_mm
    }

    /// Whether `steps` is at the target.
    #[must_use]
    pub fn is_there(&self, steps: i32, target: i32) -> bool {
        (f64::from(steps) - f64::from(target)).abs() <= self.tolerance_mm * self.steps_per_mm
    }

    /// A motor this near to `target`, on its way there, may be taken to stand at it as soon as it stands:
    /// that is within the tolerance, and shown as the same thousandth of a millimetre from `origin`. None
    /// near zero, where a counter may have been reset.
    #[must_use]
    pub fn last_steps(&self, origin: i32, target: i32) -> i32 {
        let shown = |steps| (self.millimetres(origin, steps) * 1000.0).round();
        let is_there = |steps| self.is_there(steps, target) && (shown(steps) - shown(target)).abs() < 0.5;
        let near = |steps: &i32| is_there(target - steps) && is_there(target + steps);
        let most = if target.abs() <= 2 * LAST_STEPS { 0 } else { LAST_STEPS };
        (1..=most).take_while(near).last().unwrap_or(0)
    }

    /// The most steps that a motion makes in `time`: full speed, in eighths, plus a quarter.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    pub fn most_steps(&self, time: Duration) -> i32 {
        let full_steps = f64::from(self.registers().max_speed) / MAX_SPEED_UNIT;
        (full_steps * 8.0 * 1.25 * time.as_secs_f64()).ceil() as i32
    }

    /// Longest duration of `mm`, as one leg, at `speed`, mm/s.
    fn leg_time(&self, mm: f64, speed: f64) -> Duration {
        let seconds = mm.abs() / speed + self.speed_mm_sec / self.acceleration_mm_sec_sec;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Longest duration of these legs.
    #[must_use]
    pub fn legs_time(&self, from: i32, legs: &[i32]) -> Duration {
        let mut at = from;
        let mut time = Duration::ZERO;
        for leg in legs {
            let mm = (f64::from(*leg) - f64::from(at)) / self.steps_per_mm;
            time += self.leg_time(mm, self.moving_speed(FullStep::USUAL));
            at = *leg;
        }
        time
    }

    /// Longest duration of homing, from anywhere, with its further approaches.
    #[must_use]
    pub fn homing_time(&self) -> Duration {
        let out = |mm| self.leg_time(mm, self.moving_speed(FullStep::USUAL));
        let inwards = |mm| self.leg_time(mm, self.homing_speed(FullStep::USUAL));
        inwards(self.mechanical_range_mm) + 2 * (out(RETREAT_MM) + inwards(RETREAT_MM))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const NGTS: Mechanics = Mechanics {
        steps_per_mm: 5088.0,
        anti_backlash_mm: 0.5,
        focus_range_mm: 6.0,
        mechanical_range_mm: 9.0,
        speed_mm_sec: 0.5,
        acceleration_mm_sec_sec: 5.0,
        tolerance_mm: 0.0004,
    };

    #[test]
    fn the_registers_are_those_that_are_known_to_work() {
        assert_eq!(NGTS.registers(), Registers { max_speed: 41, acceleration: 437, homing_speed: 21_341 });
    }

    #[test]
    fn the_last_steps_to_a_target_are_shown_as_the_target_and_are_none_near_zero() {
        let last = |target| NGTS.last_steps(10_176, target);
        assert_eq!([4, 0, -4].map(last), [0; 3]);
        // 3 mm is 15264 steps, 3.001 mm 15269.1; in between the thousandth changes.
        assert_eq!([0, 1, 2, 3, 4, 5].map(|more| last(10_176 - 15_264 - more)), [2, 1, 0, 0, 1, 2]);
        let coarse = Mechanics { steps_per_mm: 2500.0, ..NGTS };
        assert_eq!(coarse.last_steps(10_176, 5000), 0);
    }

    #[test]
    fn what_a_full_step_is_follows_from_the_speed_of_the_drive_to_the_end() {
        // 318 full steps/s.
        let full_step = |steps| {
            let measured = NGTS.motor_steps_per_full_step(steps, Duration::from_secs(2));
            FullStep::near(measured).map(FullStep::motor_steps)
        };
        assert_eq!(full_step(318 * 4 * 2), Some(4.0));
        assert_eq!(full_step(318 * 8 * 2 - 200), Some(8.0));
        for cannot_be in [0, -318, 318 * 2 * 2, 318 * 6 * 2, 318 * 16 * 2] {
            assert_eq!(full_step(cannot_be), None);
        }
        for (full_step, mm_per_second) in [(FullStep(2), 0.25), (FullStep(3), 0.5)] {
            assert!((NGTS.homing_speed(full_step) - mm_per_second).abs() < 0.001);
            assert!((NGTS.moving_speed(full_step) - 2.0 * mm_per_second).abs() < 0.02);
        }
        assert_eq!(FullStep::near(NGTS.motor_steps_per_full_step(10, Duration::ZERO)), None);
    }

    #[test]
    fn millimetres_grow_outwards_and_steps_inwards() {
        assert_eq!(NGTS.target(100, 6.0), 100 - 30_528);
        assert!((NGTS.millimetres(100, 100 - 30_528) - 6.0).abs() < 1e-9);
        assert_eq!(NGTS.millimetres(0, 0).to_string(), "0");
    }

    #[test]
    fn every_target_of_three_decimals_is_shown_as_it_was_asked() {
        for micrometres in 0..=6000 {
            let mm = f64::from(micrometres) / 1000.0;
            let shown = NGTS.millimetres(1234, NGTS.target(1234, mm));
            assert!((shown - mm).abs() < 1e-9, "{mm} {shown}");
        }
    }

    #[test]
    fn no_target_is_where_a_reset_counter_may_be_and_all_are_shown_as_they_were_asked() {
        let check = |origin: i32, micrometres: i32| {
            let mm = f64::from(micrometres) / 1000.0;
            let target = NGTS.target(origin, mm);
            let (shown, exact) = (NGTS.millimetres(origin, target), f64::from(origin) - mm * 5088.0);
            assert!((shown - mm).abs() < 1e-9, "{mm} {shown}, origin {origin}");
            assert!(target.abs() >= 2, "{mm} is at {target}, origin {origin}");
            let most = if exact.abs() < 1.5 { 2.0 } else { 0.5 };
            assert!((exact - f64::from(target)).abs() <= most + 1e-9, "{mm} is at {target}, origin {origin}");
        };
        for origin in [-1, 0, 1, 2, 5, 1234, 10_176, 15_264, 30_527, 30_528, 30_530, 100_000] {
            for micrometres in 0..=6000 {
                check(origin, micrometres);
            }
        }
        // Every origin, with the targets around zero.
        for origin in -2..=30_530 {
            for micrometres in origin * 125 / 636 - 2..=origin * 125 / 636 + 2 {
                check(origin, micrometres);
            }
        }
        assert_eq!(NGTS.target(0, 0.0), -2, "never into the end");
        assert_eq!([NGTS.clear_of_zero(0.6), NGTS.clear_of_zero(-0.4)], [2, -2], "the nearer side");
        // Here 2 steps would be visible.
        let coarse = Mechanics { steps_per_mm: 1000.0, ..NGTS };
        assert_eq!((coarse.target(2000, 2.0), coarse.target(2000, 1.999)), (0, 1));
    }

    #[test]
    fn from_where_a_reset_counter_may_be_a_move_leads_away() {
        assert_eq!(NGTS.legs(0, 2544, 2), [2]);
        assert_eq!(NGTS.legs(0, 2544, -2), [-2546, -2]);
        assert_eq!(NGTS.legs(2, 2544, 2), [0; 0]);
        assert_eq!(NGTS.legs(0, 2544, 0), [0; 0]);
    }

    #[test]
    fn a_move_outwards_ends_inwards() {
        assert_eq!(NGTS.legs(0, 2544, -30_528), [-33_072, -30_528]);
        assert_eq!(NGTS.legs(-30_528, 2544, -10_000), [-10_000]);
    }

    #[test]
    fn a_move_ends_only_where_the_slack_is_taken_up() {
        // Half a millimetre is 2544 steps.
        for (run, to, legs) in [
            (2544, -10_000, &[][..]),
            (2543, -10_001, &[]),
            (0, -10_000, &[-12_544, -10_000]),
            (2500, -10_000, &[-12_544, -10_000]),
            (2500, -9_970, &[-12_514, -9_970]),
            (2500, -9_950, &[-9_950]),
            (0, -9_746, &[-12_290, -9_746]),
            (0, -7_459, &[-10_003, -7_459]),
            (0, -7_458, &[-7_458]),
            (2544, -10_100, &[-12_644, -10_100]),
        ] {
            assert_eq!(NGTS.legs(-10_000, run, to), legs, "{run} {to}");
        }
        let without = Mechanics { anti_backlash_mm: 0.0, ..NGTS };
        assert_eq!(without.legs(-10_000, 0, -10_000), [0; 0]);
        assert_eq!(without.legs(-10_000, 0, -10_100), [-10_100]);
    }

    #[test]
    fn six_millimetres_take_twelve_seconds() {
        let time = NGTS.legs_time(0, &NGTS.legs(0, 2544, -30_528)).as_secs_f64();
        assert!((14.0..14.5).contains(&time), "{time}");
        assert!(NGTS.homing_time() < Duration::from_secs(60));
    }
}
