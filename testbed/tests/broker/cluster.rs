//! The core of what the bus promises, on rmqttd instead of Mosquitto: `make test-cluster`.
//!
//! What rmqttd 0.24 is known not to do stands in the list [`KNOWN`]; a test that meets it says so in its
//! output, and says it, too, when it does it after all.

mod nodes;
mod one;
mod three;

use std::time::Duration;

use serde_json::Value;
use testbed::client::{Connect, Message, TestClient};
use testbed::process::{Launch, Output};
use testbed::site::{Instrument, LIMIT, SiteOf};
use testbed::wait::wait_for;

use nodes::Cluster;

/// Everybody who has a certificate, besides the bridges and services.
const NAMES: [&str; 5] = ["alice", "ops", "bob", "visitor", "observer"];

/// Promises of a broker that rmqttd 0.24 does not keep; deploy/cluster/README.md says what that means.
const KNOWN: [&str; 3] = [
    "wills obey the access rules",
    "a stored message's expiry counts down",
    "a dead node's clients leave their wills",
];

/// Reports a promise that is known to be broken; `kept` says how it was broken.
#[expect(clippy::print_stdout, reason = "what `make test-cluster` is for")]
#[track_caller]
fn expected_failure(promise: &str, kept: Result<(), String>) {
    assert!(KNOWN.contains(&promise), "{promise} is not in the list");
    match kept {
        Err(how) => println!("expected failure: {promise}: {how}"),
        Ok(()) => println!(
            "UNEXPECTED: {promise}: rmqttd keeps this now. Take it out of the list of known failures"
        ),
    }
}

/// A measured value, for docs/scaling.md.
#[expect(clippy::print_stdout, reason = "what `make test-cluster` is for")]
fn figure(name: &str, value: Duration) {
    println!("figure: {name}: {:.3} s", value.as_secs_f64());
}

/// An instrument whose bridge, tools and observer are at a cluster.
struct Stage<D: Instrument> {
    site: SiteOf<D>,
    cluster: Cluster,
}

impl<D: Instrument> Stage<D> {
    /// Everything but the bridge, which has its settings. The observer is at the last node.
    fn without_bridge(count: usize) -> Self {
        // The bridge sees that a forged will arrives, and refuses whatever is not signed.
        let builder = SiteOf::<D>::builder().setting_in("commands", "require_signature", "[\"all\"]");
        let builder = builder.setting_in("commands", "crl_file", "\"crl.pem\"");
        let mut site = builder.start_without_bridge().unwrap();
        let revoked = site.broker.authority().revocation_list(&[], Duration::from_secs(86_400)).unwrap();
        std::fs::write(site.dir().join("crl.pem"), revoked).unwrap();
        // The certificates are those of the site's Mosquitto, which nobody uses.
        site.broker.stop().unwrap();
        for name in NAMES.into_iter().chain(["pyro-gateway", "chiller-bridge", "focuser-bridge"]) {
            site.broker.client(name).unwrap();
        }
        let cluster = Cluster::start(count, &site.broker.dir().join("certs"), &NAMES);
        let observer = Connect::with(cluster.port(count - 1), site.broker.client("observer").unwrap());
        site.observer = observer.reconnecting().connect().unwrap();
        // rmqttd takes a filter only if a single rule covers it.
        for what in ["state", "availability", "health", "meta", "history", "recent", "event"] {
            site.observer.subscribe(&site.topic(what)).unwrap();
        }
        let mut stage = Self { site, cluster };
        let key = format!("OBSBUS_{}_BROKER__HOSTS", D::KIND.to_uppercase());
        stage.site.bridge.set_env(&key, &stage.cluster.hosts());
        stage
    }

    fn start(count: usize) -> Self {
        let mut stage = Self::without_bridge(count);
        stage.site.start_bridge().unwrap_or_else(|error| panic!("{error}; {}", stage.cluster.logs()));
        stage
    }

    fn launch_tool(&self, identity: &str, args: &[&str]) -> Launch {
        let launch = self.site.launch_own_tool(identity, args).unwrap();
        launch.env("OBSBUS_CLIENT_BROKER__HOSTS", self.cluster.hosts())
    }

    fn tool(&self, identity: &str, args: &[&str]) -> Output {
        self.launch_tool(identity, args).run(LIMIT).unwrap()
    }

    /// `obsbus` itself.
    fn obsbus(&self, identity: &str, args: &[&str]) -> Output {
        let launch = self.site.launch_tool("obsbus", identity, args).unwrap();
        launch.env("OBSBUS_CLIENT_BROKER__HOSTS", self.cluster.hosts()).run(LIMIT).unwrap()
    }

    /// Runs the tool, which must succeed.
    #[track_caller]
    fn done(&self, identity: &str, args: &[&str]) -> Output {
        let output = self.tool(identity, args);
        assert_eq!(output.code, 0, "{args:?}: {output:?}; {}", self.site.bridge_log());
        output
    }

    /// The longest time without a state that the observer has seen since `began`.
    fn longest_gap(&self, began: bus::clock::Instant) -> Duration {
        let here = self.site.topic("state");
        let messages = self.site.observer.messages();
        let times: Vec<_> = (messages.iter())
            .filter(|message| message.topic == here && message.at.instant >= began)
            .map(|message| message.at.instant)
            .collect();
        let ends = [began].into_iter().chain(times.iter().copied());
        times.iter().zip(ends).map(|(later, earlier)| later.since(earlier)).max().unwrap_or_default()
    }

    /// The terminal replies to commands of this verb that the events of the device tell of; waits for one.
    fn verdicts(&self, verb: &str) -> Vec<Value> {
        let some = || Some(self.verdicts_so_far(verb)).filter(|events| !events.is_empty());
        wait_for("the event of the verdict", LIMIT, some).unwrap()
    }

    fn verdicts_so_far(&self, verb: &str) -> Vec<Value> {
        let here = self.site.topic("event");
        let is_verdict =
            |event: &Value| event["kind"] == "command" && event["verb"] == verb && !event["code"].is_null();
        let messages = self.site.observer.messages();
        let events = messages.iter().filter(|message| message.topic == here).filter_map(|it| it.json().ok());
        events.filter(is_verdict).collect()
    }
}

fn text_on(topic: &str, text: &str) -> impl Fn(&Message) -> bool {
    move |message| message.topic == topic && message.text() == text
}

fn wait_text(client: &TestClient, topic: &str, text: &str, limit: Duration) -> Result<(), String> {
    let arrived = client.wait_for(text_on(topic, text), limit);
    arrived.map(|_| ()).map_err(|_| format!("{text:?} did not arrive on {topic} within {limit:?}"))
}

#[expect(clippy::disallowed_methods, reason = "measures how long a client waits")]
fn now() -> bus::clock::Instant {
    bus::clock::Now::read().instant
}
