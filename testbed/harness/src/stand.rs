//! A whole site for tests that are not written in Rust: a browser's, Home Assistant's, Node-RED's.
//!
//! It runs a broker, and for each instrument its simulator and its bridge as processes. A test starts
//! the `teststand` program, reads one line of JSON that says where everything is, then types commands
//! and reads one line of JSON in answer to each. It knows no instrument: `KIND` stands for the
//! programs `KIND-sim` and `KIND-bridge`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::broker::{AclMode, Broker, Builder, HOST, free_port};
use crate::client::{Connect, Post, TestClient};
use crate::process::{Launch, Process};
use crate::site::broker_section;
use crate::wait::wait_for;
use crate::web;

const LIMIT: Duration = Duration::from_secs(60);
const SITE: &str = "clasp";

/// What can be typed to a stand.
pub const HELP: &str = "\
broker start|stop|restart|kill|freeze|thaw|log
bridge KIND start|stop|restart|kill|freeze|thaw|log
sim KIND LINE       types LINE to the simulator: unplug, plug, fault KIND, help
ready KIND          waits until its bridge admits commands and has its instrument
identity NAME       certificate files and a settings file for the tools
password NAME WORD  a user of the WebSocket listener
set KIND KEY TOML   a setting of the bridge, from its next start (section.key, or key)
tool NAME PROGRAM ARGUMENT...   a command line tool under this identity
publish NAME TOPIC PAYLOAD      a retained message under this identity, for inputs
state KIND [TOPIC]  the last message on clasp/KIND/state (or health, meta, ...)
acl shipped|open    the access control, read at once
unjudged            a test publishes nonsense in a bridge's name: no schema is applied any more
quit";

/// How a stand is to be started.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The instruments, by kind.
    pub kinds: Vec<String>,
    /// Settings of the bridges: kind, key, TOML value.
    pub settings: Vec<(String, String, String)>,
    /// Who may command.
    pub control: Vec<String>,
    /// What the WebSocket listener serves as files.
    pub http_dir: Option<PathBuf>,
    /// Where a listener with TLS for browsers is to be, beside the one without.
    pub tls_port: Option<u16>,
    /// More lines for the broker.
    pub broker_config: String,
}

/// A running site. Dropping it ends everything.
pub struct Stand {
    instruments: BTreeMap<String, Instrument>,
    observer: TestClient,
    web_port: u16,
    control: Vec<String>,
    broker: Broker,
    dir: tempfile::TempDir,
}

struct Instrument {
    simulator: Process,
    bridge: Option<Process>,
    settings: BTreeMap<String, BTreeMap<String, String>>,
}

impl Stand {
    /// Starts everything, and waits until every bridge admits commands and has its instrument.
    ///
    /// # Errors
    /// If something does not start; says what it wrote.
    pub fn start(plan: Plan) -> Result<Self> {
        let dir = tempfile::tempdir().context("make a folder")?;
        let passwords = web::password_file(dir.path())?;
        let web_port = free_port()?;
        let mut config = web::loopback_listener(web_port, &passwords, plan.http_dir.as_deref())?;
        let broker_dir = dir.path().join("broker");
        if let Some(port) = plan.tls_port {
            let tls = web::tls_listener(&broker_dir.join("certs"), port, &passwords)?;
            // The users are the same.
            config.push_str(&without(&tls, "password_file"));
        }
        config.push_str(&plan.broker_config);
        let broker = Builder::default().extra_config(&config).in_dir(&broker_dir).start()?;
        let observer = Connect::with(broker.port(), broker.client("observer")?).reconnecting().connect()?;
        observer.subscribe(&format!("{SITE}/+/+"))?;
        let mut stand =
            Self { instruments: BTreeMap::new(), observer, web_port, control: plan.control, broker, dir };
        for kind in &plan.kinds {
            stand.add(kind, &plan.settings)?;
        }
        for kind in &plan.kinds {
            stand.ready(kind)?;
        }
        Ok(stand)
    }

    fn add(&mut self, kind: &str, settings: &[(String, String, String)]) -> Result<()> {
        let link = self.dir.path().join(format!("tty-{kind}"));
        let mut simulator = Launch::workspace(&format!("{kind}-sim"))?
            .arg("--link")
            .arg(&link)
            .logs_in(self.dir.path())
            .typed()
            .spawn()?;
        simulator.wait_for_line(|line| line.contains("tty-"), LIMIT)?;
        let mut instrument = Instrument { simulator, bridge: None, settings: BTreeMap::new() };
        let names: Vec<String> = self.control.iter().map(|name| format!("{name:?}")).collect();
        let state = self.dir.path().join(format!("state-{kind}"));
        instrument.set("site", &format!("{SITE:?}"));
        instrument.set("serial_port", &format!("{link:?}"));
        instrument.set("state_directory", &format!("{state:?}"));
        instrument.set("control_clients", &format!("[{}]", names.join(", ")));
        instrument.set("query_delay", "0.5");
        for (_, key, toml) in settings.iter().filter(|(of, _, _)| of == kind || of == "all") {
            instrument.set(key, toml);
        }
        self.instruments.insert(kind.to_owned(), instrument);
        self.start_bridge(kind)
    }

