//! The figures of a bridge whose broker stays: command line, commands, serial line, footprint.

#![expect(clippy::disallowed_methods, reason = "measures time, and lets some pass")]

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bus::clock::{Instant, Now};
use bus::signature::{PROPERTY, Signer};
use bus::topic::{Base, Identity, RequestId};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use testbed::chiller::CHARACTER_TIME;
use testbed::client::{Post, TestClient};
use testbed::footprint::{mebibytes, processor_time};
use testbed::port::{Direction, Passed};
use testbed::process::Launch;

use crate::report::{Judged, Report, median, milliseconds};
use crate::stage::{LIMIT, OPERATORS, Stage, instant_line, mosquitto_sub, operator};

const STATUS_RUNS: usize = 60;
const COMMANDS: usize = 240;
/// Ten operators who take turns stay below five commands a second each, the Desk's rate.
const BETWEEN_COMMANDS: Duration = Duration::from_millis(25);
const LINE_TIME: Duration = Duration::from_secs(25);
const IDLE_TIME: Duration = Duration::from_secs(30);
/// What the daemon does once after its start is done by then.
const SETTLE_TIME: Duration = Duration::from_secs(10);

/// Commands 01 03 04 08 09 13: the readings of every cycle, in their order.
const QUICK_SET: [&str; 6] = ["01", "03", "04", "08", "09", "13"];

/// A cold `chiller status` and a cold `obsbus chiller status`, each side by side with `mosquitto_sub`.
pub(crate) fn status(stage: &Stage, report: &mut Report) -> Result<()> {
    let chiller = stage.tool("chiller", &["status"])?;
    let names = ["chiller status", "chiller status / mosquitto_sub"];
    beside_subscribe(stage, &chiller, names, 2.0, report)?;
    let obsbus = stage.tool("obsbus", &["chiller", "status"])?;
    let names = ["obsbus chiller status", "obsbus chiller status / mosquitto_sub"];
    beside_subscribe(stage, &obsbus, names, 0.6, report)
}

