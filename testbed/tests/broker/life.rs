//! The broker itself: limits, a changed ACL, wills, restarts, standstill.

use std::time::Duration;

use testbed::broker::{Broker, SHIPPED_ACL};
use testbed::client::{Connect, Post, TestClient};

use crate::{LIMIT, on, received_by, refused, taken};

#[test]
fn the_shipped_files_load_without_an_error_and_with_the_expected_warnings_only() {
    let broker = Broker::start().unwrap();
    let log = broker.log();
    assert!(!log.contains("Error"), "{log}");
    for warning in log.lines().filter(|line| line.contains("Warning")) {
        assert!(
            warning.contains("does not contain '%c' or '%u'") || warning.contains("run as root"),
            "{warning}"
        );
    }
}

#[test]
fn the_broker_is_the_version_that_make_test_brokers_has_asked_for() {
    let Ok(version) = std::env::var("OBSBUS_MOSQUITTO") else { return };
    let log = Broker::start().unwrap().log();
    assert!(log.contains(&format!("mosquitto version {version} starting")), "{log}");
}

#[test]
fn a_keep_alive_over_the_limit_is_shortened() {
    let broker = Broker::start().unwrap();
    let asking_for = |seconds| {
        let connect = Connect::with(broker.port(), broker.client("alice").unwrap());
        connect.keep_alive(Duration::from_secs(seconds)).connect().unwrap().server_keep_alive()
    };
    assert_eq!(asking_for(60), None);
    assert_eq!(asking_for(3600), Some(120));
}

#[test]
fn an_operator_who_is_removed_from_the_acl_is_shut_out_of_an_open_connection() {
    let mut broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    alice.subscribe("clasp/chiller/state").unwrap();
    taken(&bridge, "clasp/chiller/state");
    alice.wait_for(on("clasp/chiller/state"), LIMIT).unwrap();
    taken(&alice, "clasp/chiller/command/alice/ping");

    broker.reload(&format!("{SHIPPED_ACL}\nuser alice\ntopic deny #\n")).unwrap();
    taken(&bridge, "clasp/chiller/state");
    // Its answer comes after whatever would have been delivered.
    refused(&alice, "clasp/chiller/command/alice/ping");
    assert_eq!(alice.messages().len(), 1);
}

#[test]
fn a_packet_over_the_limit_ends_the_connection_and_one_below_passes() {
    let broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    let fits = Post::to("clasp/chiller/history", vec![b'x'; 65_000]);
    assert!(bridge.publish(fits).unwrap().is_taken());
    assert!(bridge.publish(Post::to("clasp/chiller/history", vec![b'x'; 66_000])).is_err());
}

#[test]
fn a_will_is_published_after_an_abort_and_not_after_a_clean_end() {
    let broker = Broker::start().unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    alice.subscribe("clasp/chiller/#").unwrap();
    let files = broker.client("chiller-bridge").unwrap();
    let connect = Connect::with(broker.port(), files)
        .will(Post::to("clasp/chiller/availability", "offline").retained());
    connect.clone().connect().unwrap().close();
    let bridge = connect.connect().unwrap();
    assert_eq!(received_by(&alice, &bridge), Vec::<String>::new());
    bridge.abort();
    assert_eq!(alice.wait_for(on("clasp/chiller/availability"), LIMIT).unwrap().text(), "offline");
}

#[test]
fn a_killed_broker_comes_back_on_its_port_and_remembers_nothing() {
    let mut broker = Broker::start().unwrap();
    let port = broker.port();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    let files = broker.client("alice").unwrap();
    let alice = Connect::with(port, files).reconnecting().connect().unwrap();
    assert!(bridge.publish(Post::to("clasp/chiller/state", "old").retained()).unwrap().is_taken());
    alice.subscribe("clasp/chiller/state").unwrap();
    alice.wait_for(|message| message.text() == "old", LIMIT).unwrap();
    let mark = alice.mark();
    broker.kill9().unwrap();
    bridge.wait_closed(LIMIT).unwrap();
    broker.restart().unwrap();
    assert_eq!(broker.port(), port);
    alice.wait_connects(2, LIMIT).unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    assert!(bridge.publish(Post::to("clasp/chiller/state", "new").retained()).unwrap().is_taken());
    // Under the shipped lines alone nothing is kept: the first state is the new one.
    assert_eq!(alice.wait_after(mark, on("clasp/chiller/state"), LIMIT).unwrap().text(), "new");
}

#[test]
fn with_the_distributions_persistence_what_was_stored_is_back_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    // The two lines of Debian's /etc/mosquitto/mosquitto.conf.
    let lines = format!("persistence true\npersistence_location {}/", place.path().display());
    let mut broker = Broker::builder().extra_config(&lines).start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    let post = Post::to("clasp/chiller/state", "old").retained().expiring(600);
    assert!(bridge.publish(post).unwrap().is_taken());
    drop(bridge);
    broker.restart().unwrap();
    let reader = TestClient::connect(&broker, "alice").unwrap();
    reader.subscribe("clasp/chiller/state").unwrap();
    let state = reader.wait_for(on("clasp/chiller/state"), LIMIT).unwrap();
    assert_eq!(state.text(), "old");
    assert!(state.retain && state.expiry.is_some_and(|left| left <= 600), "{state:?}");
}

#[test]
fn a_stored_message_that_nobody_renews_is_forgotten() {
    let broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    assert!(bridge.publish(Post::to("clasp/chiller/health", "x").retained()).unwrap().is_taken());
    assert!(bridge.publish(Post::to("clasp/chiller/state", "x").retained().expiring(1)).unwrap().is_taken());
    testbed::wait::wait_for("the state to expire", LIMIT, || {
        let reader = TestClient::connect(&broker, "alice").unwrap();
        // Stored messages come in the order of the subscriptions, so nothing is missed.
        reader.subscribe("clasp/chiller/state").unwrap();
        reader.subscribe("clasp/chiller/health").unwrap();
        reader.wait_for(on("clasp/chiller/health"), LIMIT).unwrap();
        (!reader.messages().iter().any(on("clasp/chiller/state"))).then_some(())
    })
    .unwrap();
}

#[test]
fn a_frozen_broker_delivers_when_it_is_thawed() {
    let mut broker = Broker::start().unwrap();
    let bridge = TestClient::connect(&broker, "chiller-bridge").unwrap();
    let alice = TestClient::connect(&broker, "alice").unwrap();
    alice.subscribe("clasp/chiller/event").unwrap();
    broker.freeze().unwrap();
    let pending = bridge.send(Post::to("clasp/chiller/event", "x")).unwrap();
    alice.wait_for(|_| true, Duration::from_millis(200)).unwrap_err();
    broker.thaw().unwrap();
    alice.wait_for(on("clasp/chiller/event"), LIMIT).unwrap();
    assert!(pending.wait().unwrap().is_taken());
}
