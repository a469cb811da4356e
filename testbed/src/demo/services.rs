//! The other services of the demo's site, whose readings automatic control goes by: camera power and
//! the dome's temperature, published as `powerd` and `domealertd` would.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::clock::Now;
use serde_json::json;

use crate::broker::Broker;
use crate::client::{Connect, Post, TestClient};

/// Well within the 60 s after which the bridge takes a reading for stale.
const PERIOD: Duration = Duration::from_secs(5);

/// What can be typed, for `help`.
pub(super) const HELP: &str = "\
camera NAME on|off   power of a camera: cmos, swir
dome C               temperature inside the dome";

/// What the services measure.
#[derive(Clone, Debug, PartialEq)]
struct Readings {
    cmos: bool,
    swir: bool,
    dome_celsius: f64,
}

/// Publishes on a thread of its own until it is dropped.
pub(super) struct Services {
    readings: Readings,
    changes: mpsc::Sender<Readings>,
}

impl Services {
    /// No camera is powered, and it is warm.
    pub(super) fn start(broker: &Broker) -> Result<Self> {
        let connect =
            |name: &str| Connect::with(broker.port(), broker.client(name)?).reconnecting().connect();
        let clients = (connect("powerd")?, connect("domealertd")?);
        let readings = Readings { cmos: false, swir: false, dome_celsius: 18.0 };
        let (changes, inbox) = mpsc::channel();
        let first = readings.clone();
        publish(&clients, &first).context("publish power and dome temperature")?;
        std::thread::Builder::new().name("services".to_owned()).spawn(move || {
            let mut readings = first;
            loop {
                match inbox.recv_timeout(PERIOD) {
                    Ok(changed) => readings = changed,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                // What is not delivered is an input that gets stale, which the bridge says.
                let _ = publish(&clients, &readings);
            }
        })?;
        Ok(Self { readings, changes })
    }

    /// Does what `line` says; `None` if it is no word of these services.
    pub(super) fn obey(&mut self, line: &str) -> Option<Result<(), String>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut readings = self.readings.clone();
        match words.as_slice() {
            ["camera", name @ ("cmos" | "swir"), power @ ("on" | "off")] => {
                let powered = if *name == "cmos" { &mut readings.cmos } else { &mut readings.swir };
                *powered = *power == "on";
            }
            ["dome", celsius] => match celsius.parse() {
                Ok(celsius) if (-40.0..=60.0).contains(&celsius) => readings.dome_celsius = celsius,
                _ => return Some(Err(format!("`{celsius}` is not a number from -40 to 60"))),
            },
            ["camera" | "dome", ..] => return Some(Err(format!("these can be said:\n{HELP}"))),
            _ => return None,
        }
        self.readings = readings.clone();
        Some(self.changes.send(readings).map_err(|_| "the services have ended".to_owned()))
    }
}

#[expect(clippy::disallowed_methods, reason = "a reading bears the time at which it was made")]
fn publish(clients: &(TestClient, TestClient), readings: &Readings) -> Result<()> {
    let date = Now::read().utc.to_string();
    let power =
        json!({ "date": date, "channels": { "cmos": readings.cmos, "swir": readings.swir } }).to_string();
    let dome = json!({
        "date": date,
        "internal_temperature": readings.dome_celsius,
        "internal_temperature_valid": true,
    })
    .to_string();
    clients.0.publish(Post::to("clasp/power/state", power).retained())?;
    clients.1.publish(Post::to("clasp/domealert/state", dome).retained())?;
    Ok(())
}
