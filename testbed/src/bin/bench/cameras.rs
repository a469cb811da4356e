//! Automatic control: how soon after a camera's power was published the order to run is on the wire.
//!
//! The line is never idle for long, so most orders find an exchange in progress and must wait for
//! its end: that is told apart, by the port's log and by when another subscriber had the message.

#![expect(clippy::disallowed_methods, reason = "measures time, and lets some pass")]

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::clock::Instant;
use testbed::client::{Message, TestClient};
use testbed::port::{Direction, Passed};
use testbed::publisher::{POWER_TOPIC, Power};

use crate::report::{Judged, Report, milliseconds};
use crate::stage::{CAMERA, LIMIT, Stage};

const SWITCHINGS: u32 = 100;
/// A little more than a poll cycle, so that each order meets it at another phase.
const PHASE: Duration = Duration::from_millis(37);

pub(crate) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let watcher = TestClient::connect(&stage.broker, "watcher")?;
    watcher.subscribe(POWER_TOPIC)?;
    let power = Power::start(&stage.broker, &[CAMERA])?;
    watcher.subscribe(&stage.base.state())?;
    let follows = |mark: usize, status: &str| {
        let is_there = |message: &Message| {
            message.topic == stage.base.state()
                && message.json().is_ok_and(|json| json.pointer("/status").is_some_and(|word| word == status))
        };
        watcher.wait_after(mark, is_there, LIMIT).with_context(|| format!("wait for the chiller: {status}"))
    };
    let (mut raw, mut beyond) = (Vec::new(), Vec::new());
    for number in 0..SWITCHINGS {
        std::thread::sleep(PHASE * (number % 16));
        let mark = watcher.mark();
        let published = power.set(CAMERA, true)?.instant;
        let on = |message: &Message| {
            message.topic == POWER_TOPIC && message.text().contains(&format!("\"{CAMERA}\":true"))
        };
        let arrived = watcher.wait_after(mark, on, LIMIT)?.at.instant;
        follows(mark, "cooling")?;
        let log = stage.port.log();
        let order = log.iter().find(|frame| frame.at >= published && is_run(frame));
        let order = order.context("there is no order to run in the port's log")?.at;
        raw.push(milliseconds(order.since(published)));
        let waited = busy_until(&log, arrived).map_or(Duration::ZERO, |end| end.since(arrived));
        beyond.push(milliseconds(order.since(published).saturating_sub(waited)));
        let mark = watcher.mark();
        power.set(CAMERA, false)?;
        // Known to the bridge, too: what it believes to run it need not start.
        follows(mark, "idle")?;
    }
    let name = "camera power -> run, beyond the exchange";
    report.add(name, "ms", Some((Judged::P99, 50.0)), beyond)?;
    report.add("  with the exchange in progress", "ms", None, raw)
}

/// Command 15 with 1: `.0115sStatus_1` and the checksum.
fn is_run(frame: &Passed) -> bool {
    frame.direction == Direction::Request
        && frame.bytes.iter().position(|byte| *byte == b'.').is_some_and(|start| {
            let field = |from: usize, to: usize| frame.bytes.get(start + from..start + to);
            field(3, 5) == Some(b"15") && field(13, 14) == Some(b"1")
        })
}

/// When the exchange ended that was in progress at that time; `None` if there was none.
fn busy_until(log: &[Passed], at: Instant) -> Option<Instant> {
    let before = log.iter().rposition(|frame| frame.at <= at)?;
    let is_open = log.get(before)?.direction == Direction::Request;
    let reply = log.get(before + 1).filter(|frame| is_open && frame.direction == Direction::Reply)?;
    Some(reply.at)
}
