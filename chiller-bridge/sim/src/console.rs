//! What can be typed at a running `chiller-sim`.

use super::{Chiller, Fault};
use harness::sim_console::{SimConsole, Word};

impl SimConsole for Chiller {
    type Fault = Fault;
    const HELP: &'static str = "\
fault KIND     a fault until `clear`; a number after it: for so many replies
               (deaf silent garbled truncated late-by-one short23 xon-xoff,
               error-digit DIGIT, slow MILLISECONDS;
               not counted: will-not-start, drops-run SECONDS,
               forgets-set-point, alarm A2:1)
alarm A2:1     short for `fault alarm A2:1`: character A0-A5 B0-B7 C0-C7 W0-W3,
               bits 1-F
clear          no more faults (what latches stays until the alarms are read)
ambient C      air temperature          heat W     camera's heat
flow L         pump's flow, l/min       power-cycle  mains off and on
set-point C    somebody at the panel
unplug, plug   the serial cable         status, help";
    const WORDS: &'static [Word<Self>] = &[
        ("ambient", -50.0..=60.0, Self::set_ambient_celsius),
        ("heat", 0.0..=2000.0, Self::set_heat_load_watts),
        ("flow", 0.0..=20.0, Self::set_flow_litres_per_minute),
        ("set-point", -7.0..=45.0, Self::set_set_point_celsius),
    ];
    const SHORT_FAULTS: &'static [&'static str] = &["alarm"];

    fn put_fault(&mut self, fault: Fault, requests: Option<u32>) {
        self.put(fault, requests);
    }

    fn clear_faults(&mut self) {
        Self::clear_faults(self);
    }

    fn power_cycle(&mut self) {
        Self::power_cycle(self);
    }

    fn describe(&self) -> String {
        let word = |flag, yes, no| if flag { yes } else { no };
        format!(
            "{:?}, pump {}, water {:.1} C, set point {:.1} C, {}, keypad {}, {} requests ({} ignored){}",
            self.status(),
            word(self.pump_on(), "on", "off"),
            self.supply_celsius(),
            self.set_point_celsius(),
            word(self.alarm(), "ALARM", "no alarm"),
            word(self.keypad_locked(self.now()), "locked", "free"),
            self.requests(),
            self.ignored(),
            word(self.hung(), ", MODE MISMATCH: needs power-cycle", ""),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlarmBit, Config};
    use harness::port::Port;

    fn served() -> (tempfile::TempDir, Port<Chiller>) {
        let folder = tempfile::tempdir().unwrap();
        let port = Port::serve(Chiller::new(Config::default()), folder.path().join("tty")).unwrap();
        (folder, port)
    }

    #[test]
    fn a_line_is_read() {
        let (_folder, port) = served();
        let type_in = |line| assert!(Chiller::obey(&port, line).unwrap().is_none(), "{line}");
        for line in ["ambient -3.5", "heat 120", "flow 0.2", "alarm A2:1", "fault silent", "  "] {
            type_in(line);
        }
        let around = port.with(|chiller| format!("{:?}", chiller.unit.around));
        let expected = "Surroundings { ambient_celsius: -3.5, heat_load_watts: 120.0, full_flow: 0.2 }";
        assert_eq!(around, expected);
        let faults = port.with(|chiller| chiller.faults.all().collect::<Vec<_>>());
        assert_eq!(faults, [Fault::AlarmTrip(AlarmBit::LOW_COOLANT), Fault::Silent]);
        type_in("clear");
        type_in(" fault  garbled 3 ");
        assert_eq!(port.with(|chiller| [(); 4].map(|()| chiller.faults.take(|_| true).len())), [1, 1, 1, 0]);
    }

    #[test]
    fn a_wrong_line_is_told_what_is_wrong() {
        let (_folder, port) = served();
        for (line, part) in [
            ("hum", "no command `hum`"),
            ("ambient", "takes one value"),
            ("ambient warm", "`warm` is not a number from -50 to 60"),
            ("ambient NaN", "`NaN` is not a number"),
            ("clear all", "`clear` takes no value"),
            ("alarm", "`alarm` takes one value"),
            ("alarm X1:1", "`X1:1` is not an alarm"),
            ("fault", "no fault named"),
        ] {
            let error = Chiller::obey(&port, line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
