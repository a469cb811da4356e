//! Time-weighted means, gaps, restarts, and clocks that are stepped.

use bus::clock::Instant;
use bus::message::encode;
use bus::session::bridge::PAYLOAD_LIMIT;

use super::*;

const HOLD: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

fn at(text: &str) -> Now {
    Now { instant: Instant::from_boot(Duration::from_secs(10_000)), utc: Utc::parse(text).unwrap() }
}

fn water(value: Option<f64>) -> [Quantity; 1] {
    [Quantity { name: "water_temp", unit: "degC", value }]
}

fn column(history: &History) -> &[Option<f64>] {
    history.check().unwrap();
    &history.columns["water_temp"]
}

fn statuses(history: &History) -> Vec<&str> {
    history.status.iter().map(|word| word.as_deref().unwrap_or("-")).collect()
}

/// Samples every second; afterwards it is `for_s` later.
fn hold(recorder: &mut Recorder, value: Option<f64>, status: &'static str, now: &mut Now, for_s: u64) {
    for _ in 0..for_s {
        recorder.record(&water(value), status, *now);
        *now = now.after(SECOND);
    }
    recorder.record(&water(value), status, *now);
}

#[test]
fn a_mean_is_weighted_by_how_long_each_value_held() {
    let mut recorder = Recorder::new(None, HOLD);
    let start = at("2026-11-20T10:00:00Z");
    recorder.record(&water(Some(10.0)), "idle", start);
    recorder.record(&water(Some(20.0)), "idle", start.after(SECOND));
    recorder.record(&water(Some(20.0)), "idle", start.after(4 * SECOND));
    assert_eq!(column(&recorder.history(start.after(4 * SECOND))), [Some(17.5)]);
}

#[test]
fn what_holds_over_the_end_of_a_bin_counts_in_both() {
    let mut recorder = Recorder::new(None, HOLD);
    let start = at("2026-11-20T10:04:50Z");
    assert!(!recorder.record(&water(Some(10.0)), "idle", start));
    assert!(recorder.record(&water(Some(40.0)), "cooling", start.after(20 * SECOND)));
    let now = start.after(30 * SECOND);
    assert!(!recorder.record(&water(Some(40.0)), "cooling", now));
    let history = recorder.history(now);
    assert_eq!(history.from.to_string(), "2026-11-20T10:00:00.000Z");
    assert_eq!(column(&history), [Some(10.0), Some(25.0)]);
}

#[test]
fn the_status_of_a_bin_is_the_one_that_lasted_longest() {
    let mut recorder = Recorder::new(None, HOLD);
    let mut now = at("2026-11-20T10:00:00Z");
    hold(&mut recorder, None, "idle", &mut now, 90);
    hold(&mut recorder, None, "starting", &mut now, 30);
    hold(&mut recorder, None, "cooling", &mut now, 80);
    hold(&mut recorder, None, "idle", &mut now, 40);
    assert_eq!(statuses(&recorder.history(now)), ["idle"]);
    hold(&mut recorder, None, "cooling", &mut now, 59);
    assert_eq!(statuses(&recorder.history(now)), ["cooling"]);
}

#[test]
fn a_lost_link_leaves_a_gap_in_the_readings_and_not_in_the_status() {
    let mut recorder = Recorder::new(None, HOLD);
    let mut now = at("2026-11-20T10:00:00Z");
    hold(&mut recorder, Some(10.0), "cooling", &mut now, 300);
    hold(&mut recorder, None, "offline", &mut now, 600);
    hold(&mut recorder, Some(12.0), "cooling", &mut now, 60);
    let history = recorder.history(now);
    assert_eq!(column(&history), [Some(10.0), None, None, Some(12.0)]);
    assert_eq!(statuses(&history), ["cooling", "offline", "offline", "cooling"]);
}

#[test]
fn what_was_not_renewed_in_time_is_not_known_to_have_held() {
    let mut recorder = Recorder::new(None, HOLD);
    let mut now = at("2026-11-20T10:00:00Z");
    hold(&mut recorder, Some(10.0), "cooling", &mut now, 300);
    // The machine slept.
    now = now.after(Duration::from_secs(600));
    hold(&mut recorder, Some(12.0), "cooling", &mut now, 10);
    let history = recorder.history(now);
    assert_eq!(column(&history), [Some(10.0), None, None, Some(12.0)]);
    assert_eq!(statuses(&history), ["cooling", "-", "-", "cooling"]);
}

