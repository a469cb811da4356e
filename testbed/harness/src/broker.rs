//! A real mosquitto under the shipped `mosquitto/obsbus.conf` and `obsbus.acl`, on a loopback port.
//!
//! Only paths and the port differ from production; if a line to be substituted is missing, that is
//! an error. Settings of the distribution's own file are not set here, except the log.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::certs::{Authority, ClientFiles};
use crate::process::{Launch, Process};
use crate::wait::wait_for;

/// The shipped configuration, from the repository.
pub const SHIPPED_CONF: &str = include_str!("../../../mosquitto/obsbus.conf");
/// The shipped access control list.
pub const SHIPPED_ACL: &str = include_str!("../../../mosquitto/obsbus.acl");

/// The address of every listener of the harness.
pub const HOST: &str = "127.0.0.1";

const START_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The access control of a broker.
#[derive(Clone, Debug, Default)]
pub enum AclMode {
    /// The shipped file.
    #[default]
    Shipped,
    /// Every identity may do everything: the mistake that the bridges' canary detects.
    Open,
    /// Another text, to test a variant.
    Text(String),
}

impl AclMode {
    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Shipped => SHIPPED_ACL.to_owned(),
            Self::Open => "pattern readwrite #\n".to_owned(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// How a broker is to be started.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    acl: AclMode,
    extra: String,
    dir: Option<PathBuf>,
}

impl Builder {
    /// Runs under another ACL than the shipped one.
    #[must_use]
    pub fn acl(mut self, acl: AclMode) -> Self {
        self.acl = acl;
        self
    }

    /// Appends lines to the configuration.
    #[must_use]
    pub fn extra_config(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self.extra.push('\n');
        self
    }

    /// Keeps everything in `dir`, which is created and stays, instead of a temporary folder.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Makes certificates, writes the configuration, starts mosquitto and waits until it accepts
    /// connections.
    ///
    /// # Errors
    /// If mosquitto is not installed or does not start; includes its output.
    pub fn start(self) -> Result<Broker> {
        let (dir, temporary) = if let Some(dir) = self.dir {
            fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
            (dir.canonicalize().context("resolve the broker's folder")?, None)
        } else {
            let temporary = tempfile::tempdir().context("make a folder for the broker")?;
            (temporary.path().to_owned(), Some(temporary))
        };
        let authority = Arc::new(Authority::create(&dir.join("certs"))?);
        authority.server()?;
        write_acl(&dir, &self.acl.text())?;
        Broker {
            port: 0,
            process: None,
            authority,
            extra: self.extra,
            left_out: Vec::new(),
            dir,
            _temporary: temporary,
        }
        .on_a_free_port()
    }
}

/// A running broker. Dropping it kills it, and removes its folder unless one was named.
pub struct Broker {
    port: u16,
    process: Option<Process>,
    authority: Arc<Authority>,
    extra: String,
    left_out: Vec<String>,
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Broker {
    fn on_a_free_port(mut self) -> Result<Self> {
        // Before mosquitto listens on the chosen free port, another program may take it.
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.port = free_port()?;
            match self.launch() {
                Ok(()) => return Ok(self),
                Err(_) if attempts < 5 && self.log().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Another broker of the same site, which knows nothing of this one: with the same certificates
    /// and access rules, on a port of its own.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn another(&self) -> Result<Self> {
        let temporary = tempfile::tempdir().context("make a folder for the broker")?;
        let dir = temporary.path().to_owned();
        symlink(self.dir.join("certs"), dir.join("certs")).context("share the certificates")?;
        fs::copy(self.dir.join("obsbus.acl"), dir.join("obsbus.acl")).context("copy obsbus.acl")?;
        Self {
            port: 0,
            process: None,
            authority: Arc::clone(&self.authority),
            extra: self.extra.clone(),
            left_out: self.left_out.clone(),
            dir,
            _temporary: Some(temporary),
        }
        .on_a_free_port()
    }

    /// The addresses of these brokers, as an environment variable for `hosts` has them.
    #[must_use]
    pub fn hosts(brokers: &[&Self]) -> String {
        brokers.iter().map(|broker| format!("{HOST}:{}", broker.port)).collect::<Vec<_>>().join(",")
    }

    /// Starts a broker under the shipped files.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start() -> Result<Self> {
        Builder::default().start()
    }

    /// A builder for a different broker.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Its port on [`HOST`]; the same over a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder: `mosquitto.conf`, `obsbus.acl`, `mosquitto.out`/`.err`, and `certs/` as laid out
    /// in [`crate::certs`].
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The authority that signs its clients' certificates.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The certificate files of `identity`, made on demand.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn client(&self, identity: &str) -> Result<ClientFiles> {
        self.authority.client(identity)
    }

    /// What mosquitto logged so far, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("mosquitto.err")).unwrap_or_default()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Its process id; `None` while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Stops it as a service manager would.
    ///
    /// # Errors
    /// If it does not end within 10 s.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.stop(STOP_LIMIT).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Kills it: clients get no DISCONNECT.
    ///
    /// # Errors
    /// If it is not gone within 5 s.
    pub fn kill9(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill9(),
            None => Ok(()),
        }
    }

