//! `obsbus alpaca` with a real broker, bridge and model, as a program sees it that speaks Alpaca.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::broker::{HOST, free_port};
use testbed::operator::Operator;
use testbed::process::{Launch, Process};
use testbed::site::{FocuserSite, LIMIT};
use testbed::wait::wait_for;

use super::{at_rest, homed, nothing_forbidden, now, succeeded, targets_sent, wait_under_way};

const NOT_IMPLEMENTED: u32 = 0x400;
const NOT_CONNECTED: u32 = 0x407;
const INVALID_OPERATION: u32 = 0x40B;
const CANCELLED: u32 = 0x40E;

/// A server, which commands under an identity of its own.
struct Alpaca {
    process: Process,
    port: u16,
}

impl Alpaca {
    fn launch(site: &FocuserSite, identity: &str) -> Launch {
        let port = free_port().unwrap();
        let files = site.broker.client(identity).unwrap();
        let settings = format!(
            "site = \"clasp\"\ndevices = [\"focuser\"]\nport = {port}\n[broker]\nhost = {HOST:?}\nport = {}\n\
             ca_file = {:?}\ncertificate_file = {:?}\nkey_file = {:?}\n",
            site.broker.port(),
            files.ca,
            files.cert,
            files.key
        );
        let file = site.dir().join(format!("alpaca-{identity}.toml"));
        fs::write(&file, settings).unwrap();
        Launch::workspace("obsbus").unwrap().arg("alpaca").arg(file)
    }

    fn start(launch: &Launch) -> Self {
        let mut process = launch.spawn().unwrap();
        let address = format!("http://{HOST}:");
        let line = process.wait_for_line(|line| line.contains(&address), LIMIT).unwrap();
        let port = line.split(&address).nth(1).unwrap().trim().parse().unwrap();
        Self { process, port }
    }

    fn of(site: &FocuserSite, identity: &str) -> Self {
        Self::start(&Self::launch(site, identity))
    }

