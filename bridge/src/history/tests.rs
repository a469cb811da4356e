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

/// A process that finds what another has saved.
fn after(saved: &SavedHistory) -> Recorder {
    let saved: SavedHistory = serde_json::from_slice(&encode(saved)).unwrap();
    Recorder::new(Some(&saved), HOLD)
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
    assert_eq!(recorder.own.len(), MAX_BINS);
}

#[test]
fn a_restart_goes_on_where_the_saved_history_ended() {
    let mut now = at("2026-11-20T10:00:00Z");
    let mut before = Recorder::new(None, HOLD);
    hold(&mut before, Some(10.0), "cooling", &mut now, 400);
    // Off for 20 s, and on again in the same bin.
    let mut after = after(&before.kept(before.history(now)));
    now = Now { instant: Instant::default(), ..now.after(20 * SECOND) };
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
    let saved = before.kept(before.history(now));
    let mut soon = now.after(Duration::from_secs(900));
    let mut after = after(&saved);
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
    let out_of_sight = Vec::new();
    let mut short = good.clone();
    short.columns.get_mut("water_temp").unwrap().pop();
    let coarse = History { bin_s: 600, ..good.clone() };
    let long = History { status: vec![None; 400], ..good.clone() };
    let mut other_unit = good;
    other_unit.units.insert("water_temp".to_owned(), "degF".to_owned());
    for saved in [short, coarse, long, other_unit] {
        let saved = SavedHistory { history: saved, out_of_sight: out_of_sight.clone() };
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
    let mut after = after(&before.kept(before.history(now)));
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
fn what_was_recorded_under_a_wrong_clock_is_dated_anew_when_it_is_put_right() {
    for (wrong_s, name) in
        [(-1200, "behind"), (1200, "ahead"), (-699_999_900, "years behind"), (3_000_000_000, "years ahead")]
    {
        let mut recorder = Recorder::new(None, HOLD);
        let mut right = at("2026-11-20T22:00:00Z");
        let mut wrong = Now { utc: right.utc.shifted(wrong_s * 1000), ..right };
        hold(&mut recorder, Some(10.0), "cooling", &mut wrong, 1800);
        hold(&mut recorder, Some(20.0), "idle", &mut wrong, 900);
        right = right.after(Duration::from_secs(2700));
        assert_eq!(right.instant, wrong.instant);
        assert!(recorder.record(&water(Some(20.0)), "idle", right), "it is published at once");
        hold(&mut recorder, Some(20.0), "idle", &mut right, 60);
        let history = recorder.history(right);
        assert_eq!(history.from.to_string(), "2026-11-20T22:00:00.000Z", "{name}");
        let expected = [vec![Some(10.0); 6], vec![Some(20.0); 4]].concat();
        assert_eq!(column(&history), expected, "{name}");
    }
}

#[test]
fn a_clock_that_is_wrong_for_a_while_costs_nothing() {
    for wrong_s in [-1200_i64, 1200, 777, -700_000_000, 3_000_000_000] {
        let mut recorder = Recorder::new(None, HOLD);
        let mut now = at("2026-11-20T22:00:00Z");
        hold(&mut recorder, Some(10.0), "cooling", &mut now, 3600);
        now.utc = now.utc.shifted(wrong_s * 1000);
        hold(&mut recorder, Some(11.0), "cooling", &mut now, 3600);
        now.utc = now.utc.shifted(-wrong_s * 1000);
        hold(&mut recorder, Some(12.0), "cooling", &mut now, 3600);
        let history = recorder.history(now);
        assert_eq!(history.from.to_string(), "2026-11-20T22:00:00.000Z");
        let shown = column(&history);
        assert_eq!(shown.len(), 37, "{wrong_s}");
        assert!(shown[..36].iter().all(Option::is_some), "{wrong_s}: {shown:?}");
        assert_eq!((shown[5], shown[18], shown[30]), (Some(10.0), Some(11.0), Some(12.0)), "{wrong_s}");
    }
}

#[test]
fn the_night_that_was_saved_is_back_when_the_clock_is_right_even_after_a_restart() {
    for wrong_s in [-86_400_000_i64, 90_000, 3_000_000_000] {
        let mut now = at("2026-11-20T22:00:00Z");
        let mut night = Recorder::new(None, HOLD);
        hold(&mut night, Some(10.0), "cooling", &mut now, 6 * 3600);
        // Two processes in turn whose clock is wrong.
        let mut kept = night.kept(night.history(now));
        for _ in 0..2 {
            let mut wrong = Recorder::new(Some(&kept), HOLD);
            now.utc = now.utc.shifted(wrong_s * 1000);
            hold(&mut wrong, Some(11.0), "idle", &mut now, 900);
            kept = serde_json::from_slice(&encode(&wrong.kept(wrong.history(now)))).unwrap();
            kept.check().unwrap();
            now.utc = now.utc.shifted(-wrong_s * 1000);
        }
        let mut right = Recorder::new(Some(&kept), HOLD);
        hold(&mut right, Some(12.0), "idle", &mut now, 10);
        let history = right.history(now);
        assert_eq!(history.from.to_string(), "2026-11-20T22:00:00.000Z", "{wrong_s}");
        assert_eq!(column(&history)[..72], vec![Some(10.0); 72], "{wrong_s}");
        assert_eq!(column(&history).last(), Some(&Some(12.0)));
    }
}

#[test]
fn what_was_saved_under_a_clock_that_was_ahead_is_not_mixed_with_what_comes() {
    let mut now = at("2026-11-20T22:00:00Z");
    let mut ahead = Recorder::new(None, HOLD);
    hold(&mut ahead, Some(10.0), "cooling", &mut now, 3600);
    now.utc = Utc::parse("2026-11-20T22:30:00Z").unwrap();
    let mut after = after(&ahead.kept(ahead.history(now)));
    hold(&mut after, Some(20.0), "idle", &mut now, 1200);
    let history = after.history(now);
    let expected = [vec![Some(10.0); 6], vec![Some(20.0); 4], vec![None]].concat();
    assert_eq!(column(&history), expected);
}

#[test]
fn what_an_earlier_process_saved_is_gone_when_this_one_knows_the_day_by_itself() {
    let mut now = at("2026-11-20T22:00:00Z");
    let mut night = Recorder::new(None, HOLD);
    hold(&mut night, Some(10.0), "cooling", &mut now, 3600);
    let kept = night.kept(night.history(now));
    now.utc = now.utc.shifted(-86_400_000_000);
    let mut recorder = after(&kept);
    for _ in 0..=24 * 360 {
        recorder.record(&water(Some(11.0)), "idle", now);
        now = now.after(10 * SECOND);
    }
    assert_eq!(recorder.kept(recorder.history(now)).out_of_sight, []);
    let history = recorder.history(now);
    assert_eq!(encode(&recorder.kept(history.clone())), encode(&history), "they are encoded once");
    assert_eq!(recorder.restored, []);
}

#[test]
fn a_machine_that_starts_without_the_time_keeps_what_was_saved() {
    let mut now = at("2026-11-20T10:00:00Z");
    let mut before = Recorder::new(None, HOLD);
    hold(&mut before, Some(10.0), "cooling", &mut now, 600);
    let mut after = after(&before.kept(before.history(now)));
    let mut early = at("1970-01-01T00:00:10Z");
    hold(&mut after, Some(11.0), "idle", &mut early, 400);
    assert_eq!(column(&after.history(early)), [Some(11.0), Some(11.0)]);
    let mut known = Now { instant: early.instant, utc: now.utc.after(Duration::from_secs(900)) };
    hold(&mut after, Some(12.0), "idle", &mut known, 10);
    // The 400 s began at 10:18:20.
    let expected = [Some(10.0), Some(10.0), None, None, Some(11.0), Some(12.0)];
    assert_eq!(column(&after.history(known)), expected);
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
        recorder.kept(recorder.history(now)).check().unwrap();
        assert!(history.from <= now.utc && recorder.own.len() <= 2 * MAX_BINS);
        // No second was lost: it ran all the time.
        let seconds: f64 = recorder.own.iter().map(|bin| bin.means[0].seconds).sum();
        assert!((seconds - number as f64).abs() < 0.5, "{seconds} s after {number}");
    }
}
