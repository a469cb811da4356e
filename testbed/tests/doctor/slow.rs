//! The doctor behind a slow link finds nothing that is wrong, because nothing is.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use testbed::client::Post;
use testbed::operator::seconds_from_now;
use testbed::slow::SlowLink;

use super::first_unwell;
use super::stage::Stage;

/// What asks twenty questions one after the other needs as many round trips.
const LIMIT: Duration = Duration::from_secs(240);

fn is_well_behind(each_way: Duration) {
    is_well(&Stage::start(), each_way);
}

fn is_well(stage: &Stage, each_way: Duration) {
    let link = SlowLink::to(stage.site.broker.port(), each_way).unwrap();
    let doctor = stage.doctor("alice").env("OBSBUS_CLIENT_BROKER__PORT", link.port().to_string());
    let output = doctor.run(LIMIT).unwrap();
    assert_eq!((first_unwell(&output), output.code), (None, 0), "{each_way:?}: {output:?}");
    assert!(output.stdout.contains("the broker answers in"), "{each_way:?}: {output:?}");
}

#[test]
fn at_a_round_trip_of_more_than_half_a_second_the_doctor_finds_nothing() {
    is_well_behind(Duration::from_millis(300));
}

#[test]
fn over_a_satellite_the_doctor_finds_nothing() {
    is_well_behind(Duration::from_millis(700));
}

#[test]
#[ignore = "takes over two minutes; .ci/run runs it: cargo test -p testbed --test doctor -- --ignored"]
fn at_a_round_trip_of_almost_four_seconds_the_doctor_finds_nothing() {
    is_well_behind(Duration::from_millis(1900));
}

/// While an instrument moves, twenty messages are on their way and not acknowledged, and the next waits.
#[test]
fn on_a_busy_bus_behind_a_slow_link_the_doctor_finds_nothing() {
    let stage = Stage::start();
    let powerd = stage.site.client("powerd").unwrap();
    let (end, ended) = channel::<()>();
    let busy = std::thread::spawn(move || {
        while ended.recv_timeout(Duration::from_secs(2)) == Err(RecvTimeoutError::Timeout) {
            for _ in 0..20 {
                let date = seconds_from_now(0.0);
                let words = format!(r#"{{"date":"{date}","channels":{{"cmos":false,"swir":false}}}}"#);
                drop(powerd.send(Post::to("clasp/power/state", words)));
            }
        }
    });
    is_well(&stage, Duration::from_millis(500));
    drop(end);
    busy.join().unwrap();
}