fn beside_subscribe(
    stage: &Stage,
    ours: &Launch,
    [time, ratio]: [&'static str; 2],
    limit: f64,
    report: &mut Report,
) -> Result<()> {
    let theirs = mosquitto_sub(&stage.broker, &operator(0), &stage.base.state())?;
    let (status, subscribe) = cold(ours, &theirs)?;
    let quotient = median(&status).zip(median(&subscribe)).map(|(ours, theirs)| ours / theirs);
    report.add(time, "ms", Some((Judged::Median, 15.0)), status)?;
    report.add("  mosquitto_sub -C 1, by turns", "ms", None, subscribe)?;
    report.add(ratio, "x", Some((Judged::Median, limit)), quotient.into_iter().collect())
}

/// Two programs by turns, each from its start to its end, ms.
pub(crate) fn cold(ours: &Launch, theirs: &Launch) -> Result<(Vec<f64>, Vec<f64>)> {
    // Once each for the page cache.
    ours.time()?;
    theirs.time()?;
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..STATUS_RUNS {
        own.push(milliseconds(ours.time()?));
        other.push(milliseconds(theirs.time()?));
    }
    Ok((own, other))
}

/// From the publish to the first reply, nothing in the way.
pub(crate) fn commands(stage: &Stage, report: &mut Report) -> Result<()> {
    let clients = (0..OPERATORS)
        .map(|number| {
            let client = TestClient::connect(&stage.broker, &operator(number))?;
            client.subscribe(&stage.base.reply_filter(&identity(&client)?))?;
            Ok(client)
        })
        .collect::<Result<Vec<_>>>()?;
    let stranger = TestClient::connect(&stage.broker, "stranger")?;
    stranger.subscribe(&stage.base.reply_filter(&identity(&stranger)?))?;
    let mode = |number: usize| {
        let word = if number.is_multiple_of(2) { "manual" } else { "automatic" };
        format!(",\"mode\":\"{word}\"")
    };
    let limit = Some((Judged::P99, 5.0));
    let plain = Plain::start(stage)?;
    let mut beside = Vec::new();
    let admitted = by_turns(stage, &clients, &plain, &mut beside, "mode", mode)?;
    report.add("command mode -> accepted", "ms", limit, admitted)?;
    let pinged = by_turns(stage, &clients, &plain, &mut beside, "ping", |_| String::new())?;
    report.add("command ping -> accepted", "ms", limit, pinged)?;
    report.add("  any message through the broker, by turns", "ms", None, beside)?;
    // A stranger has a bucket of its own: twenty at once, then five a second.
    let mut refused = Vec::new();
    for number in 0..20 {
        refused.push(ask(stage, &stranger, &format!("r-{number}"), "mode", "rejected", &mode(number))?);
    }
    report.add("command mode -> rejected, a stranger's", "ms", limit, refused)?;
    let resident = mebibytes(stage.bridge.pid(), "Rss")?;
    report.add("bridge: memory after 500 commands", "MiB", Some((Judged::Median, 10.0)), vec![resident])
}

fn identity(client: &TestClient) -> Result<Identity> {
    Identity::new(client.identity()).map_err(anyhow::Error::msg)
}

/// A message of one client to another: what broker and machine take, without a bridge. A command
/// and its reply are two of them.
struct Plain {
    from: TestClient,
    to: TestClient,
    topic: String,
}

impl Plain {
    fn start(stage: &Stage) -> Result<Self> {
        let topic = Base::new(stage.base.site(), "power").map_err(anyhow::Error::msg)?.state();
        let from = TestClient::connect(&stage.broker, "powerd")?;
        let to = TestClient::connect(&stage.broker, "watcher")?;
        to.subscribe(&topic)?;
        Ok(Self { from, to, topic })
    }

    fn send(&self) -> Result<f64> {
        let mark = self.to.mark();
        let begin = Now::read().instant;
        let sent = self.from.send(Post::to(self.topic.as_str(), "{}"))?;
        let message = self.to.wait_after(mark, |message| message.topic == self.topic, LIMIT)?;
        sent.wait()?;
        Ok(milliseconds(message.at.instant.since(begin)))
    }
}

/// Every command by the next client, and a plain message after each.
fn by_turns(
    stage: &Stage,
    clients: &[TestClient],
    plain: &Plain,
    beside: &mut Vec<f64>,
    verb: &str,
    argument: impl Fn(usize) -> String,
) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    for (number, client) in clients.iter().cycle().take(COMMANDS).enumerate() {
        std::thread::sleep(BETWEEN_COMMANDS / 2);
        samples.push(ask(stage, client, &format!("{verb}-{number}"), verb, "accepted", &argument(number))?);
        std::thread::sleep(BETWEEN_COMMANDS / 2);
        beside.push(plain.send()?);
    }
    Ok(samples)
}

