//! The serial line's task in stepped time: exchanges with their limits, stale input thrown away,
//! XON and XOFF taken out, a port that is unplugged and opened again with back-off.
//!
//! It follows `bridge::line` statement by statement, without the port.

use std::collections::VecDeque;
use std::time::Duration;

use bridge::line::{Exchange, LineError, LineEvent, OpenError, PortTrouble, Timing};
use bus::clock::Instant;
use harness::port::Device;

const REOPEN_FIRST: Duration = Duration::from_millis(250);

#[derive(Debug)]
enum Out {
    /// Written not before this.
    Waiting(Exchange, Instant),
    Written {
        exchange: Exchange,
        at: Instant,
        reply: Vec<u8>,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Line {
    xon_xoff: bool,
    reopen_max: Duration,
    plugged: bool,
    open: bool,
    out: Option<Out>,
    last_exchange: Option<Instant>,
    next_open: Instant,
    last_open: Instant,
    open_delay: Duration,
    open_error_said: bool,
    /// What the core is to be told.
    pub(crate) events: VecDeque<LineEvent>,
    /// What was written since the rig took it away.
    pub(crate) sent: Vec<(Instant, Vec<u8>)>,
    /// How often the port was tried to be opened.
    pub(crate) attempts: u64,
    /// Closed until it is to be reopened.
    released: bool,
}

impl Line {
    pub(crate) fn new(xon_xoff: bool, reopen_max: Duration, now: Instant) -> Self {
        Self {
            xon_xoff,
            reopen_max,
            plugged: true,
            open: false,
            out: None,
            last_exchange: None,
            next_open: now,
            last_open: now,
            open_delay: Duration::ZERO,
            open_error_said: false,
            events: VecDeque::new(),
            sent: Vec::new(),
            attempts: 0,
            released: true,
        }
    }

    /// The process before is gone; a new one opens the same port.
    pub(crate) fn restart(&mut self, now: Instant) {
        let (plugged, sent) = (self.plugged, std::mem::take(&mut self.sent));
        *self = Self { plugged, sent, ..Self::new(self.xon_xoff, self.reopen_max, now) };
    }

    pub(crate) fn set_plugged(&mut self, plugged: bool, now: Instant) {
        self.plugged = plugged;
        if !plugged && self.open {
            self.close("hung up or unplugged", now);
        }
    }

    /// Writes at once, whatever exchange is out.
    pub(crate) fn write_now(&mut self, bytes: Vec<u8>, model: &mut impl Device, now: Instant) {
        if !self.open {
            self.events.push_back(LineEvent::WriteNowFailed(LineError::NotOpen));
            return;
        }
        model.receive(&bytes, now);
        self.sent.push((now, bytes));
    }

    pub(crate) fn release(&mut self, now: Instant) {
        self.released = true;
        if self.open {
            self.close("released", now);
        }
    }

    pub(crate) fn reopen(&mut self, now: Instant) {
        self.released = false;
        if self.open {
            self.close("reopened on request", now);
        }
    }

    fn close(&mut self, reason: &str, now: Instant) {
        if self.out.is_some() {
            self.end(Err(LineError::Gone(reason.to_owned())), now);
        }
        self.open = false;
        self.events.push_back(LineEvent::Closed { reason: reason.to_owned() });
    }

    pub(crate) fn ask(&mut self, exchange: Exchange, now: Instant) {
        if !self.open {
            let timing = Timing { written: now, finished: now };
            self.events.push_back(LineEvent::Reply(Err(LineError::NotOpen), timing));
            return;
        }
        assert!(self.out.is_none(), "a second exchange was asked while one is out");
        let from = self.last_exchange.map_or(now, |last| (last + exchange.gap).max(now));
        self.out = Some(Out::Waiting(exchange, from));
    }

    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.out {
            Some(Out::Waiting(_, from)) => Some(*from),
            Some(Out::Written { exchange, at, .. }) => Some(*at + exchange.limit),
            None => (!self.open && !self.released).then_some(self.next_open),
        }
    }

    /// Does what is due, and takes what the device has sent. True if there may be more.
    pub(crate) fn turn(&mut self, model: &mut impl Device, now: Instant) -> bool {
        let bytes = model.poll_output(now);
        if self.plugged && self.open {
            self.receive(&bytes, now);
        }
        match self.out.take() {
            Some(Out::Waiting(exchange, from)) if from <= now => {
                // What is there by now is no answer; `poll_output` has thrown it away.
                self.sent.push((now, exchange.bytes.clone()));
                model.receive(&exchange.bytes, now);
                if exchange.terminator.is_none() {
                    let timing = Timing { written: now, finished: now };
                    self.last_exchange = Some(now);
                    self.events.push_back(LineEvent::Reply(Ok(Vec::new()), timing));
                    return true;
                }
                self.out = Some(Out::Written { exchange, at: now, reply: Vec::new() });
                return true;
            }
            Some(Out::Written { exchange, at, reply }) if at + exchange.limit <= now => {
                let error = match reply.len() {
                    0 => LineError::Silent,
                    length if length > exchange.max_reply_bytes => LineError::Overlong(reply),
                    _ => LineError::Truncated(reply),
                };
                self.end(Err(error), now);
                return true;
            }
            out => self.out = out,
        }
        if !self.open && !self.released && self.next_open <= now {
            self.try_open(now);
            return true;
        }
        model.poll_timeout().is_some_and(|at| at <= now)
    }

    fn try_open(&mut self, now: Instant) {
        self.attempts += 1;
        self.open_delay =
            if self.open_delay.is_zero() { REOPEN_FIRST } else { (self.open_delay * 2).min(self.reopen_max) };
        self.last_open = now;
        self.next_open = now + self.open_delay;
        if self.plugged {
            self.open = true;
            self.open_error_said = false;
            self.events.push_back(LineEvent::Opened);
        } else if !std::mem::replace(&mut self.open_error_said, true) {
            self.events.push_back(LineEvent::OpenFailed(OpenError {
                trouble: PortTrouble::Missing,
                text: "no such device".to_owned(),
            }));
        }
    }

    fn receive(&mut self, bytes: &[u8], now: Instant) {
        let xon_xoff = self.xon_xoff;
        let Some(Out::Written { exchange, reply, .. }) = &mut self.out else { return };
        for byte in bytes.iter().filter(|byte| !xon_xoff || !matches!(byte, 0x11 | 0x13)) {
            if reply.len() <= exchange.max_reply_bytes {
                reply.push(*byte);
                if Some(*byte) == exchange.terminator && reply.len() <= exchange.max_reply_bytes {
                    let reply = std::mem::take(reply);
                    self.open_delay = REOPEN_FIRST;
                    self.next_open = self.last_open + self.open_delay;
                    self.end(Ok(reply), now);
                    return;
                }
            }
        }
    }

    fn end(&mut self, result: Result<Vec<u8>, LineError>, now: Instant) {
        let written = match self.out.take() {
            Some(Out::Written { at, .. }) => at,
            _ => now,
        };
        self.last_exchange = Some(now);
        self.events.push_back(LineEvent::Reply(result, Timing { written, finished: now }));
    }

    /// Whether an exchange is out.
    pub(crate) fn is_asking(&self) -> bool {
        self.out.is_some()
    }
}
