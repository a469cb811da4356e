//! The broker of a replay: a mosquitto of its own, on this machine only, which is gone with it.
//!
//! Only the replay itself can publish there: its certificate is made for this one run and never
//! leaves a folder that only this user can read. Everybody else may read, and nothing else.
#![expect(clippy::disallowed_methods, reason = "waits until the broker answers")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bus::settings::{Address, BrokerSettings, Credentials};
use bus::topic::replay_filter;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::failure::Failure;

/// The identity of the replay.
pub(crate) const IDENTITY: &str = "replay";
const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const START_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Where distributions have it that do not show it to ordinary users.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// What readers connect to.
#[derive(Clone, Debug)]
pub(crate) struct Listeners {
    /// The page and WebSockets.
    pub(crate) web: u16,
    /// Plain MQTT.
    pub(crate) mqtt: Option<u16>,
    /// The folder of the page.
    pub(crate) page: Option<PathBuf>,
}

/// A running broker.
pub(crate) struct Broker {
    child: Child,
    folder: TempDir,
    port: u16,
    /// Where the page is.
    page: u16,
}

impl Broker {
    /// Starts it, and waits until it answers.
    pub(crate) async fn start(listeners: &Listeners) -> Result<Self, Failure> {
        for port in [Some(listeners.web), listeners.mqtt].into_iter().flatten() {
            let free = TcpListener::bind((HOST, port));
            free.map_err(|error| {
                Failure::Usage(format!("port {port} cannot be used: {error}; name another one"))
            })?;
        }
        let folder = tempfile::Builder::new().prefix("obsbus-replay-").tempdir();
        let folder = folder.map_err(Failure::file("create", &std::env::temp_dir()))?;
        write_certificates(folder.path())?;
        let port = free_port()?;
        let page = match listeners.page {
            Some(_) if serves_pages_apart().await? => free_port()?,
            _ => listeners.web,
        };
        let files = [
            ("write.acl", format!("user {IDENTITY}\ntopic write {}\n", replay_filter())),
            // A pattern is for everybody, whatever name a reader gives.
            ("read.acl", format!("pattern read {}\n", replay_filter())),
            ("mosquitto.conf", configuration(folder.path(), port, page, listeners)),
        ];
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::write(&path, text).map_err(Failure::file("write", &path))?;
        }
        let mut broker = Self { child: spawn(folder.path())?, folder, port, page };
        for port in [Some(port), Some(page), Some(listeners.web), listeners.mqtt].into_iter().flatten() {
            broker.wait_for(port).await?;
        }
        Ok(broker)
    }

    /// The port of the page: that for WebSockets, unless this mosquitto needs another one.
    pub(crate) const fn page(&self) -> u16 {
        self.page
    }

    /// How the replay itself reaches it.
    pub(crate) fn settings(&self) -> BrokerSettings {
        let file = |name: &str| self.folder.path().join(name);
        BrokerSettings {
            address: Address { host: HOST.to_string(), port: self.port },
            others: Vec::new(),
            ca_file: file("ca.pem"),
            credentials: Credentials::Certificate {
                certificate_file: file("replay.pem"),
                key_file: file("replay.key"),
            },
            keep_alive: Duration::from_secs(10),
        }
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        let process = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(process) = process.and_then(rustix::process::Pid::from_raw) {
            // If it has ended already, that is as well.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
            let _ = timeout(STOP_LIMIT, self.child.wait()).await;
        }
    }

    async fn wait_for(&mut self, port: u16) -> Result<(), Failure> {
        let address = SocketAddr::from((HOST, port));
        let answers = async {
            loop {
                if let Ok(Some(status)) = self.child.try_wait() {
                    let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                    return Err(Failure::Broker(format!("mosquitto did not start ({status}):\n{log}")));
                }
                if TcpStream::connect_timeout(&address, START_LIMIT).is_ok() {
                    return Ok(());
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        timeout(START_LIMIT, answers).await.unwrap_or_else(|_| {
            Err(Failure::Broker(format!("mosquitto did not listen on {address} within 10 s")))
        })
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(PLACES.map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn mosquitto() -> Result<PathBuf, Failure> {
    find("mosquitto")
        .ok_or_else(|| Failure::Broker("a replay starts a broker of its own: install mosquitto".to_owned()))
}

/// From 2.1 on a listener for WebSockets serves no files.
async fn serves_pages_apart() -> Result<bool, Failure> {
    // It does not know this option, says so, and before that its version.
    let said = Command::new(mosquitto()?).arg("-h").stdin(Stdio::null()).output().await;
    let said = said.map_err(|error| Failure::Broker(format!("cannot start mosquitto: {error}")))?;
    Ok(is_newer_than_2_0(&String::from_utf8_lossy(&said.stdout)))
}

fn is_newer_than_2_0(said: &str) -> bool {
    let version = said.split_once("mosquitto version ").map_or("", |(_, version)| version);
    let mut parts = version.split(['.', ' ', '\n']).map_while(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) > (Some(2), Some(0))
}

fn spawn(folder: &Path) -> Result<Child, Failure> {
    let mosquitto = mosquitto()?;
    let log = folder.join("log");
    let output = fs::File::create(&log).map_err(Failure::file("create", &log))?;
    // With this, the broker ends even if this process is killed.
    let mut command = match find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(mosquitto);
            command
        }
        None => Command::new(mosquitto),
    };
    command
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .kill_on_drop(true)
        // Ctrl-C on the terminal is for the replay, which then ends the broker.
        .process_group(0)
        .spawn()
        .map_err(|error| Failure::Broker(format!("cannot start mosquitto: {error}")))
}

fn free_port() -> Result<u16, Failure> {
    let free = TcpListener::bind((HOST, 0)).and_then(|listener| listener.local_addr());
    free.map(|address| address.port()).map_err(|error| Failure::Broker(format!("no free port: {error}")))
}

/// Everything of it. Nobody can read a password here, because there is none.
fn configuration(folder: &Path, port: u16, page: u16, listeners: &Listeners) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut lines = vec![
        "per_listener_settings true".to_owned(),
        "persistence false".to_owned(),
        "log_dest stderr".to_owned(),
        "log_type error".to_owned(),
        "set_tcp_nodelay true".to_owned(),
    ];
    if rustix::process::geteuid().is_root() {
        // It would become another user, who could not read its folder.
        lines.push("user root".to_owned());
    }
    lines.extend([
        format!("listener {port} {HOST}"),
        format!("cafile {}", file("ca.pem")),
        format!("certfile {}", file("server.pem")),
        format!("keyfile {}", file("server.key")),
        "require_certificate true".to_owned(),
        "use_identity_as_username true".to_owned(),
        format!("acl_file {}", file("write.acl")),
    ]);
    let for_readers = || ["allow_anonymous true".to_owned(), format!("acl_file {}", file("read.acl"))];
    // Without the family a WebSocket listener would be open on every interface.
    lines.extend([format!("listener {} {HOST}", listeners.web), "socket_domain ipv4".to_owned()]);
    lines.push("protocol websockets".to_owned());
    let files = listeners.page.iter().map(|folder| format!("http_dir {}", folder.display()));
    if page == listeners.web {
        lines.extend(files);
        lines.extend(for_readers());
    } else {
        lines.extend(for_readers());
        lines.extend([format!("listener {page} {HOST}"), "socket_domain ipv4".to_owned()]);
        lines.extend(["protocol http_api".to_owned(), "allow_anonymous true".to_owned()]);
        lines.extend(files);
    }
    if let Some(port) = listeners.mqtt {
        lines.push(format!("listener {port} {HOST}"));
        lines.extend(for_readers());
    }
    lines.join("\n") + "\n"
}

fn write_certificates(folder: &Path) -> Result<(), Failure> {
    let certificates = certificates();
    let files =
        certificates.map_err(|error| Failure::Broker(format!("cannot make a certificate: {error}")))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Failure::file("write", &path))?;
    }
    Ok(())
}

