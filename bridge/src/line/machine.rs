//! The line's decisions: when to open, write, give up and close. No clock and no port: the task
//! around it executes its actions, and a test's virtual time runs the same code.
//!
//! ```text
//!            Open             opened                     ask
//!   Closed --------> Opening --------> Open, listening -----> exchange (gap, write, read)
//!     ^                 |               |   ^                   |   |
//!     |                 | not opened    |   +---- its end ------+   |
//!     +-----------------+               | released, reopened,       |
//!     +------------- Closing <----------+ gone, ended <-------------+
//!          closed             Close
//! ```
//!
//! A closed line reopens by itself, unless it is released (as at the start) or ended.

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::Instant;

use super::exchange::{Exchange, LineError, LineEvent, OpenError, PortTrouble, Timing};

/// How long XOFF may delay a write without a reply.
const WRITE_LIMIT: Duration = Duration::from_millis(500);
/// Opening or closing a port takes milliseconds. If it takes longer, it may take for ever, and is
/// reported.
const PORT_LIMIT: Duration = Duration::from_secs(5);

const XON: u8 = 0x11;
const XOFF: u8 = 0x13;

/// The machine's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Software flow control in both directions; 0x11 and 0x13 are then removed from the input.
    pub xon_xoff: bool,
    /// The shortest time between two attempts to open; doubled after each until a reply arrives.
    pub reopen_first: Duration,
    /// The longest.
    pub reopen_max: Duration,
}

/// An action on the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open it; report the result to [`Machine::opened`].
    Open,
    /// Close it; when done, call [`Machine::closed`].
    Close {
        /// Discard unsent output first.
        discard: bool,
    },
    /// Read and discard the input.
    DiscardInput,
    /// Write this in one go; when the port has accepted it, call [`Machine::wrote`].
    Write(Vec<u8>),
    /// Discard unsent output, including bytes that the port has not accepted yet.
    DiscardOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Closed,
    /// The time from which it takes too long.
    Opening(Option<Instant>),
    Open,
    Closing(Option<Instant>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Open,
    Released,
    Ended,
}

/// The stage of the exchange in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not written; may not be written before this.
    Waiting(Instant),
    /// Being written; XOFF may delay it.
    Writing,
    /// Written at this time.
    Reading(Instant),
}

#[derive(Debug)]
struct Out {
    exchange: Exchange,
    stage: Stage,
    limit: Instant,
    reply: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    port: Port,
    wanted: Wanted,
    /// To be closed for this reason, after the urgent writes.
    leaving: Option<String>,
    out: Option<Out>,
    /// Urgent writes, the oldest first.
    direct: VecDeque<Vec<u8>>,
    /// The first of them is being written; its timeout.
    direct_limit: Option<Instant>,
    /// When the last of them was written, until a later exchange proves that it was sent: XOFF may
    /// hold it back, and it may be a stop.
    direct_at: Option<Instant>,
    last_exchange: Option<Instant>,
    /// Earliest time of the next attempt to open.
    next_open: Instant,
    last_open: Instant,
    open_delay: Duration,
    open_error: Option<OpenError>,
    actions: VecDeque<Action>,
    events: VecDeque<LineEvent>,
}

