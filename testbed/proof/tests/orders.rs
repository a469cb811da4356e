//! A few small worlds, in each test run; `make prove` goes through all.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use proof::{Bounds, CASTS, Request, Scene, check};

fn request(verb: &str, by: &str) -> Request {
    *CASTS[0].requests.iter().find(|request| request.verb == verb && request.by == by).unwrap()
}

fn holds(requests: &[Request], bounds: Bounds) -> proof::Checked {
    let checked = check(Scene::new(CASTS[0].device, requests.to_vec(), bounds));
    assert_eq!(checked.broken, []);
    checked
}

#[test]
fn a_kill_at_any_moment_leaves_each_client_one_verdict() {
    let checked = holds(
        &[request("set", "alice"), request("stop", "bob")],
        Bounds { kills: 1, lapses: 1, ..Bounds::NONE },
    );
    let [before, after, _] = checked.states;
    assert!(before > 100 && after > 500, "{checked:?}");
}

#[test]
fn an_orderly_end_owes_what_the_broker_has_not_acknowledged() {
    let checked = holds(
        &[request("set", "alice"), request("stop", "bob")],
        Bounds { ends: 1, breaks: 1, ..Bounds::NONE },
    );
    assert!(checked.all_states() > 500, "{checked:?}");
}

#[test]
fn a_broken_connection_loses_no_verdict() {
    let checked =
        holds(&[request("set", "alice"), request("init", "bob")], Bounds { breaks: 1, ..Bounds::NONE });
    assert!(checked.all_states() > 500, "{checked:?}");
}

#[test]
fn a_disk_that_is_slow_or_fails_delays_and_loses_nothing() {
    let bounds = Bounds { failures: 1, lapses: 1, slow_disk: true, ..Bounds::NONE };
    let checked = holds(&[request("set", "alice"), request("kill", "alice")], bounds);
    assert!(checked.all_states() > 500, "{checked:?}");
}
