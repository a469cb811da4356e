//! Two bridges on one base.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use testbed::chiller::{Chiller, Config};
use testbed::client::TestClient;
use testbed::port::Port;
use testbed::process::{Launch, Process};
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use crate::{events, ping, terminals};

/// A second bridge with a chiller of its own, as somebody would start it on another host.
struct Second {
    launch: Launch,
    port: Port<Chiller>,
}

impl Second {
    fn of(site: &Site) -> Self {
        let dir = site.dir().join("second");
        fs::create_dir_all(&dir).unwrap();
        let model = Config { gap: None, ..Config::default() };
        let port = Port::serve(Chiller::new(model), dir.join("ttyCHILLER")).unwrap();
        let settings = fs::read_to_string(site.dir().join("chiller-bridge.toml")).unwrap();
        let here = |path: &str| format!("{:?}", site.dir().join(path));
        let there = |path: &str| format!("{:?}", dir.join(path));
        let settings = settings
            .replace(&here("ttyCHILLER"), &there("ttyCHILLER"))
            .replace(&here("state"), &there("state"));
        assert!(settings.contains(&there("ttyCHILLER")) && settings.contains(&there("state")), "{settings}");
        let file = dir.join("chiller-bridge.toml");
        fs::write(&file, settings).unwrap();
        let launch = Launch::workspace("chiller-bridge").unwrap().arg(file).named("second").logs_in(&dir);
        Self { launch, port }
    }

    fn start(&self) -> Process {
        self.launch.spawn().unwrap()
    }
}

fn sessions(client: &TestClient, what: &str) -> Vec<String> {
    let messages = client.messages().into_iter().filter(|message| message.topic == topic(what));
    let mut sessions: Vec<String> = messages
        .filter_map(|message| message.json().unwrap()["session"].as_str().map(str::to_owned))
        .collect();
    sessions.dedup();
    sessions
}

fn has_second_instance(state: &Value) -> bool {
    state["attention"].as_array().unwrap().iter().any(|held| held["name"] == "second_instance")
}

#[test]
fn the_later_of_two_bridges_says_one_sentence_and_goes_and_the_earlier_stays() {
    let site = Site::start().unwrap();
    let earlier = site.state().unwrap()["session"].clone();
    let alice = site.client("alice").unwrap();
    let second = Second::of(&site);
    let mut process = second.start();
    // While both are there, one answers.
    for round in 0.. {
        let id = format!("ping-{round}");
        ping(&alice, &id);
        if !process.is_running() {
            break;
        }
        assert_eq!(terminals(&alice, &id).len(), 1, "{id}");
        wait_for("a while", Duration::from_secs(1), || (!process.is_running()).then_some(())).ok();
    }
    assert_eq!(process.wait_exit(LIMIT).unwrap(), 75, "{}", process.stderr());

    let told = events(&site, "instance", "second_instance");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_ne!(told[0]["session"], earlier);
    let state = site.wait_state(has_second_instance, LIMIT).unwrap();
    assert_eq!(state["session"], earlier);
    ping(&alice, "ping-after");
    let said = site.observer.messages();
    let from_the_later = said.iter().filter(|message| {
        message.json().is_ok_and(|value| value.get("session").is_some_and(|session| *session != earlier))
    });
    assert_eq!(from_the_later.count(), 1, "the event and nothing else");
    assert!(said.iter().all(|message| message.text() != "offline"), "somebody said offline");
    assert_eq!(second.port.with(|unit| unit.writes().count()), 0);
}

#[test]
fn when_the_earlier_bridge_is_killed_the_later_one_takes_over() {
    let mut site = Site::start().unwrap();
    let second = Second::of(&site);
    let mut process = second.start();
    assert_eq!(process.wait_exit(LIMIT).unwrap(), 75, "{}", process.stderr());
    let earlier = site.state().unwrap()["session"].clone();
    site.bridge.kill9().unwrap();
    site.wait_availability("offline", LIMIT).unwrap();

    let process = second.start();
    site.wait_availability("online", LIMIT).unwrap();
    let other = |value: &Value| value["session"] != earlier && value["connected"] == true;
    site.wait_state(other, LIMIT).unwrap();
    site.wait_json(
        "health",
        |health| health["session"] != earlier && health["command_path_ok"] == true,
        LIMIT,
    )
    .unwrap();
    ping(&site.client("alice").unwrap(), "ping-1");
    assert_eq!(sessions(&site.observer, "state").len(), 2);
    drop(process);
}

#[test]
fn a_frozen_bridge_that_was_replaced_yields_on_waking() {
    let mut site = Site::builder().setting("query_delay", "0.5").setting("stale_after", "3").start().unwrap();
    let earlier = site.state().unwrap()["session"].clone();
    site.bridge.freeze().unwrap();
    site.wait_availability("offline", LIMIT).unwrap();
    let second = Second::of(&site);
    let mut process = second.start();
    site.wait_availability("online", LIMIT).unwrap();
    site.wait_state(|state| state["session"] != earlier, LIMIT).unwrap();

    // It was here first, so it is the other that goes; never are there two for long.
    site.bridge.thaw().unwrap();
    assert_eq!(process.wait_exit(LIMIT).unwrap(), 75, "{}", process.stderr());
    site.wait_state(|state| state["session"] == earlier && state["connected"] == true, LIMIT).unwrap();
    wait_for("the earlier to be online", LIMIT, || {
        let last = site.last("availability")?.text() == "online";
        let stored = crate::stored(&site, "availability")?.text() == "online";
        (last && stored).then_some(())
    })
    .unwrap();
    ping(&site.client("alice").unwrap(), "ping-1");
}

#[test]
fn a_later_bridge_that_is_stopped_before_it_has_spoken_does_not_say_offline() {
    // A state every 10 s: the later one is quiet until it has heard the earlier.
    let site = Site::builder().setting("query_delay", "10").setting("stale_after", "60").start().unwrap();
    let earlier = site.state().unwrap()["session"].clone();
    let second = Second::of(&site);
    let mark = site.observer.mark();
    let mut process = second.start();
    process.wait_for_line(|line| line.contains("connected to the broker"), LIMIT).unwrap();
    process.terminate().unwrap();
    let code = process.wait_exit(LIMIT).unwrap();
    // 75 where a heartbeat of the earlier came between.
    assert!([0, 75].contains(&code), "{code}: {}", process.stderr());
    ping(&site.client("alice").unwrap(), "ping-1");
    let said = site.observer.messages();
    assert!(said.iter().skip(mark).all(|message| message.text() != "offline"), "somebody said offline");
    assert_eq!(site.state().unwrap()["session"], earlier);
}