impl Machine {
    /// A released line: it does not open before [`Machine::reopen`].
    #[must_use]
    pub fn new(rules: Rules, now: Instant) -> Self {
        Self {
            rules,
            port: Port::Closed,
            wanted: Wanted::Released,
            leaving: None,
            out: None,
            direct: VecDeque::new(),
            direct_limit: None,
            direct_at: None,
            last_exchange: None,
            next_open: now,
            last_open: now,
            open_delay: Duration::ZERO,
            open_error: None,
            actions: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    // Requests.

    /// Starts an exchange; its end is a [`LineEvent::Reply`]. One at a time.
    pub fn ask(&mut self, exchange: Exchange, now: Instant) {
        if self.port != Port::Open || self.leaving.is_some() {
            self.reply(Err(LineError::NotOpen), now, now);
        } else if self.out.is_some() {
            self.reply(Err(LineError::Busy), now, now);
        } else {
            let due = self.last_exchange.map_or(now, |last| last + exchange.gap);
            let stage = Stage::Waiting(due.max(now));
            self.out = Some(Out { exchange, stage, limit: now, reply: Vec::new() });
        }
        self.step(now);
    }

    /// Writes at once, even during an exchange, and does not wait for a reply.
    pub fn write_now(&mut self, bytes: Vec<u8>, now: Instant) {
        if self.port == Port::Open {
            // An exchange that was not written before a stop may be the motion to be stopped.
            if self.out.as_ref().is_some_and(|out| matches!(out.stage, Stage::Waiting(_))) {
                self.end_exchange(Err(LineError::Overtaken), now);
            }
            self.direct.push_back(bytes);
        } else {
            self.events.push_back(LineEvent::SendImmediatelyFailed(LineError::NotOpen));
        }
        self.step(now);
    }

    /// Closes and reopens at once, or as soon as the back-off allows. Ends [`Machine::release`].
    pub fn reopen(&mut self, now: Instant) {
        self.want(Wanted::Open, "reopened on request", now);
    }

    /// Closes, and stays closed until [`Machine::reopen`].
    pub fn release(&mut self, now: Instant) {
        self.want(Wanted::Released, "released", now);
    }

    /// Completes the exchange in progress, then closes for good.
    pub fn end(&mut self, now: Instant) {
        self.wanted = Wanted::Ended;
        self.step(now);
    }

    fn want(&mut self, wanted: Wanted, reason: &str, now: Instant) {
        self.wanted = wanted;
        if self.port == Port::Open {
            self.leaving = Some(reason.to_owned());
        }
        self.step(now);
    }

    // Events of the port.

    /// The port was opened, or cannot be.
    pub fn opened(&mut self, result: Result<(), OpenError>, now: Instant) {
        if !matches!(self.port, Port::Opening(_)) {
            return;
        }
        match result {
            Ok(()) => {
                self.open_error = None;
                self.port = Port::Open;
                if self.wanted == Wanted::Open {
                    self.events.push_back(LineEvent::Opened);
                } else {
                    // Not wanted any more, and nobody was told that it opened.
                    self.close(now);
                }
            }
            Err(error) => {
                self.port = Port::Closed;
                self.tell_trouble(error);
            }
        }
        self.step(now);
    }

    /// The port is closed.
    pub fn closed(&mut self, now: Instant) {
        if matches!(self.port, Port::Closing(_)) {
            self.port = Port::Closed;
            self.step(now);
        }
    }

    /// The port disappeared, or cannot be read.
    pub fn gone(&mut self, reason: &str, now: Instant) {
        if self.port == Port::Open {
            self.leave(reason, now);
            self.step(now);
        }
    }

    /// The port has accepted the last write.
    pub fn wrote(&mut self, now: Instant) {
        if self.direct_limit.take().is_some() {
            self.direct.pop_front();
            self.direct_at = Some(now);
        } else if let Some(out) = self.out.as_mut().filter(|out| matches!(out.stage, Stage::Writing)) {
            out.stage = Stage::Reading(now);
            if !out.exchange.has_reply() {
                self.end_exchange(Ok(Vec::new()), now);
            }
        }
        self.step(now);
    }

    /// The port refuses the last write.
    pub fn write_failed(&mut self, error: String, now: Instant) {
        let error = LineError::WriteFailed(error);
        if self.direct_limit.take().is_some() {
            self.direct.pop_front();
            self.events.push_back(LineEvent::SendImmediatelyFailed(error));
        } else if self.out.as_ref().is_some_and(|out| matches!(out.stage, Stage::Writing)) {
            self.end_exchange(Err(error), now);
        }
        self.step(now);
    }

    /// These bytes arrived. Unrequested input is late, or noise.
    pub fn read(&mut self, bytes: &[u8], now: Instant) {
        let xon_xoff = self.rules.xon_xoff;
        let Some(out) = &mut self.out else { return };
        let Stage::Reading(written) = out.stage else { return };
        let mut data = bytes.iter().filter(|byte| !xon_xoff || !matches!(**byte, XON | XOFF));
        if data.any(|byte| out.exchange.collect(&mut out.reply, *byte)) {
            let reply = std::mem::take(&mut out.reply);
            self.open_delay = self.rules.reopen_first;
            self.next_open = self.last_open + self.open_delay;
            self.direct_at.take_if(|at| *at < written);
            self.end_exchange(Ok(reply), now);
        }
        self.step(now);
    }

    // Time.

    /// When [`Machine::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.port {
            Port::Closed => (self.wanted == Wanted::Open).then_some(self.next_open),
            Port::Opening(limit) | Port::Closing(limit) => limit.filter(|_| self.wanted == Wanted::Open),
            Port::Open => {
                let exchange = self.out.as_ref().map(|out| match out.stage {
                    Stage::Waiting(due) => due,
                    Stage::Writing | Stage::Reading(_) => out.limit,
                });
                exchange.into_iter().chain(self.direct_limit).min()
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.wanted == Wanted::Open
            && let Port::Opening(limit) | Port::Closing(limit) = &mut self.port
            && limit.take_if(|limit| now >= *limit).is_some()
        {
            let what = if matches!(self.port, Port::Opening(_)) { "open" } else { "close" };
            let seconds = PORT_LIMIT.as_secs();
            let text = format!("the serial port does not {what} within {seconds} s; is its driver stuck?");
            self.tell_trouble(OpenError { trouble: PortTrouble::Failed, text });
        }
        if self.direct_limit.is_some_and(|limit| now >= limit) {
            self.held_up(now);
        }
        if self.out.as_ref().is_some_and(|out| now >= out.limit) {
            self.exchange_overdue(now);
        }
        self.step(now);
    }

    /// The port's buffer is full: its content would be sent much later.
    fn held_up(&mut self, now: Instant) {
        self.actions.push_back(Action::DiscardOutput);
        if self.direct_at.take().is_some() {
            self.events
                .push_back(LineEvent::SendImmediatelyFailed(LineError::WriteFailed(HELD_UP.to_owned())));
        }
        self.write_failed(HELD_UP.to_owned(), now);
    }

    fn exchange_overdue(&mut self, now: Instant) {
        let Some(out) = &mut self.out else { return };
        match out.stage {
            Stage::Waiting(_) => {}
            Stage::Writing => self.held_up(now),
            Stage::Reading(_) => {
                // Bytes that XOFF still holds in the kernel would be sent later as a second
                // request; but never discard a stop with them.
                if self.rules.xon_xoff && self.direct_at.is_none() {
                    self.actions.push_back(Action::DiscardOutput);
                }
                let reply = std::mem::take(&mut out.reply);
                let error = if reply.is_empty() {
                    LineError::Silent
                } else if reply.len() > out.exchange.max_reply_bytes {
                    LineError::Overlong(reply)
                } else {
                    LineError::Truncated(reply)
                };
                self.end_exchange(Err(error), now);
            }
        }
    }

    // Outputs.

    /// The next action.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<LineEvent> {
        self.events.pop_front()
    }

    /// Whether there is an event.
    #[must_use]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether an exchange is in progress.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.out.is_some()
    }

