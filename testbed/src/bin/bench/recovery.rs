//! A broker that is killed and comes back: how soon the bridge tries again, and how soon every
//! retained topic is there.
//!
//! The broker's own log says when somebody connects; its dates have whole seconds, so its lines are
//! dated here as they come.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bus::clock::{Instant, Now};
use testbed::client::TestClient;
use testbed::wait::Deadline;

use crate::report::{Judged, Report, milliseconds};
use crate::stage::{LIMIT, Stage, instant_line};

const ROUNDS: usize = 8;
/// In the broker's line about the bridge's connection.
const BRIDGE: &str = " as chiller-bridge-";
/// The first retry waits for up to 1.5 s, at random. A round in which it came before anybody looked is
/// left out; the broker is back sooner than this in most.
const EARLIEST_RETRY: Duration = Duration::from_millis(500);
/// The longest wait, and the time to connect.
const LATEST_RETRY_MS: f64 = 1600.0;
const LOOK_AGAIN: Duration = Duration::from_micros(500);

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let mut stage = Stage::start(instant_line(), None)?;
    let (mut retries, mut returns, mut metas) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 * ROUNDS {
        if let Some(round) = round(&mut stage)? {
            retries.push(milliseconds(round.retry));
            returns.push(milliseconds(round.back));
            metas.push(milliseconds(round.meta));
        }
        if retries.len() == ROUNDS {
            break;
        }
        // A connection that did not stand for a minute makes the next retry wait longer.
        stage.restart_bridge()?;
    }
    stage.stop()?;
    report.add("broker lost -> first retry", "ms", Some((Judged::Worst, LATEST_RETRY_MS)), retries)?;
    let name = "broker back -> availability, state, health";
    report.add(name, "ms", Some((Judged::Worst, 200.0)), returns)?;
    // Spread over 5 s, so that many bridges do not publish all they have at once.
    report.add("  meta, too", "ms", None, metas)
}

struct Round {
    /// From the broker's death to the bridge's next attempt.
    retry: Duration,
    /// From the broker's word that the bridge is connected to the last topic that commands wait for.
    back: Duration,
    /// And to what follows.
    meta: Duration,
}

/// `None` if the broker was not back in time to see the bridge's first attempt.
fn round(stage: &mut Stage) -> Result<Option<Round>> {
    let log = stage.broker.dir().join("mosquitto.err");
    let before = stage.broker.log().len();
    let lost = Now::read().instant;
    stage.broker.kill9()?;
    stage.broker.restart()?;
    let watcher = TestClient::connect(&stage.broker, "watcher")?;
    let base = &stage.base;
    let first = [base.availability(), base.state(), base.health()];
    for topic in first.iter().chain([&base.meta()]) {
        watcher.subscribe(topic)?;
    }
    let told = stage.broker.log();
    let is_there = told.get(before..).is_some_and(|told| told.contains(BRIDGE));
    if is_there || Now::read().instant.since(lost) > EARLIEST_RETRY {
        // Not before the bridge is there again: it is about to be stopped.
        stage.wait_ready("")?;
        return Ok(None);
    }
    let Some((attempt, connected)) = attempt(&log, told.len())
        .with_context(|| format!("{}\n{}", stage.bridge.stderr(), stage.broker.log()))?
    else {
        return Ok(None);
    };
    let mut last = connected;
    for topic in &first {
        let message = watcher.wait_for(|message| message.topic == *topic, LIMIT)?;
        last = last.max(message.at.instant);
    }
    let meta = watcher.wait_for(|message| message.topic == base.meta(), LIMIT)?.at.instant;
    watcher.close();
    Ok(Some(Round { retry: attempt.since(lost), back: last.since(connected), meta: meta.since(connected) }))
}

/// When the bridge's first connection since `offset` began, and when the broker took it; `None` if it
/// began before.
fn attempt(log: &Path, offset: usize) -> Result<Option<(Instant, Instant)>> {
    let deadline = Deadline::after(LIMIT);
    let (mut seen, mut attempt) = (offset, None);
    while !deadline.left().is_zero() {
        let text = fs::read(log).context("read the broker's log")?;
        let now = Now::read().instant;
        let fresh = text.get(seen..).unwrap_or_default();
        let complete = fresh.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in String::from_utf8_lossy(fresh.get(..complete).unwrap_or_default()).lines() {
            if line.contains("New connection from") {
                attempt = Some(now);
            } else if line.contains(BRIDGE) {
                return Ok(attempt.map(|attempt| (attempt, now)));
            }
        }
        seen += complete;
        std::thread::sleep(LOOK_AGAIN);
    }
    bail!("the bridge did not connect again")
}
