//! A whole site on loopback: a broker with the shipped files, an instrument's model on a
//! pseudo-terminal, the real bridge and the real command line tool, each with its own settings and
//! certificate.
//!
//! For tests: its parts are public, so that a test can freeze, kill and unplug them. It judges
//! nothing; it waits for the conditions of a test. The binaries must be built: `cargo build
//! --workspace --bins`, which `cargo test --workspace` does by itself and `cargo test -p testbed`
//! does not.

mod bridge;
mod extra;
mod instrument;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::broker::{self, AclMode, Broker, HOST};
use crate::certs::ClientFiles;
use crate::client::{Connect, Message, TestClient};
use crate::port::Port;
use crate::process::{Launch, Output};
use crate::wait::{Deadline, wait_for};

pub use bridge::Bridge;
pub use extra::ExtraInstrument;
pub use instrument::{Instrument, SiteModel, table};

/// The identities that may send commands.
pub const CONTROL: [&str; 2] = ["alice", "ops"];
/// Default timeout of a wait, which then ends with an error.
pub const LIMIT: Duration = Duration::from_secs(60);

fn topic_of(kind: &str, rest: &str) -> String {
    format!("clasp/{kind}/{rest}")
}

/// The configuration of a site.
#[derive(Clone, Debug)]
pub struct Builder<D: Instrument> {
    acl: AclMode,
    broker_config: String,
    model: D::Config,
    settings: Settings,
    dir: Option<PathBuf>,
}

/// The keys of each section; those outside every section under the name "".
type Settings = BTreeMap<String, BTreeMap<String, String>>;

impl<D: Instrument> Builder<D> {
    /// Runs the broker under another ACL than the shipped one.
    #[must_use]
    pub fn acl(mut self, acl: AclMode) -> Self {
        self.acl = acl;
        self
    }

    /// Appends lines to the broker's configuration.
    #[must_use]
    pub fn broker_config(mut self, lines: &str) -> Self {
        self.broker_config.push_str(lines);
        self.broker_config.push('\n');
        self
    }

    /// Changes the model, which is [`Instrument::usual`] unless changed.
    #[must_use]
    pub fn model(mut self, change: impl FnOnce(&mut D::Config)) -> Self {
        change(&mut self.model);
        self
    }

    /// Sets a key of the bridge's settings (not one of `[broker]`) to a TOML value: `"0.5"`,
    /// `"\"manual\""`.
    #[must_use]
    pub fn setting(self, key: &str, toml: impl Into<String>) -> Self {
        self.setting_in("", key, toml)
    }

    /// As [`Self::setting`], of a section: `power`, `dome`.
    #[must_use]
    pub fn setting_in(mut self, section: &str, key: &str, toml: impl Into<String>) -> Self {
        self.settings.entry(section.to_owned()).or_default().insert(key.to_owned(), toml.into());
        self
    }

    /// Automatic control for these camera channels, with a sensor in the dome and with delays that
    /// a test can wait for: inputs are too old and held for 2 s more; 1 s to run at least, 1 s
    /// before it is switched off.
    #[must_use]
    pub fn automatic(self, channels: &[&str]) -> Self {
        self.setting("start_mode", "\"automatic\"")
            .setting("input_hold", "2")
            .setting("minimum_run_time", "1")
            .setting("switch_off_delay", "1")
            .setting_in("power", "channels", format!("{channels:?}"))
            .setting_in("power", "max_age", "2")
            .setting_in("dome", "max_age", "2")
    }

    /// Keeps everything in `dir`, which is created and stays, instead of a temporary folder.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Starts everything and waits until the bridge is ready.
    ///
    /// # Errors
    /// If something does not start; includes its output.
    pub fn start(self) -> Result<SiteOf<D>> {
        let mut site = self.start_without_bridge()?;
        site.start_bridge()?;
        Ok(site)
    }

    /// Starts everything except the bridge, whose settings are written.
    ///
    /// # Errors
    /// If something does not start; includes its output.
    pub fn start_without_bridge(self) -> Result<SiteOf<D>> {
        let (dir, temporary) = if let Some(dir) = self.dir {
            fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
            (dir.canonicalize().context("resolve the site's folder")?, None)
        } else {
            let temporary = tempfile::tempdir().context("make a folder for the site")?;
            (temporary.path().to_owned(), Some(temporary))
        };
        let broker = broker::Builder::default()
            .acl(self.acl)
            .extra_config(&self.broker_config)
            .in_dir(&dir.join("broker"))
            .start()?;
        let port = Port::serve(D::build(self.model), dir.join(format!("tty{}", D::KIND.to_uppercase())))
            .context("serve the model")?;
        let observer = Connect::with(broker.port(), broker.client("observer")?).reconnecting().connect()?;
        // Without commands and others' replies, which it may not read anyway.
        observer.subscribe(&topic_of(D::KIND, "+"))?;
        let bridge = Bridge::of::<D>(&dir)?;
        let site = SiteOf { bridge, observer, port, broker, dir, began: 0, _temporary: temporary };
        write_settings::<D>(
            &site.dir,
            &site.dir.join("state"),
            site.port.link(),
            &site.broker,
            &self.settings,
        )?;
        Ok(site)
    }
}