    /// Whether it was ended, and the port is closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.wanted == Wanted::Ended && self.port == Port::Closed
    }

    /// Begins what can begin now.
    fn step(&mut self, now: Instant) {
        match self.port {
            Port::Closed if self.wanted == Wanted::Open && now >= self.next_open => {
                // Each attempt, successful or not, delays the next one: a port that opens and fails
                // at once must not be opened in a loop. A reply resets the delay.
                self.open_delay = if self.open_delay.is_zero() {
                    self.rules.reopen_first
                } else {
                    (self.open_delay * 2).min(self.rules.reopen_max)
                };
                self.last_open = now;
                self.next_open = now + self.open_delay;
                self.port = Port::Opening(Some(now + PORT_LIMIT));
                self.actions.push_back(Action::Open);
            }
            Port::Open => self.step_open(now),
            Port::Closed | Port::Opening(_) | Port::Closing(_) => {}
        }
    }

    fn step_open(&mut self, now: Instant) {
        let writing = self.out.as_ref().is_some_and(|out| matches!(out.stage, Stage::Writing));
        if writing || self.direct_limit.is_some() {
            return;
        }
        if let Some(bytes) = self.direct.front() {
            self.actions.push_back(Action::Write(bytes.clone()));
            self.direct_limit = Some(now + WRITE_LIMIT);
            return;
        }
        if let Some(reason) = self.leaving.take() {
            return self.leave(&reason, now);
        }
        match &mut self.out {
            Some(out) if matches!(out.stage, Stage::Waiting(due) if now >= due) => {
                out.stage = Stage::Writing;
                out.limit = now + out.exchange.limit;
                // Input from before the request cannot be its reply.
                self.actions.push_back(Action::DiscardInput);
                self.actions.push_back(Action::Write(out.exchange.bytes.clone()));
            }
            None if self.wanted == Wanted::Ended => self.close(now),
            _ => {}
        }
    }

    fn leave(&mut self, reason: &str, now: Instant) {
        self.actions.clear();
        self.leaving = None;
        self.direct_limit = None;
        self.direct_at = None;
        for _ in self.direct.drain(..) {
            let error = LineError::Gone(reason.to_owned());
            self.events.push_back(LineEvent::SendImmediatelyFailed(error));
        }
        self.end_exchange(Err(LineError::Gone(reason.to_owned())), now);
        self.events.push_back(LineEvent::Closed { reason: reason.to_owned() });
        self.close(now);
    }

    fn close(&mut self, now: Instant) {
        // Closing would wait, up to 30 s, for output that XOFF holds back. Without flow control it
        // waits some milliseconds for the last bytes, which may be a stop.
        self.actions.push_back(Action::Close { discard: self.rules.xon_xoff });
        self.port = Port::Closing(Some(now + PORT_LIMIT));
    }

    fn end_exchange(&mut self, result: Result<Vec<u8>, LineError>, now: Instant) {
        let Some(out) = self.out.take() else { return };
        if !matches!(out.stage, Stage::Waiting(_)) {
            self.last_exchange = Some(now);
        }
        let written = if let Stage::Reading(written) = out.stage { written } else { now };
        self.reply(result, written, now);
    }

    fn reply(&mut self, result: Result<Vec<u8>, LineError>, written: Instant, finished: Instant) {
        self.events.push_back(LineEvent::Reply(result, Timing { written, finished }));
    }

    /// Once for each new reason.
    fn tell_trouble(&mut self, error: OpenError) {
        if self.open_error.as_ref() != Some(&error) {
            self.open_error = Some(error.clone());
            self.events.push_back(LineEvent::OpenFailed(error));
        }
    }
}

const HELD_UP: &str = "held up by flow control (XOFF)";
