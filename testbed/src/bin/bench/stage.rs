//! What is measured: a broker, a simulated chiller and a bridge, as they would run at a site.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bus::signature::TrustFiles;
use bus::topic::Base;
use serde_json::Value;
use testbed::broker::{Broker, HOST};
use testbed::chiller::{Chiller, Config};
use testbed::client::{Message, TestClient};
use testbed::port::Port;
use testbed::process::{Launch, Process};

/// For anything that is waited for and not measured.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How many operators there are: a command's rate is limited for each.
pub(crate) const OPERATORS: usize = 10;

/// The camera of [`Stage::start_automatic`].
pub(crate) const CAMERA: &str = "cmos";

/// A device that answers at once, on a line without time.
pub(crate) fn instant_line() -> Config {
    Config { latency: Duration::ZERO..=Duration::ZERO, gap: None, ..Config::default() }
}

/// A running bridge and everything around it.
pub(crate) struct Stage {
    // In the order in which they are to end.
    pub(crate) bridge: Process,
    pub(crate) port: Port<Chiller>,
    pub(crate) broker: Broker,
    pub(crate) base: Base,
    /// The bridge's name for this start of it.
    session: String,
    settings: PathBuf,
    dir: tempfile::TempDir,
}

/// The name of an operator who may command.
pub(crate) fn operator(number: usize) -> String {
    format!("operator-{number}")
}

impl Stage {
    /// Starts all of it, and waits until the bridge has read the whole unit once and takes
    /// commands; `query_delay` in seconds, if not the default.
    pub(crate) fn start(config: Config, query_delay: Option<f64>) -> Result<Self> {
        Self::start_with(config, query_delay, "", "")
    }

    /// As [`Self::start`], in automatic control for one camera, without delays.
    pub(crate) fn start_automatic(config: Config, query_delay: Option<f64>) -> Result<Self> {
        let keys = "minimum_run_time = 0\nswitch_off_delay = 0\n";
        Self::start_with(config, query_delay, keys, &format!("[power]\nchannels = [{CAMERA:?}]\n"))
    }

    /// As [`Self::start`], with a Home Assistant that is told of the device.
    pub(crate) fn start_told_to_home_assistant(config: Config) -> Result<Self> {
        Self::start_with(config, None, "", "[homeassistant]\nenabled = true\n")
    }

    /// As [`Self::start`], with a signature on every ping.
    pub(crate) fn start_signed(config: Config) -> Result<Self> {
        let sections = "[commands]\nrequire_signature = [\"ping\"]\ncrl_file = \"crl.pem\"\n";
        Self::start_with(config, None, "", sections)
    }

    /// By what its bridge would verify a signature.
    pub(crate) fn trust(&self) -> TrustFiles {
        TrustFiles { authority: self.broker.authority().ca(), revoked: self.dir.path().join("crl.pem") }
    }

    fn start_with(config: Config, query_delay: Option<f64>, keys: &str, sections: &str) -> Result<Self> {
        let dir = tempfile::tempdir().context("make a folder")?;
        let broker = Broker::start()?;
        let port = Port::serve(Chiller::new(config), dir.path().join("ttyCHILLER"))?;
        let base = Base::new("clasp", "chiller").map_err(anyhow::Error::msg)?;
        let settings = dir.path().join("bridge.toml");
        let files = broker.client("chiller-bridge")?;
        let list = broker.authority().revocation_list(&[], Duration::from_secs(86_400))?;
        fs::write(dir.path().join("crl.pem"), list).context("write the list of revoked certificates")?;
        let operators: Vec<_> = (0..OPERATORS).map(|number| format!("\"{}\"", operator(number))).collect();
        let mut text = format!(
            "site = \"{}\"\ndevice = \"{}\"\nserial_port = \"{}\"\nstate_directory = \"{}\"\ncontrol_clients = [{}]\n",
            base.site(),
            base.device(),
            port.link().display(),
            dir.path().join("state").display(),
            operators.join(", ")
        );
        if let Some(seconds) = query_delay {
            writeln!(text, "query_delay = {seconds:?}")?;
        }
        write!(
            text,
            "{keys}{sections}[broker]\nhost = \"{HOST}\"\nport = {}\nca_file = \"{}\"\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
            broker.port(),
            files.ca.display(),
            files.cert.display(),
            files.key.display()
        )?;
        fs::write(&settings, text).context("write the bridge's settings")?;
        let bridge = launch(&settings)?.spawn()?;
        let mut stage = Self { bridge, port, broker, base, session: String::new(), settings, dir };
        stage.session = stage.wait_ready("")?;
        Ok(stage)
    }

