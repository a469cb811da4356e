//! What can be typed at a running `focuser-sim`.

use super::{Fault, Focuser};
use harness::sim_console::{SimConsole, Word};

impl SimConsole for Focuser {
    type Fault = Fault;
    const HELP: &'static str = "\
fault KIND     a fault until `clear`; a number after it: for so many requests
               (deaf silent garbled truncated late-by-one, slow MS;
               not counted: jammed stalled stop-ignored odd-status, slow-start MS)
clear          no more faults
end MM         something is in the way, so far out of the inner end; 0: nothing
power-cycle    mains off and on: the counter is zero, nothing has moved
unplug, plug   the serial cable         status, help";
    const WORDS: &'static [Word<Self>] = &[("end", 0.0..=9.0, Self::set_inner_end_mm)];
    const SHORT_FAULTS: &'static [&'static str] = &[];

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
        format!(
            "{:.4} mm, counter {}, {}, {} requests ({} ignored), {} against the rules",
            self.place_mm(),
            self.position(),
            if self.is_turning() { "turning" } else { "standing" },
            self.requests(),
            self.ignored(),
            self.violations().len(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Config;
    use harness::port::Port;

    fn served() -> (tempfile::TempDir, Port<Focuser>) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { counter: 700, ..Config::default() };
        let port = Port::serve(Focuser::new(config), folder.path().join("tty")).unwrap();
        (folder, port)
    }

    #[test]
    fn a_line_is_read() {
        let (_folder, port) = served();
        for (line, fault) in [
            ("fault jammed", Fault::Jammed),
            (" fault  slow 300 2 ", Fault::Slow(Duration::from_millis(300))),
        ] {
            assert!(Focuser::obey(&port, line).unwrap().is_none(), "{line}");
            assert!(port.with(|unit| unit.faults.has(fault)), "{line}");
        }
        assert_eq!(port.with(|unit| [(); 3].map(|()| unit.faults.take(|_| true).len())), [1, 1, 0]);
    }

    #[test]
    fn what_is_typed_is_done_to_the_focuser() {
        let (_folder, port) = served();
        let type_in = |line| Focuser::obey(&port, line);
        assert!(type_in("status").unwrap().unwrap().contains("counter 700, standing"));
        assert_eq!(type_in("power-cycle").unwrap(), None);
        assert_eq!(port.with(|unit| unit.position()), 0);
        assert_eq!(type_in("unplug").unwrap(), None);
        assert!(!port.link().exists());
        assert_eq!(type_in("plug").unwrap(), None);
        assert!(port.link().exists());
        assert_eq!(type_in("end 0.3").unwrap(), None);
        assert!(port.with(|unit| format!("{unit:?}")).contains("inner_end: -190.75,"));
        assert_eq!(type_in("  ").unwrap(), None);
        assert!(type_in("help").unwrap().unwrap().starts_with("fault KIND"));
    }

    #[test]
    fn a_wrong_line_is_told_what_is_wrong() {
        let (_folder, port) = served();
        for (line, part) in [
            ("hum", "no command `hum`"),
            ("ambient 3", "no command `ambient`"),
            ("end", "takes one value"),
            ("end near", "`near` is not a number from 0 to 9"),
            ("end NaN", "`NaN` is not a number"),
            ("plug in", "`plug` takes no value"),
            ("fault", "no fault named"),
        ] {
            let error = Focuser::obey(&port, line).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