#[test]
fn values_that_are_no_numbers_are_gaps() {
    let mut recorder = Recorder::new(None, HOLD);
    let mut now = at("2026-11-20T10:00:00Z");
    hold(&mut recorder, Some(f64::NAN), "cooling", &mut now, 10);
    hold(&mut recorder, Some(f64::INFINITY), "cooling", &mut now, 10);
    assert_eq!(column(&recorder.history(now)), [None]);
    hold(&mut recorder, Some(-0.0001), "cooling", &mut now, 1);
    assert_eq!(column(&recorder.history(now)), [Some(0.0)]);
    assert!(!String::from_utf8(encode(&recorder.history(now))).unwrap().contains("-0.0"));
}

#[test]
fn a_day_and_not_a_bin_more_is_kept_and_it_fits_into_a_message() {
    let mut recorder = Recorder::new(None, HOLD);
    let names = ["water_temp", "setpoint_temp", "ambient_temp", "dome_temp", "tec_power", "flow"];
    let mut now = at("2026-11-20T00:00:00Z");
    let mut closed = 0;
    for second in 0..26 * 360 {
        let value = Some(f64::from(second) * -0.123_456);
        let quantities = names.map(|name| Quantity { name, unit: "degC", value });
        closed += usize::from(recorder.record(&quantities, "circulating", now));
        now = now.after(10 * SECOND);
    }
    assert_eq!(closed, 26 * 12 - 1);
    let history = recorder.history(now);
    assert_eq!(column(&history).len(), MAX_BINS);
    assert_eq!(history.from.to_string(), "2026-11-20T02:05:00.000Z");
    let last = history.start_of(MAX_BINS - 1);
    assert!(last <= history.date && history.date < last.after(Duration::from_secs(300)));
    assert!(encode(&history).len() < PAYLOAD_LIMIT / 2);
    assert_eq!(recorder.bins.len(), MAX_BINS);
}

#[test]
fn a_restart_goes_on_where_the_saved_history_ended() {
    let mut now = at("2026-11-20T10:00:00Z");
    let mut before = Recorder::new(None, HOLD);
    hold(&mut before, Some(10.0), "cooling", &mut now, 400);
    let saved: History = serde_json::from_slice(&encode(&before.history(now))).unwrap();
    // Off for 20 s, and on again in the same bin.
    now = Now { instant: Instant::default(), ..now.after(20 * SECOND) };
    let mut after = Recorder::new(Some(&saved), HOLD);
    hold(&mut after, Some(16.0), "idle", &mut now, 50);
    let history = after.history(now);
    assert_eq!(column(&history), [Some(10.0), Some(12.0)]);
    assert_eq!(statuses(&history), ["cooling", "cooling"]);
}

#[test]
fn the_time_between_two_daemons_is_a_gap_and_what_is_older_than_a_day_is_gone() {
    let mut now = at("2026-11-20T10:00:00Z");
    let mut before = Recorder::new(None, HOLD);
    hold(&mut before, Some(10.0), "cooling", &mut now, 3600);
    let saved = before.history(now);
    let mut soon = now.after(Duration::from_secs(900));
    let mut after = Recorder::new(Some(&saved), HOLD);
    hold(&mut after, Some(11.0), "cooling", &mut soon, 10);
    // The bin at 11:00 has begun, and nothing was recorded in it.
    let expected = [vec![Some(10.0); 12], vec![None; 3], vec![Some(11.0)]].concat();
    assert_eq!(column(&after.history(soon)), expected);

    let mut later = now.after(Duration::from_secs(86_400 - 600));
    let mut after = Recorder::new(Some(&saved), HOLD);
    hold(&mut after, Some(11.0), "cooling", &mut later, 10);
    let history = after.history(later);
    assert_eq!(history.from.to_string(), "2026-11-20T10:55:00.000Z");
    assert_eq!(column(&history).len(), MAX_BINS);

    let mut tomorrow = now.after(Duration::from_secs(90_000));
    let mut after = Recorder::new(Some(&saved), HOLD);
    hold(&mut after, Some(11.0), "cooling", &mut tomorrow, 10);
    assert_eq!(column(&after.history(tomorrow)), [Some(11.0)]);
}

#[test]
fn a_saved_history_that_does_not_fit_is_as_none() {
    let mut now = at("2026-11-20T10:00:00Z");
    let mut before = Recorder::new(None, HOLD);
    hold(&mut before, Some(10.0), "cooling", &mut now, 900);
    let good = before.history(now);
    let mut short = good.clone();
    short.columns.get_mut("water_temp").unwrap().pop();
    let coarse = History { bin_s: 600, ..good.clone() };
    let long = History { status: vec![None; 400], ..good.clone() };
    let mut other_unit = good;
    other_unit.units.insert("water_temp".to_owned(), "degF".to_owned());
    for saved in [short, coarse, long, other_unit] {
        let mut after = Recorder::new(Some(&saved), HOLD);
        let mut later = now;
        hold(&mut after, Some(11.0), "idle", &mut later, 1);
        assert_eq!(column(&after.history(later)).last().unwrap(), &Some(11.0));
        assert!(!column(&after.history(later)).contains(&Some(10.0)));
    }
}

