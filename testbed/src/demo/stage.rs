//! What the demo and the README's commands run in: a [`Site`], the services beside it, and what
//! people need to try it, all in one folder that goes when the stage does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use super::console;
use super::services::{self, Services};
use super::{Interrupted, Stop};
use crate::broker::HOST;
use crate::process::Launch;
use crate::site::Site;

/// Who has settings: an operator; somebody whom the bridge does not know; somebody whom the broker
/// refuses every command.
const PEOPLE: [&str; 3] = ["alice", "bob", "visitor"];
/// For the bridge to connect, to be heard and to have read the chiller.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// The folder of this build's demo, beside its binaries: `target/demo`.
///
/// # Errors
/// If the running program's place cannot be told.
pub fn folder() -> Result<PathBuf> {
    let programs = programs()?;
    Ok(programs.parent().context("the build folder has no parent")?.join("demo"))
}

/// A running site. Dropping it kills what runs and removes the folder; [`Stage::stop`] is polite.
pub struct Stage {
    // In this order they go: who depends on something before it.
    services: Services,
    site: Site,
    folder: Folder,
}

impl Stage {
    /// Starts everything in `folder` and waits until the bridge has read the chiller and admits
    /// commands.
    ///
    /// # Errors
    /// If another demo runs there, a program is missing, or something does not start.
    pub fn start(folder: &Path, stop: &Stop) -> Result<Self> {
        let folder = Folder::take(folder)?;
        // Asked often, in a warm room and with short delays, so that what it does is seen in seconds.
        let mut site = Site::builder()
            .in_dir(&folder.path)
            .model(|model| {
                model.ambient_celsius = 22.0;
                model.supply_celsius = Some(20.0);
                model.latency = Duration::ZERO..=Duration::from_millis(20);
                model.wire_time = true;
            })
            .setting("start_mode", "\"automatic\"")
            .setting("minimum_run_time", "10")
            .setting("switch_off_delay", "10")
            .setting("power", "{ channels = [\"cmos\", \"swir\"] }")
            .setting("dome", "{}")
            .start_without_bridge()?;
        let services = Services::start(&site.broker)?;
        for person in PEOPLE {
            site.client_settings(person)?;
        }
        fs::write(folder.path.join("env"), env_text(&folder.path, site.broker.port())?)
            .context("write the env file")?;
        site.launch_bridge()?;
        let mut stage = Self { services, site, folder };
        stage.wait_until_ready(stop)?;
        Ok(stage)
    }

    /// Where the `env` file is that another terminal sources.
    #[must_use]
    pub fn env_file(&self) -> PathBuf {
        self.folder.path.join("env")
    }

    /// The bridge's log.
    #[must_use]
    pub fn bridge_log(&self) -> PathBuf {
        self.folder.path.join("chiller-bridge.err")
    }

    /// `command` as `person` would run it after sourcing the `env` file.
    ///
    /// # Errors
    /// If a program is not built.
    pub fn command(&self, person: &str, command: &str) -> Result<Launch> {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["chiller", arguments @ ..] = words.as_slice()
            && !command.contains(['\'', '"', '|', '$', ';'])
        {
            // Without a shell between, so that a signal reaches the command itself.
            return self.site.launch_chiller(person, arguments);
        }
        let script = format!(". '{}'\nact_as {person}\n{command}", self.env_file().display());
        Ok(Launch::machine("sh")?.args(["-c", &script]))
    }

    /// Does what somebody at the site types: to the simulated chiller, or to the services beside it.
    ///
    /// # Errors
    /// Says what is wrong with the line, or what could not be done.
    pub fn obey(&mut self, line: &str) -> Result<Option<String>, String> {
        match self.services.obey(line) {
            Some(done) => done.map(|()| None),
            None if line.trim() == "help" => {
                Ok(console::obey(&self.site.port, line)?.map(|help| format!("{}\n{help}", services::HELP)))
            }
            None => console::obey(&self.site.port, line),
        }
    }

    /// Waits until the bridge admits commands and has all the readings of its chiller.
    ///
    /// # Errors
    /// If that does not come about; shows the bridge's log.
    pub fn wait_until_ready(&mut self, stop: &Stop) -> Result<()> {
        self.wait_for("the bridge to read the chiller", READY_LIMIT, stop, |site| {
            let health = site.last("health")?.json().ok()?;
            let state = site.last("state")?.json().ok()?;
            let judged = health.get("command_path_ok")? == true;
            // The last of the quick set; the rest comes with it.
            let is_whole = state.get("tec_power")?.is_number() && state.get("connected")? == true;
            (judged && is_whole).then_some(())
        })
    }

    /// Waits until the state shows this under this key.
    ///
    /// # Errors
    /// If it does not come about; shows the bridge's log.
    pub fn wait_until(&mut self, key: &str, value: &Value, limit: Duration, stop: &Stop) -> Result<()> {
        self.wait_for(&format!("`{key}` to be {value}"), limit, stop, |site| {
            (site.last("state")?.json().ok()?.get(key)? == value).then_some(())
        })
    }

    /// Whether broker and bridge still run.
    ///
    /// # Errors
    /// Says which does not, and what it wrote last.
    pub fn check(&mut self) -> Result<()> {
        if !self.site.broker.is_running() {
            bail!("the broker ended: {}", self.site.broker.log());
        }
        if !self.site.bridge.process()?.is_running() {
            bail!("the bridge ended: {}", self.last_words());
        }
        Ok(())
    }

    /// Stops everything as a service manager would, and removes the folder.
    ///
    /// # Errors
    /// If the bridge does not end with 0, or something does not end.
    pub fn stop(mut self) -> Result<()> {
        let code = self.site.bridge.stop()?;
        if code != 0 {
            bail!("the bridge ended with {code}: {}", self.last_words());
        }
        self.site.broker.stop()
    }

    fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        stop: &Stop,
        look: impl Fn(&Site) -> Option<()>,
    ) -> Result<()> {
        let waited = stop.wait_for(what, limit, || match self.check() {
            Ok(()) => look(&self.site).map(Ok),
            Err(error) => Some(Err(error)),
        });
        match waited {
            Ok(outcome) => outcome,
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => Err(error.context(format!("the bridge says: {}", self.last_words()))),
        }
    }

    fn last_words(&self) -> String {
        let text = self.site.bridge_log();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n")
    }
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
