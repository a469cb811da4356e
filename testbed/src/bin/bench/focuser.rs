//! The focuser: how soon a stop is on the wire, what a subscriber sees of a move, what a move takes
//! beyond the motor's own time, and what its daemon and command line cost.
//!
//! The motor's own time is the model's: from the order to go somewhere until it stands, over all
//! legs. The line has the time that 38400 baud take, both ways, and the unit its latency.

#![expect(clippy::disallowed_methods, reason = "measures time, and lets some pass")]

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::clock::{Instant, Now};
use serde_json::{Value, json};
use testbed::client::{Message, TestClient};
use testbed::operator::{Operator, request};
use testbed::port::{Direction, Passed};
use testbed::process::Launch;
use testbed::site::FocuserSite;
use testbed::wait::wait_for;

use crate::figures;
use crate::report::{Judged, Report, milliseconds};
use crate::stage::{self, LIMIT};

const STOPS: u32 = 100;
/// Each: one leg inwards, two outwards.
const MOVES: usize = 30;
/// Less than from one question to the next while the motor turns, so that each stop meets it at
/// another phase.
const PHASE: Duration = Duration::from_micros(2300);
/// The places between which it goes, mm.
const FAR: f64 = 5.0;
const NEAR: f64 = 0.3;
const STEP: f64 = 0.3;

/// A bridge and its focuser, homed.
pub(crate) struct Stage {
    site: FocuserSite,
    alice: Operator,
}

impl Stage {
    pub(crate) fn start() -> Result<Self> {
        // Polled as often as it is by default.
        let site = FocuserSite::builder().setting("query_delay", "1.0").start()?;
        let alice = Operator::new(&site, "alice")?;
        let stage = Self { site, alice };
        stage.asked("init", json!({}))?;
        Ok(stage)
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        let violations = self.site.port.with(|unit| unit.violations().to_vec());
        ensure!(violations.is_empty(), "the bridge did what the chip forbids: {violations:?}");
        let code = self.site.bridge.stop()?;
        ensure!(code == 0, "the bridge ended with {code}: {}", self.site.bridge_log());
        Ok(())
    }

    /// A command of alice's to its end, which must be a good one.
    fn asked(&self, verb: &str, keys: Value) -> Result<()> {
        let reply = self.alice.ask(verb, keys)?;
        ensure!(reply.pointer("/code") == Some(&json!(0)), "{verb} was to succeed: {reply}");
        Ok(())
    }

    /// Frames of that kind and direction since `begin`, with their times.
    fn passed(&self, direction: Direction, code: &[u8], begin: Instant) -> Vec<Passed> {
        let has = |frame: &Passed| frame.bytes.windows(code.len()).any(|part| part == code);
        let wanted = |frame: &Passed| frame.at >= begin && frame.direction == direction && has(frame);
        self.site.port.log().into_iter().filter(wanted).collect()
    }
}

/// A stop by somebody else than whose move it is, from before its publishing until the port has its
/// bytes.
pub(crate) fn stops(stage: &Stage, report: &mut Report) -> Result<()> {
    let ops = Operator::new(&stage.site, "ops")?;
    let mut samples = Vec::new();
    for number in 0..STOPS {
        let place = || stage.site.port.with(|unit| unit.place_mm());
        let from = place();
        let target = if from < 2.5 { FAR } else { NEAR };
        let id = stage.alice.send("set", json!({ "mm": target }))?;
        wait_for("the motion", LIMIT, || ((place() - from).abs() > 0.1).then_some(()))?;
        std::thread::sleep(PHASE * (number % 16));
        let (stop, payload) = request(json!({}))?;
        let begin = Now::read().instant;
        let sent = ops.client.send(ops.post("stop", payload))?;
        let reply = ops.terminal(&stop)?;
        ensure!(reply.pointer("/code") == Some(&json!(0)), "the stop was to succeed: {reply}");
        sent.wait()?;
        let reply = stage.alice.terminal(&id)?;
        ensure!(reply.pointer("/code") == Some(&json!(28)), "the move was to be stopped: {reply}");
        let written = stage.passed(Direction::Request, b"P021", begin);
        let at = written.first().context("there is no stop in the port's log")?.at;
        samples.push(milliseconds(at.since(begin)));
    }
    report.add("focuser stop published -> on the wire", "ms", Some((Judged::P99, 20.0)), samples)
}

