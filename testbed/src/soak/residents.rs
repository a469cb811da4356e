//! The processes that live through a long run, beside the bridges: the panel in a browser, `obsbus
//! metrics`, `obsbus alpaca`, the alerter, a `watch` of each instrument; and their figures.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::browser::Browser;
use super::figures::{Figures, Holds, Row};
use crate::broker::{HOST, free_port};
use crate::demo::Stage;
use crate::process::{Launch, Process};
use crate::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(60);
/// How often figures are taken for one result: a moment's connection or page is not what is meant.
const LOOKS: usize = 5;
/// What is not the product's.
const OTHERS: [&str; 2] = ["mosquitto", "chromium"];

/// A process with its own identity at the broker.
struct Resident {
    name: &'static str,
    identity: &'static str,
    process: Process,
}

/// See the module. Dropping it ends them.
pub(super) struct Residents {
    residents: Vec<Resident>,
    browser: Option<Browser>,
    metrics: String,
}

/// The figures of each process, by its name.
pub(super) type Table = BTreeMap<String, Figures>;

impl Residents {
    pub(super) fn start(stage: &mut Stage) -> Result<Self> {
        let mut residents = Vec::new();
        let mut start = |name, identity, launch: &Launch, says: &str| -> Result<String> {
            let mut process = launch.clone().named(name).spawn()?;
            let line = process.wait_for_line(|line| line.contains(says), LIMIT)?;
            residents.push(Resident { name, identity, process });
            Ok(line)
        };
        let metrics = stage.command("ops", "obsbus metrics --listen 127.0.0.1:0")?;
        let line = start("metrics", "ops", &metrics, "serving http://")?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let metrics = address.context("expected the address of the metrics")?.to_owned();
        start("alpaca", "alpaca", &alpaca(stage)?, "http://")?;
        start("alerter", "alert-bridge", &alerter(stage)?, "connected to the broker")?;
        start("chiller watch", "visitor", &stage.command("visitor", "chiller watch")?, "water")?;
        start("focus watch", "bob", &stage.command("bob", "focus watch")?, " ")?;
        let browser = match Browser::program() {
            Some(_) => {
                let (address, name, password) = stage.panel_login();
                Some(Browser::open(&stage.folder().join("browser"), (&address, name, password))?)
            }
            None => None,
        };
        Ok(Self { residents, browser, metrics })
    }

    pub(super) fn describe(&self) -> String {
        let names: Vec<&str> = self.residents.iter().map(|resident| resident.name).collect();
        let panel =
            if self.browser.is_some() { "a web panel in Chromium" } else { "no web panel: no Chromium here" };
        format!("besides broker and bridges: {}, {panel}", names.join(", "))
    }

    /// Waits until the panel shows every device as live, and asks for the metrics.
    pub(super) fn wait_until_live(&mut self) -> Result<()> {
        let mut stream = TcpStream::connect(&self.metrics).context("reach obsbus metrics")?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).context("read the metrics")?;
        self.browser.as_mut().map_or(Ok(()), Browser::wait_until_live)
    }

    /// The figures of every process, out of several looks: `choose` takes one of two.
    pub(super) fn figures(&mut self, stage: &mut Stage, choose: fn(Holds, Holds) -> Holds) -> Result<Table> {
        let broker_log = stage.broker().log();
        let logs = stage.bridge_logs();
        let [chiller, focuser] = stage.bridges();
        let mut processes = vec![
            ("chiller-bridge", "chiller-bridge", chiller.process()?.pid(), lines(&logs[0])),
            ("focuser-bridge", "focuser-bridge", focuser.process()?.pid(), lines(&logs[1])),
        ];
        for resident in &mut self.residents {
            anyhow::ensure!(
                resident.process.is_running(),
                "{} ended: {}{}",
                resident.name,
                resident.process.stdout(),
                resident.process.stderr()
            );
            let said = resident.process.stderr().lines().count();
            processes.push((resident.name, resident.identity, resident.process.pid(), u64::try_from(said)?));
        }
        if let Some(pid) = stage.broker().pid() {
            let said = broker_log.lines().count();
            processes.push(("mosquitto", "", pid, u64::try_from(said)?));
        }
        if let Some(browser) = &self.browser {
            processes.push(("chromium", "web-alice", browser.pid(), 0));
        }
        let mut table = Table::new();
        for (name, identity, pid, log_lines) in processes {
            let mut holds = Holds::of(pid).with_context(|| name.to_owned())?;
            for _ in 1..LOOKS {
                // A tenth of a second from one to the next.
                drop(wait_for("another look", Duration::from_millis(100), || None::<()>));
                holds = choose(holds, Holds::of(pid).with_context(|| name.to_owned())?);
            }
            let user = format!("u'{identity}'");
            let is_connect = |line: &&str| line.contains("New client connected") && line.contains(&user);
            let connections = u64::try_from(broker_log.lines().filter(is_connect).count())?;
            table.insert(name.to_owned(), Figures { holds, log_lines, connections });
        }
        if let Some(browser) = &mut self.browser {
            let page = browser.page_kibibytes()?;
            let holds =
                Holds { resident: page, proportional: page, anonymous: page, descriptors: 0, threads: 0 };
            table.insert("panel (page)".to_owned(), Figures { holds, ..Figures::default() });
        }
        Ok(table)
    }
}

/// What each process held before, and after.
pub(super) fn rows(before: &Table, after: &Table) -> Vec<Row> {
    let both = before.iter().filter_map(|(name, before)| Some((name, before, after.get(name)?)));
    both.map(|(name, before, after)| Row {
        name: name.clone(),
        before: *before,
        after: *after,
        judged: !OTHERS.contains(&name.as_str()),
    })
    .collect()
}

fn lines(log: &Path) -> u64 {
    fs::read_to_string(log).map_or(0, |text| u64::try_from(text.lines().count()).unwrap_or(u64::MAX))
}

fn broker_section(stage: &mut Stage, identity: &str) -> Result<String> {
    let files = stage.broker().client(identity)?;
    let port = stage.broker().port();
    Ok(format!(
        "[broker]\nhost = {HOST:?}\nport = {port}\nca_file = {:?}\ncertificate_file = {:?}\nkey_file = {:?}\n",
        files.ca, files.cert, files.key
    ))
}

fn settings(stage: &mut Stage, identity: &str, keys: &str, sections: &str) -> Result<PathBuf> {
    let text = format!("{keys}{}{sections}", broker_section(stage, identity)?);
    let path = stage.folder().join(format!("{identity}.toml"));
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

fn alpaca(stage: &mut Stage) -> Result<Launch> {
    let keys = format!("site = \"clasp\"\ndevices = [\"focuser\"]\nport = {}\n", free_port()?);
    let file = settings(stage, "alpaca", &keys, "")?;
    Ok(Launch::workspace("obsbus")?.arg("alpaca").arg(file))
}

fn alerter(stage: &mut Stage) -> Result<Launch> {
    let folder = stage.folder().to_owned();
    let keys = format!(
        "site = \"clasp\"\ncontrol_clients = [\"alice\", \"ops\"]\nstate_directory = {:?}\ngroup = 1\n",
        folder.join("alert-state")
    );
    let sections = format!(
        "[rules.wake]\nseverity = \"error\"\nlevel = \"critical\"\nfor = 3\n[receivers.program]\ntype = \"command\"\n\
         command = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n",
        folder.join("alerts").display()
    );
    let file = settings(stage, "alert-bridge", &keys, &sections)?;
    Ok(Launch::workspace("alert-bridge")?.arg(file))
}
