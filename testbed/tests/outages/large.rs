//! A broker that accepts less than the shipped configuration says.

use testbed::operator::Operator;

use super::broker::attentions;
use super::*;

#[test]
fn a_broker_that_accepts_little_gets_no_larger_message_and_stays_connected() {
    // Enough for a state, too little for the description.
    let site = Site::builder().broker_config("max_packet_size 6000").start_without_bridge();
    let mut site = site.unwrap();
    site.launch_bridge().unwrap();
    let too_large = |health: &Value| health["oversized_messages"].as_u64().is_some_and(|count| count > 0);
    let health = site.wait_json("health", too_large, LIMIT).unwrap();
    assert_eq!(health["dropped_messages"], 0, "{health}");
    let state = site.wait_state(|state| attentions(state) == ["too_large"], LIMIT).unwrap();
    let text = state["attention"][0]["text"].as_str().unwrap();
    assert!(text.contains("clasp/chiller/meta") && text.contains("5488 bytes"), "{text}");
    assert!(site.last("meta").is_none());

    // Correlation data that would make the reply too large is refused, and is no way to throw the
    // bridge out.
    let alice = Operator::new(&site, "alice").unwrap();
    let large = vec![b'c'; 4_500];
    let refused = alice.ask_raw(alice.post("ping", "").correlation_data(large), "last").unwrap();
    assert_eq!(refused["code"], 20, "{refused}");
    let answered = alice.ask("ping", json!({})).unwrap();
    assert_eq!(answered["code"], 0, "{answered}");
    let health = site.last("health").unwrap().json().unwrap();
    assert_eq!(health["broker_connections"], 1, "{health}");
}
