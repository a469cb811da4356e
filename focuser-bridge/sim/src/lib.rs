//! An ASA OK3Z focuser at the level of bytes, without a clock and without IO.
//!
//! [`Focuser`] takes the bytes a host sends and the time, and hands out the bytes of its replies
//! when they are due. It shares no code with the daemon's codec, and it keeps a list of what the
//! host did that the motor chip forbids. Facts are two public drivers' and ST's datasheets', or
//! inferred from them.

mod config;
mod console;
mod fault;
mod motor;
mod site;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::Instant;

pub use config::{CHARACTER_TIME, Config, ResetFlag, STEPS_PER_MM};
pub use fault::Fault;
pub use motor::Forbidden;

use harness::fault::Faults;
use harness::port::Device;
use harness::uart::Uart;
use motor::Motor;

/// The longest request is 19 bytes; beyond this a line without a `$` is thrown away.
const LONGEST: usize = 64;
/// Entries kept by [`Focuser::writes`] and [`Focuser::rests`].
const WRITES_KEPT: usize = 10_000;

/// Something the host should not have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Instant,
    /// What.
    pub what: Forbidden,
}

/// An order that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// When its last byte was in.
    pub at: Instant,
    /// As in `P092`.
    pub code: String,
    /// As in `-30528` or `V 21341`; empty if there is none.
    pub value: String,
}

/// The device.
#[derive(Debug)]
pub struct Focuser {
    config: Config,
    motor: Motor,
    faults: Faults<Fault>,
    uart: Uart,
    started: bool,
    powered: bool,
    reset: bool,
    frame: Option<Vec<u8>>,
    now: Instant,
    writes: VecDeque<Write>,
    rests: VecDeque<Instant>,
    violations: Vec<Violation>,
    requests: u64,
    ignored: u64,
}

