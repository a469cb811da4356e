//! The motor and its chip, an L6470 as far as the OK3Z's protocol reaches it: registers, the
//! trapezoid of speed, the 22-bit counter, and what the chip refuses.
//!
//! Lengths are full steps, positive inwards, from the inner end; speeds full steps per second. The
//! units are those of ST's datasheet: the clock's tick is 250 ns.

use std::time::Duration;

use bus::clock::Instant;

use super::config::{Config, STEPS_PER_MM};

/// The physics goes in steps of this.
const STEP: Duration = Duration::from_millis(1);
/// The counter has so many values.
const CIRCLE: i64 = 1 << 22;
/// STEP_MODE in which [`STEPS_PER_MM`] holds.
const KNOWN_MODE: u32 = 3;
/// Nothing turns slower than this.
const SLOWEST: f64 = 4.0;

/// Something the chip forbids, or mechanics that took harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// A new target while the motor turns: the chip may run the wrong way round.
    GoToWhileTurning,
    /// ACC or DEC while the motor turns: ignored.
    AccelerationWhileTurning,
    /// STEP_MODE while the bridges are on: ignored.
    StepModeOutsideHighImpedance,
    /// A register got a value that it does not hold.
    OutOfRegister,
    /// The outer end was hit.
    OuterEnd,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Hold,
    /// Constant speed inwards.
    Run(f64),
    GoTo(f64),
    /// The wrong way round the circle.
    Astray(f64),
    Stop {
        then_release: bool,
    },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Motor {
    order: Order,
    /// It begins then.
    begins: Option<Instant>,
    /// Until then the status says standstill.
    shows: Instant,
    place: f64,
    speed: f64,
    accelerating: i8,
    outwards: bool,
    inner_end: f64,
    travel: f64,
    /// Play of the drive, and how much of it is not taken up inwards.
    backlash: f64,
    slack: f64,
    quarter_steps: bool,
    run_speed: Option<f64>,
    released: bool,
    /// The counter was this...
    counter: i64,
    /// ...when the motor was here.
    counted_from: f64,
    acceleration: u32,
    deceleration: u32,
    max_speed: u32,
    step_mode: u32,
    stepped: Instant,
    pub(super) jammed: bool,
    pub(super) stalled: bool,
    pub(super) outermost: f64,
    pub(super) forbidden: Vec<(Instant, Forbidden)>,
    /// When it came to rest.
    pub(super) rests: Vec<Instant>,
}

