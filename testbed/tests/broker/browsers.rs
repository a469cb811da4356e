//! The shipped `mosquitto/obsbus-web.conf` beside `obsbus.conf`, included as Debian's own file does
//! it: browsers come in by a password, and under the same access control.
//!
//! The client is paho-mqtt over WebSockets (`browser.py`); it needs `target/python`, which `make
//! test` sets up.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testbed::broker::{HOST, SHIPPED_ACL, free_port, production_conf};
use testbed::certs::Authority;
use testbed::client::{Connect, Post, TestClient};
use testbed::process::{Launch, Process};
use testbed::wait::wait_for;
use testbed::web;

use crate::{LIMIT, taken};

const SCRIPT: &str = include_str!("browser.py");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../panels/web/page");

/// A broker with both files, and the variant for loopback besides.
struct Broker {
    dir: tempfile::TempDir,
    authority: Authority,
    port: u16,
    tls_port: u16,
    loopback_port: u16,
    process: Process,
}

impl Broker {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let authority = Authority::create(&path.join("certs")).unwrap();
        authority.server().unwrap();
        fs::write(path.join("obsbus.acl"), SHIPPED_ACL).unwrap();
        let passwords = web::password_file(path).unwrap();
        let [port, tls_port, loopback_port] = [(); 3].map(|()| free_port().unwrap());
        let tls = web::tls_listener(&path.join("certs"), tls_port, &passwords).unwrap();
        let page = Some(Path::new(PAGE)).filter(|_| web::serves_pages().unwrap());
        let loopback = web::loopback_listener(loopback_port, &passwords, page).unwrap();
        let loopback = loopback.lines().skip(1).collect::<Vec<_>>().join("\n");
        fs::create_dir(path.join("conf.d")).unwrap();
        fs::write(path.join("conf.d/obsbus.conf"), production_conf(path, port).unwrap()).unwrap();
        fs::write(path.join("conf.d/obsbus-web.conf"), format!("{tls}\n{loopback}\n")).unwrap();
        let root = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
        let including = format!("log_dest stderr\n{root}include_dir {}\n", path.join("conf.d").display());
        fs::write(path.join("mosquitto.conf"), including).unwrap();
        let mut process = Launch::machine("mosquitto")
            .unwrap()
            .arg("-c")
            .arg(path.join("mosquitto.conf"))
            .logs_in(path)
            .spawn()
            .unwrap();
        for port in [port, tls_port, loopback_port] {
            wait_for("mosquitto to listen", LIMIT, || {
                assert!(process.is_running(), "{}", process.stderr());
                TcpStream::connect((HOST, port)).ok()
            })
            .unwrap();
        }
        // Only now a SIGHUP reloads instead of ending it.
        process.wait_for_line(|line| line.ends_with(" running"), LIMIT).unwrap();
        Self { dir, authority, port, tls_port, loopback_port, process }
    }

    fn user(&mut self, name: &str, password: &str) {
        web::add_user(&self.dir.path().join("passwd"), name, password).unwrap();
        self.reload();
    }

    fn reload(&mut self) {
        let mark = self.process.mark();
        self.process.signal(rustix::process::Signal::HUP).unwrap();
        self.process.wait_for_line_after(mark, |line| line.contains("Reloading config"), LIMIT).unwrap();
    }

    fn bridge(&self) -> TestClient {
        let files = self.authority.client("chiller-bridge").unwrap();
        Connect::with(self.port, files).connect().unwrap()
    }

    /// What `browser.py` found out.
    fn browser(&self, port: u16, wanted: &Value) -> Value {
        let ca = (port == self.tls_port).then(|| self.authority.ca());
        let mut wanted = wanted.clone();
        wanted
            .as_object_mut()
            .unwrap()
            .extend([("port".to_owned(), port.into()), ("ca".to_owned(), json!(ca))]);
        let script = self.dir.path().join("browser.py");
        fs::write(&script, SCRIPT).unwrap();
        let python = python();
        let output = Launch::machine(python.to_str().unwrap())
            .unwrap()
            .arg(script)
            .arg(wanted.to_string())
            .run(LIMIT * 3)
            .unwrap();
        assert_eq!(output.code, 0, "{}{}", output.stderr, self.process.stderr());
        serde_json::from_str(&output.stdout).unwrap()
    }
}

fn python() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    assert!(venv.is_file(), "{} is missing; run: make test, or tools/setup python", venv.display());
    venv
}

#[test]
fn a_browser_comes_in_by_its_password_and_under_the_same_access_control() {
    let mut broker = Broker::start();
    broker.user("web-alice", "secret");
    let bridge = broker.bridge();
    let state = Post::to("clasp/chiller/state", "kept").retained();
    assert!(bridge.publish(state).unwrap().is_taken());
    bridge.subscribe("clasp/chiller/command/+/+").unwrap();
    for port in [broker.tls_port, broker.loopback_port] {
        let found = broker.browser(
            port,
            &json!({
                "name": "web-alice", "password": "secret",
                "publish": [
                    "clasp/chiller/command/web-alice/ping",
                    "clasp/chiller/command/alice/ping",
                    "clasp/chiller/state",
                    "clasp/chiller/reply/web-alice/last",
                ],
                "subscribe": ["clasp/chiller/state"],
            }),
        );
        assert_eq!(found["connected"], true, "{found}");
        assert_eq!(found["codes"], json!([0, 0x87, 0x87, 0x87]), "{found}");
        assert_eq!(found["messages"], json!([["clasp/chiller/state", "kept"]]), "{found}");
    }
    let heard: Vec<_> = bridge.messages().into_iter().map(|message| message.topic).collect();
    assert_eq!(heard, ["clasp/chiller/command/web-alice/ping"; 2]);
}