impl Focuser {
    /// A unit that gets power at the first instant it hears of.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let start = Instant::default();
        let character_time = if config.wire_time { CHARACTER_TIME } else { Duration::ZERO };
        Self {
            motor: Motor::new(&config, start),
            faults: Faults::default(),
            uart: Uart::new(config.latency.clone(), character_time, 2, config.seed),
            started: false,
            powered: true,
            reset: config.counter == 0,
            frame: None,
            now: start,
            writes: VecDeque::new(),
            rests: VecDeque::new(),
            violations: Vec::new(),
            requests: 0,
            ignored: 0,
            config,
        }
    }

    /// Puts a fault on until [`Focuser::clear_faults`].
    pub fn inject(&mut self, fault: Fault) {
        self.put(fault, None);
    }

    /// Puts a fault on for the next `replies` requests. The motor's own faults cannot be counted so
    /// and stay until cleared.
    pub fn inject_for(&mut self, fault: Fault, replies: u32) {
        self.put(fault, Some(replies));
    }

    /// Takes every fault away.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
        self.uart.held_back = None;
        self.set_motor_faults();
    }

    /// Switches the power off and on again: the counter is zero, the registers have their defaults,
    /// and the mechanics are where they were. Unread replies and a half-heard request are lost.
    pub fn power_cycle(&mut self) {
        self.set_power(false);
        self.set_power(true);
    }

    /// Switches the power. Without it nothing is heard.
    pub fn set_power(&mut self, on: bool) {
        self.powered = on;
        self.uart.reset(self.now);
        self.frame = None;
        self.reset = true;
        self.motor.power_up(self.now);
    }

    /// What the host did that the chip forbids, and ends that were hit, in their order.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Where the mechanics really are, mm out of the inner end.
    #[must_use]
    pub fn place_mm(&self) -> f64 {
        self.motor.place_mm()
    }

    /// How much of the drive's play is not taken up inwards, mm: the mechanics lag so far behind.
    #[must_use]
    pub fn slack_mm(&self) -> f64 {
        self.motor.slack_mm()
    }

    /// How far out they ever were, mm.
    #[must_use]
    pub fn outermost_mm(&self) -> f64 {
        self.motor.millimetres(self.motor.outermost)
    }

    /// Puts the stop at the inner end elsewhere: something got in the way of it, or out.
    pub fn set_inner_end_mm(&mut self, mm: f64) {
        self.motor.set_inner_end_mm(mm);
    }

    /// The counter.
    #[must_use]
    pub fn position(&self) -> i32 {
        self.motor.position()
    }

    /// Whether the motor turns, or is about to.
    #[must_use]
    pub fn is_turning(&self) -> bool {
        self.motor.is_turning()
    }

    /// MAX_SPEED, ACC, DEC and STEP_MODE.
    #[must_use]
    pub fn registers(&self) -> [u32; 4] {
        self.motor.registers()
    }

    /// The last ten thousand orders that were heard, the oldest first.
    pub fn writes(&self) -> impl DoubleEndedIterator<Item = &Write> {
        self.writes.iter()
    }

    /// When the motor, having turned, came to rest: the last ten thousand times, the oldest first.
    pub fn rests(&self) -> impl DoubleEndedIterator<Item = Instant> {
        self.rests.iter().copied()
    }

    /// Requests heard to their `$`, known or not.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Requests that mean nothing; the unit says nothing to them.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn put(&mut self, fault: Fault, replies: Option<u32>) {
        self.faults.put(fault, replies);
        self.set_motor_faults();
    }

    fn set_motor_faults(&mut self) {
        self.motor.jammed = self.faults.has(Fault::Jammed);
        self.motor.stalled = self.faults.has(Fault::Stalled);
    }

    fn advance(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.started, true) {
            self.motor.start(now);
            self.now = now;
        }
        while let Some((at, byte)) = self.uart.hear(now) {
            self.pass_time(at);
            self.hear(byte, at);
        }
        self.pass_time(now);
    }

    fn pass_time(&mut self, to: Instant) {
        self.now = self.now.max(to);
        self.motor.advance(to);
        if self.motor.is_turning() && self.config.reset_flag == ResetFlag::ClearsWithMotion {
            self.reset = false;
        }
        let forbidden = self.motor.forbidden.drain(..).map(|(at, what)| Violation { at, what });
        self.violations.extend(forbidden);
        self.rests.extend(self.motor.rests.drain(..));
        self.rests.drain(..self.rests.len().saturating_sub(WRITES_KEPT));
    }

    fn hear(&mut self, byte: u8, at: Instant) {
        match (byte, &mut self.frame) {
            _ if !self.powered => {}
            (b'#', frame) => *frame = Some(Vec::new()),
            (b'$', _) => {
                if let Some(frame) = self.frame.take() {
                    self.requests += 1;
                    self.handle(&frame, at);
                }
            }
            (_, Some(frame)) if frame.len() < LONGEST => frame.push(byte),
            _ => self.frame = None,
        }
    }

    fn handle(&mut self, frame: &[u8], at: Instant) {
        let text = String::from_utf8_lossy(frame);
        let mut parts = text.splitn(3, ' ');
        let (code, axis) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let value = parts.next().unwrap_or_default().trim();
        let is_question = matches!(code, "P081" | "S001" | "S051");
        // Only `deaf` means anything for an order, which is not answered.
        let faults = self.faults.take(|fault| is_question || fault == Fault::Deaf);
        if faults.contains(&Fault::Deaf) {
            return;
        }
        if axis != "F" {
            self.ignored += 1;
        } else if is_question {
            let reply = match code {
                "P081" => format!("#P081 F {}$\n", self.motor.position()),
                "S001" => format!("#S004 F {}$\n", self.status(at)),
                _ => format!("#S052 F {}$\n", self.config.temperature),
            };
            self.uart.send(reply.into_bytes(), &faults, at);
        } else if self.carry_out(code, value, at).is_none() {
            self.ignored += 1;
        } else {
            if self.writes.len() == WRITES_KEPT {
                self.writes.pop_front();
            }
            self.writes.push_back(Write { at, code: code.to_owned(), value: value.to_owned() });
        }
        self.pass_time(at);
    }

    fn status(&mut self, at: Instant) -> String {
        let reset = if self.reset { 'U' } else { 'O' };
        if self.config.reset_flag == ResetFlag::ClearsWhenRead {
            self.reset = false;
        }
        let first = if self.faults.has(Fault::OddStatus) { 'E' } else { 'N' };
        format!("{first}{}{reset}", self.motor.letter(at))
    }

    /// Nothing if the order means nothing.
    fn carry_out(&mut self, code: &str, value: &str, at: Instant) -> Option<()> {
        let number = || value.parse::<u32>().ok();
        let shows_after = self.uart.chance.within(&self.config.shows_after);
        let delay = self.faults.all().find_map(|fault| match fault {
            Fault::SlowStart(delay) => Some(delay),
            _ => None,
        });
        let delay = delay.unwrap_or_default();
        match code {
            "P092" => self.motor.go_to(value.parse().ok()?, delay, shows_after, at),
            "P103" => {
                let speed = value.strip_prefix("V ")?.parse().ok()?;
                self.motor.run_inwards(speed, delay, shows_after, at);
            }
            "P021" | "P031" if !value.is_empty() => return None,
            "P021" | "P031" if self.faults.has(Fault::StopIgnored) && self.motor.is_turning() => {}
            "P021" => self.motor.stop(false),
            "P031" => self.motor.stop(true),
            "P132" => self.motor.set_max_speed(number()?, at),
            "P052" => self.motor.set_acceleration(number()?, false, at),
            "P062" => self.motor.set_acceleration(number()?, true, at),
            "E002" => self.motor.set_step_mode(number()?, at),
            _ => return None,
        }
        Some(())
    }
}

impl Device for Focuser {
    const LAST_BYTE: u8 = b'$';

    fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.advance(now);
        self.uart.receive(bytes, now);
        self.advance(now);
    }

    fn poll_output(&mut self, now: Instant) -> Vec<u8> {
        self.advance(now);
        self.uart.poll_output(now)
    }

    /// At the end of a frame. The motor needs no such call: it catches up whenever time comes in.
    fn poll_timeout(&self) -> Option<Instant> {
        let end = |queue: &VecDeque<(Instant, u8)>| {
            let frame = queue.iter().find(|(_, byte)| *byte == Self::LAST_BYTE).or(queue.back());
            frame.map(|(at, _)| *at)
        };
        end(&self.uart.outgoing).into_iter().chain(end(&self.uart.incoming)).min()
    }
}
