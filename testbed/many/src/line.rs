//! A serial line in memory: the daemon's own framing and timeouts, and at the other end the simulated
//! device, whose bytes take their time. It can always be opened.

#![expect(clippy::disallowed_methods, reason = "a line is IO: it gives the device the time, and waits")]

use std::time::Duration;

use bridge::line::{self, Action, Command, Commands, LineEvent, Machine, Rules, Started};
use bus::clock::{Instant, Now};
use bus::rounds::Rounds;
use harness::port::Device;
use tokio::sync::mpsc;
use tokio::time::sleep;

const CHANNEL: usize = 64;
/// The task comes round at least this often, as the one of a real port does.
const TICK: Duration = Duration::from_millis(250);

/// Starts the task.
pub(crate) fn start<D: Device>(device: D, rules: Rules) -> Started {
    let (line, commands, rounds) = line::detached();
    let (events, told) = mpsc::channel(CHANNEL);
    let machine = Machine::new(rules, now());
    let task = Task { device, machine, open: false, ended: false, rounds };
    (line, told, tokio::spawn(task.run(commands, events)))
}

struct Task<D> {
    device: D,
    machine: Machine,
    open: bool,
    ended: bool,
    rounds: Rounds,
}

impl<D: Device> Task<D> {
    async fn run(mut self, mut commands: Commands, events: mpsc::Sender<LineEvent>) {
        self.device.receive(&[], now());
        loop {
            self.rounds.count();
            let bytes = self.device.poll_output(now());
            if self.open && !bytes.is_empty() {
                self.machine.read(&bytes, now());
            }
            self.machine.handle_timeout(now());
            self.carry_out();
            while let Some(event) = self.machine.poll_event() {
                // Nobody listens any more: the line ends with the bridge.
                if events.send(event).await.is_err() {
                    return;
                }
            }
            if self.machine.is_over() {
                return;
            }
            let due = [self.machine.poll_timeout(), self.device.poll_timeout()].into_iter().flatten().min();
            let wait = due.map_or(TICK, |at| at.since(now()).min(TICK));
            tokio::select! {
                biased;
                command = commands.next(), if !self.ended => self.command(command),
                () = sleep(wait) => {}
            }
        }
    }

    fn command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Ask(exchange)) => self.machine.ask(exchange, now()),
            Some(Command::SendImmediately(bytes)) => self.machine.write_now(bytes, now()),
            Some(Command::Reopen) => self.machine.reopen(now()),
            Some(Command::Release) => self.machine.release(now()),
            None => {
                self.ended = true;
                self.machine.end(now());
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Open => {
                    self.open = true;
                    self.machine.opened(Ok(()), now());
                }
                Action::Close { .. } => {
                    self.open = false;
                    self.machine.closed(now());
                }
                Action::DiscardInput => drop(self.device.poll_output(now())),
                Action::Write(bytes) => {
                    self.device.receive(&bytes, now());
                    self.machine.wrote(now());
                }
                // There is never unsent output.
                Action::DiscardOutput => {}
            }
        }
    }
}

fn now() -> Instant {
    Now::read().instant
}