fn certificates() -> Result<Vec<(&'static str, String)>, rcgen::Error> {
    let params = |name: &str, names: Vec<String>| {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        Ok::<_, rcgen::Error>(params)
    };
    let mut authority = params("obsbus replay", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut server = params(&HOST.to_string(), vec![HOST.to_string()])?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut client = params(IDENTITY, Vec::new())?;
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (server_key, client_key) = (KeyPair::generate()?, KeyPair::generate()?);
    Ok(vec![
        ("ca.pem", issuer.pem()),
        ("server.pem", server.signed_by(&server_key, &issuer)?.pem()),
        ("server.key", server_key.serialize_pem()),
        ("replay.pem", client.signed_by(&client_key, &issuer)?.pem()),
        ("replay.key", client_key.serialize_pem()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_listens_on_this_machine_only_and_lets_nobody_else_publish() {
        let listeners = Listeners { web: 9746, mqtt: Some(1884), page: None };
        let text = configuration(Path::new("/tmp/x"), 2000, 9746, &listeners);
        let listening: Vec<_> = text.lines().filter(|line| line.starts_with("listener")).collect();
        assert_eq!(
            listening,
            ["listener 2000 127.0.0.1", "listener 9746 127.0.0.1", "listener 1884 127.0.0.1"]
        );
        let sections: Vec<_> = text.split("\nlistener ").skip(1).collect();
        assert!(sections[0].contains("require_certificate true") && !sections[0].contains("anonymous"));
        for readers in &sections[1..] {
            assert!(readers.contains("acl_file /tmp/x/read.acl"), "{readers}");
        }
        assert!(!text.contains("connection "), "never a bridge to another broker");
    }

    #[test]
    fn a_mosquitto_whose_websockets_serve_no_files_serves_the_page_on_a_port_of_its_own() {
        for (said, apart) in [
            ("mosquitto version 2.1.2\n\nmosquitto is", true),
            ("mosquitto version 3.0\n", true),
            ("mosquitto version 2.0.11\n", false),
            ("mosquitto version 1.6.9\n", false),
            ("", false),
        ] {
            assert_eq!(is_newer_than_2_0(said), apart, "{said:?}");
        }
        let listeners = Listeners { web: 9746, mqtt: None, page: Some("/panel".into()) };
        let text = configuration(Path::new("/tmp/x"), 2000, 9747, &listeners);
        let (_, page) = text.split_once("\nlistener 9747 127.0.0.1\n").unwrap();
        assert_eq!(page, "socket_domain ipv4\nprotocol http_api\nallow_anonymous true\nhttp_dir /panel\n");
        assert_eq!(text.matches("http_dir").count(), 1);
    }
}
