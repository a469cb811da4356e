//! Many instruments on one broker: a broker under the shipped files, and a process (`many-bridges`) with
//! the whole bridge of each instrument. Every telescope has a chiller and a focuser.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::clock::{Instant, Now};
use bus::topic::Base;
use harness::broker::{AclMode, Broker, HOST, SHIPPED_ACL};
use harness::client::{Connect, Message, TestClient};
use harness::process::{Launch, Process};
use harness::wait::{Deadline, wait_for};

use crate::footprint::{processor_time, raise_open_files};

/// Who may command all of them.
pub const OPERATOR: &str = "alice";

const KINDS: [&str; 2] = ["chiller", "focuser"];
/// For all of them to be there; a thousand on two cores take a while to start.
const LIMIT: Duration = Duration::from_secs(120);
/// How often the broker's load is looked at after a restart.
const LOOK: Duration = Duration::from_millis(100);

/// See the module. The processes end with it.
pub struct Crowd {
    bridges: Process,
    /// Their broker.
    pub broker: Broker,
    members: Vec<Base>,
    _dir: tempfile::TempDir,
}

/// How a broker that was restarted got its bridges back.
#[derive(Debug)]
pub struct Return {
    /// From the broker's stop until it listened again.
    pub listened: Duration,
    /// From the broker's stop until each bridge had published `online` again, the first of them first.
    pub back: Vec<Duration>,
    /// The broker's share of one core, each over 100 ms.
    pub load: Vec<f64>,
}

impl Return {
    /// The most bridges that came back within any span of this length.
    #[must_use]
    pub fn most_within(&self, span: Duration) -> usize {
        let within =
            |first: &Duration| self.back.iter().filter(|at| *at >= first && **at < *first + span).count();
        self.back.iter().map(within).max().unwrap_or(0)
    }
}

impl Crowd {
    /// Starts so many instruments, whose bridges save below `state`, and waits until all take commands.
    ///
    /// # Errors
    /// If something cannot be started, or one of them does not come.
    pub fn start(count: usize, state: &Path) -> Result<Self> {
        raise_open_files()?;
        let members = (0..count).map(member).collect::<Result<Vec<_>>>()?;
        let broker = Broker::builder().acl(AclMode::Text(access(&members)?)).start()?;
        let dir = tempfile::tempdir().context("make a folder for settings")?;
        for base in &members {
            fs::write(dir.path().join(format!("{}.toml", name(base))), settings(base, &broker, state)?)
                .context("write a bridge's settings")?;
        }
        let watcher = watcher(&broker)?;
        let bridges = Launch::workspace("many-bridges")?.arg(dir.path()).spawn()?;
        let crowd = Self { bridges, broker, members, _dir: dir };
        crowd.wait(&watcher).with_context(|| crowd.bridges.stderr())?;
        watcher.close();
        Ok(crowd)
    }

    /// The topics of each.
    #[must_use]
    pub fn members(&self) -> &[Base] {
        &self.members
    }

    /// The process with the bridges.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.bridges.pid()
    }

    /// The broker's process.
    ///
    /// # Errors
    /// If it does not run.
    pub fn broker_pid(&self) -> Result<u32> {
        self.broker.pid().context("the broker does not run")
    }

    /// Restarts the broker as `systemctl restart` does, and waits until all bridges are back; then looks at the
    /// broker's load for this time, because more follows on each connection.
    ///
    /// # Errors
    /// If the broker does not start, or a bridge does not come back.
    pub fn restart_broker(&mut self, afterwards: Duration) -> Result<Return> {
        let begin = Now::read().instant;
        self.broker.restart()?;
        let listened = Now::read().instant.since(begin);
        let watcher = watcher(&self.broker)?;
        let pid = self.broker_pid()?;
        let (mut load, mut last) = (Vec::new(), (Now::read().instant, processor_time(pid)?));
        let (limit, mut done): (_, Option<Deadline>) = (Deadline::after(LIMIT), None);
        while done.is_none_or(|done| !done.left().is_zero()) && !limit.left().is_zero() {
            std::thread::sleep(LOOK);
            let now = (Now::read().instant, processor_time(pid)?);
            load.push(now.1.saturating_sub(last.1).as_secs_f64() / now.0.since(last.0).as_secs_f64());
            last = now;
            if done.is_none() && self.online(&watcher).len() == self.members.len() {
                done = Some(Deadline::after(afterwards));
            }
        }
        let back = self.wait(&watcher).with_context(|| self.bridges.stderr())?;
        watcher.close();
        let mut back: Vec<_> = back.into_values().map(|at| at.since(begin)).collect();
        back.sort();
        Ok(Return { listened, back, load })
    }

    /// Ends the bridges, each as it is asked to, and the broker.
    ///
    /// # Errors
    /// If one of them does not.
    pub fn stop(mut self) -> Result<()> {
        let code = self.bridges.stop(LIMIT)?;
        ensure!(code == 0, "the bridges ended with {code}: {}", self.bridges.stderr());
        self.broker.stop()
    }

    /// When each was online for the first time, as far as this client has heard.
    fn online(&self, watcher: &TestClient) -> BTreeMap<String, Instant> {
        let mut first = BTreeMap::new();
        // Not before there can be enough of them: it looks at all messages.
        if watcher.mark() >= self.members.len() {
            let is_online = |message: &Message| message.payload == "online";
            for message in watcher.messages().into_iter().filter(is_online) {
                first.entry(message.topic).or_insert(message.at.instant);
            }
        }
        first
    }

    fn wait(&self, watcher: &TestClient) -> Result<BTreeMap<String, Instant>> {
        wait_for("all bridges", LIMIT, || {
            let online = self.online(watcher);
            (online.len() == self.members.len()).then_some(online)
        })
        .with_context(|| format!("{} heard of {} bridges", watcher.mark(), self.members.len()))
    }
}