    /// Where everything is.
    #[must_use]
    pub fn describe(&self) -> Value {
        json!({
            "ok": true,
            "site": SITE,
            "host": HOST,
            "mqtt_port": self.broker.port(),
            "web_port": self.web_port,
            "directory": self.dir.path(),
            "ca_file": self.broker.authority().ca(),
            "kinds": self.instruments.keys().collect::<Vec<_>>(),
        })
    }

    /// Does what was typed; `None` after `quit`.
    #[must_use]
    pub fn obey(&mut self, line: &str) -> Option<Value> {
        let (word, rest) = split(line);
        if word == "quit" {
            return None;
        }
        let done = self.perform(word, rest).and_then(|answer| {
            self.observer.check_contract()?;
            Ok(answer)
        });
        Some(match done {
            Ok(Value::Object(mut answer)) => {
                answer.insert("ok".to_owned(), true.into());
                Value::Object(answer)
            }
            Ok(answer) => json!({"ok": true, "answer": answer}),
            Err(error) => json!({"ok": false, "error": format!("{error:#}")}),
        })
    }

    fn perform(&mut self, word: &str, rest: &str) -> Result<Value> {
        let (first, second) = split(rest);
        match word {
            "broker" => self.on_broker(rest),
            "bridge" => self.on_bridge(first, second),
            "sim" => self.instrument(first)?.simulator.type_line(second).map(|()| Value::Null),
            "ready" => self.ready(first).map(|()| Value::Null),
            "identity" => self.identity(first),
            "password" => self.password(first, second),
            "set" => {
                let (key, toml) = split(second);
                self.instrument(first)?.set(key, toml);
                Ok(Value::Null)
            }
            "tool" => self.tool(first, second),
            "publish" => {
                let (topic, payload) = split(second);
                self.publish(first, topic, payload)
            }
            "state" => {
                let what = if second.is_empty() { "state" } else { second };
                let message = self.observer.last(0, &format!("{SITE}/{first}/{what}"));
                let message = message.context("there was no such message yet")?;
                message.json().or_else(|_| Ok(message.text().into()))
            }
            "acl" => self.acl(rest),
            "unjudged" => {
                self.observer.stop_judging();
                Ok(Value::Null)
            }
            "help" => Ok(HELP.into()),
            _ => bail!("`{word}` is not known here; `help` lists what is"),
        }
    }

    fn on_broker(&mut self, verb: &str) -> Result<Value> {
        match verb {
            "start" | "restart" => self.broker.restart()?,
            "stop" => self.broker.stop()?,
            "kill" => self.broker.kill9()?,
            "freeze" => self.broker.freeze()?,
            "thaw" => self.broker.thaw()?,
            "log" => return Ok(self.broker.log().into()),
            _ => bail!("the broker knows start, stop, restart, kill, freeze, thaw and log"),
        }
        Ok(Value::Null)
    }

    fn on_bridge(&mut self, kind: &str, verb: &str) -> Result<Value> {
        if verb == "log" {
            let log = self.dir.path().join(format!("{kind}-bridge.err"));
            return Ok(fs::read_to_string(log).unwrap_or_default().into());
        }
        let bridge = &mut self.instrument(kind)?.bridge;
        if verb == "start" {
            ensure!(bridge.is_none(), "the bridge runs already");
            return self.start_bridge(kind).map(|()| Value::Null);
        }
        let process = bridge.as_mut().context("the bridge does not run")?;
        match verb {
            "freeze" => process.freeze()?,
            "thaw" => process.thaw()?,
            "kill" => {
                process.kill9()?;
                *bridge = None;
            }
            "stop" | "restart" => {
                let code = process.stop(Duration::from_secs(30))?;
                *bridge = None;
                ensure!(code == 0, "the bridge ended with {code}");
                if verb == "restart" {
                    self.start_bridge(kind)?;
                }
            }
            _ => bail!("a bridge knows start, stop, restart, kill, freeze, thaw and log"),
        }
        Ok(Value::Null)
    }