/// A running site. Dropping it ends everything.
pub struct SiteOf<D: Instrument> {
    /// The bridge's process.
    pub bridge: Bridge,
    /// Reads all public topics, from before the start of the bridge; reconnects after a restart of
    /// the broker.
    pub observer: TestClient,
    /// The model and its cable.
    pub port: Port<D>,
    /// The broker.
    pub broker: Broker,
    dir: PathBuf,
    /// Number of messages that the observer had received when the bridge was last started.
    began: usize,
    _temporary: Option<tempfile::TempDir>,
}

impl<D: Instrument> SiteOf<D> {
    /// Starts a site that differs from the shipped files only in paths, ports and polling rate: it
    /// polls often, so that a test need not wait long.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// A builder for a different site.
    #[must_use]
    pub fn builder() -> Builder<D> {
        Builder {
            acl: AclMode::Shipped,
            broker_config: String::new(),
            model: D::usual(),
            settings: usual_settings::<D>(),
            dir: None,
        }
    }

    /// A topic of the device: `topic("state")` is `clasp/focuser/state`.
    #[must_use]
    pub fn topic(&self, rest: &str) -> String {
        topic_of(D::KIND, rest)
    }

    /// The site's folder: settings and log of the bridge (`chiller-bridge.toml`, `.out`, `.err`),
    /// `state/`, `broker/`, the port (`ttyCHILLER`).
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the bridge logged so far, over all its starts.
    #[must_use]
    pub fn bridge_log(&self) -> String {
        fs::read_to_string(self.dir.join(format!("{}.err", D::BRIDGE))).unwrap_or_default()
    }

    /// Starts the bridge and waits until it is ready.
    ///
    /// # Errors
    /// As [`Self::wait_ready`].
    pub fn start_bridge(&mut self) -> Result<()> {
        self.launch_bridge()?;
        self.wait_ready()
    }

