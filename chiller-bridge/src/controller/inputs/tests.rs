//! Sentences about the inputs.

use super::*;

const POWER: &str = "clasp/power/state";
const DOME: &str = "clasp/domealert/state";

fn at(seconds: f64) -> Now {
    let start = Utc::from_unix_milliseconds(1_700_000_000_000).unwrap();
    Now { instant: Instant::from_boot(Duration::from_secs(1000)), utc: start }
        .after(Duration::from_secs_f64(seconds))
}

fn power(format: PowerFormat) -> Power {
    let channels = vec!["cmos".to_owned(), "swir".to_owned()];
    Power::new(PowerSettings { channels, format, max_age: Duration::from_secs(60) }, at(0.0).utc)
}

fn json() -> PowerFormat {
    PowerFormat::Json { topic: POWER.to_owned(), key: "channels".to_owned(), date_key: "date".to_owned() }
}

fn dome() -> Dome {
    let settings = DomeSettings {
        topic: DOME.to_owned(),
        key: "internal_temperature".to_owned(),
        valid_key: Some("internal_temperature_valid".to_owned()),
        date_key: "date".to_owned(),
        max_age: Duration::from_secs(60),
    };
    Dome::new(settings, at(0.0).utc)
}

fn live<'a>(topic: &'a str, payload: &'a str) -> Message<'a> {
    Message { topic, payload: payload.as_bytes(), stored: false }
}

fn stored<'a>(topic: &'a str, payload: &'a str) -> Message<'a> {
    Message { stored: true, ..live(topic, payload) }
}

fn judged(power: &Power, now: Now) -> (InputStatus, Option<bool>) {
    let judged = power.judge(now);
    (judged.input.status, judged.value.0)
}

