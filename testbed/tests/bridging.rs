//! docs/bridging.md: a second broker that fetches from the telescope's, under the very lines of the page.
//! The line between them can be cut.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test an error is a failure, in its helpers too"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use testbed::broker::{AclMode, Broker, HOST};
use testbed::cable::Cable;
use testbed::client::{Connect, Message, Post, Puback, RetainForwardRule, TestClient};
use testbed::operator::{Operator, instant_now};
use testbed::page::{blocks, commands};
use testbed::process::{Launch, Output};
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

const PAGE: &str = include_str!("../../docs/bridging.md");
/// For messages that must get over the line, and for a broker to see that it is cut.
const STALE_AFTER: Duration = Duration::from_secs(12);

/// The one block behind this mark.
fn block(what: &str) -> &'static str {
    let blocks = blocks(PAGE, &format!("<!-- {what} -->"));
    assert_eq!(blocks.len(), 1, "{what}");
    blocks[0]
}

/// A telescope with a chiller, a line that can be cut, and a broker beyond it.
struct Sky {
    site: Site,
    cable: Cable,
    far: Broker,
    folder: tempfile::TempDir,
}

impl Sky {
    /// The far broker's link is this block of the page, under the certificate of `identity`.
    fn start(identity: &str, link: &str, acl: AclMode) -> Self {
        let site = Site::builder()
            .setting("stale_after", STALE_AFTER.as_secs().to_string())
            .setting("control_clients", r#"["alice", "ops", "homeassistant"]"#)
            .start()
            .unwrap();
        let cable = Cable::to(site.broker.port());
        let files = site.broker.client(identity).unwrap();
        let real = BTreeMap::from([
            ("address", format!("{HOST}:{}", cable.port())),
            ("bridge_cafile", files.ca.display().to_string()),
            ("bridge_certfile", files.cert.display().to_string()),
            ("bridge_keyfile", files.key.display().to_string()),
            // The least that there is.
            ("keepalive_interval", "5".to_owned()),
        ]);
        let mut found = 0;
        let line = |line: &str| {
            let (key, _) = line.split_once(' ').unwrap_or((line, ""));
            real.get(key).map_or_else(
                || line.to_owned(),
                |value| {
                    found += 1;
                    format!("{key} {value}")
                },
            )
        };
        let config: Vec<_> = block(link).lines().map(line).collect();
        assert_eq!(found, real.len(), "the page's link has other lines");
        let far = Broker::builder().acl(acl).extra_config(&config.join("\n")).start().unwrap();
        let sky = Self { site, cable, far, folder: tempfile::tempdir().unwrap() };
        sky.wait_link("1");
        sky
    }

    fn client(&self, identity: &str) -> TestClient {
        TestClient::connect(&self.far, identity).unwrap()
    }

    /// What the far broker has in store on this topic.
    fn stored(&self, topic: &str) -> Option<Message> {
        let client = self.client("reader");
        client.subscribe(topic).unwrap();
        client.subscribe("clasp/link").unwrap();
        // It has been there since the link first stood, and comes behind what was asked for.
        client.wait_for(|message| message.topic == "clasp/link", LIMIT).unwrap();
        client.last(0, topic)
    }

    fn wait_link(&self, word: &str) {
        let what = format!("the link to be {word}; {}", self.far.log());
        let link = || self.stored("clasp/link").filter(|message| message.text() == word);
        wait_for(&what, LIMIT, link).unwrap();
    }

    /// Waits until a fresh state has come over the line.
    fn wait_fresh(&self) -> Message {
        let client = self.client("reader");
        client.subscribe_as_published("clasp/chiller/state", RetainForwardRule::Never).unwrap();
        client.wait_for(|_| true, LIMIT).unwrap()
    }

    fn client_settings(&self, identity: &str) -> PathBuf {
        let files = self.far.client(identity).unwrap();
        let path = self.folder.path().join(format!("{identity}.toml"));
        let port = self.far.port();
        let text = format!(
            "sites = [\"clasp\"]\n[broker]\nhost = {HOST:?}\nport = {port}\nca_file = {:?}\n\
             certificate_file = {:?}\nkey_file = {:?}\n",
            files.ca, files.cert, files.key
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// The commands of the page behind this mark, as `alice` would run them at the far broker.
    fn run_page(&self, mark: &str) {
        let shown = commands(PAGE, &format!("<!-- {mark} -->"));
        assert!(!shown.is_empty(), "{mark}");
        for command in shown {
            command.assert("docs/bridging.md", &self.shell(&command.command));
        }
    }

    fn shell(&self, command: &str) -> Output {
        let files = self.far.client("alice").unwrap();
        let settings = self.client_settings("alice");
        let programs = std::env::current_exe().unwrap();
        let programs = programs.parent().and_then(|deps| deps.parent()).unwrap().display().to_string();
        let script = format!(
            "mosquitto_sub() {{ command mosquitto_sub -V 5 -q 1 -h {HOST} -p {} --cafile '{}' --cert '{}' \
             --key '{}' \"$@\"; }}\nPATH='{programs}':$PATH\nexport OBSBUS_CONFIG='{}' XDG_CACHE_HOME='{}'\n{command}",
            self.far.port(),
            files.ca.display(),
            files.cert.display(),
            files.key.display(),
            settings.display(),
            self.folder.path().display(),
        );
        Launch::machine("sh").unwrap().args(["-c", &script]).run(LIMIT).unwrap()
    }

    /// Cuts the line; within `stale_after` nothing looks live on the far side.
    fn cut(&self) {
        self.wait_fresh();
        let heard = self.client("listener");
        for topic in ["clasp/chiller/state", "clasp/link"] {
            heard.subscribe(topic).unwrap();
        }
        self.cable.pull();
        let cut = instant_now();
        let left = || (STALE_AFTER + Duration::from_secs(1)).saturating_sub(instant_now().since(cut));
        heard.wait_for(|message| message.text() == "0", left()).unwrap();
        for what in ["state", "availability"] {
            let topic = format!("clasp/chiller/{what}");
            let gone = || self.stored(&topic).is_none().then_some(());
            wait_for(&format!("{what} to be forgotten"), left(), gone).unwrap();
        }
        // What does not expire says of when it is.
        for what in ["health", "history", "recent"] {
            let kept = self.stored(&format!("clasp/chiller/{what}")).expect(what).json().unwrap();
            assert!(kept["date"].is_string(), "{kept}");
        }
    }
}

#[test]
fn an_observatory_sees_what_a_telescope_does_and_within_stale_after_that_it_is_cut_off() {
    let acl = AclMode::Text(block("the access control of the observatory").to_owned());
    let sky = Sky::start("observatory", "the link of the observatory", acl);
    for what in ["meta", "history", "recent"] {
        let topic = format!("clasp/chiller/{what}");
        wait_for(&format!("{what} on the far side"), LIMIT, || sky.stored(&topic)).unwrap();
    }
    let state = sky.wait_fresh();
    let stale_after = u32::try_from(STALE_AFTER.as_secs()).unwrap();
    assert!(state.expiry.is_some_and(|left| left <= stale_after && left + 2 >= stale_after), "{state:?}");
    assert!(state.retain && state.acknowledged, "{state:?}");
    sky.run_page("runs at the observatory");

    sky.cut();
    sky.run_page("runs at the observatory when the line is cut");

    sky.cable.plug();
    sky.wait_link("1");
    sky.wait_fresh();
    let output = sky.shell("obsbus chiller status");
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn nobody_commands_through_a_link_that_only_reads_whatever_the_far_broker_allows() {
    let sky = Sky::start("observatory", "the link of the observatory", AclMode::Open);
    sky.wait_fresh();
    let ops = Operator::new(&sky.site, "ops").unwrap();
    for identity in ["alice", "ops", "observatory", "homeassistant"] {
        let client = sky.client(identity);
        for sent_as in ["alice", "ops", "observatory"] {
            let post = Post::to(format!("clasp/chiller/command/{sent_as}/mode"), "auto");
            assert_eq!(client.publish(post).unwrap(), Puback::NO_SUBSCRIBERS);
        }
        // Nor can it make the telescope look as it does not.
        for what in ["state", "availability"] {
            let post = Post::to(format!("clasp/chiller/{what}"), "offline").retained();
            assert!(client.publish(post).unwrap().is_taken());
        }
    }
    // What is sent on a line arrives in its order: had there been a command, it would be here before
    // the next state is there.
    sky.wait_fresh();
    ops.settle().unwrap();
    let events = ops.client.messages();
    let commands = events.iter().filter(|message| message.topic.ends_with("/event"));
    let by: Vec<_> = commands.map(|message| message.json().unwrap()["by"].clone()).collect();
    assert!(by.iter().all(|by| by.is_null() || *by == "ops"), "{by:?}");
    assert_eq!(sky.site.last("availability").unwrap().text(), "online");
}

#[test]
fn a_home_assistant_elsewhere_commands_in_its_own_name_and_nothing_is_done_later() {
    let acl = AclMode::Text(block("the access control of the home").to_owned());
    let sky = Sky::start("homeassistant", "the link of the home", acl);
    let home = sky.client("homeassistant");
    for filter in ["clasp/chiller/reply/homeassistant/+", "homeassistant/#", "clasp/link"] {
        home.subscribe(filter).unwrap();
    }
    let ops = Operator::new(&sky.site, "ops").unwrap();
    let send = |id: &str, mode: &str| {
        let payload = json!({ "id": id, "mode": mode }).to_string();
        home.publish(Post::to("clasp/chiller/command/homeassistant/mode", payload)).unwrap()
    };
    let verdict = |id: &str| {
        let topic = format!("clasp/chiller/reply/homeassistant/{id}");
        let ended = |message: &Message| message.topic == topic && message.text().contains("\"succeeded\"");
        home.wait_for(ended, LIMIT).unwrap().json().unwrap()
    };
    assert!(send("h1", "auto").is_taken());
    assert_eq!(verdict("h1")["by"], "homeassistant");

    // The birth message reaches the bridge, and its discovery comes back.
    let bridge = Connect::with(sky.site.broker.port(), sky.site.broker.client("chiller-bridge").unwrap());
    let bridge = bridge.connect().unwrap();
    bridge.subscribe("homeassistant/status").unwrap();
    home.publish(Post::to("homeassistant/status", "online")).unwrap();
    bridge.wait_for(|message| message.text() == "online", LIMIT).unwrap();
    let topic = "homeassistant/sensor/clasp_chiller/water_temp/config";
    bridge.publish(Post::to(topic, "{}").retained()).unwrap();
    home.wait_for(|message| message.topic == topic, LIMIT).unwrap();

    // Others may not, neither in their own name nor in that of Home Assistant.
    let bob = sky.client("bob");
    let refused = bob.publish(Post::to("clasp/chiller/command/homeassistant/mode", "manual")).unwrap();
    assert_eq!(refused, Puback::NOT_AUTHORISED);
    let own = bob.publish(Post::to("clasp/chiller/command/bob/mode", "manual")).unwrap();
    assert_eq!(own, Puback::NO_SUBSCRIBERS);

    // The line is cut before anybody has seen it, and after.
    sky.wait_fresh();
    sky.cable.pull();
    send("h2", "manual");
    home.wait_for(|message| message.topic == "clasp/link" && message.text() == "0", LIMIT).unwrap();
    send("h3", "manual");
    sky.cable.plug();
    sky.wait_link("1");
    sky.wait_fresh();
    assert!(send("h4", "auto").is_taken());
    verdict("h4");
    ops.settle().unwrap();
    for id in ["h2", "h3"] {
        assert_eq!(ops.events(id), [] as [serde_json::Value; 0], "{id} was done later");
    }
    assert_eq!(sky.site.state().unwrap()["mode"], "automatic");
    let heard: Vec<_> = ops.client.messages().iter().filter_map(|message| message.json().ok()).collect();
    assert!(!heard.iter().any(|event| event["by"] == "bob"), "{heard:?}");
}

#[test]
fn what_a_home_assistant_sees_is_not_live_within_stale_after_when_the_line_is_cut() {
    let acl = AclMode::Text(block("the access control of the home").to_owned());
    let sky = Sky::start("homeassistant", "the link of the home", acl);
    for what in ["history", "recent"] {
        let topic = format!("clasp/chiller/{what}");
        wait_for(&format!("{what} on the far side"), LIMIT, || sky.stored(&topic)).unwrap();
    }
    sky.cut();
    // Nor does anything look as if it could be commanded.
    let sent = sky.client("homeassistant").publish(Post::to("clasp/chiller/command/homeassistant/ping", ""));
    assert!(sent.unwrap().is_taken(), "the far broker takes it, and says nothing of the bridge");
    assert_eq!(sky.stored("clasp/link").unwrap().text(), "0");
    sky.cable.plug();
    sky.wait_link("1");
    sky.wait_fresh();
    let ops = Operator::new(&sky.site, "ops").unwrap();
    ops.settle().unwrap();
    let events = ops.client.messages();
    let late = events.iter().filter_map(|message| message.json().ok());
    assert!(!late.into_iter().any(|event| event["by"] == "homeassistant"));
}
