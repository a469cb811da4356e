//! What is asked of the unit, when, and in which order.

use std::time::Duration;

use chiller_bridge::settings::Settings;
use testbed::chiller::{CHARACTER_TIME, Config, Fault};

use crate::rig::{Rig, settings};

const QUICK: [u8; 6] = [1, 3, 4, 8, 9, 13];
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn in_a_day_every_set_comes_as_often_as_it_should_and_18_never() {
    let mut rig = Rig::running();
    rig.forget_sent();
    rig.run_for(DAY);
    let count = |command: u8| rig.sent().iter().filter(|sent| sent.command == command).count();
    for command in QUICK {
        assert_eq!(count(command), 17_280, "{command}");
    }
    for command in [10, 11, 20, 49, 50, 51, 52, 53] {
        assert_eq!(count(command), 1_728, "{command}");
    }
    assert_eq!(count(19), 2 * 1_728);
    for command in 34..=43 {
        assert_eq!(count(command), 0, "{command}");
    }
    assert_eq!(count(18), 0);
    assert_eq!(rig.model().writes().count(), 0);
    assert_eq!(rig.health().link.losses, 0);
    assert_eq!(rig.needless_wakes(), 0);
}

#[test]
fn the_link_comes_up_with_every_set_once_and_goes_on_with_the_quick_one() {
    let mut rig = Rig::new(settings(), Config::default());
    rig.run_until_connected();
    rig.run_for(Duration::from_secs(3));
    let slow_and_thresholds =
        [10, 11, 19, 19, 20, 49, 50, 51, 52, 53, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43];
    assert_eq!(commands(&rig), [&QUICK[..], &slow_and_thresholds].concat());
    rig.forget_sent();
    rig.run_for(Duration::from_secs(5));
    assert_eq!(commands(&rig), QUICK);
}

#[test]
fn the_thresholds_are_read_once_for_each_time_the_link_comes_up() {
    let mut rig = Rig::running();
    for times in 2..5 {
        rig.unplug();
        rig.run_for(Duration::from_secs(20));
        rig.plug();
        rig.run_until_connected();
        assert_eq!(commands(&rig).iter().filter(|command| **command == 39).count(), times);
    }
    assert!(rig.events().any(|event| event.body.values.contains_key("low_flow_alarm")));
}

#[test]
fn c17_the_next_question_goes_out_as_soon_as_the_answer_is_in() {
    let none = Duration::ZERO;
    let unit = Config { wire_time: true, latency: none..=none, ..Config::default() };
    let mut rig = Rig::new(settings(), unit);
    rig.run_until_connected();
    rig.forget_sent();
    rig.run_for(Duration::from_secs(5));
    assert_eq!(commands(&rig), QUICK);
    // 189 characters from the first question to the last (devices' table of frames).
    let took = rig.sent()[5].at.since(rig.sent()[0].at);
    assert!(took < 189 * CHARACTER_TIME + Duration::from_millis(10), "{took:?}");
}

#[test]
fn c17_a_pause_between_exchanges_is_kept_where_it_is_configured() {
    let gap = Duration::from_millis(500);
    let mut rig = Rig::new(Settings { command_gap: gap, ..settings() }, Config::default());
    rig.run_until_connected();
    rig.run_for(Duration::from_secs(60));
    assert!(rig.sent().windows(2).all(|pair| pair[1].at.since(pair[0].at) >= gap));
    assert!(rig.state().connected);
}

#[test]
fn c15_a_late_reply_to_an_earlier_request_is_refused() {
    let mut rig = Rig::running();
    rig.forget_sent();
    rig.model().inject_for(Fault::LateByOne, 2);
    rig.run_for(Duration::from_secs(12));
    // Asked in vain, answered with the answer to the question before, then truly.
    assert_eq!(commands(&rig)[..4], [1, 1, 1, 3]);
    let link = rig.health_of_link();
    assert_eq!((link.missing_replies, link.bad_replies, link.losses), (1, 1, 0));
    assert!(link.last_error.is_some_and(|error| error.contains("name")));
}

#[test]
fn c15_no_garbled_reply_is_ever_taken_for_a_reading() {
    let unit = Config { heat_load_watts: 0.0, set_point_celsius: 12.0, ..Config::default() };
    let mut rig = Rig::new(settings(), unit);
    rig.run_until_connected();
    rig.run_for(Duration::from_secs(600));
    let truth = rig.view().device.reading;
    for _ in 0..200 {
        rig.model().inject_for(Fault::Garbled, 1);
        rig.run_for(Duration::from_secs(10));
        let mut reading = rig.view().device.reading;
        reading.device_uptime = truth.device_uptime;
        assert_eq!(reading, truth);
    }
    let link = rig.health_of_link();
    assert_eq!(link.bad_replies + link.missing_replies, 200);
    assert_eq!(link.losses, 0);
}

#[test]
fn c16_a_complete_bad_frame_is_asked_again_at_once_and_costs_nothing() {
    let mut rig = Rig::running();
    let before = rig.state().device.reading;
    rig.forget_sent();
    rig.model().inject_for(Fault::Garbled, 1);
    rig.run_for(Duration::from_secs(5));
    assert_eq!(commands(&rig)[..3], [1, 1, 3]);
    assert!(rig.sent()[1].at.since(rig.sent()[0].at) < Duration::from_millis(50));
    assert_eq!(rig.health_of_link().bad_replies, 1);
    assert!(rig.states().all(|state| state.what.connected));
    assert_eq!(rig.state().reading.setpoint_temp, before.setpoint_temp);
}

#[test]
fn flow_control_characters_in_a_reply_mean_nothing() {
    let mut rig = Rig::running();
    rig.model().inject(Fault::XonXoffNoise);
    rig.run_for(Duration::from_secs(600));
    let link = rig.health_of_link();
    assert_eq!((link.bad_replies, link.missing_replies), (0, 0));
}

fn commands(rig: &Rig) -> Vec<u8> {
    rig.sent().iter().map(|sent| sent.command).collect()
}