impl Motor {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let mut motor = Self {
            order: Order::Hold,
            begins: None,
            shows: now,
            place: 0.0,
            speed: 0.0,
            accelerating: 0,
            outwards: false,
            inner_end: 0.0,
            travel: 0.0,
            backlash: 0.0,
            slack: 0.0,
            quarter_steps: config.quarter_steps,
            run_speed: config.run_speed,
            released: true,
            counter: 0,
            counted_from: 0.0,
            acceleration: 0,
            deceleration: 0,
            max_speed: 0,
            step_mode: KNOWN_MODE,
            stepped: now,
            jammed: false,
            stalled: false,
            outermost: 0.0,
            forbidden: Vec::new(),
            rests: Vec::new(),
        };
        let full_steps = STEPS_PER_MM / motor.counts_per_full_step();
        motor.travel = config.travel_mm * full_steps;
        // On a motor step, so that counter and place agree to the last digit.
        motor.place = -(config.place_mm * STEPS_PER_MM).round() / motor.counts_per_full_step();
        motor.outermost = motor.place;
        motor.backlash = config.backlash_mm * full_steps;
        motor.slack = motor.backlash;
        motor.power_up(now);
        motor.counter = i64::from(config.counter);
        if config.counter != 0 {
            // Left from a night before, as are the registers.
            motor.step_mode = KNOWN_MODE;
            (motor.acceleration, motor.deceleration, motor.max_speed) = (437, 437, 41);
        }
        motor
    }

    /// Time begins.
    pub(super) fn start(&mut self, now: Instant) {
        (self.stepped, self.shows) = (now, now);
    }

    /// The chip's values at power-up; the mechanics stay where they are.
    pub(super) fn power_up(&mut self, now: Instant) {
        self.order = Order::Hold;
        self.begins = None;
        self.shows = now;
        self.speed = 0.0;
        self.accelerating = 0;
        self.released = true;
        self.counter = 0;
        self.counted_from = self.place;
        (self.acceleration, self.deceleration, self.max_speed) = (0x08A, 0x08A, 0x041);
        self.step_mode = 7;
        self.stepped = now;
    }

    fn counts_per_full_step(&self) -> f64 {
        let counts = f64::from(1_u32 << self.step_mode.min(7));
        if self.quarter_steps { counts / 2.0 } else { counts }
    }

    /// Millimetres out of the inner end.
    pub(super) fn millimetres(&self, place: f64) -> f64 {
        let eighths = if self.quarter_steps { 4.0 } else { 8.0 };
        -place * eighths / STEPS_PER_MM
    }

    pub(super) fn set_inner_end_mm(&mut self, mm: f64) {
        let eighths = if self.quarter_steps { 4.0 } else { 8.0 };
        self.inner_end = -(mm * STEPS_PER_MM).round() / eighths;
    }

    pub(super) fn place_mm(&self) -> f64 {
        self.millimetres(self.place)
    }

    /// How much of the play is not taken up inwards, mm.
    pub(super) fn slack_mm(&self) -> f64 {
        self.millimetres(-self.slack)
    }

    /// The 22-bit counter.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a place is far within an i64, the circle within an i32"
    )]
    pub(super) fn position(&self) -> i32 {
        let moved = ((self.place - self.counted_from) * self.counts_per_full_step()).round() as i64;
        wrap(self.counter + moved) as i32
    }

    /// Whether an order is being carried out, or will be.
    pub(super) fn is_turning(&self) -> bool {
        self.order != Order::Hold
    }

    /// The chip's MOT_STATUS as the unit's letter.
    pub(super) fn letter(&self, now: Instant) -> char {
        if self.stalled && self.is_turning() {
            return 'C';
        }
        // With no delay it turns from the moment of its order.
        if !self.is_turning() || now < self.shows {
            return 'S';
        }
        if self.begins.is_some() {
            return 'A';
        }
        match self.accelerating {
            1.. => 'A',
            0 => 'C',
            _ => 'D',
        }
    }

    fn forbid(&mut self, what: Forbidden, now: Instant) {
        self.forbidden.push((now, what));
    }

    fn begin(&mut self, order: Order, delay: Duration, shows_after: Duration, now: Instant) {
        self.released = false;
        // What turns already shows already.
        if !self.is_turning() {
            self.begins = Some(now + delay);
            self.shows = now + delay + shows_after;
        }
        self.order = order;
    }

    pub(super) fn go_to(&mut self, target: i64, delay: Duration, shows_after: Duration, now: Instant) {
        if wrap(target) != target {
            self.forbid(Forbidden::OutOfRegister, now);
        }
        let way = wrap(target - i64::from(self.position()));
        #[expect(clippy::cast_precision_loss, reason = "22 bits fit")]
        let to = self.place + way as f64 / self.counts_per_full_step();
        if self.is_turning() {
            self.forbid(Forbidden::GoToWhileTurning, now);
            let at_speed = self.accelerating == 0 && self.speed > SLOWEST;
            self.order = if at_speed { Order::Astray(to) } else { Order::GoTo(to) };
            return;
        }
        self.begin(Order::GoTo(to), delay, shows_after, now);
    }

    pub(super) fn run_inwards(
        &mut self,
        register: u32,
        delay: Duration,
        shows_after: Duration,
        now: Instant,
    ) {
        if register > 0x000F_FFFF {
            self.forbid(Forbidden::OutOfRegister, now);
        }
        // 250 ns / 2^-28.
        let speed = self.run_speed.unwrap_or(f64::from(register) / 67.108_864);
        self.begin(Order::Run(speed), delay, shows_after, now);
    }

    pub(super) fn stop(&mut self, then_release: bool) {
        if self.begins.take().is_some() || !self.is_turning() {
            self.order = Order::Hold;
            self.released = then_release;
        } else {
            self.order = Order::Stop { then_release };
        }
    }

    pub(super) fn set_max_speed(&mut self, value: u32, now: Instant) {
        if value > 0x3FF {
            return self.forbid(Forbidden::OutOfRegister, now);
        }
        self.max_speed = value;
    }

    /// ACC and DEC: only with the motor stopped.
    pub(super) fn set_acceleration(&mut self, value: u32, of_stopping: bool, now: Instant) {
        if self.is_turning() {
            return self.forbid(Forbidden::AccelerationWhileTurning, now);
        }
        if value >= 0xFFF {
            return self.forbid(Forbidden::OutOfRegister, now);
        }
        *(if of_stopping { &mut self.deceleration } else { &mut self.acceleration }) = value;
    }

    /// STEP_MODE: only in high impedance. The counter's number stays, in the new unit.
    pub(super) fn set_step_mode(&mut self, value: u32, now: Instant) {
        if !self.released {
            return self.forbid(Forbidden::StepModeOutsideHighImpedance, now);
        }
        if value > 7 {
            return self.forbid(Forbidden::OutOfRegister, now);
        }
        self.counter = i64::from(self.position());
        self.counted_from = self.place;
        self.step_mode = value;
    }

    /// Registers as they are: speed, acceleration, deceleration, step mode.
    pub(super) fn registers(&self) -> [u32; 4] {
        [self.max_speed, self.acceleration, self.deceleration, self.step_mode]
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, to: Instant) {
        while self.is_turning() && self.stepped + STEP <= to {
            self.stepped += STEP;
            if self.begins.is_some_and(|begins| self.stepped < begins) {
                continue;
            }
            self.begins = None;
            self.step();
        }
        if !self.is_turning() {
            self.stepped = to;
        }
    }

    fn step(&mut self) {
        let seconds = STEP.as_secs_f64();
        // (250 ns)^2 / 2^-40 and 250 ns / 2^-18.
        let gain = f64::from(self.acceleration) / 0.068_719_476_736 * seconds;
        let loss = f64::from(self.deceleration) / 0.068_719_476_736;
        let fastest = f64::from(self.max_speed) / 0.065_536;
        if self.jammed || self.stalled {
            self.speed = 0.0;
            if self.jammed || matches!(self.order, Order::Stop { .. }) {
                self.rest();
            }
            return;
        }
        let (before, from) = (self.speed, self.place);
        let (direction, left) = match self.order {
            Order::Hold => return,
            Order::Run(wanted) => {
                self.speed = (self.speed + gain).min(wanted).min(fastest).max(SLOWEST);
                (1.0, None)
            }
            Order::GoTo(to) => {
                let left = (to - self.place).abs();
                // v^2 / 2a after one more step at v.
                let can_stop_from = loss * ((seconds.powi(2) + 2.0 * left / loss).sqrt() - seconds);
                self.speed = (self.speed + gain).min(fastest).min(can_stop_from).max(SLOWEST);
                ((to - self.place).signum(), Some(left))
            }
            Order::Astray(to) => {
                self.speed = (self.speed + gain).min(fastest);
                (-(to - self.place).signum(), None)
            }
            Order::Stop { .. } => {
                self.speed -= loss * seconds;
                if self.speed <= SLOWEST {
                    self.rest();
                    return;
                }
                (if self.outwards { -1.0 } else { 1.0 }, None)
            }
        };
        self.accelerating = if self.speed > before + 0.01 {
            1
        } else if self.speed < before - 0.01 {
            -1
        } else {
            0
        };
        self.outwards = direction < 0.0;
        let way = self.speed * seconds;
        if let (Some(left), Order::GoTo(to)) = (left, self.order)
            && left <= way
        {
            self.place = to;
            self.rest();
        } else {
            self.place += direction * way;
        }
        self.judge_ends();
        self.slack = (self.slack - (self.place - from)).clamp(0.0, self.backlash);
    }

    fn judge_ends(&mut self) {
        if self.place >= self.inner_end && !self.outwards {
            // The stop at the inner end: the motor stands, the counter with it.
            self.place = self.inner_end;
            self.rest();
        } else if self.place <= -self.travel && self.outwards {
            self.forbid(Forbidden::OuterEnd, self.stepped);
            self.place = -self.travel;
            self.rest();
        }
        self.outermost = self.outermost.min(self.place);
    }

    fn rest(&mut self) {
        self.released = matches!(self.order, Order::Stop { then_release: true });
        // A motor stands on a step.
        let counts = self.counts_per_full_step();
        self.place = self.counted_from + ((self.place - self.counted_from) * counts).round() / counts;
        self.rests.push(self.stepped);
        self.order = Order::Hold;
        self.begins = None;
        self.speed = 0.0;
        self.accelerating = 0;
    }
}

fn wrap(count: i64) -> i64 {
    (count + CIRCLE / 2).rem_euclid(CIRCLE) - CIRCLE / 2
}
