//! What can be typed at a simulated instrument while it is served: acts on the words that
//! [`chiller::console`] and [`focuser::console`] read.

use std::io::{self, BufRead as _, IsTerminal as _, stdin};
use std::sync::mpsc;
use std::time::Duration;

use bus::clock::Now;

use crate::chiller::Chiller;
use crate::focuser::Focuser;
use crate::port::{Device, Port};
use crate::{chiller, focuser};

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

/// A simulated instrument that does what is typed.
pub trait Obedient: Device + Sized {
    /// Does what `line` says; what there is to tell about it.
    ///
    /// # Errors
    /// Says what is wrong with the line, or what could not be done.
    fn obey(port: &Port<Self>, line: &str) -> Result<Option<String>, String>;
}

impl Obedient for Chiller {
    fn obey(port: &Port<Self>, line: &str) -> Result<Option<String>, String> {
        use chiller::console::{Command, HELP};
        match Command::parse(line)? {
            None => {}
            Some(Command::Fault(fault, None)) => port.with(|unit| unit.inject(fault)),
            Some(Command::Fault(fault, Some(replies))) => port.with(|unit| unit.inject_for(fault, replies)),
            Some(Command::Clear) => port.with(Self::clear_faults),
            Some(Command::Ambient(celsius)) => port.with(|unit| unit.set_ambient_celsius(celsius)),
            Some(Command::Heat(watts)) => port.with(|unit| unit.set_heat_load_watts(watts)),
            Some(Command::Flow(flow)) => port.with(|unit| unit.set_flow_litres_per_minute(flow)),
            Some(Command::PowerCycle) => port.with(Self::power_cycle),
            Some(Command::Unplug) => port.unplug().map_err(cannot_unplug)?,
            Some(Command::Plug) => port.plug().map_err(cannot_plug)?,
            Some(Command::Status) => return Ok(Some(port.with(describe))),
            Some(Command::Help) => return Ok(Some(HELP.to_owned())),
        }
        Ok(None)
    }
}

impl Obedient for Focuser {
    fn obey(port: &Port<Self>, line: &str) -> Result<Option<String>, String> {
        use focuser::console::{Command, HELP};
        match Command::parse(line)? {
            None => {}
            Some(Command::Fault(fault, None)) => port.with(|unit| unit.inject(fault)),
            Some(Command::Fault(fault, Some(requests))) => port.with(|unit| unit.inject_for(fault, requests)),
            Some(Command::Clear) => port.with(Self::clear_faults),
            Some(Command::End(mm)) => port.with(|unit| unit.set_inner_end_mm(mm)),
            Some(Command::PowerCycle) => port.with(Self::power_cycle),
            Some(Command::Unplug) => port.unplug().map_err(cannot_unplug)?,
            Some(Command::Plug) => port.plug().map_err(cannot_plug)?,
            Some(Command::Status) => {
                return Ok(Some(port.with(|unit| {
                    format!(
                        "{:.4} mm, counter {}, {}, {} requests ({} ignored), {} against the rules",
                        unit.place_mm(),
                        unit.position(),
                        if unit.is_turning() { "turning" } else { "standing" },
                        unit.requests(),
                        unit.ignored(),
                        unit.violations().len(),
                    )
                })));
            }
            Some(Command::Help) => return Ok(Some(HELP.to_owned())),
        }
        Ok(None)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
fn cannot_unplug(error: io::Error) -> String {
    format!("cannot unplug: {error}")
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
fn cannot_plug(error: io::Error) -> String {
    format!("cannot plug: {error}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_done_to_the_focuser() {
        let folder = tempfile::tempdir().unwrap();
        let config = focuser::Config { counter: 700, ..focuser::Config::default() };
        let port = Port::serve(Focuser::new(config), folder.path().join("tty")).unwrap();
        let type_in = |line| Focuser::obey(&port, line);
        assert!(type_in("status").unwrap().unwrap().contains("counter 700, standing"));
        assert_eq!(type_in("power-cycle"), Ok(None));
        assert_eq!(port.with(|unit| unit.position()), 0);
        assert_eq!(type_in("unplug"), Ok(None));
        assert!(!port.link().exists());
        assert_eq!(type_in("plug"), Ok(None));
        assert!(port.link().exists());
        assert!(type_in("ambient 3").unwrap_err().contains("no command `ambient`"));
    }
}
