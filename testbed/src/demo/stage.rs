//! What the demo and the README's commands run in: a [`Site`], the services beside it, and what
//! people need to try it, all in one folder that goes when the stage does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use super::panel::{self, Panel};
use super::services::{self, Services};
use super::{Interrupted, Stop};
use crate::broker::{Broker, HOST};
use crate::chiller::Chiller;
use crate::focuser::{self, Focuser};
use crate::process::Launch;
use crate::sim_console::SimConsole as _;
use crate::site::{Bridge, CONTROL, ExtraInstrument, Instrument as _, Site};

/// Who has settings: two operators; somebody whom the bridges do not know; somebody whom the broker
/// refuses every command.
const PEOPLE: [&str; 4] = ["alice", "ops", "bob", "visitor"];
/// What is typed to the focuser begins with it.
const FOCUSER_PREFIX: &str = "focuser ";
/// For the bridges to connect, to be heard and to have read their instruments.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// The folder of this build's demo, beside its binaries: `target/demo`.
///
/// # Errors
/// If the running program's place cannot be told.
pub fn folder() -> Result<PathBuf> {
    let programs = programs()?;
    Ok(programs.parent().context("the build folder has no parent")?.join("demo"))
}

/// A running site with both instruments. Dropping it kills what runs and removes the folder; [`Stage::stop`] is polite.
pub struct Stage {
    // In this order they go: who depends on something before it.
    services: Services,
    focuser: ExtraInstrument<Focuser>,
    site: Site,
    panel: Panel,
    folder: Folder,
}

impl Stage {
    /// Starts everything in `folder` and waits until the bridges have read their instruments and
    /// admit commands.
    ///
    /// # Errors
    /// If another demo runs there, a program is missing, or something does not start.
    pub fn start(folder: &Path, stop: &Stop) -> Result<Self> {
        Self::start_with(folder, false, stop)
    }

    /// As [`Stage::start`]; the bridges publish their devices for Home Assistant.
    ///
    /// # Errors
    /// As [`Stage::start`].
    pub fn start_with_discovery(folder: &Path, stop: &Stop) -> Result<Self> {
        Self::start_with(folder, true, stop)
    }

    fn start_with(folder: &Path, discovery: bool, stop: &Stop) -> Result<Self> {
        let folder = Folder::take(folder)?;
        let panel = Panel::prepare(&folder.path)?;
        // Asked often, in a warm room and with short delays, so that what it does is seen in seconds.
        let mut site = Site::builder()
            .in_dir(&folder.path)
            .broker_config(&panel.broker_config)
            .setting("control_clients", control_clients())
            .model(|model| {
                model.ambient_celsius = 22.0;
                model.supply_celsius = Some(20.0);
                model.latency = Duration::ZERO..=Duration::from_millis(20);
                model.wire_time = true;
            })
            .automatic(&services::CAMERAS)
            .setting("input_hold", "5")
            .setting("minimum_run_time", "5")
            .setting("switch_off_delay", "5")
            .setting_in("power", "max_age", "3")
            .setting_in("dome", "max_age", "3")
            .setting_in("homeassistant", "enabled", discovery.to_string())
            .start_without_bridge()?;
        let services = Services::start(&site.broker)?;
        for person in PEOPLE {
            site.client_settings(person)?;
        }
        fs::write(folder.path.join("env"), env_text(&folder.path, site.broker.port())?)
            .context("write the env file")?;
        site.launch_bridge()?;
        let focuser = start_focuser(&site, discovery)?;
        let mut stage = Self { services, focuser, site, panel, folder };
        stage.wait_until_ready(stop)?;
        Ok(stage)
    }

    /// The folder of everything: settings, states, logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// Where the `env` file is that another terminal sources.
    #[must_use]
    pub fn env_file(&self) -> PathBuf {
        self.folder.path.join("env")
    }

    /// The broker, to be restarted, frozen and killed.
    pub const fn broker(&mut self) -> &mut Broker {
        &mut self.site.broker
    }

    /// The processes of the bridges: the chiller's, the focuser's.
    pub const fn bridges(&mut self) -> [&mut Bridge; 2] {
        [&mut self.site.bridge, &mut self.focuser.bridge]
    }

