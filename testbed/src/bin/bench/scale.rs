//! Many instruments on one broker: what they cost, how quick commands are, how they come back after a
//! restart of the broker, and what each panel costs that looks at all of them.

#![expect(clippy::disallowed_methods, reason = "measures time, and lets some pass")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bus::clock::Now;
use bus::topic::{Base, Identity, RequestId};
use testbed::broker::{Broker, HOST};
use testbed::client::{Connect, Post, TestClient};
use testbed::crowd::{Crowd, OPERATOR, Return};
use testbed::footprint::{mebibytes, open_files, processor_time};
use testbed::process::{Launch, Process};

use crate::report::{Judged, Report, milliseconds};

/// The targets hold up to so many.
const PROMISED: usize = 500;
const LIMIT: Duration = Duration::from_secs(30);
/// What a bridge does once after its start is done by then.
const SETTLE: Duration = Duration::from_secs(8);
/// What follows on a connection is published within this time.
const FOLLOWS: Duration = Duration::from_secs(5);
/// Two polls of a chiller.
const LOOK: Duration = Duration::from_secs(10);
const COMMANDS: usize = 300;
const BETWEEN_COMMANDS: Duration = Duration::from_millis(15);
/// Between two to the same instrument, which takes five a second of one client.
const BETWEEN_ITS_COMMANDS: Duration = Duration::from_millis(220);
const PANELS: [usize; 3] = [1, 10, 50];
/// All save about every minute and at their start: more of them would measure nothing but the disk.
const ON_ONE_DISK: [usize; 2] = [2, 100];
/// Coming back within this time is coming back together.
const TOGETHER: Duration = Duration::from_millis(100);

/// What so many instruments take, in the order of [`LINES`].
struct Cost {
    instruments: f64,
    takes: [f64; 4],
}

const LINES: [(&str, &str); 4] = [
    ("broker, share of one core", "%"),
    ("broker, memory", "MiB"),
    ("bridges, share of one core", "%"),
    ("bridges, memory", "MiB"),
];

/// Measures with each of these numbers of instruments.
pub(crate) fn measure(sizes: &[usize], report: &mut Report) -> Result<()> {
    let mut costs = Vec::new();
    for size in sizes {
        costs.push(one_size(*size, report).with_context(|| format!("measure {size} instruments"))?);
    }
    for (which, (name, unit)) in LINES.iter().enumerate() {
        let points: Vec<_> =
            costs.iter().filter_map(|cost| Some((cost.instruments, *cost.takes.get(which)?))).collect();
        if let Some((base, slope)) = fitted(&points) {
            report.add(format!("line: {name}, without any"), unit, None, vec![base])?;
            report.add(format!("line: {name}, for 100 instruments more"), unit, None, vec![100.0 * slope])?;
        }
    }
    if let Some(size) = sizes.iter().copied().filter(|size| *size <= PROMISED).max() {
        panels(size, report).with_context(|| format!("measure panels with {size} instruments"))?;
    }
    for size in ON_ONE_DISK {
        on_disk(size, report).with_context(|| format!("measure {size} instruments on one disk"))?;
    }
    Ok(())
}

fn one_size(size: usize, report: &mut Report) -> Result<Cost> {
    eprintln!("{size} instruments: states, commands, a restart of the broker …");
    let bar = |judged, limit| (size <= PROMISED).then_some((judged, limit));
    let state = in_memory()?;
    let begin = Now::read().instant;
    let mut crowd = Crowd::start(size, state.path())?;
    report.add(format!("{size}: all started -> all there"), "s", None, vec![seconds_since(begin)])?;
    std::thread::sleep(SETTLE);

    let cost = at_work(&crowd, size, report)?;
    let operator = Operator::start(&crowd.broker)?;
    let name = format!("{size}: command ping -> done");
    report.add(name, "ms", bar(Judged::P99, 20.0), operator.ping_some(&crowd)?)?;
    let name = format!("{size}: command mode -> done, saved");
    report.add(name, "ms", bar(Judged::P99, 20.0), operator.switch_some(&crowd)?)?;
    operator.client.close();

    let back = crowd.restart_broker(FOLLOWS)?;
    came_back(size, &back, bar(Judged::Worst, 5.0), report)?;
    let operator = Operator::start(&crowd.broker)?;
    for (number, base) in crowd.members().iter().enumerate() {
        operator.ask(base, "ping", "", &format!("again-{number}"))?;
    }
    operator.client.close();
    crowd.stop()?;
    Ok(cost)
}

fn seconds_since(begin: bus::clock::Instant) -> f64 {
    Now::read().instant.since(begin).as_secs_f64()
}

