//! The alerter with real receivers: restarts of everything, receivers that are down, acknowledgements.

mod receivers;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use receivers::Arrived;
use serde_json::Value;
use testbed::broker::free_port;
use testbed::certs::Authority;
use testbed::client::TestClient;
use testbed::process::{Launch, Process};
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

/// The site's alerter, with a phone, a mailbox, a program and an address that watches it.
struct Alerter {
    site: Site,
    process: Process,
    observer: TestClient,
    phone: Arrived,
    watcher: Arrived,
    mail_port: u16,
    link_port: u16,
    settings: PathBuf,
}

impl Alerter {
    fn start() -> Self {
        let site = Site::start().unwrap();
        let ports: Vec<u16> = (0..4).map(|_| free_port().unwrap()).collect();
        let (phone, watcher) = (receivers::web(ports[0]), receivers::web(ports[1]));
        let files = site.broker.client("alert-bridge").unwrap();
        let dir = site.dir();
        fs::write(dir.join("password"), "secret\n").unwrap();
        let text = format!(
            r#"site = "clasp"
control_clients = ["alice", "ops"]
state_directory = {state:?}
group = 1
[broker]
host = "127.0.0.1"
port = {broker}
ca_file = {ca:?}
certificate_file = {cert:?}
key_file = {key:?}
[rules.wake]
severity = "error"
level = "critical"
for = 3
[receivers.phone]
type = "ntfy"
url = "http://127.0.0.1:{phone}/topic"
[receivers.mail]
type = "mail"
host = "localhost"
port = {mail}
from = "Observatory <obsbus@example.org>"
to = ["observers@example.org"]
username = "obsbus"
password_file = "password"
ca_file = {ca:?}
[receivers.program]
type = "command"
command = ["/bin/sh", "-c", "cat >> {said}"]
[heartbeat]
url = "http://127.0.0.1:{watcher}/beat"
every = 10
[link]
listen = "127.0.0.1:{link}"
url = "http://127.0.0.1:{link}/ack"
"#,
            state = dir.join("alert-state"),
            broker = site.broker.port(),
            ca = files.ca,
            cert = files.cert,
            key = files.key,
            phone = ports[0],
            watcher = ports[1],
            mail = ports[2],
            link = ports[3],
            said = dir.join("said").display(),
        );
        let settings = dir.join("alert.toml");
        fs::write(&settings, text).unwrap();
        let observer = TestClient::connect(&site.broker, "observer").unwrap();
        observer.subscribe("clasp/alert/+").unwrap();
        let process = Self::launch(&settings);
        Self { phone, watcher, process, observer, mail_port: ports[2], link_port: ports[3], settings, site }
    }

    fn launch(settings: &std::path::Path) -> Process {
        // By the name that people use.
        Launch::workspace("obsbus").unwrap().args(["alert", "run"]).arg(settings).spawn().unwrap()
    }

    fn restart(&mut self) {
        self.process.kill9().unwrap();
        self.process = Self::launch(&self.settings);
    }

    fn on_phone(&self, text: &str) -> usize {
        self.phone.lock().unwrap().iter().filter(|request| request.contains(text)).count()
    }

    fn wait_on_phone(&self, text: &str, count: usize) {
        let there = || (self.on_phone(text) >= count).then_some(());
        wait_for(&format!("{count} of {text:?} on the phone"), LIMIT, there).unwrap_or_else(|error| {
            panic!("{error}\n{:?}\n{}", self.phone.lock().unwrap(), self.process.stderr())
        });
    }

    fn state(&self) -> Option<Value> {
        self.observer.last(0, "clasp/alert/state")?.json().ok()
    }

    fn wait_state(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, LIMIT, || self.state().filter(&wanted))
            .unwrap_or_else(|error| panic!("{error}\n{:?}\n{}", self.state(), self.process.stderr()))
    }

    fn beats(&self) -> usize {
        self.watcher.lock().unwrap().len()
    }

    fn wait_for_a_beat(&self) {
        let before = self.beats();
        wait_for("a heartbeat", LIMIT, || (self.beats() > before).then_some(())).unwrap();
    }

    /// What a browser gets.
    fn browse(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.link_port)).unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

