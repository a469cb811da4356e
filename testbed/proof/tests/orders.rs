//! A few worlds with small bounds, in each test run; `make prove` goes through all.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use proof::{Bounds, REQUESTS, Scene, check};

const NOTHING: Bounds =
    Bounds { kills: 0, losses: 0, copies: 0, breaks: 0, repeats: 0, failures: 0, slow_disk: false };

fn scene(requests: &[usize], bounds: Bounds) -> Scene {
    Scene { requests: requests.iter().map(|index| REQUESTS[*index].clone()).collect(), bounds }
}

fn holds(scene: Scene) -> usize {
    let checked = check(scene, 1);
    assert_eq!(checked.broken, [""; 0]);
    checked.states
}

#[test]
fn a_kill_at_any_moment_leaves_one_verdict() {
    let states = holds(scene(&[0, 6], Bounds { kills: 1, repeats: 1, ..NOTHING }));
    assert!(states > 500, "{states}");
}

#[test]
fn a_slow_or_failing_disk_leaves_one_verdict() {
    let states = holds(scene(&[0, 4], Bounds { failures: 1, slow_disk: true, ..NOTHING }));
    assert!(states > 500, "{states}");
}