#[test]
fn nobody_comes_in_without_a_password_or_with_a_wrong_one() {
    let mut broker = Broker::start();
    broker.user("web-alice", "secret");
    for port in [broker.tls_port, broker.loopback_port] {
        for (name, password) in [
            ("web-alice", json!("Secret")),
            ("web-bob", json!("secret")),
            ("web-alice", Value::Null),
            ("", Value::Null),
        ] {
            let found = broker.browser(port, &json!({ "name": name, "password": password }));
            assert_eq!(found["connected"], false, "{name} {password}: {found}");
        }
    }
}

#[test]
fn a_certificate_still_needs_no_password_and_a_password_is_no_certificate() {
    let mut broker = Broker::start();
    broker.user("web-alice", "secret");
    let bridge = broker.bridge();
    taken(&bridge, "clasp/chiller/state");
    // The other listener takes nobody without a certificate, whatever he says.
    let mut stranger = broker.authority.client("web-alice").unwrap();
    stranger.cert = broker.dir.path().join("none.crt");
    fs::write(&stranger.cert, "").unwrap();
    let error = Connect::with(broker.port, stranger).connect().err().expect("no certificate was asked for");
    assert!(format!("{error:#}").contains("CertificateRequired"), "{error:#}");
}

#[test]
fn the_panel_is_served_as_it_is_committed() {
    // What stands in its place with a newer one: docs/web-panel.md.
    if !web::serves_pages().unwrap() {
        return;
    }
    let broker = Broker::start();
    let committed = fs::read_to_string(Path::new(PAGE).join("index.html")).unwrap();
    for path in ["/", "/index.html"] {
        let found = broker.browser(broker.loopback_port, &json!({ "get": path }));
        assert_eq!(found["status"], 200, "{path}: {found}");
        assert!(found["body"] == committed, "{path} is another page");
    }
    let outside = broker.browser(broker.loopback_port, &json!({ "get": "/../obsbus.acl" }));
    assert_eq!(outside["status"], 404);
}

#[test]
fn the_listener_for_this_machine_listens_on_loopback_only() {
    let broker = Broker::start();
    let listening = listening(broker.loopback_port);
    assert_eq!(listening, ["0100007F"], "addresses in hexadecimal, as in /proc/net/tcp");
}

/// The local addresses on which somebody listens at `port`, those of IPv6 too.
fn listening(port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let end = format!(":{port:04X}");
    let mut found = Vec::new();
    for line in tables.iter().flat_map(|table| table.lines().skip(1)) {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next().unwrap(), words.nth(1).unwrap());
        if let Some(address) = local.strip_suffix(&end).filter(|_| state == LISTEN) {
            found.push(address.to_owned());
        }
    }
    found
}

#[test]
fn the_helper_adds_and_removes_panel_users_and_refuses_the_name_of_a_certificate() {
    let helper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/obsbus-web-user");
    let mut broker = Broker::start();
    let file = broker.dir.path().join("passwd");
    let run = |line: &str, typed: &str| {
        // mosquitto_passwd asks for the password twice.
        let command = format!("printf '{typed}' | {} --file {} {line}", helper.display(), file.display());
        Launch::machine("sh").unwrap().args(["-c", &command]).run(LIMIT).unwrap()
    };
    for name in ["alice", "chiller-bridge", "web-", "web", "web-A", "web-a/b", "web-+", "'web-a b'"] {
        let refused = run(&format!("add {name}"), "x\\nx\\n");
        assert_eq!(refused.code, 1, "{name}: {}", refused.stdout);
        assert!(refused.stderr.contains("web-"), "{}", refused.stderr);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "");

    let added = run("add web-bob", "word\\nword\\n");
    assert_eq!(added.code, 0, "{}", added.stderr);
    assert_eq!(run("list", "").stdout, "web-bob\n");
    broker.reload();
    let login = json!({ "name": "web-bob", "password": "word" });
    assert_eq!(broker.browser(broker.tls_port, &login)["connected"], true);

    assert_eq!(run("remove web-bob", "").code, 0);
    assert_eq!(run("remove web-bob", "").code, 1);
    broker.reload();
    assert_eq!(broker.browser(broker.tls_port, &login)["connected"], false);

    web::add_user(&file, "alice", "word").unwrap();
    let listed = run("list", "");
    assert_eq!((listed.code, listed.stdout.as_str()), (1, "alice\n"));
    assert!(listed.stderr.contains("not called web-"), "{}", listed.stderr);
}