/// A client that hears who is online.
fn watcher(broker: &Broker) -> Result<TestClient> {
    let watcher = Connect::with(broker.port(), broker.client("watcher")?).connect()?;
    watcher.subscribe("+/+/availability")?;
    Ok(watcher)
}

/// The topics of one of them.
fn member(number: usize) -> Result<Base> {
    let kind = KINDS.get(number % KINDS.len()).copied().unwrap_or_default();
    Base::new(&format!("t{:04}", number / KINDS.len() + 1), kind).map_err(anyhow::Error::msg)
}

/// As `chiller-t0001`.
fn name(base: &Base) -> String {
    format!("{}-{}", base.device(), base.site())
}

fn identity(base: &Base) -> String {
    format!("{}-bridge-{}", base.device(), base.site())
}

/// The shipped access control, and the section of the shipped bridge for each of ours.
fn access(members: &[Base]) -> Result<String> {
    let mut text = SHIPPED_ACL.to_owned();
    for base in members {
        let head = format!("user {}-bridge\n", base.device());
        let (_, section) = SHIPPED_ACL.split_once(&head).context("no such section in obsbus.acl")?;
        let rules = section.split("\n\n").next().unwrap_or_default();
        write!(text, "\nuser {}\n{}\n", identity(base), rules.replace("clasp", base.site()))?;
    }
    Ok(text)
}

fn settings(base: &Base, broker: &Broker, state: &Path) -> Result<String> {
    let files = broker.client(&identity(base))?;
    // A focuser publishes two states for each of its polls, a chiller one for each reading: a little more than
    // one each second. The other two are the longest: a watchdog here would end all of them, and where a thousand
    // share two cores, one that waits for its turn has not hung.
    let polls = if base.device() == "focuser" { "query_delay = 2\n" } else { "" };
    Ok(format!(
        "{polls}site = \"{}\"\ndevice = \"{}\"\nserial_port = \"/dev/null\"\nstate_directory = \"{}\"\n\
         control_clients = [\"{OPERATOR}\"]\nstale_after = 60\nstall_guard = 10\n\
         [broker]\nhost = \"{HOST}\"\nport = {}\nca_file = \"{}\"\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
        base.site(),
        base.device(),
        state.join(name(base)).display(),
        broker.port(),
        files.ca.display(),
        files.cert.display(),
        files.key.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bridge_may_write_its_own_topics_and_no_others() {
        let members: Vec<_> = (0..3).map(|number| member(number).unwrap()).collect();
        let text = access(&members).unwrap();
        let (_, own) = text.split_once("user focuser-bridge-t0001\n").unwrap();
        let own = own.split("\n\n").next().unwrap();
        assert!(own.contains("topic write t0001/focuser/state\n"), "{own}");
        assert!(own.contains("topic readwrite homeassistant/+/t0001_focuser/+/config"), "{own}");
        assert!(!own.contains("clasp") && !own.contains("chiller"), "{own}");
        assert!(text.starts_with(SHIPPED_ACL) && text.contains("topic write t0002/chiller/state\n"));
    }

    #[test]
    fn the_busiest_span_is_found_wherever_it_begins() {
        let ms = Duration::from_millis;
        let back = [0, 90, 110, 180, 189, 500].map(ms).to_vec();
        let back = Return { listened: ms(0), back, load: Vec::new() };
        assert_eq!(back.most_within(ms(100)), 4);
        assert_eq!(back.most_within(ms(1)), 1);
    }
}
