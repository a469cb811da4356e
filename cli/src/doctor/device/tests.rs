use super::*;
use crate::doctor::report::Verdict;

/// What is said of the clocks.
fn clocks(device: &Device, now: Now) -> Finding {
    let judge = Judge {
        base: &Base::new("clasp", "wheel").unwrap(),
        device,
        identity: &Identity::new("alice").unwrap(),
        can_sign: true,
        others_ahead_s: &[],
        is_cleared: true,
        now,
    };
    judge.clock()
}

/// The same after an answer that took `round_trip_s`, and was dated by a clock that seemed to be behind
/// ours by `ahead_s`.
fn judged(ahead_s: f64, round_trip_s: f64) -> Finding {
    let mut device = Device::default();
    (device.clock_ahead_s, device.clock_doubt_s) = (Some(ahead_s), round_trip_s / 2.0);
    clocks(&device, Now::read())
}

#[test]
fn a_clock_is_wrong_only_if_no_delay_of_the_link_explains_it() {
    assert_eq!(judged(2.5, 0.01).verdict, Verdict::Failure);
    assert_eq!(judged(-2.5, 0.01).verdict, Verdict::Failure);
    // The answer took 8 s on its way back, and nothing on its way there.
    let held_up = judged(4.0, 8.0);
    assert_eq!(
        (held_up.verdict, held_up.text.as_str()),
        (Verdict::Ok, "agrees with this machine's within 8.0 s")
    );
    assert_eq!(judged(6.5, 8.0).verdict, Verdict::Failure);
}

#[test]
fn without_an_answer_an_old_date_may_be_the_links_doing() {
    let told = |seconds: i64| {
        let now = Now::read();
        let date =
            Utc::from_unix_milliseconds(now.utc.unix_milliseconds() + 1000 * seconds).unwrap().to_string();
        let state = serde_json::json!({
            "schema": 1, "session": "s", "started_at": date, "seq": 1, "stale_after_s": 30.0, "published_at": date,
            "date": date, "connected": true, "status": "lit", "reason": "manual", "attention": [],
            "last_command": null,
        });
        let mut device = Device::default();
        device.view.state = Some(crate::view::Seen::new(state.to_string(), now, false, None));
        clocks(&device, now).text
    };
    assert!(
        told(-8).ends_with("ahead of that of the bridge's machine, or the link holds messages up by so long")
    );
    // No connection lives that long without an answer.
    assert!(told(-3660).ends_with("61 min ahead of that of the bridge's machine"));
    assert!(told(8).ends_with("behind that of the bridge's machine"));
}
