//! Many bridges of one broker.

use std::time::Duration;

use testbed::crowd::Crowd;

/// What `make bench-scale` measures with a thousand.
#[test]
fn the_bridges_of_ten_instruments_are_all_back_soon_after_a_restart_of_the_broker() {
    let state = tempfile::tempdir().unwrap();
    let mut crowd = Crowd::start(10, state.path()).unwrap();
    let back = crowd.restart_broker(Duration::ZERO).unwrap();
    assert_eq!(back.back.len(), 10);
    assert!(back.back.iter().all(|at| (back.listened..Duration::from_secs(5)).contains(at)), "{back:?}");
    crowd.stop().unwrap();
}
