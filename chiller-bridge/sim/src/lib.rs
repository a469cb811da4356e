//! A ThermoTek T257P chiller at the level of bytes, without a clock and without IO.
//!
//! [`Chiller`] takes the bytes a host sends and the time, and hands out the bytes of its replies
//! when they are due, so it can be stepped through a simulated winter or served on a
//! pseudo-terminal by [`harness::port`]. It shares no code with the daemon's codec. Facts are the
//! vendor's manual's ("TTK Serial Communication Protocol Release II"), the Rubin observatory's
//! experience, or marked as inferred.

mod alarm;
mod config;
mod console;
mod fault;
mod frame;
pub mod publisher;
mod site;
#[cfg(test)]
mod tests;
mod thermal;
mod unit;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bus::clock::Instant;

pub use alarm::AlarmBit;
pub use config::{CHARACTER_TIME, Config, REQUEST_GAP, RUBIN_THRESHOLDS, Status};
pub use fault::Fault;

use frame::{Parsed, Request};
use harness::fault::Faults;
use harness::port::Device;
use harness::uart::Uart;
use unit::{Answer, STEP, Unit};

/// The front panel's keys work again this long after the last valid command (manual, 1.3).
pub const KEYPAD_RELEASE: Duration = Duration::from_secs(10);

/// The longest request is 24 bytes; beyond this a line without a CR is thrown away.
const LONGEST: usize = 64;

/// Entries kept by [`Chiller::writes`].
const WRITES_KEPT: usize = 10_000;

/// A set command that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// When its last byte was in.
    pub at: Instant,
    /// 12, 15-17, 21-30 or 59.
    pub command: u8,
    /// Its data, as in `+0150`.
    pub data: String,
}

/// The device.
#[derive(Debug)]
pub struct Chiller {
    config: Config,
    unit: Unit,
    faults: Faults<Fault>,
    uart: Uart,
    /// How far time has come, and how far the physics; `None` before the first sign of time.
    clock: Option<(Instant, Instant)>,
    frame: Option<Vec<u8>>,
    /// The frame began while another command was being executed.
    deaf_to_frame: bool,
    last_byte_at: Instant,
    last_valid_at: Option<Instant>,
    writes: VecDeque<Write>,
    counts: BTreeMap<u8, u64>,
    requests: u64,
    ignored: u64,
}