    /// Waits until the bridge is connected, has proven the broker's ACL, and has read the uptime,
    /// which is among the last of the first round. What is stored from an `earlier` session of the
    /// bridge does not count. Returns the name of this session.
    pub(crate) fn wait_ready(&self, earlier: &str) -> Result<String> {
        let watcher = TestClient::connect(&self.broker, "watcher")?;
        watcher.subscribe(&self.base.state())?;
        watcher.subscribe(&self.base.health())?;
        let fresh = |topic: &str, is_ready: fn(&Value) -> bool| {
            let wanted = |message: &Message| {
                let is_fresh =
                    |json: Value| is_ready(&json) && session(&json).is_some_and(|name| name != earlier);
                message.topic == topic && message.json().is_ok_and(is_fresh)
            };
            watcher.wait_for(wanted, LIMIT)
        };
        fresh(&self.base.health(), |json| json.pointer("/command_path_ok") == Some(&Value::Bool(true)))
            .context("wait for the bridge")?;
        let state =
            fresh(&self.base.state(), |json| json.pointer("/device_uptime").is_some_and(Value::is_number))
                .context("wait for the first round of readings")?;
        watcher.close();
        Ok(session(&state.json()?).unwrap_or_default().to_owned())
    }

    /// Stops the bridge and starts a new one, as after `systemctl restart`.
    pub(crate) fn restart_bridge(&mut self) -> Result<()> {
        self.stop_bridge()?;
        self.bridge = launch(&self.settings)?.spawn()?;
        self.session = self.wait_ready(&self.session)?;
        Ok(())
    }

    /// Ends everything; a bridge that did not run to its proper end has spoilt the measurement.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.stop_bridge()
    }

    fn stop_bridge(&mut self) -> Result<()> {
        match self.bridge.stop(LIMIT)? {
            0 => Ok(()),
            code => bail!("the bridge ended with {code}: {}", self.bridge.stderr()),
        }
    }

    /// A command line tool with an operator's settings.
    pub(crate) fn tool(&self, program: &str, args: &[&str]) -> Result<Launch> {
        let files = self.broker.client(&operator(0))?;
        let config = self.dir.path().join("client.toml");
        let text = format!(
            "sites = [\"{}\"]\n[broker]\nhost = \"{HOST}\"\nport = {}\nca_file = \"{}\"\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
            self.base.site(),
            self.broker.port(),
            files.ca.display(),
            files.cert.display(),
            files.key.display()
        );
        fs::write(&config, text).context("write the client's settings")?;
        Ok(Launch::workspace(program)?.arg("--config").arg(config).args(args))
    }
}

/// `mosquitto_sub`, for one message of `topic`, with the TLS files of this identity.
pub(crate) fn mosquitto_sub(broker: &Broker, identity: &str, topic: &str) -> Result<Launch> {
    let files = broker.client(identity)?;
    Ok(Launch::machine("mosquitto_sub")?
        .args(["-V", "5", "-q", "1", "-C", "1", "-h", HOST, "-t", topic, "-p"])
        .arg(broker.port().to_string())
        .arg("--cafile")
        .arg(files.ca)
        .arg("--cert")
        .arg(files.cert)
        .arg("--key")
        .arg(files.key))
}

fn session(json: &Value) -> Option<&str> {
    json.pointer("/session")?.as_str()
}

fn launch(settings: &Path) -> Result<Launch> {
    Ok(Launch::workspace("chiller-bridge")?.arg(settings))
}