    /// The address of the web panel, and name and password of somebody who may command.
    #[must_use]
    pub fn panel_login(&self) -> (String, &'static str, &'static str) {
        self.panel.login()
    }

    /// Where the web panel is, and who can log in.
    #[must_use]
    pub fn panel(&self) -> String {
        self.panel.describe()
    }

    /// The logs of both bridges.
    #[must_use]
    pub fn bridge_logs(&self) -> [PathBuf; 2] {
        [self.folder.path.join("chiller-bridge.err"), self.focuser.log_file().to_owned()]
    }

    /// `command` as `person` would run it after sourcing the `env` file.
    ///
    /// # Errors
    /// If a program is not built.
    pub fn command(&self, person: &str, command: &str) -> Result<Launch> {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let [program @ ("obsbus" | "chiller" | "focus"), arguments @ ..] = words.as_slice()
            && !command.contains(['\'', '"', '|', '$', ';'])
        {
            // Without a shell between, so that a signal reaches the command itself.
            return self.site.launch_tool(program, person, arguments);
        }
        let script = format!(". '{}'\nact_as {person}\n{command}", self.env_file().display());
        Ok(Launch::machine("sh")?.args(["-c", &script]))
    }

    /// Does what somebody at the site types: to a simulated instrument, or to the services beside
    /// them.
    ///
    /// # Errors
    /// Says what is wrong with the line, or what could not be done.
    pub fn obey(&mut self, line: &str) -> Result<Option<String>> {
        if let Some(done) = self.services.obey(&self.site.broker, line) {
            return done.map(|()| None);
        }
        let line = line.trim();
        if let Some(line) = line.strip_prefix(FOCUSER_PREFIX) {
            return Ok(Focuser::obey(&self.focuser.port, line)?);
        }
        let answer = Chiller::obey(&self.site.port, line)?;
        Ok(match (line, answer) {
            ("help", Some(chiller)) => Some(format!(
                "{}\n\nThe chiller:\n{chiller}\n\nThe focuser, with `focuser` before it:\n{}",
                services::HELP,
                Focuser::HELP
            )),
            (_, answer) => answer,
        })
    }

    /// Waits until the bridges admit commands and have all the readings of their instruments.
    ///
    /// # Errors
    /// If that does not come about; shows the bridges' logs.
    pub fn wait_until_ready(&mut self, stop: &Stop) -> Result<()> {
        self.wait_for("the bridges to read their instruments", READY_LIMIT, stop, |stage| {
            [Chiller::KIND, Focuser::KIND].into_iter().all(|device| stage.is_ready(device)).then_some(())
        })
    }

    fn is_ready(&self, device: &str) -> bool {
        let has = |what, key| self.last(device, what).and_then(|value| value.get(key).cloned());
        has("health", "command_path_ok") == Some(true.into())
            && has("state", "connected") == Some(true.into())
            && self.last(device, "state").is_some_and(|state| match device {
                Focuser::KIND => Focuser::is_read(&state),
                _ => Chiller::is_read(&state),
            })
    }

    fn last(&self, device: &str, what: &str) -> Option<Value> {
        let message = match device {
            Focuser::KIND => self.focuser.last(&self.site, what),
            _ => self.site.last(what),
        };
        message?.json().ok()
    }

    /// Waits until this device's state shows this under this key.
    ///
    /// # Errors
    /// If it does not come about; shows the bridges' logs.
    pub fn wait_until(
        &mut self,
        device: &str,
        key: &str,
        value: &Value,
        limit: Duration,
        stop: &Stop,
    ) -> Result<()> {
        self.wait_for(&format!("the {device}'s `{key}` to be {value}"), limit, stop, |stage| {
            (stage.last(device, "state")?.get(key)? == value).then_some(())
        })
    }

    /// Waits until the focuser is almost half-way to where it was sent.
    ///
    /// # Errors
    /// As [`Stage::wait_until`].
    pub fn wait_until_half_way(&mut self, limit: Duration, stop: &Stop) -> Result<()> {
        self.wait_for("the focuser to be half-way", limit, stop, |stage| {
            let state = stage.last(Focuser::KIND, "state")?;
            let is_moving = state.get("status")? == "moving";
            (is_moving && state.get("progress")?.as_f64()? >= 0.4).then_some(())
        })
    }

