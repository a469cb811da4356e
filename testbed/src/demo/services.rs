//! The other services of the demo's site, whose readings automatic control goes by: camera power and
//! the dome's temperature, and what can be typed to change what they say.

use anyhow::{Result, anyhow};

use crate::broker::Broker;
use crate::publisher::{Dome, Power};

/// The cameras of the demo's site.
pub(super) const CAMERAS: [&str; 2] = ["cmos", "swir"];
/// In the evening, degrees Celsius.
const EVENING: f64 = 12.0;

/// What can be typed, for `help`.
pub(super) const HELP: &str = "\
camera NAME on|off   power of a camera: cmos, swir
power dies|returns   the service that publishes camera power
dome C               temperature inside the dome; more than 10 C from the last
                     one within a minute is not believed";

/// Both services, until they are dropped.
pub(super) struct Services {
    /// `None` while it is dead.
    power: Option<Power>,
    dome: Dome,
}

impl Services {
    /// No camera is powered, and it is mild.
    pub(super) fn start(broker: &Broker) -> Result<Self> {
        Ok(Self { power: Some(Power::start(broker, &CAMERAS)?), dome: Dome::start(broker, EVENING)? })
    }

    /// Does what `line` says; `None` if it is no word of these services.
    pub(super) fn obey(&mut self, broker: &Broker, line: &str) -> Option<Result<()>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let done = match words.as_slice() {
            ["camera", name, power @ ("on" | "off")] if CAMERAS.contains(name) => match &self.power {
                Some(service) => service.set(name, *power == "on").map(|_| ()),
                None => Err(anyhow!("nobody publishes camera power: `power returns`")),
            },
            ["power", "dies"] => {
                self.power = None;
                Ok(())
            }
            ["power", "returns"] => Power::start(broker, &CAMERAS).map(|power| self.power = Some(power)),
            ["dome", celsius] => match celsius.parse() {
                Ok(celsius) => self.dome.set(celsius).map(|_| ()),
                Err(_) => Err(anyhow!("`{celsius}` is not a number")),
            },
            ["camera" | "power" | "dome", ..] => Err(anyhow!("these can be said:\n{HELP}")),
            _ => return None,
        };
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_and_what_is_not_said_to_the_services_is_left_to_others() {
        let broker = Broker::start().unwrap();
        let mut services = Services::start(&broker).unwrap();
        for line in ["camera cmos on", "power dies", "power returns", "dome 3"] {
            services.obey(&broker, line).unwrap().unwrap();
        }
        for line in ["", "unplug", "ambient 30"] {
            assert!(services.obey(&broker, line).is_none(), "{line}");
        }
        for wrong in ["camera", "camera nir on", "camera cmos maybe", "power", "dome", "dome warm"] {
            assert!(matches!(services.obey(&broker, wrong), Some(Err(_))), "{wrong}");
        }
        services.obey(&broker, "power dies").unwrap().unwrap();
        let error = services.obey(&broker, "camera cmos on").unwrap().unwrap_err().to_string();
        assert!(error.contains("power returns"), "{error}");
    }
}
