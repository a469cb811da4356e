//! Twenty thousand commands from somebody who may not, while somebody who may goes on working.

use serde_json::{Value, json};
use testbed::client::{Post, Puback};
use testbed::operator::{Operator, request, seconds_from_now};
use testbed::site::{LIMIT, Site, topic};
use testbed::wait::wait_for;

use crate::identity::undisturbed;

const FLOOD: usize = 20_000;
/// Between two events that sum up what was dropped.
const SUMMARY_S: f64 = 10.0;

/// Sends a flood as fast as the broker takes it; how much of it the broker took.
fn flood(bob: &Operator, count: usize) -> usize {
    let post = |_| bob.post("setpoint", request(json!({ "celsius": 12.5 })).unwrap().1);
    let pending: Vec<_> = (0..count).map(post).map(|post: Post| bob.client.send(post).unwrap()).collect();
    pending.into_iter().map(|answer| answer.wait().unwrap()).filter(|it| it.is_taken()).count()
}

#[test]
fn a_flood_from_one_who_may_not_delays_nobody_and_leaves_a_line_per_ten_seconds() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let bob = Operator::new(&site, "bob").unwrap();
    let began = seconds_from_now(0.0);
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&bob, FLOOD));
        // All the time that it lasts, well within alice's own rate.
        while !flooding.is_finished() && answers.len() < 18 {
            let asked = seconds_from_now(0.0);
            let celsius = if answers.len().is_multiple_of(2) { 20.0 } else { 21.0 };
            let reply = alice.ask("setpoint", json!({ "celsius": celsius })).unwrap();
            assert_eq!(reply["code"], 0, "{reply}");
            answers.push(seconds_from_now(0.0).seconds_since(asked));
        }
        assert_eq!(flooding.join().unwrap(), FLOOD);
    });
    assert!(answers.len() > 2, "the flood was over too soon to be one: {answers:?}");
    assert!(answers.iter().all(|seconds| *seconds < 2.0), "{answers:?}");
    assert_eq!(site.orders().len(), answers.len());

    // Every single one is accounted for: refused with a reply, or counted and summed up.
    let accounted = || {
        let messages = alice.client.messages();
        let events = messages.iter().filter(|it| it.topic == topic("event")).map(|it| it.json().unwrap());
        let (floods, commands): (Vec<_>, Vec<_>) = events.partition(|event| event["kind"] == "flood");
        let dropped: u64 = floods.iter().map(|flood| flood["values"]["dropped"].as_u64().unwrap()).sum();
        let refused = commands.iter().filter(|event| event["by"] == "bob").count();
        let all = usize::try_from(dropped).unwrap() + refused >= FLOOD;
        all.then_some((floods, dropped, refused))
    };
    let (floods, dropped, refused) = wait_for("every command to be accounted for", LIMIT, accounted)
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", site.last("health"), site.bridge_log()));
    let took = seconds_from_now(0.0).seconds_since(began);
    println!("{took:.1} s; {answers:?}; dropped {dropped}, refused {refused}");
    assert_eq!(usize::try_from(dropped).unwrap() + refused, FLOOD);
    // A burst of twenty, then five a second.
    assert!(refused >= 20 && f64::from(u32::try_from(refused).unwrap()) <= 21.0 + 5.0 * took, "{refused}");
    let allowed = 2.0 + took / SUMMARY_S;
    assert!(!floods.is_empty() && f64::from(u32::try_from(floods.len()).unwrap()) <= allowed, "{floods:?}");
    assert!(floods.iter().all(|flood| flood["by"] == "bob"), "{floods:?}");
    let counted = |health: &Value| health["flooded_commands"] == dropped;
    site.wait_json("health", counted, LIMIT).unwrap();
    undisturbed(&site);
    // Once it is over, he is heard again.
    assert_eq!(bob.ask("ping", json!({})).unwrap()["code"], 3);
}

#[test]
fn a_flood_without_acknowledgement_delays_nobody_either() {
    let site = Site::start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let bob = Operator::new(&site, "bob").unwrap();
    for _ in 0..FLOOD {
        bob.client.send(bob.post("setpoint", "12.5").unacknowledged()).unwrap();
    }
    let mut slowest = 0.0_f64;
    for _ in 0..5 {
        let asked = seconds_from_now(0.0);
        assert_eq!(alice.ask("ping", json!({})).unwrap()["code"], 0);
        slowest = slowest.max(seconds_from_now(0.0).seconds_since(asked));
    }
    // Far more than the bridge takes: broker, clients and whatever else runs here share two cores.
    assert!(slowest < 10.0, "{slowest} s");
    // This one is behind all of the others.
    assert_eq!(bob.client.publish(bob.post("ping", "")).unwrap(), Puback(0));
    assert_eq!(site.orders(), []);
    undisturbed(&site);
}

#[test]
fn a_flood_that_piles_up_in_the_broker_does_not_push_a_good_command_out() {
    // Patient, so that what waited is run: what a stall does is tried elsewhere.
    let mut site = Site::builder().setting("stall_guard", "10").setting("query_delay", "10").start().unwrap();
    let alice = Operator::new(&site, "alice").unwrap();
    let bob = Operator::new(&site, "bob").unwrap();
    alice.settle().unwrap();
    site.bridge.freeze().unwrap();
    assert_eq!(flood(&bob, 8000), 8000);
    let id = alice.send("setpoint", json!({ "celsius": 21.0, "ttl_s": 600 })).unwrap();
    site.bridge.thaw().unwrap();
    assert_eq!(alice.terminal(&id).unwrap()["code"], 0);
    assert_eq!(site.orders(), [(17, "+0210".to_owned())]);
}

#[test]
fn whatever_strangers_send_the_log_stays_short_and_says_how_much_it_left_out() {
    let mut site = Site::start().unwrap();
    let strangers: Vec<_> =
        (0..10).map(|number| Operator::new(&site, &format!("stranger{number}")).unwrap()).collect();
    let alice = Operator::new(&site, "alice").unwrap();
    for stranger in &strangers {
        assert_eq!(flood(stranger, 20), 20);
    }
    // Each is refused, and has its event.
    let refused = || {
        let messages = alice.client.messages();
        let events = messages.iter().filter(|it| it.topic == topic("event")).map(|it| it.json().unwrap());
        (events.filter(|event| event["code"] == 3).count() >= 200).then_some(())
    };
    wait_for("every refusal", LIMIT, refused).unwrap();
    assert_eq!(site.bridge.stop().unwrap(), 0);
    let log = site.bridge_log();
    // Refusals have their share, and what the bridge says at its start and end has its own.
    assert!((40..=60).contains(&log.lines().count()), "{log}");
    let left_out = log.lines().last().unwrap();
    assert!(left_out.contains(" lines were left out of this log: there were too many"), "{left_out}");
}
