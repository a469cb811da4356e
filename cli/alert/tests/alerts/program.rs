//! The whole program without its sockets: settings, and what it publishes.

use std::time::Duration;

use alert::Daemon;
use alert::controller::Alerter;
use alert::episode::Memory;
use alert::protocol::{Came, Codec, News, Request};
use alert::settings::{Settings, Way};
use bridge::core::{Core, Event, File, Output, PreviousRun};
use bridge::daemon::{self, PreviousRun as Left};
use bridge::line::{LineEvent, Timing};
use bridge::store::Loaded;
use bus::clock::{Instant, Now, Utc};
use bus::incoming::Incoming;
use bus::message::{Meta, Reply};
use bus::probe::Verdict;
use bus::session::bridge::SessionEvent;
use rig::settings::{assert_shows_the_defaults, load};
use serde_json::{Value, json};

const HEAD: &str = r#"site = "clasp"
control_clients = ["alice"]
"#;
const TAIL: &str = r#"
[broker]
host = "localhost"
ca_file = "ca.pem"
certificate_file = "own.pem"
key_file = "own.key"
[rules.wake]
severity = "error"
level = "critical"
for = 2
"#;

fn with(text: &str) -> Result<Settings, Vec<String>> {
    load("clasp.toml", &format!("{HEAD}{TAIL}{text}"), &[])
}

const PHONE: &str = "[receivers.phone]\ntype = \"command\"\ncommand = [\"/bin/true\"]\n";

/// The core with its courier and its broker played by hand.
struct Run {
    core: Core<Alerter, Codec>,
    now: Now,
    published: Vec<(String, Value)>,
    asked: Vec<Request>,
    saved: Option<Vec<u8>>,
}

impl Run {
    fn start(settings: &Settings, device: Loaded<Memory>) -> Self {
        let now = Now {
            instant: Instant::from_boot(Duration::from_secs(1000)),
            utc: Utc::parse("2026-11-20T18:00:00Z").unwrap(),
        };
        let left = Left { device, core: PreviousRun::default() };
        let core = daemon::core::<Daemon>(settings, "5f0c1a9e".to_owned(), left, now).unwrap();
        let mut run = Self { core, now, published: Vec::new(), asked: Vec::new(), saved: None };
        run.carry_out();
        run.event(Event::Line(LineEvent::Opened));
        let round_trip = Duration::from_millis(2);
        let (broker, instead_of) = ("localhost:8883".to_owned(), Vec::new());
        let connected = SessionEvent::Connected { broker, instead_of, round_trip, payload_limit: 60_000 };
        run.event(Event::Session(connected));
        let verdict = Verdict { acl_ok: Some(true), wills_open: false, command_path_ok: true };
        run.event(Event::Session(SessionEvent::Judged(verdict)));
        run.pass(Duration::from_secs(8));
        run
    }

    fn event(&mut self, event: Event) {
        self.core.handle(event, self.now);
        self.carry_out();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while self.now.instant < end {
            self.now = self.now.after(Duration::from_millis(100));
            self.event(Event::Timeout);
            self.news(&[]);
        }
    }

