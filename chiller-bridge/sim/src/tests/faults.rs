//! How a chiller goes wrong when it is told to.

use super::*;

#[test]
fn a_unit_that_will_not_start_acknowledges_all_the_same() {
    let mut bench = Bench::prompt();
    bench.chiller.inject(Fault::WillNotStart);
    assert_eq!(bench.data("15sStatus_1"), "1");
    assert_eq!(bench.data("01WatchDog"), "1000");
    bench.chiller.clear_faults();
    bench.run();
    bench.chiller.inject(Fault::DropsRun(Duration::from_secs(5)));
    bench.pass(4_000);
    assert_eq!(bench.data("01WatchDog"), "2100");
    bench.pass(1_500);
    assert_eq!(bench.data("01WatchDog"), "1000");
}

#[test]
fn a_silent_unit_executes_and_a_deaf_one_does_not() {
    let mut bench = Bench::prompt();
    bench.chiller.inject_for(Fault::Deaf, 1);
    assert_eq!(bench.ask(".0115sStatus_17C"), "");
    assert!(!bench.chiller.pump_on());
    bench.chiller.inject_for(Fault::Silent, 1);
    assert_eq!(bench.ask(".0115sStatus_17C"), "");
    assert!(bench.chiller.pump_on());
    assert_eq!(bench.ask(".0101WatchDog01"), "#01010WatchDog2100E9");
}

#[test]
fn a_garbled_reply_differs_in_one_bit() {
    let mut bench = Bench::prompt();
    bench.chiller.inject(Fault::Garbled);
    let good = b"#01010WatchDog1000E7\r";
    for _ in 0..100 {
        bench.chiller.receive(b".0101WatchDog01\r", bench.now);
        let reply = bench.chiller.poll_output(bench.now);
        let flipped: u32 = reply.iter().zip(good).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!((reply.len(), flipped), (good.len(), 1));
    }
}

#[test]
fn a_truncated_reply_has_no_end() {
    let mut bench = Bench::prompt();
    bench.chiller.inject_for(Fault::Truncated, 50);
    for _ in 0..50 {
        bench.chiller.receive(b".0101WatchDog01\r", bench.now);
        let reply = bench.chiller.poll_output(bench.now);
        assert!(b"#01010WatchDog1000E7".starts_with(&reply) && !reply.is_empty());
    }
    assert_eq!(bench.data("01WatchDog"), "1000");
}

#[test]
fn a_reply_late_by_one_answers_the_request_before() {
    let mut bench = Bench::prompt();
    bench.chiller.inject_for(Fault::LateByOne, 3);
    assert_eq!(bench.ask(".0101WatchDog01"), "");
    assert_eq!(bench.ask(".0103rSetTemp26"), "#01010WatchDog1000E7");
    assert_eq!(bench.ask(".0104rSupplyT46"), "#01030rSetTemp+01503C");
    assert_eq!(bench.ask(".0101WatchDog01"), "#01010WatchDog1000E7");
}

#[test]
fn an_error_digit_or_a_short_reply_refuses_without_executing() {
    let mut bench = Bench::prompt();
    bench.chiller.inject_for(Fault::ErrorDigit(5), 1);
    assert_eq!(bench.ask(".0115sStatus_17C"), "#01155sStatus_1A6");
    bench.chiller.inject_for(Fault::Short23, 1);
    assert_eq!(bench.ask(".0115sStatus_17C"), "#23");
    assert!(!bench.chiller.pump_on());
    assert_eq!(bench.chiller.writes().count(), 0);
}

#[test]
fn xon_and_xoff_come_within_a_reply_and_slowness_before_it() {
    let mut bench = Bench::prompt();
    bench.chiller.inject_for(Fault::XonXoffNoise, 1);
    let reply = bench.ask(".0101WatchDog01");
    assert_eq!(reply.len(), 20 + 3);
    assert_eq!(reply.replace(['\x11', '\x13'], ""), "#01010WatchDog1000E7");
    bench.chiller.inject_for(Fault::Slow(Duration::from_secs(2)), 1);
    let begin = bench.now;
    assert_eq!(bench.data("01WatchDog"), "1000");
    assert_eq!(bench.now.since(begin), Duration::from_secs(2));
}

#[test]
fn a_power_cycle_keeps_the_set_point_unless_its_memory_is_worn_out_and_begins_the_up_time_anew() {
    let mut bench = Bench::new(Config { uptime_minutes: 165_406, ..prompt() });
    bench.chiller.set_set_point_celsius(13.0);
    assert_eq!(bench.data("49rUpTime_"), "165406");
    bench.chiller.power_cycle();
    assert_eq!(
        (bench.data("03rSetTemp"), bench.data("49rUpTime_")),
        ("+0130".to_owned(), "000000".to_owned())
    );
    bench.chiller.inject(Fault::ForgetsSetPoint);
    bench.chiller.power_cycle();
    assert_eq!(bench.data("03rSetTemp"), "+0150");
}