/// When a move is sent: right after the previous one, as an autofocus does, or later, with whatever
/// else runs on the machine.
#[derive(Clone, Copy)]
enum When {
    InASeries,
    AfterAPause,
    /// In a series, while something else wants every core.
    Loaded,
}

/// So long, and nobody has read the position a moment ago.
const PAUSE: Duration = Duration::from_millis(300);
/// The medians that moves of one leg and of two are to have, ms.
const OVERHEADS: [(usize, &str, f64); 2] = [(1, "one leg", 25.0), (2, "two legs", 40.0)];
/// What they may become on a busy machine.
const LOADED_RATIO: f64 = 1.3;

/// Moves of one leg and of two: their overhead, and the positions that a subscriber sees.
pub(crate) fn moves(stage: &Stage, report: &mut Report) -> Result<()> {
    stage.asked("set", json!({ "mm": 2.0 }))?;
    let mut seen = Seen::default();
    let series = stage.overheads(When::InASeries, &mut seen)?;
    report.add("focuser position -> the next one", "ms", Some((Judged::P99, 100.0)), seen.intervals)?;
    report.add(
        "focuser reply -> position at a subscriber",
        "ms",
        Some((Judged::Worst, 30.0)),
        seen.delays,
    )?;
    let paused = stage.overheads(When::AfterAPause, &mut Seen::default())?;
    let loaded = {
        let _busy = Busy::every_core()?;
        stage.overheads(When::Loaded, &mut Seen::default())?
    };
    for (legs, words, most) in OVERHEADS {
        let of = |measured: &BTreeMap<usize, Vec<f64>>| measured.get(&legs).cloned().unwrap_or_default();
        let name = format!("focuser move of {words}, overhead");
        let usual = median(of(&series));
        report.add(format!("{name}, in a series"), "ms", Some((Judged::Median, most)), of(&series))?;
        report.add(format!("{name}, after a pause"), "ms", Some((Judged::Median, most)), of(&paused))?;
        let ratios = of(&loaded).iter().map(|loaded| loaded / usual).collect();
        let target = Some((Judged::Median, LOADED_RATIO));
        report.add("  every core busy, times that of a series", "", target, ratios)?;
    }
    Ok(())
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Shells that do nothing but take processor time, one for each core.
struct Busy(Vec<Child>);

impl Busy {
    fn every_core() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().context("start a shell");
        let mut busy = Self(Vec::new());
        for _ in 0..cores {
            busy.0.push(spin()?);
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for shell in &mut self.0 {
            let _ = shell.kill();
            let _ = shell.wait();
        }
    }
}

impl Stage {
    /// What moves take beyond the motor's time, by their number of legs, ms.
    fn overheads(&self, when: When, seen: &mut Seen) -> Result<BTreeMap<usize, Vec<f64>>> {
        let watcher = TestClient::connect(&self.site.broker, "observer")?;
        watcher.subscribe(&self.site.topic("state"))?;
        let mut overheads: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for number in 0..2 * MOVES {
            if matches!(when, When::AfterAPause) {
                // At another phase of the polls each time.
                std::thread::sleep(PAUSE + PHASE * u32::try_from(number)?);
            }
            let offset = if number.is_multiple_of(2) { -STEP } else { STEP };
            let mark = watcher.mark();
            let (id, payload) = request(json!({ "mm": offset }))?;
            let begin = Now::read().instant;
            let sent = self.alice.client.send(self.alice.post("offset", payload))?;
            let end = self.alice.terminal(&id)?;
            ensure!(end.pointer("/code") == Some(&json!(0)), "the move was to succeed: {end}");
            sent.wait()?;
            let topic = self.alice.reply_topic(&id);
            let told = self.alice.client.last(0, &topic).context("the reply is gone")?.at.instant;
            let (legs, own) = self.own_time(begin)?;
            overheads.entry(legs).or_default().push(milliseconds(told.since(begin).saturating_sub(own)));
            // What is on its way to the other subscriber.
            let is_idle = |message: &Message| {
                message.json().is_ok_and(|state| {
                    state.pointer("/status") == Some(&json!("idle"))
                        && state.pointer("/last_command/id") == Some(&json!(id))
                })
            };
            watcher.wait_after(mark, is_idle, LIMIT)?;
            seen.take(&watcher.messages().split_off(mark), &self.passed(Direction::Reply, b"P081", begin))?;
        }
        Ok(overheads)
    }
}

impl Stage {
    /// The legs since `begin`, and how long the motor took for them: from each order until it stood.
    fn own_time(&self, begin: Instant) -> Result<(usize, Duration)> {
        let (orders, rests) = self.site.port.with(|unit| {
            let orders = unit.writes().filter(|write| write.code == "P092" && write.at >= begin);
            let orders: Vec<Instant> = orders.map(|write| write.at).collect();
            (orders, unit.rests().filter(|at| *at >= begin).collect::<Vec<_>>())
        });
        ensure!(orders.len() == rests.len(), "{} orders, and it stood {} times", orders.len(), rests.len());
        let own = orders.iter().zip(&rests).map(|(order, rest)| rest.since(*order)).sum();
        Ok((orders.len(), own))
    }
}

/// The positions that a subscriber saw of the moves so far.
#[derive(Default)]
struct Seen {
    intervals: Vec<f64>,
    delays: Vec<f64>,
}

impl Seen {
    /// One move: the first state with each position belongs to the first reply with it that comes
    /// after the one of the position before.
    fn take(&mut self, states: &[Message], replies: &[Passed]) -> Result<()> {
        let mut replies = replies.iter();
        let (mut shown, mut before) = (None, None);
        for message in states {
            let state = message.json()?;
            let steps = state.pointer("/current_steps").and_then(Value::as_i64);
            let first = shown.is_none();
            if steps.is_none() || std::mem::replace(&mut shown, steps) == steps || first {
                continue;
            }
            let reply = replies.find(|reply| position(&reply.bytes) == steps);
            let reply = reply.with_context(|| format!("a position that was never read: {state}"))?;
            let at = message.at.instant;
            self.delays.push(milliseconds(at.since(reply.at)));
            if let Some(before) = before.replace(at) {
                self.intervals.push(milliseconds(at.since(before)));
            }
        }
        Ok(())
    }
}

/// The number in `#P081 F -1234$`.
fn position(frame: &[u8]) -> Option<i64> {
    let text = str::from_utf8(frame).ok()?;
    text.trim().strip_suffix('$')?.rsplit(' ').next()?.parse().ok()
}

/// A cold `focus status`, side by side with `mosquitto_sub`.
pub(crate) fn status(stage: &Stage, report: &mut Report) -> Result<()> {
    let config = stage.site.client_settings("alice")?;
    let ours = Launch::workspace("focus")?.arg("--config").arg(config).arg("status");
    let theirs = stage::mosquitto_sub(&stage.site.broker, "alice", &stage.site.topic("state"))?;
    let (status, subscribe) = figures::cold(&ours, &theirs)?;
    report.add("focus status", "ms", Some((Judged::Median, 15.0)), status)?;
    report.add("  mosquitto_sub -C 1, by turns", "ms", None, subscribe)
}

/// Memory after all of that, and processor time of a bridge that nobody asks anything.
pub(crate) fn footprint(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let pid = stage.site.bridge.process()?.pid();
    let footprint = figures::at_rest(pid)?;
    report.add(
        "focuser-bridge: resident memory",
        "MiB",
        Some((Judged::Median, 10.0)),
        vec![footprint.resident],
    )?;
    report.add("  of that its own, not of files", "MiB", None, vec![footprint.own])?;
    report.add(
        "focuser-bridge idle: share of one core",
        "%",
        Some((Judged::Median, 0.5)),
        vec![footprint.percent],
    )
}