    /// Freezes it (SIGSTOP): connections stay open, but nothing arrives.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.running()?.freeze()
    }

    /// Ends a [`Self::freeze`].
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.running()?.thaw()
    }

    /// Writes another ACL and makes mosquitto read it (SIGHUP), as `systemctl reload` does.
    ///
    /// # Errors
    /// If it does not run, or does not read the file within 5 s.
    pub fn reload(&mut self, acl: &str) -> Result<()> {
        write_acl(&self.dir, acl)?;
        let process = self.running()?;
        let mark = process.mark();
        let is_told = |line: &str| line.contains("Reloading config");
        // A signal that comes while it still reads after the one before is lost.
        let mut told = Ok(String::new());
        for _ in 0..5 {
            process.signal(rustix::process::Signal::HUP)?;
            told = process.wait_for_line_after(mark, is_told, Duration::from_secs(1));
            if told.is_ok() {
                break;
            }
        }
        told.map(|_| ())
    }

    /// Restarts it on the same port; stops it first if it still runs. Waits until it accepts
    /// connections.
    ///
    /// # Errors
    /// If it does not start; includes its output.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// Restarts it under a configuration without the lines of `keys` and with `extra` lines; the
    /// shipped one again with neither.
    ///
    /// # Errors
    /// As [`Self::restart`].
    pub fn restart_with(&mut self, keys: &[&str], extra: &str) -> Result<()> {
        self.left_out = keys.iter().map(|key| (*key).to_owned()).collect();
        extra.clone_into(&mut self.extra);
        self.restart()
    }

    fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the broker does not run")
    }

    fn launch(&mut self) -> Result<()> {
        let conf = self.dir.join("mosquitto.conf");
        let is_kept = |line: &&str| {
            let key = line.split_whitespace().next().unwrap_or_default();
            !self.left_out.iter().any(|left_out| left_out == key)
        };
        let text = production_conf(&self.dir, self.port)?;
        let mut text: String = text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
        text.push_str("\nlog_dest stderr\n");
        // If root starts it, it switches to the user `mosquitto`, who may not read a temporary
        // folder.
        if rustix::process::geteuid().is_root() {
            text.push_str("user root\n");
        }
        text.push_str(&self.extra);
        fs::write(&conf, text).context("write mosquitto.conf")?;
        let mut process = Launch::machine("mosquitto")
            .context("the broker is needed: `apt-get install mosquitto mosquitto-clients`")?
            .arg("-c")
            .arg(&conf)
            .logs_in(&self.dir)
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let accepts = wait_for("mosquitto to listen", START_LIMIT, || {
            if !process.is_running() {
                return Some(false);
            }
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok().map(|_| true)
        })?;
        // If this broker could not get the port, another program accepted.
        if !accepts || !process.is_running() {
            bail!("mosquitto did not start: {}", process.stderr());
        }
        self.process = Some(process);
        Ok(())
    }
}

/// The shipped configuration with the paths under `dir` and a loopback `port`.
///
/// # Errors
/// If it does not contain a line to be substituted exactly once.
pub fn production_conf(dir: &Path, port: u16) -> Result<String> {
    let certs = dir.join("certs");
    let mut text = SHIPPED_CONF.to_owned();
    for (key, value) in [
        ("listener", format!("{port} {HOST}")),
        ("acl_file", dir.join("obsbus.acl").display().to_string()),
        ("cafile", certs.join("ca.crt").display().to_string()),
        ("certfile", certs.join("server.crt").display().to_string()),
        ("keyfile", certs.join("server.key").display().to_string()),
    ] {
        text = substitute(&text, key, &value)?;
    }
    Ok(text)
}

/// From 2.0.21 on mosquitto warns of one that everybody may read.
fn write_acl(dir: &Path, text: &str) -> Result<()> {
    let file = dir.join("obsbus.acl");
    fs::write(&file, text).context("write obsbus.acl")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).context("protect obsbus.acl")
}

/// `text` with this value in place of the one that `key` has there.
///
/// # Errors
/// If no line begins with the key, or more than one.
pub fn substitute(text: &str, key: &str, value: &str) -> Result<String> {
    let mut found = 0;
    let mut result = String::with_capacity(text.len());
    for line in text.lines() {
        if line.split_whitespace().next() == Some(key) {
            found += 1;
            writeln!(result, "{key} {value}")?;
        } else {
            writeln!(result, "{line}")?;
        }
    }
    if found != 1 {
        bail!("the shipped configuration has {found} lines with `{key}`, one was expected");
    }
    Ok(result)
}

/// A port on [`HOST`] that nobody has just now.
///
/// # Errors
/// If the system gives none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((HOST, 0)).context("look for a free port")?;
    Ok(listener.local_addr().context("look for a free port")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_substituted_is_an_error() {
        assert!(substitute("cafile /a\n", "certfile", "/b").is_err());
        assert!(substitute("cafile /a\ncafile /c\n", "cafile", "/b").is_err());
        assert!(substitute("#cafile /a\n", "cafile", "/b").is_err());
        assert_eq!(substitute("x 1\ncafile /a\n", "cafile", "/b").unwrap(), "x 1\ncafile /b\n");
    }
}