/// Nobody asks anything; one client counts the states.
fn at_work(crowd: &Crowd, size: usize, report: &mut Report) -> Result<Cost> {
    let bar = |limit| (size <= PROMISED).then_some((Judged::Median, limit));
    let broker = crowd.broker_pid()?;
    let before = (Now::read().instant, processor_time(broker)?, processor_time(crowd.pid())?);
    let counter =
        subscriber(&crowd.broker, "+/+/state", "%t")?.args(["-R", "-W", &LOOK.as_secs().to_string()]);
    let heard = counter.run(LIMIT)?.stdout;
    let after = (Now::read().instant, processor_time(broker)?, processor_time(crowd.pid())?);
    let seconds = after.0.since(before.0).as_secs_f64();

    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    heard.lines().for_each(|topic| *counts.entry(topic).or_default() += 1);
    ensure!(counts.len() == size, "{} of {size} instruments published a state", counts.len());
    let states: u32 = counts.values().sum();
    let name = format!("{size}: states of all");
    report.add(name, "1/s", None, vec![f64::from(states) / LOOK.as_secs_f64()])?;
    let each = counts.values().map(|count| LOOK.as_secs_f64() / f64::from(*count)).collect();
    report.add(format!("{size}: states of one, mean interval"), "s", bar(1.0), each)?;

    let share = |from: Duration, to: Duration| 100.0 * to.saturating_sub(from).as_secs_f64() / seconds;
    let takes = [
        share(before.1, after.1),
        mebibytes(broker, "Rss")?,
        share(before.2, after.2),
        mebibytes(crowd.pid(), "Rss")?,
    ];
    let targets = [bar(100.0), None, None, None];
    for (((name, unit), value), target) in LINES.into_iter().zip(takes).zip(targets) {
        report.add(format!("{size}: {name}"), unit, target, vec![value])?;
    }
    let files = u32::try_from(open_files(broker)?)?;
    report.add(format!("{size}: broker, open files"), "1", None, vec![f64::from(files)])?;
    Ok(Cost { instruments: f64::from(u32::try_from(size)?), takes })
}

fn came_back(size: usize, back: &Return, target: Option<(Judged, f64)>, report: &mut Report) -> Result<()> {
    let restart = format!("{size}: broker stopped ->");
    report.add(format!("{restart} it listens again"), "s", None, vec![back.listened.as_secs_f64()])?;
    let times = back.back.iter().map(Duration::as_secs_f64).collect();
    report.add(format!("{restart} each bridge is back"), "s", target, times)?;
    let together = u32::try_from(back.most_within(TOGETHER))?;
    report.add(format!("{size}: most that came within 100 ms"), "1", None, vec![f64::from(together)])?;
    let load = back.load.iter().map(|share| 100.0 * share).collect();
    report.add(format!("{size}: broker meanwhile, share of one core"), "%", None, load)
}

/// As a panel does it: everything of every instrument, acknowledged.
fn panels(size: usize, report: &mut Report) -> Result<()> {
    let state = in_memory()?;
    let crowd = Crowd::start(size, state.path())?;
    std::thread::sleep(SETTLE);
    let broker = crowd.broker_pid()?;
    let operator = Operator::start(&crowd.broker)?;
    let mut open: Vec<Process> = Vec::new();
    for count in PANELS {
        eprintln!("{size} instruments, {count} panels …");
        while open.len() < count {
            let panel = subscriber(&crowd.broker, "+/+/+", ".")?.args(["-q", "1"]);
            open.push(panel.named(&format!("panel-{}", open.len())).spawn()?);
        }
        std::thread::sleep(SETTLE / 2);
        let heard = |open: &[Process]| open.iter().map(|panel| panel.stdout().len() / 2).sum::<usize>();
        let before = (Now::read().instant, processor_time(broker)?, heard(&open));
        let samples = operator.ping_some(&crowd)?;
        let seconds = seconds_since(before.0);
        let share = 100.0 * processor_time(broker)?.saturating_sub(before.1).as_secs_f64() / seconds;
        let messages = f64::from(u32::try_from(heard(&open).saturating_sub(before.2))?) / seconds;
        let name = |what: &str| format!("{size}, {count} panels: {what}");
        report.add(name("messages to them"), "1/s", None, vec![messages])?;
        report.add(name("broker, share of one core"), "%", None, vec![share])?;
        report.add(name("broker, memory"), "MiB", None, vec![mebibytes(broker, "Rss")?])?;
        report.add(name("command ping -> done"), "ms", None, samples)?;
    }
    drop(open);
    crowd.stop()
}

/// All journals on one disk, as they never are where each bridge has a machine of its own.
fn on_disk(size: usize, report: &mut Report) -> Result<()> {
    eprintln!("{size} instruments that save on one disk …");
    let state = tempfile::tempdir_in("target").context("make a folder on the disk")?;
    let crowd = Crowd::start(size, state.path())?;
    std::thread::sleep(SETTLE);
    let operator = Operator::start(&crowd.broker)?;
    let name = format!("{size} on one disk: command mode -> done, saved");
    report.add(name, "ms", None, operator.switch_some(&crowd)?)?;
    operator.client.close();
    crowd.stop()
}

