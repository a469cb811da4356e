//! Bytes and types. Each request is a line, and so is its answer (`TH-1 manual`, section 4):
//!
//! ```text
//! T?  ->  T=+21.50      H?  ->  H=0      H1  ->  H=1      anything it refuses  ->  E
//! ```

use std::time::Duration;

use bridge::controller::{Protocol, Undecodable};
use bridge::line::{Exchange, Lines, Terminator};

/// What it can be asked and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum Request {
    /// The temperature.
    ReadTemperature,
    /// Whether the heater is on.
    ReadHeater,
    /// Switch the heater.
    Switch(bool),
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply {
    /// Degrees Celsius.
    Temperature(f64),
    /// Whether the heater is on.
    Heater(bool),
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Codec(Lines);

impl Codec {
    /// With this time for an answer.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self(Lines { end: Terminator::LF, max_reply_bytes: 16, limit, gap: Duration::ZERO })
    }
}

impl Protocol for Codec {
    type Request = Request;
    type Reply = Reply;

    fn exchange(&mut self, request: &Request) -> Exchange {
        self.0.ask(match request {
            Request::ReadTemperature => "T?",
            Request::ReadHeater => "H?",
            Request::Switch(true) => "H1",
            Request::Switch(false) => "H0",
        })
    }

    fn decode(&self, request: &Request, _sent: &[u8], frame: &[u8]) -> Result<Reply, Undecodable> {
        let text = self.0.text(frame)?;
        let reply = match (request, text) {
            (_, "E") => return Err(Undecodable::Refused("it answers E".to_owned())),
            (Request::ReadTemperature, _) => {
                text.strip_prefix("T=").and_then(celsius).map(Reply::Temperature)
            }
            (Request::ReadHeater, "H=1") | (Request::Switch(true), "H=1") => Some(Reply::Heater(true)),
            (Request::ReadHeater, "H=0") | (Request::Switch(false), "H=0") => Some(Reply::Heater(false)),
            _ => None,
        };
        reply.ok_or_else(|| Undecodable::Bad(format!("{text:?} is no answer to {request:?}")))
    }
}

/// A sign, digits, a point and two digits; the sensor measures from -50 to 150.
fn celsius(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let has_form = text.starts_with(['+', '-'])
        && bytes.len().checked_sub(3).and_then(|at| bytes.get(at)) == Some(&b'.');
    text.parse().ok().filter(|celsius| has_form && (-50.0..=150.0).contains(celsius))
}
