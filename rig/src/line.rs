//! The serial port in stepped time, under the daemon's own line: a cable that can be pulled, a device
//! at its end, and a record of everything that was written.

use bridge::line::{Action, Exchange, LineEvent, Machine, OpenError, PortTrouble, Rules};
use bus::clock::Instant;
use harness::port::Device;

/// See the module.
#[derive(Debug)]
pub(crate) struct Line {
    rules: Rules,
    machine: Machine,
    plugged: bool,
    open: bool,
    /// The bytes written since the rig last took them.
    pub(crate) sent: Vec<(Instant, Vec<u8>)>,
    /// Number of attempts to open the port.
    pub(crate) attempts: u64,
}

impl Line {
    pub(crate) fn new(rules: Rules, now: Instant) -> Self {
        let machine = Machine::new(rules, now);
        Self { rules, machine, plugged: true, open: false, sent: Vec::new(), attempts: 0 }
    }

    /// The previous process has ended; a new one has the same port.
    pub(crate) fn restart(&mut self, now: Instant) {
        let (plugged, sent) = (self.plugged, std::mem::take(&mut self.sent));
        *self = Self { plugged, sent, ..Self::new(self.rules, now) };
    }

    pub(crate) fn set_plugged(&mut self, plugged: bool, now: Instant) {
        self.plugged = plugged;
        if !plugged && self.open {
            self.machine.gone("hung up or unplugged", now);
        }
    }

    pub(crate) fn ask(&mut self, exchange: Exchange, model: &mut impl Device, now: Instant) {
        assert!(!self.machine.is_asking(), "a second exchange was asked while one is out");
        self.machine.ask(exchange, now);
        self.carry_out(model, now);
    }

    pub(crate) fn write_now(&mut self, bytes: Vec<u8>, model: &mut impl Device, now: Instant) {
        self.machine.write_now(bytes, now);
        self.carry_out(model, now);
    }

    pub(crate) fn release(&mut self, model: &mut impl Device, now: Instant) {
        self.machine.release(now);
        self.carry_out(model, now);
    }

    pub(crate) fn reopen(&mut self, model: &mut impl Device, now: Instant) {
        self.machine.reopen(now);
        self.carry_out(model, now);
    }

    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    /// The next event for the core.
    pub(crate) fn poll_event(&mut self) -> Option<LineEvent> {
        self.machine.poll_event()
    }

    /// Does what is due, and reads the device's output. True if there may be more.
    pub(crate) fn turn(&mut self, model: &mut impl Device, now: Instant) -> bool {
        let bytes = model.poll_output(now);
        if self.plugged && self.open && !bytes.is_empty() {
            self.machine.read(&bytes, now);
        }
        self.machine.handle_timeout(now);
        let done = self.carry_out(model, now);
        done || model.poll_timeout().is_some_and(|at| at <= now)
    }

    /// Executes the machine's actions, which take no time here. True if there were any.
    fn carry_out(&mut self, model: &mut impl Device, now: Instant) -> bool {
        let mut done = false;
        while let Some(action) = self.machine.poll_action() {
            done = true;
            match action {
                Action::Open => self.try_open(now),
                Action::Close { .. } => {
                    self.open = false;
                    self.machine.closed(now);
                }
                Action::DiscardInput => drop(model.poll_output(now)),
                Action::Write(bytes) => {
                    model.receive(&bytes, now);
                    self.sent.push((now, bytes));
                    self.machine.wrote(now);
                }
                // There is never unsent output.
                Action::DiscardOutput => {}
            }
        }
        done
    }

    fn try_open(&mut self, now: Instant) {
        self.attempts += 1;
        self.open = self.plugged;
        let missing = OpenError { trouble: PortTrouble::Missing, text: "no such device".to_owned() };
        self.machine.opened(if self.plugged { Ok(()) } else { Err(missing) }, now);
    }

    /// Whether an exchange is in progress.
    pub(crate) fn is_asking(&self) -> bool {
        self.machine.is_asking()
    }
}
