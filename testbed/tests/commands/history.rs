//! The history: on the bus, in the terminal, and over a restart.

use std::fs;

use testbed::site::{LIMIT, Site, topic};

#[test]
fn the_history_is_there_as_soon_as_the_bridge_is_and_outlives_it() {
    let mut site = Site::start().unwrap();
    site.observer.subscribe(&topic("history")).unwrap();
    let has_water = |history: &serde_json::Value| history["columns"]["water_temp"].is_array();
    let first = site.wait_json("history", has_water, LIMIT).unwrap();
    assert_eq!(first["units"]["water_temp"], "degC");
    let output = site.tool("visitor", &["history", "--json"]).unwrap();
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    let payload = output.stdout.strip_suffix('\n').unwrap();
    site.observer.wait_for(|message| message.payload == payload, LIMIT).unwrap();

    let read = |state: &serde_json::Value| state["water_temp"] == 12.0 && state["tec_power"] == 0.0;
    site.wait_state(read, LIMIT).unwrap();
    // A stop saves what the running bin has, and the next start publishes it.
    assert_eq!(site.bridge.stop().unwrap(), 0);
    let saved = fs::read_to_string(site.dir().join("state/history.json")).unwrap();
    assert!(saved.contains("12.0"), "{saved}");
    let output = site.tool("alice", &["history"]).unwrap();
    assert_eq!(output.code, 155, "{output:?}");
    assert!(output.stdout.starts_with("clasp/chiller "), "what was is drawn all the same: {output:?}");
    assert!(output.stderr.contains("OFFLINE"), "{output:?}");
    site.start_bridge().unwrap();
    let known = |history: &serde_json::Value| {
        let water = history["columns"]["water_temp"].as_array();
        water.is_some_and(|water| water.contains(&12.0.into()))
    };
    site.wait_json("history", known, LIMIT).unwrap();
    let ascii = site.launch_own_tool("alice", &["history"]).unwrap().env("LC_ALL", "C");
    let output = ascii.run(LIMIT).unwrap();
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    assert!(output.stdout.is_ascii(), "in the C locale: {output:?}");
    for words in ["w water 12.0", "s set point 15.0", "degC +", "# TEC power 0", "UTC"] {
        assert!(output.stdout.contains(words), "no {words:?} in\n{}", output.stdout);
    }
    // Narrow and low as a pipe's page is taken to be.
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 80), "{}", output.stdout);
}

#[test]
fn a_damaged_history_does_not_keep_the_bridge_from_starting() {
    let mut site = Site::builder().start_without_bridge().unwrap();
    site.observer.subscribe(&topic("history")).unwrap();
    fs::create_dir_all(site.dir().join("state")).unwrap();
    fs::write(site.dir().join("state/history.json"), "{\"schema\": 1, ").unwrap();
    site.start_bridge().unwrap();
    let begun =
        |history: &serde_json::Value| history["status"].as_array().is_some_and(|bins| bins.len() == 1);
    site.wait_json("history", begun, LIMIT).unwrap();
    assert!(site.bridge_log().contains("history.json"), "{}", site.bridge_log());
}
