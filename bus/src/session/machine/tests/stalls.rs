//! The broker hangs, or the bridge does.

use super::*;

#[test]
fn a_publish_that_waits_for_two_seconds_shows_that_the_broker_stood_still() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    bench.state("{}");
    bench.pass(1900 * MS);
    bench.command();
    bench.pass(100 * MS);
    bench.command();
    bench.pass(SECOND);
    assert_eq!(bench.stalled(), [false, true]);
    assert_eq!(bench.losses(), 1);
    assert!(
        bench.done.contains(&Output::Drop) && !bench.done.contains(&Output::Disconnect),
        "the will speaks"
    );
}

#[test]
fn what_a_broker_that_hung_for_less_than_six_seconds_delivers_is_heard_as_late() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    bench.state("{}");
    bench.pass(5900 * MS);
    assert_eq!(bench.losses(), 0);
    bench.command();
    bench.pass(40 * MS);
    bench.command();
    bench.pass(60 * MS);
    assert_eq!((bench.stalled(), bench.losses()), (vec![true, true], 1));
}

#[test]
fn a_broker_that_hangs_for_six_seconds_loses_the_connection_and_the_will_speaks() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    bench.state("{}");
    bench.pass(6100 * MS);
    assert_eq!(bench.losses(), 1);
    assert!(bench.done.contains(&Output::Drop) && !bench.done.contains(&Output::Disconnect));
}

#[test]
fn a_broker_that_hung_and_then_never_falls_silent_is_given_up_after_half_a_second() {
    let mut bench = Bench::connected();
    bench.machine.open(1);
    bench.state("{}");
    bench.pass(3 * SECOND);
    for _ in 0..13 {
        bench.command();
        bench.pass(40 * MS);
    }
    assert_eq!(bench.losses(), 1);
}

#[test]
fn a_buffer_that_never_ends_is_given_up_after_half_a_second() {
    let mut bench = Bench::connected();
    bench.now += 2 * SECOND;
    for _ in 0..13 {
        bench.command();
        bench.now += 40 * MS;
    }
    bench.tell(Event::Timeout);
    assert!(bench.stalled().iter().all(|stalled| *stalled));
    assert!(bench.done.contains(&Output::Disconnect));
}
