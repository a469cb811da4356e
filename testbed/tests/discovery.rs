//! Discovery under the shipped access control: a bridge tells Home Assistant of its device, takes back
//! what earlier settings left, and tells it again after Home Assistant's birth.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]

use std::collections::BTreeSet;
use std::time::Duration;

use bus::homeassistant::{HomeAssistant, entities};
use bus::message::Meta;
use bus::topic::{Base, Identity};
use testbed::client::{Message, Post, RetainForwardRule, TestClient};
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

const PREFIX: &str = "homeassistant";
/// All entities are there so long after the birth.
const AFTER_BIRTH: Duration = Duration::from_secs(5);

/// Where something is to be told, by what the bridge says of itself.
fn expected(site: &Site) -> BTreeSet<String> {
    let message = wait_for("meta", LIMIT, || site.last("meta")).unwrap();
    let meta: Meta = serde_json::from_slice(&message.payload).unwrap();
    let settings = HomeAssistant {
        identity: Identity::new("homeassistant").unwrap(),
        prefix: PREFIX.to_owned(),
        link_topic: None,
    };
    let entities = entities(&meta, &Base::new("clasp", "chiller").unwrap(), &settings);
    entities.into_iter().map(|entity| entity.topic).collect()
}

/// What was told since the mark.
fn told(home: &TestClient, mark: usize) -> BTreeSet<String> {
    let is_told = |message: &Message| message.topic.ends_with("/config") && !message.payload.is_empty();
    home.messages().into_iter().skip(mark).filter(is_told).map(|message| message.topic).collect()
}

#[test]
fn a_bridge_tells_home_assistant_of_its_device() {
    let builder = Site::builder().setting_in("homeassistant", "enabled", "true");
    let mut site = builder.start_without_bridge().unwrap();
    let left = "homeassistant/sensor/clasp_chiller/old_name/config";
    let earlier = site.client("chiller-bridge").unwrap();
    assert!(earlier.publish(Post::to(left, "{}").retained()).unwrap().is_taken());
    earlier.close();
    let home = site.client("homeassistant").unwrap();
    home.subscribe_as_published("homeassistant/#", RetainForwardRule::OnEverySubscribe).unwrap();
    home.wait_for(|message| message.topic == left, LIMIT).unwrap();

    site.start_bridge().unwrap();
    home.wait_for(|message| message.topic == left && message.payload.is_empty(), LIMIT).unwrap();
    let expected = expected(&site);
    let all = || told(&home, 0).is_superset(&expected).then_some(());
    wait_for("all entities", LIMIT, all).unwrap();
    let kept = |message: &Message| !message.topic.ends_with("/config") || message.retain;
    assert!(home.messages().iter().all(kept), "the broker keeps what it is told");
    assert!(site.state().unwrap()["attention"].as_array().unwrap().is_empty(), "{}", site.bridge_log());

    let mark = home.mark();
    assert!(home.publish(Post::to("homeassistant/status", "online")).unwrap().is_taken());
    wait_for("all entities again", AFTER_BIRTH, || (told(&home, mark) == expected).then_some(())).unwrap();
}