#[test]
fn problems_reach_people_over_restarts_of_everything_and_only_once() {
    let mut alerter = Alerter::start();
    alerter.wait_state("a quiet alerter", |state| {
        state["status"] == "quiet" && state["devices"][0] == "chiller" && state["connected"] == true
    });
    alerter.wait_for_a_beat();

    // A cable: told to the phone and the program; the mail server is not there yet.
    alerter.site.port.unplug().unwrap();
    alerter.wait_on_phone("CRITICAL: chiller: port missing", 1);
    let request = alerter.phone.lock().unwrap()[0].clone();
    for part in ["POST /topic", "riority: 5", "What to do: plug the adapter in", "method=POST"] {
        assert!(request.contains(part), "{part} is missing in {request}");
    }
    let said = alerter.site.dir().join("said");
    let read = || serde_json::from_slice::<Value>(&fs::read(&said).ok()?).ok();
    let said = wait_for("what the program got", LIMIT, read).unwrap();
    assert_eq!((&said["site"], &said["level"]), (&"clasp".into(), &"critical".into()));
    alerter.wait_state("a message that waits for the mail server", |state| {
        state["waiting"] == 1 && state["failing"][0].as_str().is_some_and(|text| text.starts_with("mail:"))
    });

    let disk = alerter.site.dir().join("alert-state/device.json");
    wait_for("the disk to know it", LIMIT, || {
        let saved: Value = serde_json::from_slice(&fs::read(&disk).ok()?).ok()?;
        let queue = saved["queue"].as_array()?;
        (queue.len() == 1 && queue[0]["receiver"] == "mail").then_some(())
    })
    .unwrap();

    // The alerter is killed: the mail is not lost, and the phone hears nothing twice.
    alerter.restart();
    let (certificate, key) = alerter.site.broker.authority().server().unwrap();
    let mailbox = receivers::mail(alerter.mail_port, &certificate, &key);
    let letter = wait_for("a mail", LIMIT, || mailbox.lock().unwrap().first().cloned())
        .unwrap_or_else(|error| panic!("{error}\n{}", alerter.process.stderr()));
    for part in
        ["Subject: clasp CRITICAL: chiller: port missing", "To: observers@example.org", "Importance: high"]
    {
        assert!(letter.contains(part), "{part} is missing in {letter}");
    }
    let state = alerter.wait_state("nothing that waits", |state| state["waiting"] == 0 && state["open"] == 1);
    assert_eq!(state["status"], "alert");
    alerter.wait_for_a_beat();
    assert_eq!((alerter.on_phone("port missing"), mailbox.lock().unwrap().len()), (1, 1));

    // The link: opened by a gateway, then pressed by a person, then once more.
    let link = said["link"].as_str().unwrap();
    let path = &link[link.find("/ack/").unwrap()..];
    let page = alerter.browse("GET", path);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<form method=\"post\">"), "{page}");
    assert_eq!(alerter.state().unwrap()["unacknowledged"], 1);
    assert!(alerter.browse("POST", path).contains("Acknowledged"));
    alerter.wait_state("an acknowledgement", |state| state["unacknowledged"] == 0);
    assert!(alerter.browse("POST", path).starts_with("HTTP/1.1 410"));

    // The bridge is killed, the broker dies and comes back.
    alerter.site.bridge.kill9().unwrap();
    alerter.wait_on_phone("CRITICAL: chiller: bridge offline", 1);
    let obsbus = |who: &str, words: &[&str]| {
        let launch = alerter.site.launch_tool("obsbus", who, words).unwrap();
        launch.run(LIMIT).unwrap()
    };
    let list = obsbus("alice", &["alert", "list"]);
    assert!(list.stdout.contains("CRITICAL chiller: bridge offline"), "{list:?}");
    assert_eq!(obsbus("bob", &["alert", "ack"]).code, 3);
    let done = obsbus("alice", &["alert", "ack"]);
    assert_eq!(done.code, 0, "{done:?}");
    let test = obsbus("ops", &["alert", "test", "--receiver", "mail"]);
    assert_eq!(test.code, 0, "{test:?}");
    assert_eq!(
        mailbox.lock().unwrap().iter().filter(|letter| letter.contains("a test of the alerts")).count(),
        1
    );

    alerter.site.broker.kill9().unwrap();
    alerter.wait_on_phone("no connection to the broker", 1);
    let beats = alerter.beats();
    alerter.restart();
    wait_for("the alerter without a broker", LIMIT, || {
        alerter.process.stderr().contains("no connection to the broker").then_some(())
    })
    .unwrap();
    assert_eq!(alerter.beats(), beats, "no heartbeat without a broker");
    alerter.site.broker.restart().unwrap();
    alerter.site.launch_bridge().unwrap();
    alerter.wait_for_a_beat();
    alerter.observer = TestClient::connect(&alerter.site.broker, "observer").unwrap();
    alerter.observer.subscribe("clasp/alert/+").unwrap();
    let state = alerter.wait_state("what it remembers", |state| state["open"].as_u64() >= Some(1));
    assert!(state["episodes"].to_string().contains("port missing"), "{state}");
    assert_eq!(alerter.on_phone("CRITICAL: chiller: port missing"), 1);
    assert_eq!(alerter.on_phone("CRITICAL: chiller: bridge offline"), 1);
}

#[test]
fn a_mail_server_with_a_wrong_certificate_is_said_and_the_others_get_the_message() {
    let alerter = Alerter::start();
    // Somebody else answers under the server's name.
    let stranger = Authority::create(&alerter.site.dir().join("stranger")).unwrap();
    let (certificate, key) = stranger.server().unwrap();
    let mailbox = receivers::mail(alerter.mail_port, &certificate, &key);
    alerter.wait_state("a quiet alerter", |state| state["status"] == "quiet" && state["connected"] == true);
    let test = alerter.site.launch_tool("obsbus", "alice", &["alert", "test"]).unwrap().run(LIMIT).unwrap();
    assert_eq!(test.code, 1, "{test:?}");
    let said = "mail: localhost: its certificate was not signed by the authority in ca_file";
    assert!(test.stderr.contains(said), "{test:?}");
    alerter.wait_on_phone("a test of the alerts", 1);
    assert_eq!(mailbox.lock().unwrap().len(), 0, "no mail and no password to a stranger");
    alerter.wait_state("a receiver that fails", |state| {
        state["failing"][0].as_str().is_some_and(|text| text.starts_with(said))
    });
}

#[test]
fn a_disk_that_fails_holds_no_message_back_and_what_was_told_is_forgotten_at_a_restart() {
    let mut alerter = Alerter::start();
    alerter.wait_state("a quiet alerter", |state| state["status"] == "quiet" && state["connected"] == true);
    let disk = alerter.site.dir().join("alert-state");
    fs::rename(&disk, alerter.site.dir().join("away")).unwrap();
    // Root may write everywhere, but not into a file as if it were a folder.
    fs::write(&disk, "in the way").unwrap();
    alerter.site.port.unplug().unwrap();
    alerter.wait_on_phone("CRITICAL: chiller: port missing", 1);
    alerter
        .wait_state("the disk to be said", |state| state["attention"].to_string().contains("journal_failed"));
    alerter.restart();
    alerter.wait_on_phone("CRITICAL: chiller: port missing", 2);
}