#[test]
fn columns_of_another_order_or_name_are_matched_by_name() {
    let both = |a: Option<f64>, b: Option<f64>| {
        [Quantity { name: "b", unit: "mm", value: b }, Quantity { name: "a", unit: "mm", value: a }]
    };
    let start = at("2026-11-20T10:00:00Z");
    let mut before = Recorder::new(None, HOLD);
    before.record(&both(Some(1.0), Some(2.0)), "idle", start);
    let now = start.after(10 * SECOND);
    before.record(&both(Some(1.0), Some(2.0)), "idle", now);
    let mut after = Recorder::new(Some(&before.history(now)), HOLD);
    after.record(
        &[Quantity { name: "a", unit: "mm", value: None }, Quantity { name: "c", unit: "s", value: None }],
        "idle",
        now,
    );
    let history = after.history(now);
    assert_eq!(history.columns["a"], [Some(1.0)]);
    assert_eq!(history.columns["c"], [None]);
    assert_eq!(history.columns.len(), 2);
}

#[test]
fn a_clock_put_back_a_little_goes_on_in_the_bin_before() {
    let mut recorder = Recorder::new(None, HOLD);
    let mut now = at("2026-11-20T10:00:00Z");
    hold(&mut recorder, Some(10.0), "cooling", &mut now, 303);
    now.utc = Utc::parse("2026-11-20T10:04:58Z").unwrap();
    assert!(recorder.record(&water(Some(10.0)), "cooling", now));
    assert_eq!(column(&recorder.history(now)), [Some(10.0)]);
    hold(&mut recorder, Some(12.0), "cooling", &mut now, 10);
    assert_eq!(column(&recorder.history(now)), [Some(10.013), Some(12.0)]);
}

#[test]
fn a_clock_put_back_an_hour_shows_nothing_ahead_and_writes_over_it() {
    let mut recorder = Recorder::new(None, HOLD);
    let mut now = at("2026-11-20T10:00:00Z");
    hold(&mut recorder, Some(10.0), "cooling", &mut now, 3600);
    now.utc = Utc::parse("2026-11-20T10:02:30Z").unwrap();
    hold(&mut recorder, Some(20.0), "idle", &mut now, 150 + 600);
    let history = recorder.history(now);
    assert_eq!(history.date.to_string(), "2026-11-20T10:15:00.000Z");
    assert_eq!(column(&history)[1..], [Some(20.0), Some(20.0), None]);
    assert_eq!(statuses(&history)[1..], ["idle", "idle", "-"]);
}

#[test]
fn a_clock_put_forward_leaves_a_gap() {
    let mut recorder = Recorder::new(None, HOLD);
    let mut now = at("2026-11-20T10:00:00Z");
    hold(&mut recorder, Some(10.0), "cooling", &mut now, 300);
    now.utc = now.utc.after(Duration::from_secs(900));
    hold(&mut recorder, Some(10.0), "cooling", &mut now, 10);
    assert_eq!(column(&recorder.history(now)), [Some(10.0), None, None, None, Some(10.0)]);
}

#[test]
fn a_machine_that_starts_without_the_time_keeps_what_was_saved() {
    let mut now = at("2026-11-20T10:00:00Z");
    let mut before = Recorder::new(None, HOLD);
    hold(&mut before, Some(10.0), "cooling", &mut now, 600);
    let mut after = Recorder::new(Some(&before.history(now)), HOLD);
    let mut early = at("1970-01-01T00:00:10Z");
    hold(&mut after, Some(11.0), "idle", &mut early, 400);
    assert_eq!(column(&after.history(early)), [Some(11.0), Some(11.0)]);
    let mut known = Now { instant: early.instant, utc: now.utc.after(Duration::from_secs(300)) };
    hold(&mut after, Some(12.0), "idle", &mut known, 10);
    assert_eq!(column(&after.history(known)), [Some(10.0), Some(10.0), None, Some(12.0)]);
}

#[test]
fn a_clock_that_jumps_about_neither_panics_nor_grows() {
    let mut recorder = Recorder::new(None, HOLD);
    let mut instant = Instant::default();
    for number in 0..5000_i64 {
        instant += SECOND;
        // A different date, mostly far from the last one, each time.
        let milliseconds = number.wrapping_mul(7_919_777_777) % 4_000_000_000_000;
        let signed = if number % 3 == 0 { -milliseconds } else { milliseconds };
        let now = Now { instant, utc: Utc::from_unix_milliseconds(signed).unwrap() };
        recorder.record(&water(Some(1.0)), "idle", now);
        let history = recorder.history(now);
        history.check().unwrap();
        assert!(history.from <= now.utc && recorder.bins.len() <= 2 * MAX_BINS);
    }
}