/// The same command to two bridges by turns, of which one demands a signature.
pub(crate) fn signatures(report: &mut Report) -> Result<()> {
    let (plain, signed) = (Stage::start(instant_line(), None)?, Stage::start_signed(instant_line())?);
    let connect = |stage: &Stage, number: usize| {
        let client = TestClient::connect(&stage.broker, &operator(number))?;
        client.subscribe(&stage.base.reply_filter(&identity(&client)?))?;
        Ok::<_, anyhow::Error>(client)
    };
    let mut pairs = Vec::new();
    for number in 0..OPERATORS {
        let (anyone, signer) = (connect(&plain, number)?, connect(&signed, number)?);
        let files = signed.broker.client(signer.identity())?;
        let chain = CertificateDer::pem_file_iter(&files.cert)?.collect::<Result<Vec<_>, _>>()?;
        pairs.push((anyone, signer, Signer::new(&chain, &PrivateKeyDer::from_pem_file(&files.key)?)?));
    }
    let (mut without, mut with, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (anyone, signer, key)) in pairs.iter().cycle().take(COMMANDS).enumerate() {
        std::thread::sleep(BETWEEN_COMMANDS);
        let id = format!("s-{number}");
        let unsigned = ask(&plain, anyone, &id, "ping", "accepted", "")?;
        let proven = ask_signed(&signed, signer, Some(key), &id, "ping", "accepted", "")?;
        without.push(unsigned);
        with.push(proven);
        beyond.push(proven - unsigned);
    }
    report.add("a signature: made and verified, without the way", "ms", Some((Judged::P99, 1.0)), {
        let (trust, (_, signer, key)) = (signed.trust().read()?, pairs.first().context("an operator")?);
        let topic = signed.base.command(&identity(signer)?, "ping");
        let once = || {
            let begin = Now::read();
            let payload = format!("{{\"id\":\"s\",\"ts\":\"{}\"}}", begin.utc);
            let signature = key.sign(&topic, payload.as_bytes()).context("no random numbers")?;
            trust.verify(&signature, &topic, &identity(signer)?, payload.as_bytes(), begin.utc)?;
            Ok(milliseconds(Now::read().instant.since(begin.instant)))
        };
        (0..COMMANDS).map(|_| once()).collect::<Result<_>>()?
    })?;
    report.add("command ping, unsigned -> accepted", "ms", None, without)?;
    report.add("command ping, signed -> accepted", "ms", None, with)?;
    report.add("  what the signature adds, with the way", "ms", Some((Judged::Median, 1.0)), beyond)?;
    plain.stop()?;
    signed.stop()
}

/// One command, and the milliseconds until its first reply, which must have this status. Waits for
/// the last one, so that the next command finds nothing running.
fn ask(
    stage: &Stage,
    client: &TestClient,
    id: &str,
    verb: &str,
    status: &str,
    argument: &str,
) -> Result<f64> {
    ask_signed(stage, client, None, id, verb, status, argument)
}

fn ask_signed(
    stage: &Stage,
    client: &TestClient,
    signer: Option<&Signer>,
    id: &str,
    verb: &str,
    status: &str,
    argument: &str,
) -> Result<f64> {
    let identity = identity(client)?;
    let request = RequestId::new(id).map_err(anyhow::Error::msg)?;
    let reply = stage.base.reply(&identity, Some(&request));
    let mark = client.mark();
    let begin = Now::read();
    let payload = format!("{{\"id\":\"{id}\",\"ts\":\"{}\"{argument}}}", begin.utc);
    let topic = stage.base.command(&identity, verb);
    let signature = signer.and_then(|signer| signer.sign(&topic, payload.as_bytes()));
    let mut post = Post::to(topic, payload);
    if let Some(signature) = signature {
        post = post.user_property(PROPERTY, signature);
    }
    let sent = client.send(post)?;
    let first = client.wait_after(mark, |message| message.topic == reply, LIMIT)?;
    let json = first.json()?;
    if json.pointer("/status").is_none_or(|word| word != status) {
        bail!("{verb} was to be answered by {status}: {json}");
    }
    if status == "accepted" {
        let last = |status: &str| status != "accepted";
        client.wait_after(
            mark,
            |message| {
                message.topic == reply
                    && message.json().is_ok_and(|json| {
                        json.pointer("/status").and_then(|word| word.as_str()).is_some_and(last)
                    })
            },
            LIMIT,
        )?;
    }
    sent.wait()?;
    Ok(milliseconds(first.at.instant.since(begin.instant)))
}

/// A line that takes its time: how soon a reading is with a subscriber, and how little the bridge
/// adds to a poll set.
pub(crate) fn line(stage: &Stage, report: &mut Report) -> Result<()> {
    let watcher = TestClient::connect(&stage.broker, "watcher")?;
    watcher.subscribe(&stage.base.state())?;
    let begin = Now::read();
    std::thread::sleep(LINE_TIME);
    let log: Vec<Passed> = stage.port.log().into_iter().filter(|passed| passed.at >= begin.instant).collect();
    readings(&watcher, begin, &log, report)?;
    poll_sets(&log, report)
}

