//! What the line decides: when it opens, writes, gives up and closes. No clock and no port: the task
//! around it carries out its actions, and a test's virtual time runs the same code.
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
//! Closed, it opens again by itself, unless it is released (as at the start) or ended.

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::Instant;

use super::exchange::{Exchange, LineError, LineEvent, OpenError, PortTrouble, Timing};

/// How long a write without a reply may be held up by XOFF.
const WRITE_LIMIT: Duration = Duration::from_millis(500);
/// To open or close a port takes milliseconds. What takes longer may take for ever, and is told.
const PORT_LIMIT: Duration = Duration::from_secs(5);

const XON: u8 = 0x11;
const XOFF: u8 = 0x13;

/// What the machine must know of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Software flow control both ways; 0x11 and 0x13 are then taken out of what comes.
    pub xon_xoff: bool,
    /// The shortest time between two attempts to open; doubled with each until a reply comes.
    pub reopen_first: Duration,
    /// The longest.
    pub reopen_max: Duration,
}

/// What is to be done with the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open it; how that went is for [`Machine::opened`].
    Open,
    /// Close it; when that is done is for [`Machine::closed`].
    Close {
        /// What has not gone out is thrown away first.
        discard: bool,
    },
    /// Read and throw away what has come.
    DiscardInput,
    /// Write this in one go; when the port has taken it is for [`Machine::wrote`].
    Write(Vec<u8>),
    /// Throw away what was written and has not gone out, also what the port has not taken yet.
    DiscardOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Closed,
    /// From then on it takes too long.
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

/// Where the exchange that is out stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not written; not to be before this.
    Waiting(Instant),
    /// With the port, which may be held up.
    Writing,
    /// Written then.
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
    /// To be closed for this reason, once what is to be written at once is.
    leaving: Option<String>,
    out: Option<Out>,
    /// To be written at once, the oldest first.
    direct: VecDeque<Vec<u8>>,
    /// The first of them is with the port, until then.
    direct_limit: Option<Instant>,
    /// When the last of them was written, until a later exchange proves that it has gone out: XOFF may
    /// hold it back, and it may be a stop.
    direct_at: Option<Instant>,
    last_exchange: Option<Instant>,
    /// No attempt to open before this.
    next_open: Instant,
    last_open: Instant,
    open_delay: Duration,
    open_error: Option<OpenError>,
    actions: VecDeque<Action>,
    events: VecDeque<LineEvent>,
}

impl Machine {
    /// Released: it opens nothing before [`Machine::reopen`].
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

    // What it is told to do.

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

    /// Writes at once, also while an exchange is out, and waits for no reply.
    pub fn write_now(&mut self, bytes: Vec<u8>, now: Instant) {
        if self.port == Port::Open {
            // What was not written when a stop came may be what it is to stop.
            if self.out.as_ref().is_some_and(|out| matches!(out.stage, Stage::Waiting(_))) {
                self.end_exchange(Err(LineError::Overtaken), now);
            }
            self.direct.push_back(bytes);
        } else {
            self.events.push_back(LineEvent::SendImmediatelyFailed(LineError::NotOpen));
        }
        self.step(now);
    }

    /// Closes and opens again at once, or as soon as the back-off allows. Ends [`Machine::release`].
    pub fn reopen(&mut self, now: Instant) {
        self.want(Wanted::Open, "reopened on request", now);
    }

    /// Closes, and stays closed until [`Machine::reopen`].
    pub fn release(&mut self, now: Instant) {
        self.want(Wanted::Released, "released", now);
    }

    /// Ends what is out, then closes for good.
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

    // What happened to the port.

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
                    // Not wanted any more, and nobody was told of it.
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

    /// The port went away, or cannot be read.
    pub fn gone(&mut self, reason: &str, now: Instant) {
        if self.port == Port::Open {
            self.leave(reason, now);
            self.step(now);
        }
    }

    /// The port has taken what it was last to write.
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

    /// The port does not take what it was last to write.
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

    /// These bytes came. What nobody has asked for is late, or noise.
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

    /// The port is full: what is in it would go out much later.
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
                // Bytes that XOFF still holds in the kernel would go out as a second question later on;
                // but never throw a stop away with them.
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

    // What follows.

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What is to be told next.
    pub fn poll_event(&mut self) -> Option<LineEvent> {
        self.events.pop_front()
    }

    /// Whether there is something to be told.
    #[must_use]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether an exchange is out.
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
                // Each attempt, good or bad, makes the next one wait: a port that opens and fails at
                // once must not be opened in a loop. A reply makes the wait short again.
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
                // What came before the question was asked cannot be its answer.
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
        // Closing would wait, up to 30 s, for what XOFF holds back. Without flow control it waits some
        // milliseconds for the last bytes, which may be a stop.
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