impl Chiller {
    /// A unit that gets power at the first instant it hears of.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let start = Instant::default();
        let character_time = if config.wire_time { CHARACTER_TIME } else { Duration::ZERO };
        Self {
            unit: Unit::new(&config, start),
            faults: Faults::default(),
            uart: Uart::new(config.latency.clone(), character_time, 1, config.seed),
            clock: None,
            frame: None,
            deaf_to_frame: false,
            last_byte_at: start,
            last_valid_at: None,
            writes: VecDeque::new(),
            counts: BTreeMap::new(),
            requests: 0,
            ignored: 0,
            config,
        }
    }

    /// Puts a fault on until [`Chiller::clear_faults`].
    pub fn inject(&mut self, fault: Fault) {
        self.put(fault, None);
    }

    /// Puts a fault on for the next `replies` requests. The unit's own faults (it does not start,
    /// it drops, an alarm) cannot be counted so and stay until cleared.
    pub fn inject_for(&mut self, fault: Fault, replies: u32) {
        self.put(fault, Some(replies));
    }

    /// Takes every fault away; alarms that latch stay lit until command 18.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
        self.uart.held_back = None;
        self.judge();
    }

    /// Sets the temperature of the air.
    pub fn set_ambient_celsius(&mut self, celsius: f64) {
        self.unit.around.ambient_celsius = celsius;
    }

    /// Sets what the camera gives to the water.
    pub fn set_heat_load_watts(&mut self, watts: f64) {
        self.unit.around.heat_load_watts = watts;
    }

    /// Sets the flow of the running pump, l/min: a kinked hose is 0.2.
    pub fn set_flow_litres_per_minute(&mut self, flow: f64) {
        self.unit.around.full_flow = flow;
    }

    /// Switches mains off and on again. Unread replies and a half-heard request are lost.
    pub fn power_cycle(&mut self) {
        let now = self.now();
        self.uart.reset(now);
        self.frame = None;
        self.last_valid_at = None;
        self.unit.power_cycle(self.config.auto_start, now);
        if self.faults.has(Fault::ForgetsSetPoint) {
            self.set_set_point_celsius(self.config.set_point_celsius);
        }
        self.judge();
    }

    /// Somebody sets it at the panel.
    pub fn set_set_point_celsius(&mut self, celsius: f64) {
        self.unit.set_point = thermal::scaled(celsius, 10.0);
    }

    /// Somebody at the panel puts the unit in this status; in test the pump stays as it is.
    pub fn set_status(&mut self, status: Status) {
        let now = self.now();
        self.unit.set_status(status, now);
        self.judge();
    }

    /// Status, as command 01 tells it.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.unit.status
    }

    /// Whether the pump runs.
    #[must_use]
    pub const fn pump_on(&self) -> bool {
        self.unit.pump_on()
    }

    /// Whether a level 1 alarm is lit.
    #[must_use]
    pub fn alarm(&self) -> bool {
        self.unit.alarm()
    }

    /// Whether the panel shows "mode mismatch": command 15 is no longer answered, and only
    /// [`Chiller::power_cycle`] helps. Brought about by an 18 within 1.5 s of an alarm that dropped
    /// a running unit, with no command to standby between (seen by Rubin when that 18 puts the
    /// alarm out; here whether it does or not).
    #[must_use]
    pub const fn hung(&self) -> bool {
        self.unit.hung()
    }

    /// Whether the host has locked the front panel's keys.
    #[must_use]
    pub fn keypad_locked(&self, now: Instant) -> bool {
        self.last_valid_at.is_some_and(|at| now.since(at) < KEYPAD_RELEASE)
    }

    /// The water that leaves the unit.
    #[must_use]
    pub const fn supply_celsius(&self) -> f64 {
        self.unit.thermal.supply_celsius
    }

    /// The lowest and the highest temperature of that water since the last call.
    pub const fn take_supply_range_celsius(&mut self) -> (f64, f64) {
        self.unit.thermal.take_range()
    }

    /// The set point.
    #[must_use]
    pub fn set_point_celsius(&self) -> f64 {
        f64::from(self.unit.set_point) / 10.0
    }

    /// The last ten thousand set commands that were not refused, answered or not.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.writes.iter()
    }

    /// How often command 18 was received, which puts alarms out.
    #[must_use]
    pub fn alarm_reads(&self) -> u64 {
        self.requests_of(18)
    }

    /// How often this command was received, well-formed.
    #[must_use]
    pub fn requests_of(&self, command: u8) -> u64 {
        self.counts.get(&command).copied().unwrap_or(0)
    }

    /// Requests heard to their CR, well-formed or not.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Requests ignored: with a pause in them, or while another was being executed.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn now(&self) -> Instant {
        self.clock.map_or_else(Instant::default, |(now, _)| now)
    }

    fn judge(&mut self) {
        let now = self.now();
        self.unit.judge(now, &self.faults);
    }

    fn put(&mut self, fault: Fault, replies: Option<u32>) {
        self.faults.put(fault, replies);
        self.judge();
    }

    fn advance(&mut self, now: Instant) {
        if self.clock.is_none() {
            self.clock = Some((now, now));
            self.unit.power_up(self.config.auto_start, now);
            self.judge();
        }
        while let Some((at, byte)) = self.uart.hear(now) {
            self.pass_time(at);
            self.hear(byte, at);
        }
        self.pass_time(now);
    }

    fn pass_time(&mut self, to: Instant) {
        let Some((now, stepped)) = &mut self.clock else { return };
        *now = (*now).max(to);
        while *stepped + STEP <= to {
            *stepped += STEP;
            self.unit.step(*stepped, &self.faults);
        }
    }

    fn hear(&mut self, byte: u8, at: Instant) {
        if matches!(byte, 0x11 | 0x13) {
            return;
        }
        let pause = at.since(self.last_byte_at);
        let allowed = self.config.gap.map(|gap| gap + self.uart.character_time);
        if allowed.is_some_and(|allowed| pause > allowed) && self.frame.take().is_some() {
            self.ignored += 1;
        }
        self.last_byte_at = at;
        match (byte, &mut self.frame) {
            (frame::START, frame) => {
                *frame = Some(vec![byte]);
                self.deaf_to_frame = self.uart.is_busy(at);
            }
            (frame::END, _) => {
                if let Some(frame) = self.frame.take() {
                    if self.deaf_to_frame {
                        self.ignored += 1;
                    } else {
                        self.handle(&frame, at);
                    }
                }
            }
            (_, Some(frame)) if frame.len() < LONGEST => frame.push(byte),
            _ => self.frame = None,
        }
    }

    fn handle(&mut self, bytes: &[u8], at: Instant) {
        self.requests += 1;
        let parsed = frame::parse(bytes);
        if parsed == Parsed::Foreign {
            return;
        }
        let faults = self.faults.take(|_| true);
        if faults.contains(&Fault::Deaf) {
            return;
        }
        let answer = match parsed {
            Parsed::Foreign => return,
            Parsed::Refused(digit) => Answer::Error(digit),
            Parsed::Good(request) => {
                *self.counts.entry(request.command).or_default() += 1;
                self.execute(&request, &faults, at)
            }
        };
        let reply = match answer {
            Answer::Nothing => return,
            Answer::Short => b"#23\r".to_vec(),
            Answer::Error(digit) => frame::reply(bytes, digit, None),
            Answer::Echo => frame::reply(bytes, 0, None),
            Answer::Data(data) => frame::reply(bytes, 0, Some(&data)),
        };
        self.uart.send(reply, &faults, at);
    }

    fn execute(&mut self, request: &Request, faults: &[Fault], at: Instant) -> Answer {
        for fault in faults {
            match fault {
                Fault::ErrorDigit(digit) => return Answer::Error(*digit),
                Fault::Short23 => return Answer::Short,
                _ => {}
            }
        }
        let answer = self.unit.execute(request, at, &self.faults);
        if !matches!(answer, Answer::Error(_)) {
            self.last_valid_at = Some(at);
            if matches!(request.command, 12 | 15..=17 | 21..=30 | 59) {
                if self.writes.len() == WRITES_KEPT {
                    self.writes.pop_front();
                }
                let data = String::from_utf8_lossy(&request.data).into_owned();
                self.writes.push_back(Write { at, command: request.command, data });
            }
        }
        answer
    }
}

impl Device for Chiller {
    const LAST_BYTE: u8 = frame::END;

    fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.advance(now);
        self.uart.receive(bytes, now);
        self.advance(now);
    }

    fn poll_output(&mut self, now: Instant) -> Vec<u8> {
        self.advance(now);
        self.uart.poll_output(now)
    }

    /// The unit's physics needs no such call: it catches up, in fixed steps, whenever time comes in.
    fn poll_timeout(&self) -> Option<Instant> {
        let reply = self.uart.outgoing.front();
        let request = self.uart.incoming.iter().find(|(_, byte)| *byte == frame::END);
        reply.into_iter().chain(request).map(|(at, _)| *at).min()
    }
}