/// From the reply's last byte to the first state that has it. `date` moves with each valid reply
/// and with nothing else, and no reply comes before the one before it was taken.
fn readings(watcher: &TestClient, begin: Now, log: &[Passed], report: &mut Report) -> Result<()> {
    let mut states = Vec::new();
    for message in watcher.messages() {
        let json = message.json()?;
        let date = json.pointer("/date").and_then(|date| date.as_str()).context("a state without date")?;
        let date = bus::clock::Utc::parse(date).map_err(anyhow::Error::msg)?;
        states.push((date.unix_milliseconds(), message.at.instant));
    }
    let mut samples = Vec::new();
    for reply in log.iter().filter(|passed| passed.direction == Direction::Reply) {
        let at = begin.utc.after(reply.at.since(begin.instant)).unix_milliseconds();
        // The last one's state may still be under way.
        if let Some((_, seen)) = states.iter().find(|(date, _)| *date >= at) {
            samples.push(milliseconds(seen.since(reply.at)));
        }
    }
    report.add("serial reply -> state at a subscriber", "ms", Some((Judged::P99, 10.0)), samples)
}

/// From the first request to the last reply of a quick set, over the time its bytes take at
/// 9600 baud.
fn poll_sets(log: &[Passed], report: &mut Report) -> Result<()> {
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for set in log.windows(2 * QUICK_SET.len()) {
        let numbers = QUICK_SET.iter().flat_map(|number| [number, number]);
        if !set.iter().zip(numbers).all(|(passed, number)| is_command(&passed.bytes, number)) {
            continue;
        }
        let (Some(first), Some(last)) = (set.first(), set.last()) else { continue };
        let characters: usize = set.iter().map(|passed| passed.bytes.len()).sum();
        let wire = CHARACTER_TIME * u32::try_from(characters)?;
        let took = last.at.since(first.at);
        times.push(milliseconds(took));
        ratios.push(took.as_secs_f64() / wire.as_secs_f64());
    }
    report.add("quick poll set", "ms", None, times)?;
    report.add("quick poll set / time on the wire", "x", Some((Judged::Median, 1.15)), ratios)
}

/// A request is `.01` and the command's number, its reply `#01` and the number.
fn is_command(frame: &[u8], number: &str) -> bool {
    // XON and XOFF may stand between frames.
    frame
        .iter()
        .position(|byte| matches!(byte, b'.' | b'#'))
        .and_then(|start| frame.get(start + 3..start + 5))
        == Some(number.as_bytes())
}

/// Memory and processor time of a bridge with default settings that nobody asks anything.
pub(crate) fn footprint(stage: &Stage, report: &mut Report) -> Result<()> {
    let footprint = at_rest(stage.bridge.pid())?;
    let target = Some((Judged::Median, 10.0));
    report.add("bridge: resident memory", "MiB", target, vec![footprint.resident])?;
    report.add("  of that its own, not of files", "MiB", None, vec![footprint.own])?;
    report.add("bridge idle: share of one core", "%", Some((Judged::Median, 0.3)), vec![footprint.percent])
}

/// What a process takes that nobody asks anything.
pub(crate) struct Footprint {
    /// Resident, MiB.
    pub(crate) resident: f64,
    /// Of that, what is not of files, MiB.
    pub(crate) own: f64,
    /// Share of one core.
    pub(crate) percent: f64,
}

/// Looks at a process for a while, once it has settled.
pub(crate) fn at_rest(pid: u32) -> Result<Footprint> {
    std::thread::sleep(SETTLE_TIME);
    let begin = (Now::read().instant, processor_time(pid)?);
    std::thread::sleep(IDLE_TIME);
    let end: (Instant, Duration) = (Now::read().instant, processor_time(pid)?);
    let share = (end.1.saturating_sub(begin.1)).as_secs_f64() / end.0.since(begin.0).as_secs_f64();
    let (resident, own) = (mebibytes(pid, "Rss")?, mebibytes(pid, "Anonymous")?);
    Ok(Footprint { resident, own, percent: 100.0 * share })
}

/// What a process has for its own, once it has settled, MiB.
pub(crate) fn memory_at_rest(pid: u32) -> Result<f64> {
    std::thread::sleep(SETTLE_TIME);
    mebibytes(pid, "Anonymous")
}