    fn news(&mut self, news: &[News]) {
        let mut frame = serde_json::to_vec(news).unwrap();
        frame.push(b'\n');
        let timing = Timing { written: self.now.instant, finished: self.now.instant };
        self.event(Event::Line(LineEvent::Reply(Ok(frame), timing)));
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Set { topic, payload, .. } => {
                    let value = serde_json::from_slice(&payload).unwrap_or(Value::Null);
                    self.published.push((topic, value));
                }
                Output::Push(message) => {
                    self.published.push((message.topic, serde_json::from_slice(&message.payload).unwrap()));
                }
                Output::SendImmediately(bytes) => self.asked.push(serde_json::from_slice(&bytes).unwrap()),
                Output::Save(file, number, contents) => {
                    if file == File::Device {
                        self.saved = Some(contents);
                    }
                    self.core.handle(Event::Saved(file, number, Ok(())), self.now);
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self, topic: &str, payload: &str) {
        let incoming = Incoming {
            topic: topic.to_owned(),
            payload: payload.as_bytes().to_vec(),
            retain: false,
            response_topic: None,
            correlation: None,
            signatures: Vec::new(),
            received: self.now,
            stalled: false,
        };
        self.event(Event::Session(SessionEvent::Message(incoming)));
    }

    fn command(&mut self, verb: &str, payload: &str) {
        self.hear(&format!("clasp/alert/command/alice/{verb}"), payload);
    }

    fn last(&self, topic: &str) -> Value {
        let found = self.published.iter().rev().find(|(known, _)| known == topic);
        found.unwrap_or_else(|| panic!("nothing on {topic}")).1.clone()
    }

    fn replies(&self) -> Vec<Reply> {
        let replies =
            self.published.iter().filter(|(topic, _)| topic.starts_with("clasp/alert/reply/alice/"));
        replies.map(|(_, value)| serde_json::from_value(value.clone()).unwrap()).collect()
    }

    /// A lamp that does not answer.
    fn lamp_fails(&mut self) {
        self.hear("clasp/lamp/availability", "online");
        let state = json!({
            "schema": 2, "session": "s", "started_at": self.now.utc, "uptime_s": 1.0, "seq": 1,
            "published_at": self.now.utc, "stale_after_s": 3000.0, "status": "offline", "reason": "link_lost",
            "date": null, "connected": false, "last_command": null,
            "attention": [{"name": "no_answer", "severity": "error", "since": self.now.utc, "text": "silent"}],
        });
        self.hear("clasp/lamp/state", &state.to_string());
    }
}

#[test]
fn the_shipped_file_shows_the_defaults_and_names_every_key() {
    assert_shows_the_defaults::<Settings>();
    let shipped = load::<Settings>("clasp.toml", include_str!("../../deploy/clasp.toml"), &[]).unwrap();
    assert_eq!(shipped.policy.rules.len(), 2);
}

#[test]
fn every_receiver_of_the_shipped_file_can_be_used() {
    let shipped = include_str!("../../deploy/clasp.toml");
    let lines = shipped.lines().map(|line| match line.strip_prefix('#') {
        // These stand in for host and certificate.
        Some(rest) if rest.starts_with("hosts") => String::new(),
        Some(rest) if rest.starts_with("username") || rest.starts_with("password_file") => {
            let is_mail = rest.contains("\"obsbus\"") || rest.contains("mail");
            if is_mail { format!("{rest}\n") } else { String::new() }
        }
        Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    });
    let settings: Settings = load("clasp.toml", &lines.collect::<String>(), &[]).unwrap();
    assert_eq!(settings.policy.rules.len(), 6);
    let names: Vec<&str> = settings.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    assert_eq!(names, ["phone", "mail", "chat", "hook", "siren"]);
    assert!(settings.heartbeat.is_some() && settings.link.is_some());
    assert!(matches!(&settings.receivers[4].way, Way::Command { command, .. } if command.len() == 2));
}

#[test]
fn what_is_wrong_with_the_settings_is_said_all_at_once() {
    let wrong = with(
        r#"
[rules.both]
attention = ["x"]
code = [1]
level = "warning"
[rules.none]
device = ["Lamp"]
receivers = ["nobody"]
[receivers.a]
type = "pigeon"
[receivers.b]
type = "mail"
host = "smtp.example.org"
security = "none"
from = "nobody"
to = []
username = "me"
[receivers.c]
type = "ntfy"
url = "ntfy.sh/x"
[receivers.d]
type = "command"
command = ["siren"]
"#,
    )
    .unwrap_err()
    .join("\n");
    for part in [
        "rules.both.attention: stands beside event or code",
        "rules.none.device",
        "rules.none.receivers",
        "rules.none.level: is missing",
        "receivers.a.type",
        "receivers.b.security: smtp.example.org is another machine",
        "receivers.b.from",
        "receivers.b.to",
        "receivers.b.password_file: is missing",
        "receivers.c.url",
        "receivers.d.command",
    ] {
        assert!(wrong.contains(part), "{part} is missing in\n{wrong}");
    }
    let text =
        format!("quiet_hours = \"22\"\ntime_zone = \"Moon\"\n{HEAD}{}", TAIL.replace("[rules.wake]", "[x]"));
    let wrong = load::<Settings>("clasp.toml", &text, &[]).unwrap_err().join("\n");
    for part in ["quiet_hours", "time_zone", "rules: is missing"] {
        assert!(wrong.contains(part), "{part} is missing in\n{wrong}");
    }
}

#[test]
fn it_needs_no_key_of_a_serial_line_and_takes_none() {
    assert!(with(PHONE).is_ok());
    let wrong =
        load::<Settings>("clasp.toml", &format!("serial_port = \"/dev/x\"\n{HEAD}{TAIL}"), &[]).unwrap_err();
    assert!(wrong[0].contains("serial_port: is not a known key"), "{wrong:?}");
}

#[test]
fn meta_and_state_are_as_the_files_say() {
    let run = Run::start(&with(PHONE).unwrap(), Loaded::Missing);
    let meta: Meta = serde_json::from_value(run.last("clasp/alert/meta")).unwrap();
    contract::instrument::hold_meta(&meta);
    let state = run.last("clasp/alert/state");
    assert_eq!(
        (&state["status"], &state["connected"], &state["open"]),
        (&json!("quiet"), &json!(true), &json!(0))
    );
}

#[test]
fn a_problem_is_saved_then_delivered_then_acknowledged_over_the_bus() {
    let mut run = Run::start(&with(PHONE).unwrap(), Loaded::Missing);
    run.lamp_fails();
    run.pass(Duration::from_secs(35));
    let Some(Request::Deliver { receiver, message }) = run.asked.pop() else { panic!("{:?}", run.asked) };
    assert_eq!((receiver.as_str(), message.subject.as_str()), ("phone", "clasp CRITICAL: lamp: no answer"));
    let saved: Memory = serde_json::from_slice(run.saved.as_ref().unwrap()).unwrap();
    assert_eq!((saved.queue.len(), saved.key.len()), (1, 64));
    let delivered = News::Delivered { receiver, message: message.number, came: Came::Taken };
    run.news(&[delivered]);
    let state = run.last("clasp/alert/state");
    assert_eq!((&state["status"], &state["waiting"]), (&json!("alert"), &json!(0)));

    run.command("ack", "7");
    run.command("ack", "1.5");
    run.command("ack", "");
    run.pass(Duration::from_secs(1));
    let codes: Vec<_> =
        run.replies().iter().filter_map(|reply| reply.code).map(|code| code.number()).collect();
    assert_eq!(codes, [1, 6, 0]);
    let state = run.last("clasp/alert/state");
    assert_eq!((&state["status"], &state["unacknowledged"]), (&json!("acknowledged"), &json!(0)));
    assert!(state["episodes"][0].as_str().unwrap().ends_with("acknowledged by alice"), "{state}");
}

#[test]
fn a_restart_knows_what_was_delivered_and_what_was_not() {
    let mut run = Run::start(&with(PHONE).unwrap(), Loaded::Missing);
    run.lamp_fails();
    run.pass(Duration::from_secs(35));
    // Killed before it hears how the attempt ended: it cannot know, and tries again.
    let saved: Memory = serde_json::from_slice(run.saved.as_ref().unwrap()).unwrap();
    let mut next = Run::start(&with(PHONE).unwrap(), Loaded::Current(saved));
    let deliveries = |run: &Run| run.asked.iter().filter(|it| matches!(it, Request::Deliver { .. })).count();
    assert_eq!(deliveries(&next), 1);
    next.news(&[News::Delivered { receiver: "phone".to_owned(), message: 1, came: Came::Taken }]);
    let saved: Memory = serde_json::from_slice(next.saved.as_ref().unwrap()).unwrap();
    let mut last = Run::start(&with(PHONE).unwrap(), Loaded::Current(saved));
    last.lamp_fails();
    last.pass(Duration::from_secs(120));
    assert_eq!(deliveries(&last), 0);
}

#[test]
fn a_test_is_answered_by_what_the_receiver_did() {
    let mut run = Run::start(&with(PHONE).unwrap(), Loaded::Missing);
    run.command("test", "phone");
    run.pass(Duration::from_secs(1));
    let came = Came::Failed("no network".to_owned());
    run.news(&[News::Delivered { receiver: "phone".to_owned(), message: 1, came }]);
    run.command("test", "");
    run.pass(Duration::from_secs(1));
    let is_second = |it: &Request| matches!(it, Request::Deliver { message, .. } if message.number == 2);
    assert!(run.asked.iter().any(is_second), "{:?} {:?}", run.asked, run.replies());
    run.news(&[News::Delivered { receiver: "phone".to_owned(), message: 2, came: Came::Taken }]);
    let ended: Vec<Reply> = run.replies().into_iter().filter(|reply| reply.status.is_terminal()).collect();
    assert_eq!(ended[0].message, "phone: no network");
    assert_eq!(ended[1].code.map(|code| code.number()), Some(0), "{:?}", ended[1]);
    // An acknowledgement does not wait.
    run.command("test", "phone");
    run.command("ack", "");
    run.pass(Duration::from_secs(1));
    let codes: Vec<_> =
        run.replies().iter().filter_map(|reply| reply.code).map(|code| code.number()).collect();
    assert_eq!(codes, [1, 0, 28, 0]);
    run.command("test", "nobody");
    assert_eq!(run.replies().last().and_then(|reply| reply.code).map(|code| code.number()), Some(20));
}

#[test]
fn a_receiver_that_fails_is_an_attention_and_a_message_to_the_others() {
    let two = format!("{PHONE}{}", PHONE.replace("phone", "mail"));
    let mut run = Run::start(&with(&two).unwrap(), Loaded::Missing);
    run.lamp_fails();
    for _ in 0..1000 {
        run.pass(Duration::from_millis(100));
        let asked = std::mem::take(&mut run.asked);
        for request in asked {
            let Request::Deliver { receiver, message } = request else { continue };
            let came = if receiver == "mail" { Came::Failed("no network".to_owned()) } else { Came::Taken };
            if came == Came::Taken {
                run.published.push(("arrived".to_owned(), json!(message.subject)));
            }
            run.news(&[News::Delivered { receiver, message: message.number, came }]);
        }
    }
    let state = run.last("clasp/alert/state");
    assert_eq!(state["attention"][0]["name"], "receiver_failing", "{state}");
    assert_eq!(run.last("arrived"), json!("clasp CRITICAL: alert: receiver failing"));
}
