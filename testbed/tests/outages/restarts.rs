//! Runs of a bridge that end badly one after the other.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

/// A site whose bridge has a runtime directory, as under systemd.
fn site() -> (Site, PathBuf) {
    let mut site = Site::start().unwrap();
    site.bridge.stop().unwrap();
    let directory = site.dir().join("runtime");
    fs::create_dir(&directory).unwrap();
    site.bridge.set_env("RUNTIME_DIRECTORY", directory.to_str().unwrap());
    (site, directory.join("failures"))
}

#[test]
fn a_run_that_is_killed_counts_and_one_that_ends_in_order_does_not() {
    let (mut site, count) = site();
    for killed in 1..=2 {
        site.start_bridge().unwrap();
        site.bridge.kill9().unwrap();
        assert_eq!(fs::read_to_string(&count).unwrap(), format!("{killed}\n"));
    }
    site.start_bridge().unwrap();
    assert!(site.bridge_log().contains("2 runs in a row ended badly: waits 2 s"), "{}", site.bridge_log());
    assert_eq!(site.bridge.stop().unwrap(), 0);
    assert!(!count.exists());
}

#[test]
fn a_bridge_that_waits_is_stopped_at_once_and_the_next_one_waits_no_more() {
    let (mut site, count) = site();
    fs::write(&count, "9\n").unwrap();
    site.launch_bridge().unwrap();
    let bridge = site.bridge.process().unwrap();
    bridge.wait_for_line(|line| line.contains("9 runs in a row ended badly: waits 300 s"), LIMIT).unwrap();
    bridge.terminate().unwrap();
    assert_eq!(bridge.wait_exit(Duration::from_secs(5)).unwrap(), 0);
    wait_for("the count to be forgotten", LIMIT, || (!count.exists()).then_some(())).unwrap();
    site.start_bridge().unwrap();
}