    /// Everything that comes back for these bytes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect((HOST, self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut answer = Vec::new();
        // A server that refuses early may close before it has read everything.
        if stream.write_all(bytes).is_ok() {
            match stream.read_to_end(&mut answer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no end of the answer"),
                _ => {}
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn http(&self, method: &str, target: &str, more: &str, form: &str) -> String {
        let length = form.len();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}");
        self.raw(format!("{head}Content-Length: {length}\r\n\r\n{form}").as_bytes())
    }

    fn member(&self, method: &str, member: &str, form: &str) -> Value {
        let query = if method == "GET" { "?clientid=7&ClientTransactionID=42" } else { "" };
        let form = format!("ClientID=7&ClientTransactionID=42&{form}");
        let answer = self.http(method, &format!("/api/v1/focuser/0/{member}{query}"), "", &form);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{member}: {answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body["ClientTransactionID"], 42, "{body}");
        assert!(body["ServerTransactionID"].as_u64().unwrap() >= 1, "{body}");
        body
    }

    fn get(&self, member: &str) -> Value {
        self.member("GET", member, "")
    }

    #[track_caller]
    fn put(&self, member: &str, form: &str) {
        let answer = self.member("PUT", member, form);
        assert_eq!((&answer["ErrorNumber"], &answer["ErrorMessage"]), (&json!(0), &json!("")), "{answer}");
    }

    /// A stop from before may still be running.
    #[track_caller]
    fn moves_once_stopped(&self, position: u32) {
        let begins = || {
            let answer = self.member("PUT", "move", &format!("Position={position}"));
            let is_early = answer["ErrorMessage"].as_str().is_some_and(|words| words.ends_with("is running"));
            assert!(is_early || answer["ErrorNumber"] == 0, "{answer}");
            (!is_early).then_some(())
        };
        wait_for("the stop to be over", LIMIT, begins).unwrap();
    }

    #[track_caller]
    fn is(&self, member: &str, value: impl Into<Value>) {
        assert_eq!(self.get(member)["Value"], value.into(), "{member}");
    }

    #[track_caller]
    fn comes(&self, member: &str, value: impl Into<Value>) {
        let value = value.into();
        let answer = || (self.get(member)["Value"] == value).then_some(());
        wait_for(&format!("{member} to be {value}"), LIMIT, answer).unwrap();
    }

    #[track_caller]
    fn waits_for_error(&self, member: &str, number: u32, words: &str) {
        let is_there = || {
            let answer = self.get(member);
            let message = answer["ErrorMessage"].as_str()?.to_owned();
            (answer["ErrorNumber"] == number && message.contains(words)).then_some(())
        };
        wait_for(&format!("{member} to fail with {number:#x} and {words:?}"), LIMIT, is_there).unwrap();
    }

    fn connected(self) -> Self {
        wait_for("a connection", LIMIT, || {
            (self.member("PUT", "connect", "")["ErrorNumber"] == 0).then_some(())
        })
        .unwrap();
        self
    }
}

#[track_caller]
fn fails(answer: &Value, number: u32, words: &str) {
    assert_eq!(answer["ErrorNumber"], number, "{answer}");
    assert!(
        answer["ErrorMessage"].as_str().unwrap().contains(words) && answer.get("Value").is_none(),
        "{answer}"
    );
}

#[test]
fn a_program_moves_the_focuser_and_is_told_the_truth_all_the_while() {
    let site = FocuserSite::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let alpaca = Alpaca::of(&site, "ops");
    fails(&alpaca.get("position"), NOT_CONNECTED, "expected Connect");
    let alpaca = alpaca.connected();
    alpaca.put("connected", "Connected=True");

    // Connecting homes nothing, and neither does a move.
    fails(&alpaca.get("position"), INVALID_OPERATION, "the position is not known");
    fails(&alpaca.member("PUT", "move", "Position=100"), INVALID_OPERATION, "the position is not known");
    alpaca.is("ismoving", false);
    assert_eq!(targets_sent(&site), 0);

    let id = alice.send("init", json!({})).unwrap();
    alice.reply(&id, "accepted").unwrap();
    alpaca.comes("ismoving", true);
    succeeded(&alice.terminal(&id).unwrap());
    alpaca.comes("position", 0);

    for (member, value) in [("maxstep", json!(6000)), ("maxincrement", json!(6000)), ("stepsize", json!(1.0))]
    {
        alpaca.is(member, value);
    }
    fails(&alpaca.get("temperature"), NOT_IMPLEMENTED, "Temperature");
    fails(&alpaca.member("PUT", "tempcomp", "TempComp=True"), NOT_IMPLEMENTED, "compensation");

    // It moves as soon as the order is answered, and stands at the very step when it does not.
    for (order, there) in [("1234", 1234), ("-10", 0)] {
        alpaca.put("move", &format!("Position={order}"));
        alpaca.is("ismoving", true);
        alpaca.comes("ismoving", false);
        alpaca.is("position", there);
        assert_eq!(at_rest(&site)["current_mm"], f64::from(there) / 1000.0);
    }

    alpaca.put("move", "Position=5000");
    fails(&alpaca.member("PUT", "move", "Position=100"), INVALID_OPERATION, "has not ended yet");
    fails(&alpaca.member("PUT", "move", "Position=100"), INVALID_OPERATION, "expected Halt first");
    wait_under_way(&site, 0.0, 0.2);
    alpaca.put("halt", "");
    alpaca.comes("ismoving", false);
    let stood = at_rest(&site)["current_mm"].as_f64().unwrap();
    assert!(stood < 5.0, "{stood}");

    // What somebody else ends is told, until the next order.
    alpaca.put("move", "Position=5000");
    wait_under_way(&site, stood, 0.2);
    succeeded(&alice.ask("stop", json!({})).unwrap());
    alpaca.waits_for_error("ismoving", CANCELLED, "alice ended it with stop");
    alpaca.put("halt", "");
    alpaca.is("ismoving", false);

    // And what somebody else moves is not moved from here.
    let id = alice.send("set", json!({"mm": 0.0})).unwrap();
    alice.reply(&id, "accepted").unwrap();
    fails(&alpaca.member("PUT", "move", "Position=3000"), INVALID_OPERATION, "alice's set");
    succeeded(&alice.terminal(&id).unwrap());
    nothing_forbidden(&site);
}

#[test]
fn an_identity_that_may_not_command_is_told_what_is_missing() {
    let (site, _) = homed();
    let alpaca = Alpaca::of(&site, "alpaca").connected();
    alpaca.is("position", 0);
    let sent = targets_sent(&site);
    fails(
        &alpaca.member("PUT", "move", "Position=100"),
        INVALID_OPERATION,
        "alpaca is not in control_clients of the bridge",
    );
    alpaca.is("ismoving", false);
    fails(&alpaca.member("PUT", "halt", ""), INVALID_OPERATION, "NOT STOPPED: stop: rejected");
    assert_eq!(targets_sent(&site), sent);
}

#[test]
fn nothing_old_is_shown_as_if_it_were_new_and_an_outage_mends_itself() {
    let (mut site, _) = homed();
    let launch = Alpaca::launch(&site, "ops");
    let mut alpaca = Alpaca::start(&launch).connected();
    alpaca.put("move", "Position=3000");
    wait_under_way(&site, 0.0, 0.2);
    site.broker.stop().unwrap();
    for member in ["position", "devicestate"] {
        alpaca.waits_for_error(member, NOT_CONNECTED, "there is no connection to the broker");
    }
    // Some programs take an error for `false`, and would go on.
    alpaca.is("ismoving", true);
    fails(&alpaca.member("PUT", "move", "Position=1"), NOT_CONNECTED, "there is no connection to the broker");
    let stop = alpaca.member("PUT", "halt", "");
    fails(&stop, INVALID_OPERATION, "NOT STOPPED: no answer (there is no connection to the broker");
    // It gets through when the broker is there again, and the client need not connect anew.
    site.broker.restart().unwrap();
    alpaca.comes("ismoving", false);
    assert!(at_rest(&site)["current_mm"].as_f64().unwrap() <= 3.0);
    alpaca.is("connected", true);

    // A bridge that is killed stops the motion when it is back, and says so.
    alpaca.moves_once_stopped(5500);
    site.bridge.kill9().unwrap();
    alpaca.waits_for_error("position", NOT_CONNECTED, "the bridge of clasp/focuser is offline");
    alpaca.is("ismoving", true);
    site.start_bridge().unwrap();
    alpaca.waits_for_error("ismoving", INVALID_OPERATION, "set: failed");

    // A server that was restarted knows no client, and what moves goes on.
    alpaca.process.terminate().unwrap();
    assert_eq!(alpaca.process.wait_exit(LIMIT).unwrap(), 0);
    let again = Alpaca::start(&launch);
    fails(&again.get("position"), NOT_CONNECTED, "expected Connect");
    again.is("connected", false);
    again.connected().is("connected", true);
}

#[test]
fn malformed_and_hostile_requests_end_quickly_and_move_nothing() {
    let (site, _) = homed();
    let alpaca = Alpaca::of(&site, "ops").connected();
    let sent = targets_sent(&site);
    let put = "/api/v1/focuser/0/move";
    for (status, answer) in [
        ("400", alpaca.http("PUT", put, "", "Position=1.5")),
        ("400", alpaca.http("PUT", put, "", "position=100")),
        ("400", alpaca.http("PUT", put, "Content-Type: application/json\r\n", "{\"Position\": 100}")),
        ("400", alpaca.http("GET", "/api/v1/focuser/1/position", "", "")),
        ("404", alpaca.http("GET", "/../../etc/passwd", "", "")),
        ("405", alpaca.http("POST", put, "", "Position=100")),
        ("403", alpaca.http("PUT", put, "Origin: http://evil.example\r\n", "Position=100")),
        ("413", alpaca.http("PUT", put, "", &format!("Position=100&x={}", "x".repeat(1_000_000)))),
        // What it announces is enough.
        (
            "413",
            alpaca
                .raw(format!("PUT {put} HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nPosition=1").as_bytes()),
        ),
        ("400", alpaca.raw(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n")),
        ("400", alpaca.raw(b"GET /\xff HTTP/9.9\r\n\r\n")),
        ("431", alpaca.raw(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)).as_bytes())),
        ("431", alpaca.raw(format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000)).as_bytes())),
    ] {
        // Whoever sends too much may find the connection closed before he reads.
        let is_refused = answer.starts_with(&format!("HTTP/1.1 {status} "));
        assert!(is_refused || (answer.is_empty() && ["413", "431"].contains(&status)), "{status}: {answer}");
    }
    // Half a request, on more connections than there may be: the next client is served all the same.
    let half = |_| {
        let mut stream = TcpStream::connect((HOST, alpaca.port)).unwrap();
        stream.write_all(b"PUT /api/v1/focuser/0/halt HTTP/1.1\r\nHost: x\r\n").unwrap();
        stream
    };
    let slow: Vec<TcpStream> = (0..200).map(half).collect();
    let began = now();
    alpaca.is("position", 0);
    assert!(now().since(began) < Duration::from_secs(2), "it waited for those that send nothing");
    // A connection that was opened before them had to make room.
    let mut oldest = slow.first().unwrap();
    oldest.set_read_timeout(Some(LIMIT)).unwrap();
    assert!(matches!(oldest.read(&mut [0; 64]), Ok(0) | Err(_)));
    assert_eq!(targets_sent(&site), sent);
}

#[test]
#[ignore = "needs alpyca: make test-alpaca"]
fn the_standards_own_client_library_finds_a_focuser_that_conforms() {
    let (site, _) = homed();
    let alpaca = Alpaca::of(&site, "ops");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Launch::machine(&root.join("target/alpaca/bin/python").display().to_string())
        .unwrap()
        .arg(root.join("testbed/alpaca/conform.py"))
        .arg(format!("{HOST}:{}", alpaca.port))
        .run(LIMIT * 3)
        .unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.ends_with("the focuser conforms\n"), "{output:?}");
    at_rest(&site);
    nothing_forbidden(&site);
}