#[test]
fn a_powered_channel_is_known_by_its_name() {
    let mut power = power(json());
    assert!(power.take(live(POWER, r#"{"channels":{"cmos":true,"swir":false,"dome":true}}"#), at(0.0)));
    let judged = power.judge(at(1.0));
    assert_eq!(judged.value, (Some(true), Some(vec!["cmos".to_owned()])));
    assert_eq!(judged.input, Input { status: InputStatus::Ok, age_s: Some(1.0) });
    assert_eq!(judged.problem, None);
}

#[test]
fn c3_a_channel_that_its_publisher_does_not_know_is_unknown_and_not_off() {
    let mut power = power(json());
    power.take(live(POWER, r#"{"channels":{"cmos":null,"swir":false}}"#), at(0.0));
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Invalid, None));
    power.take(live(POWER, r#"{"channels":{"cmos":2,"swir":false}}"#), at(0.0));
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Invalid, None));
    power.take(live(POWER, r#"{"channels":{"cmos":null,"swir":true}}"#), at(0.0));
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Invalid, Some(true)), "one that is on is enough");
}

#[test]
fn c4_a_renamed_channel_is_missing_and_said() {
    let mut power = power(json());
    power.take(live(POWER, r#"{"channels":{"cam1":false,"swir":false}}"#), at(0.0));
    let judged = power.judge(at(0.0));
    assert_eq!((judged.input.status, judged.value.0), (InputStatus::Missing, None));
    assert_eq!(judged.problem.as_deref(), Some("clasp/power/state does not publish \"cmos\""));
}

#[test]
fn c7_what_is_old_counts_for_nothing() {
    let mut power = power(json());
    power.take(
        live(POWER, r#"{"date":"2023-11-14T22:12:30Z","channels":{"cmos":true,"swir":false}}"#),
        at(0.0),
    );
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Ok, Some(true)), "measured 50 s ago");
    let stale_at = power.stale_at(at(0.0)).unwrap();
    assert!(stale_at > at(10.0).instant && stale_at < at(10.2).instant);
    assert_eq!(judged(&power, at(10.1)), (InputStatus::Stale, None));
}

#[test]
fn a_publisher_that_falls_silent_is_stale() {
    let mut power = power(json());
    power.take(live(POWER, r#"{"channels":{"cmos":true,"swir":false}}"#), at(0.0));
    assert_eq!(judged(&power, at(60.0)).0, InputStatus::Ok);
    assert_eq!(judged(&power, at(61.0)), (InputStatus::Stale, None));
}

#[test]
fn a_stored_message_counts_only_by_its_own_date() {
    let mut power = power(json());
    power.take(stored(POWER, r#"{"channels":{"cmos":false,"swir":false}}"#), at(0.0));
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Stale, None), "a retained off left behind");
    power.take(stored(POWER, r#"{"date":1700000000,"channels":{"cmos":true,"swir":false}}"#), at(0.0));
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Ok, Some(true)));
}

#[test]
fn a_date_from_the_future_is_invalid() {
    let mut power = power(json());
    power.take(live(POWER, r#"{"date":1700000006,"channels":{"cmos":true,"swir":true}}"#), at(0.0));
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Invalid, None));
    assert_eq!(judged(&power, at(2.0)).0, InputStatus::Ok, "4 s may be a clock");
    power.take(live(POWER, r#"{"date":1700000300,"channels":{"cmos":false,"swir":false}}"#), at(0.0));
    assert_eq!(judged(&power, at(300.0)), (InputStatus::Stale, None), "it comes to pass, and is old");
    assert_eq!(power.stale_at(at(300.0)), None);
}

#[test]
fn a_date_that_cannot_be_read_is_invalid() {
    let mut power = power(json());
    for date in [r#""yesterday""#, "true", "1e300"] {
        let payload = format!(r#"{{"date":{date},"channels":{{"cmos":false,"swir":false}}}}"#);
        power.take(live(POWER, &payload), at(0.0));
        assert_eq!(judged(&power, at(0.0)), (InputStatus::Invalid, None), "{date}");
    }
}

#[test]
fn what_was_never_published_is_missing() {
    let power = power(json());
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Missing, None));
    assert!(!power.is_seen());
}

#[test]
fn junk_is_invalid_or_missing_and_never_off() {
    let mut power = power(json());
    for (payload, status) in [
        ("", InputStatus::Invalid),
        ("[]", InputStatus::Invalid),
        ("{}", InputStatus::Missing),
        (r#"{"channels":[]}"#, InputStatus::Missing),
        (r#"{"channels":{}}"#, InputStatus::Missing),
    ] {
        power.take(live(POWER, payload), at(0.0));
        assert_eq!(judged(&power, at(0.0)), (status, None), "{payload}");
    }
}

#[test]
fn real_power_switches_publish_a_bare_word_for_each_channel() {
    let mut power = power(PowerFormat::Bare { topic: "clasp/power/{channel}".to_owned() });
    assert!(!power.take(live("clasp/power/dome", "ON"), at(0.0)));
    assert!(power.take(live("clasp/power/swir", "0"), at(0.0)));
    assert_eq!(judged(&power, at(0.0)), (InputStatus::Missing, None), "cmos was not heard yet");
    for (word, on) in [("ON", Some(true)), ("1", Some(true)), ("off", Some(false)), ("2", None), ("", None)] {
        power.take(live("clasp/power/cmos", word), at(0.0));
        let status = if on.is_some() { InputStatus::Ok } else { InputStatus::Invalid };
        assert_eq!(judged(&power, at(0.0)), (status, on), "{word}");
    }
}

fn dome_says(dome: &mut Dome, celsius: &str, now: Now) -> (InputStatus, Option<f64>) {
    let payload = format!(r#"{{"internal_temperature":{celsius},"internal_temperature_valid":true}}"#);
    dome.take(live(DOME, &payload), now);
    let judged = dome.judge(now);
    (judged.input.status, judged.value)
}

#[test]
fn c5_an_invalid_dome_temperature_is_not_used() {
    let mut dome = dome();
    dome.take(live(DOME, r#"{"internal_temperature":11.2,"internal_temperature_valid":false}"#), at(0.0));
    assert_eq!((dome.judge(at(0.0)).input.status, dome.judge(at(0.0)).value), (InputStatus::Invalid, None));
    dome.take(live(DOME, r#"{"internal_temperature":11.2}"#), at(0.0));
    assert_eq!(dome.judge(at(0.0)).input.status, InputStatus::Missing);
}

#[test]
fn c6_255_degrees_for_minus_one_cannot_be() {
    let mut dome = dome();
    assert_eq!(dome_says(&mut dome, "0.5", at(0.0)), (InputStatus::Ok, Some(0.5)));
    assert_eq!(dome_says(&mut dome, "255.0", at(10.0)), (InputStatus::Implausible, None));
    assert_eq!(dome_says(&mut dome, "-1.0", at(20.0)), (InputStatus::Ok, Some(-1.0)));
}

#[test]
fn a_humidity_in_the_place_of_a_temperature_is_too_fast() {
    let mut dome = dome();
    dome_says(&mut dome, "8.0", at(0.0));
    assert_eq!(dome_says(&mut dome, "45.0", at(10.0)), (InputStatus::Implausible, None));
    assert_eq!(dome_says(&mut dome, "17.9", at(20.0)), (InputStatus::Ok, Some(17.9)));
}

#[test]
fn a_real_step_is_believed_after_a_while() {
    let mut dome = dome();
    dome_says(&mut dome, "8.0", at(0.0));
    assert_eq!(dome_says(&mut dome, "30.0", at(30.0)).0, InputStatus::Implausible);
    assert_eq!(dome_says(&mut dome, "30.0", at(140.0)), (InputStatus::Ok, Some(30.0)));
}

#[test]
fn a_bare_number_is_a_temperature() {
    let mut dome = dome();
    dome.take(live(DOME, " 11.25\n"), at(0.0));
    assert_eq!(dome.judge(at(0.0)).value, Some(11.25));
    dome.take(live(DOME, "NaN"), at(1.0));
    assert_eq!(dome.judge(at(1.0)).input.status, InputStatus::Implausible);
}

#[test]
fn every_example_of_an_input_is_taken_as_it_says() {
    let date = Utc::parse("2026-11-20T10:32:00Z").unwrap();
    let now = Now { utc: date, ..at(0.0) };
    let read = |name: &str| {
        let file = format!("{}/device/examples/input/{name}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    for (name, status, powered) in [
        ("power/state/one-is-unknown", InputStatus::Invalid, Some(true)),
        ("power/state/unix-seconds", InputStatus::Ok, Some(false)),
    ] {
        let mut power = power(json());
        power.take(stored(POWER, &read(name)), now);
        assert_eq!(judged(&power, now), (status, powered), "{name}");
    }
    for (name, status, celsius) in [
        ("domealert/state/mild", InputStatus::Ok, Some(11.2)),
        ("domealert/state/not-valid", InputStatus::Invalid, None),
    ] {
        let mut dome = dome();
        dome.take(stored(DOME, &read(name)), now);
        let judged = dome.judge(now);
        assert_eq!((judged.input.status, judged.value), (status, celsius), "{name}");
    }
}