/// A folder that no disk slows down, if the machine has one.
fn in_memory() -> Result<tempfile::TempDir> {
    let folder = PathBuf::from("/dev/shm");
    let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
    tempfile::tempdir_in(folder).context("make a folder for the bridges' files")
}

/// `mosquitto_sub`, which prints this for each message.
fn subscriber(broker: &Broker, filter: &str, format: &str) -> Result<Launch> {
    let files = broker.client("watcher")?;
    Ok(Launch::machine("mosquitto_sub")?
        .args(["-V", "5", "-h", HOST, "-t", filter, "-F", format, "-p", &broker.port().to_string()])
        .arg("--cafile")
        .arg(files.ca)
        .arg("--cert")
        .arg(files.cert)
        .arg("--key")
        .arg(files.key))
}

struct Operator {
    client: TestClient,
    identity: Identity,
}

impl Operator {
    fn start(broker: &Broker) -> Result<Self> {
        let client = Connect::with(broker.port(), broker.client(OPERATOR)?).connect()?;
        // Its waits look at every reply that it has had.
        client.stop_judging();
        client.subscribe(&format!("+/+/reply/{OPERATOR}/+"))?;
        Ok(Self { client, identity: Identity::new(OPERATOR).map_err(anyhow::Error::msg)? })
    }

    /// One after the other, of different instruments; how long each took.
    fn ping_some(&self, crowd: &Crowd) -> Result<Vec<f64>> {
        let begin = Now::read().utc.unix_milliseconds();
        let mut samples = Vec::new();
        for (number, base) in some(crowd.members()).enumerate() {
            pause(crowd.members().len());
            samples.push(self.ask(base, "ping", "", &format!("ping-{begin}-{number}"))?);
        }
        Ok(samples)
    }

    /// As [`Self::ping_some`], of instruments that have a mode: a command whose reply waits for the disk.
    fn switch_some(&self, crowd: &Crowd) -> Result<Vec<f64>> {
        let begin = Now::read().utc.unix_milliseconds();
        let with_mode: Vec<_> =
            crowd.members().iter().filter(|base| base.device() == "chiller").cloned().collect();
        let mut samples = Vec::new();
        for (number, base) in some(&with_mode).enumerate() {
            pause(with_mode.len());
            let mode = if (number / with_mode.len()).is_multiple_of(2) { "manual" } else { "automatic" };
            let argument = format!(",\"mode\":\"{mode}\"");
            samples.push(self.ask(base, "mode", &argument, &format!("mode-{begin}-{number}"))?);
        }
        Ok(samples)
    }

    /// From before the command is published until its verdict is there, ms.
    fn ask(&self, base: &Base, verb: &str, argument: &str, id: &str) -> Result<f64> {
        let request = RequestId::new(id).map_err(anyhow::Error::msg)?;
        let topic = base.reply(&self.identity, Some(&request));
        let mark = self.client.mark();
        let begin = Now::read();
        let payload = format!("{{\"id\":\"{id}\",\"ts\":\"{}\"{argument}}}", begin.utc);
        let sent = self.client.send(Post::to(base.command(&self.identity, verb), payload))?;
        let is_verdict = |message: &testbed::client::Message| {
            message.topic == topic
                && message.json().is_ok_and(|json| json.pointer("/code").is_some_and(|code| !code.is_null()))
        };
        let verdict = self.client.wait_after(mark, is_verdict, LIMIT)?;
        if verdict.json()?.pointer("/code").is_none_or(|code| code != 0) {
            bail!("{verb} of {} was to succeed: {}", base.state(), verdict.text());
        }
        sent.wait()?;
        Ok(milliseconds(verdict.at.instant.since(begin.instant)))
    }
}

/// So many of these, again and again.
fn some(members: &[Base]) -> impl Iterator<Item = &Base> {
    members.iter().cycle().take(COMMANDS)
}

/// Before the next command, to one after the other of so many instruments.
fn pause(count: usize) {
    let turn = BETWEEN_ITS_COMMANDS / u32::try_from(count).unwrap_or(u32::MAX);
    std::thread::sleep(turn.max(BETWEEN_COMMANDS));
}

/// The straight line through these points, by least squares: its value at zero, and its slope.
fn fitted(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = f64::from(u32::try_from(points.len()).ok()?);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    (spread > 0.0).then(|| (y - both / spread * x, both / spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_goes_through_points_that_lie_on_one() {
        let (base, slope) = fitted(&[(10.0, 7.0), (100.0, 52.0), (500.0, 252.0)]).unwrap();
        assert!((base - 2.0).abs() < 1e-9 && (slope - 0.5).abs() < 1e-9, "{base} {slope}");
        assert_eq!(fitted(&[(10.0, 7.0)]), None);
        assert_eq!(fitted(&[]), None);
    }
}