    fn start_bridge(&mut self, kind: &str) -> Result<()> {
        let dir = self.dir.path().to_owned();
        let program = format!("{kind}-bridge");
        let broker = broker_section(&self.broker, &self.broker.client(&program)?);
        let instrument = self.instrument(kind)?;
        let settings = dir.join(format!("{program}.toml"));
        fs::write(&settings, format!("{}\n{broker}", instrument.settings_text()?))
            .context("write the bridge's settings")?;
        instrument.bridge = Some(Launch::workspace(&program)?.arg(&settings).logs_in(&dir).spawn()?);
        Ok(())
    }

    /// Waits until the bridge that was started last admits commands and has its instrument.
    fn ready(&mut self, kind: &str) -> Result<()> {
        let session = |what: &str, observer: &TestClient| {
            observer.last(0, &format!("{SITE}/{kind}/{what}"))?.json().ok()
        };
        let observer = &self.observer;
        wait_for(&format!("the {kind} to be ready"), LIMIT, || {
            let (state, health) = (session("state", observer)?, session("health", observer)?);
            let is_online = observer.last(0, &format!("{SITE}/{kind}/availability"))?.text() == "online";
            let same = state.get("session")? == health.get("session")?;
            let connected = state.get("connected")? == true;
            let admits = health.get("command_path_ok")? == true;
            (is_online && same && connected && admits).then_some(())
        })
    }

    fn identity(&self, name: &str) -> Result<Value> {
        let files = self.broker.client(name)?;
        Ok(json!({
            "ca_file": files.ca,
            "certificate_file": files.cert,
            "key_file": files.key,
            "settings_file": self.client_settings(name)?,
        }))
    }

    fn client_settings(&self, name: &str) -> Result<PathBuf> {
        let files = self.broker.client(name)?;
        let path = self.dir.path().join(format!("client-{name}.toml"));
        let text = format!("sites = [{SITE:?}]\n\n{}", broker_section(&self.broker, &files));
        fs::write(&path, text).context("write the tools' settings")?;
        Ok(path)
    }

    fn password(&mut self, name: &str, word: &str) -> Result<Value> {
        web::add_user(&self.dir.path().join("passwd"), name, word)?;
        self.acl("shipped")
    }

    /// The broker reads its passwords with its access control.
    fn acl(&mut self, which: &str) -> Result<Value> {
        let text = match which {
            "shipped" => crate::broker::SHIPPED_ACL.to_owned(),
            "open" => AclMode::Open.text(),
            _ => bail!("the access control is `shipped` or `open`"),
        };
        self.broker.reload(&text).map(|()| Value::Null)
    }

    fn tool(&mut self, name: &str, command: &str) -> Result<Value> {
        let config = self.client_settings(name)?;
        let mut words = command.split_whitespace();
        let program = words.next().context("which program?")?;
        let output = Launch::workspace(program)?
            .env("XDG_STATE_HOME", self.dir.path().join("notes"))
            .env("XDG_CACHE_HOME", self.dir.path().join("cache"))
            .arg("--config")
            .arg(config)
            .args(words)
            .run(LIMIT)?;
        Ok(json!({"code": output.code, "stdout": output.stdout, "stderr": output.stderr}))
    }

    fn publish(&self, name: &str, topic: &str, payload: &str) -> Result<Value> {
        let client = TestClient::connect(&self.broker, name)?;
        let result = client.send(Post::to(topic, payload.to_owned()).retained())?.wait()?;
        client.close();
        Ok(format!("{result:?}").into())
    }

    fn instrument(&mut self, kind: &str) -> Result<&mut Instrument> {
        let known: Vec<_> = self.instruments.keys().cloned().collect();
        self.instruments.get_mut(kind).with_context(|| format!("`{kind}` is not one of {}", known.join(", ")))
    }
}

impl Instrument {
    /// `key` of no section, or `section.key`.
    fn set(&mut self, key: &str, toml: &str) {
        let (section, key) = key.rsplit_once('.').unwrap_or(("", key));
        self.settings.entry(section.to_owned()).or_default().insert(key.to_owned(), toml.to_owned());
    }

    fn settings_text(&self) -> Result<String> {
        let mut text = String::new();
        for (section, keys) in &self.settings {
            if !section.is_empty() {
                writeln!(text, "\n[{section}]")?;
            }
            for (key, value) in keys {
                writeln!(text, "{key} = {value}")?;
            }
        }
        Ok(text)
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace).map_or((text, ""), |(first, rest)| (first, rest.trim_start()))
}

fn without(config: &str, key: &str) -> String {
    let kept = config.lines().filter(|line| !line.starts_with(key));
    kept.fold(String::from("\n"), |text, line| text + line + "\n")
}