    /// Starts the bridge without waiting.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch_bridge(&mut self) -> Result<()> {
        self.began = self.observer.mark();
        self.bridge.launch()
    }

    /// Waits until the bridge that was started last is online, has verified its command path, has
    /// read the device, and has published its `meta`.
    ///
    /// # Errors
    /// If this takes longer than a minute; shows its log.
    pub fn wait_ready(&self) -> Result<()> {
        let ready = || {
            self.since_start("meta")?;
            let online = self.since_start("availability")?.text() == "online";
            let state = self.since_start("state")?.json().ok()?;
            let health = self.since_start("health")?.json().ok()?;
            let session = state.get("session")? == health.get("session")?;
            let connected = state.get("connected")? == true;
            let judged = !health.get("command_path_ok")?.is_null();
            (online && session && connected && D::is_read(&state) && judged).then_some(())
        };
        wait_for("the bridge to be ready", LIMIT, ready)
            .with_context(|| format!("the bridge's log:\n{}", self.bridge_log()))
    }

    /// The last message on a topic of the device, since the site began; `None` before the first.
    #[must_use]
    pub fn last(&self, what: &str) -> Option<Message> {
        self.observer.last(0, &self.topic(what))
    }

    fn since_start(&self, what: &str) -> Option<Message> {
        self.observer.last(self.began, &self.topic(what))
    }

    /// The last state.
    ///
    /// # Errors
    /// If there was none, or it is not JSON.
    pub fn state(&self) -> Result<Value> {
        self.last("state").context("there was no state yet")?.json()
    }

    /// Waits for a state that `wanted` accepts; the last one counts, earlier ones do not.
    ///
    /// # Errors
    /// If none comes within `limit`; shows the last one.
    pub fn wait_state(&self, wanted: impl Fn(&Value) -> bool, limit: Duration) -> Result<Value> {
        self.wait_json("state", wanted, limit)
    }

    /// As [`Self::wait_state`], for another topic that carries JSON: `health`, `meta`.
    ///
    /// # Errors
    /// As [`Self::wait_state`].
    pub fn wait_json(&self, what: &str, wanted: impl Fn(&Value) -> bool, limit: Duration) -> Result<Value> {
        let deadline = Deadline::after(limit);
        let (mark, last) = (self.observer.mark(), self.last(what));
        let accepts = |message: &Message| message.json().is_ok_and(|value| wanted(&value));
        if let Some(message) = last.filter(accepts) {
            return message.json();
        }
        let here = self.topic(what);
        let wanted = |message: &Message| message.topic == here && accepts(message);
        self.observer.wait_after(mark, wanted, deadline.left())?.json()
    }

    /// Waits until the last message on `availability` is this.
    ///
    /// # Errors
    /// If it is not within `limit`.
    pub fn wait_availability(&self, word: &str, limit: Duration) -> Result<()> {
        wait_for(&format!("availability {word}"), limit, || {
            self.last("availability").filter(|message| message.text() == word).map(|_| ())
        })
    }

    /// A client with this identity's certificate, which reads its own replies.
    ///
    /// # Errors
    /// If it cannot connect.
    pub fn client(&self, identity: &str) -> Result<TestClient> {
        let client = TestClient::connect(&self.broker, identity)?;
        client.subscribe(&self.topic(&format!("reply/{identity}/+")))?;
        Ok(client)
    }

    /// Writes the settings for this identity's command line tools and returns their path.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn client_settings(&self, identity: &str) -> Result<PathBuf> {
        let path = self.dir.join(format!("client-{identity}.toml"));
        let text = format!(
            "sites = [\"clasp\"]\n\n{}",
            broker_section(&self.broker, &self.broker.client(identity)?)
        );
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// The orders that were written to the instrument, since the start of the site.
    #[must_use]
    pub fn orders(&self) -> Vec<D::Order> {
        self.port.with(|unit| unit.orders())
    }

    /// Runs the instrument's own tool to its end, with the settings of this identity.
    ///
    /// # Errors
    /// If it cannot be started, or does not end within a minute.
    pub fn tool<S: AsRef<str>>(&self, identity: &str, args: &[S]) -> Result<Output> {
        self.launch_own_tool(identity, args)?.run(LIMIT)
    }

    /// The instrument's own tool with the settings of this identity, to be started.
    ///
    /// # Errors
    /// If its settings cannot be written.
    pub fn launch_own_tool<S: AsRef<str>>(&self, identity: &str, args: &[S]) -> Result<Launch> {
        let (program, first) = D::TOOL;
        let args = first.iter().copied().chain(args.iter().map(AsRef::as_ref));
        self.launch_tool(program, identity, &args.collect::<Vec<_>>())
    }

    /// A command line tool with the settings of this identity, to be started. Its cache and notes
    /// go to the site's folder.
    ///
    /// # Errors
    /// If its settings cannot be written.
    pub fn launch_tool<S: AsRef<str>>(&self, program: &str, identity: &str, args: &[S]) -> Result<Launch> {
        let config = self.client_settings(identity)?;
        let launch = Launch::workspace(program)?
            .env("XDG_STATE_HOME", self.dir.join("notes"))
            .env("XDG_CACHE_HOME", self.dir.join("cache"));
        Ok(launch.arg("--config").arg(config).args(args.iter().map(AsRef::as_ref)))
    }
}

fn write_settings<D: Instrument>(
    dir: &Path,
    state: &Path,
    port: &Path,
    broker: &Broker,
    settings: &Settings,
) -> Result<()> {
    let mut text = format!("site = \"clasp\"\nserial_port = {port:?}\nstate_directory = {state:?}\n");
    // In the order of their names: the one without a name first, as TOML requires.
    for (section, keys) in settings {
        if !section.is_empty() {
            writeln!(text, "\n[{section}]")?;
        }
        for (key, value) in keys {
            writeln!(text, "{key} = {value}")?;
        }
    }
    write!(text, "\n{}", broker_section(broker, &broker.client(D::BRIDGE)?))?;
    fs::write(dir.join(format!("{}.toml", D::BRIDGE)), text).context("write the bridge's settings")
}

pub(crate) fn broker_section(broker: &Broker, files: &ClientFiles) -> String {
    format!(
        "[broker]\nhost = {HOST:?}\nport = {}\nca_file = {:?}\ncertificate_file = {:?}\nkey_file = {:?}\n",
        broker.port(),
        files.ca,
        files.cert,
        files.key,
    )
}

/// The common settings of a test's bridges, and those of this instrument.
fn usual_settings<D: Instrument>() -> Settings {
    let names: Vec<String> = CONTROL.iter().map(|name| format!("{name:?}")).collect();
    let mut keys = D::settings();
    keys.insert("control_clients".to_owned(), format!("[{}]", names.join(", ")));
    BTreeMap::from([(String::new(), keys)])
}
