//! For reading transcripts: which request a frame is, and requests and replies in words.

use bridge::explain::candidates::candidates;
use bridge::explain::words::words;

use super::{Drive, HeatOrCool, Reply, Request, Status, UnitMode};

/// The request of this frame, whatever its name: each frame has another one. A checksum in lower case is
/// good, too, since real units accept it from other hosts.
#[must_use]
pub fn recognise(sent: &[u8]) -> Option<Request> {
    let name = sent.get(5..13)?.try_into().ok()?;
    let data = sent.get(13..sent.len().checked_sub(3)?)?;
    candidates(data).find(|request: &Request| request.frame(name).eq_ignore_ascii_case(sent))
}

/// For people.
#[must_use]
pub fn request_words(request: &Request) -> String {
    match request {
        Request::SetTemperature(temperature) => format!("set temperature {:.1} °C", temperature.celsius()),
        Request::SetRunning(true) => "run".to_owned(),
        Request::SetRunning(false) => "standby".to_owned(),
        other => words(&format!("{other:?}")),
    }
}

/// For people.
#[must_use]
pub fn reply_words(reply: &Reply) -> String {
    match reply {
        Reply::Status(status) => status_words(*status),
        Reply::Temperature(temperature) => format!("{:.1} °C", temperature.celsius()),
        Reply::Flow(flow) => format!("{:.1} l/min", flow.litres_per_minute()),
        Reply::Current(current) => format!("{:.3} A", current.amperes()),
        Reply::Drive(Drive { percent, direction: HeatOrCool::Cool }) => format!("{percent} %, cool"),
        Reply::Drive(Drive { percent, direction: HeatOrCool::Heat }) => format!("{percent} %, heat"),
        Reply::Accepted => "accepted".to_owned(),
        Reply::Alarms(bits) => listed(&bits.names()),
        Reply::AlarmDetail1(bits) => listed(&bits.names()),
        Reply::AlarmDetail2(bits) => listed(&bits.names()),
        Reply::Warnings(bits) => listed(&bits.names()),
        Reply::Uptime(up) => format!("{} min", up.minutes()),
        Reply::FanHertz(hertz) => format!("{hertz} Hz"),
    }
}

fn status_words(status: Status) -> String {
    let mode = match status.unit_mode {
        UnitMode::AutoStart => "auto start",
        UnitMode::Standby => "standby",
        UnitMode::Run => "run",
        UnitMode::Safety => "safety",
        UnitMode::Test => "test",
    };
    let pump = if status.pump_on { "pump on" } else { "pump off" };
    let alarm = if status.alarm { ", alarm" } else { "" };
    let warning = if status.warning { ", warning" } else { "" };
    format!("{mode}, {pump}{alarm}{warning}")
}

fn listed(names: &[impl AsRef<str>]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "),
    }
}
