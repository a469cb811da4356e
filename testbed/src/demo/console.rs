//! What can be typed at a simulated chiller while it is served: acts on the words that
//! [`crate::chiller::console`] reads.

use std::io::{BufRead as _, IsTerminal as _, stdin};
use std::sync::mpsc;
use std::time::Duration;

use bus::clock::Now;

use crate::chiller::Chiller;
use crate::chiller::console::{Command, HELP};
use crate::port::Port;

/// Lines typed by somebody, read on a thread of its own, which ends with the process.
pub struct Console {
    lines: mpsc::Receiver<String>,
    // Kept where nothing reads, so that waiting for a line takes its time there too.
    unread: Option<mpsc::Sender<String>>,
}

impl Console {
    /// Reads the terminal, unless there is none, or this process is in the background, which must
    /// not read it.
    #[must_use]
    pub fn on_terminal() -> Self {
        let (sender, lines) = mpsc::channel();
        let foreground = rustix::termios::tcgetpgrp(stdin()).ok();
        if !stdin().is_terminal() || foreground != Some(rustix::process::getpgrp()) {
            return Self { lines, unread: Some(sender) };
        }
        std::thread::spawn(move || {
            for line in stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
            // Ctrl-D ends the typing, not the demo.
            std::thread::park();
        });
        Self { lines, unread: None }
    }

    /// Whether somebody can type.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.unread.is_none()
    }

    /// The next line, if one comes within `limit`.
    pub fn next_line(&mut self, limit: Duration) -> Option<String> {
        self.lines.recv_timeout(limit).ok()
    }
}

/// Does what `line` says; what there is to tell about it.
///
/// # Errors
/// Says what is wrong with the line, or what could not be done.
pub fn obey(port: &Port<Chiller>, line: &str) -> Result<Option<String>, String> {
    match Command::parse(line)? {
        None => {}
        Some(Command::Fault(fault, None)) => port.with(|chiller| chiller.inject(fault)),
        Some(Command::Fault(fault, Some(replies))) => {
            port.with(|chiller| chiller.inject_for(fault, replies));
        }
        Some(Command::Clear) => port.with(Chiller::clear_faults),
        Some(Command::Ambient(celsius)) => port.with(|chiller| chiller.set_ambient_celsius(celsius)),
        Some(Command::Heat(watts)) => port.with(|chiller| chiller.set_heat_load_watts(watts)),
        Some(Command::Flow(flow)) => port.with(|chiller| chiller.set_flow_litres_per_minute(flow)),
        Some(Command::PowerCycle) => port.with(Chiller::power_cycle),
        Some(Command::Unplug) => port.unplug().map_err(|error| format!("cannot unplug: {error}"))?,
        Some(Command::Plug) => port.plug().map_err(|error| format!("cannot plug: {error}"))?,
        Some(Command::Status) => return Ok(Some(port.with(describe))),
        Some(Command::Help) => return Ok(Some(HELP.to_owned())),
    }
    Ok(None)
}

#[expect(clippy::disallowed_methods, reason = "tells the keypad's state, which depends on the time")]
fn describe(chiller: &mut Chiller) -> String {
    let word = |flag, yes, no| if flag { yes } else { no };
    format!(
        "{:?}, pump {}, water {:.1} C, set point {:.1} C, {}, keypad {}, {} requests ({} ignored){}",
        chiller.status(),
        word(chiller.pump_on(), "on", "off"),
        chiller.supply_celsius(),
        chiller.set_point_celsius(),
        word(chiller.alarm(), "ALARM", "no alarm"),
        word(chiller.keypad_locked(Now::read().instant), "locked", "free"),
        chiller.requests(),
        chiller.ignored(),
        word(chiller.hung(), ", MODE MISMATCH: needs power-cycle", ""),
    )
}