    /// Whether broker and bridges still run.
    ///
    /// # Errors
    /// Says which does not, and what it wrote last.
    pub fn check(&mut self) -> Result<()> {
        if !self.site.broker.is_running() {
            bail!("the broker ended: {}", self.site.broker.log());
        }
        let chiller = self.site.bridge.process()?.is_running();
        let focuser = self.focuser.bridge.process()?.is_running();
        if !(chiller && focuser) {
            bail!("a bridge ended: {}", self.last_words());
        }
        Ok(())
    }

    /// Whether the focuser's motor chip was spared all that it forbids.
    ///
    /// # Errors
    /// Says what was done to it.
    pub fn check_rules(&self) -> Result<()> {
        let violations = self.focuser.port.with(|unit| unit.violations().to_vec());
        ensure!(violations.is_empty(), "the focuser's chip forbids this: {violations:?}");
        Ok(())
    }

    /// Stops everything as a service manager would, and removes the folder.
    ///
    /// # Errors
    /// If a bridge does not end with 0, or something does not end.
    pub fn stop(mut self) -> Result<()> {
        let codes = [self.focuser.bridge.stop()?, self.site.bridge.stop()?];
        if codes != [0, 0] {
            bail!("the bridges ended with {codes:?}: {}", self.last_words());
        }
        self.site.broker.stop()
    }

    fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        stop: &Stop,
        look: impl Fn(&Self) -> Option<()>,
    ) -> Result<()> {
        let waited = stop.wait_for(what, limit, || match self.check() {
            Ok(()) => look(self).map(Ok),
            Err(error) => Some(Err(error)),
        });
        match waited {
            Ok(outcome) => outcome,
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => Err(error.context(format!("the bridges say: {}", self.last_words()))),
        }
    }

    fn last_words(&self) -> String {
        let tail = |file: PathBuf| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n")
        };
        self.bridge_logs().map(tail).join("\n")
    }
}

/// Near its inner end, so that homing is short, just powered up, and faster than a real one.
fn start_focuser(site: &Site, discovery: bool) -> Result<ExtraInstrument<Focuser>> {
    let model = focuser::Config { place_mm: 0.6, counter: 0, ..Focuser::usual() };
    let control = control_clients();
    let settings = [
        ("query_delay", "0.5"),
        ("speed_mm_sec", "1.0"),
        ("control_clients", control.as_str()),
        ("homeassistant.enabled", if discovery { "true" } else { "false" }),
    ];
    ExtraInstrument::launch(site, model, &settings)
}

/// Who may command, as a TOML value.
fn control_clients() -> String {
    format!("{:?}", [CONTROL.as_slice(), &[panel::OPERATOR.name]].concat())
}

fn env_text(folder: &Path, port: u16) -> Result<String> {
    Ok(include_str!("env.sh")
        .replace("@DEMO@", &folder.display().to_string())
        .replace("@PROGRAMS@", &programs()?.display().to_string())
        .replace("@HOST@", HOST)
        .replace("@PORT@", &port.to_string()))
}

/// Where the programs of this build are.
fn programs() -> Result<PathBuf> {
    let program = std::env::current_exe().context("find the running executable")?;
    let folder = program.parent().context("the running executable has no folder")?;
    // A test is one level below.
    let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    Ok(folder.context("the build folder has no parent")?.to_owned())
}

/// A folder with one user at a time, removed at the end.
struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    fn take(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("resolve {}", path.display()))?;
        // The kernel lets go of it however its owner ends.
        let lock = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another demo runs in {}", path.display());
        }
        let folder = Self { path, _lock: lock };
        // What one left behind that was killed.
        folder.clear();
        Ok(folder)
    }

    fn clear(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // What cannot be removed shows when it is to be written anew.
            let _ = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.clear();
        // Fails only if somebody put something new there.
        let _ = fs::remove_dir(&self.path);
    }
}
