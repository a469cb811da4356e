//! Getting there: starts that do not succeed, units that fall back, orders without an answer,
//! safety and test mode.

use std::time::Duration;

use chiller_device::ChillerStatus;
use testbed::chiller::{Config, Fault, Status};

use crate::site::{MINUTE, SECOND, Site, with_inputs};

fn gaps_in_minutes(site: &Site) -> Vec<u64> {
    let starts = site.sent_at("1");
    starts.iter().zip(starts.iter().skip(1)).map(|(one, next)| next.since(*one).as_secs() / 60).collect()
}

#[test]
fn run_is_sent_as_soon_as_the_camera_is_powered_and_the_unit_cools() {
    let mut site = Site::new(with_inputs(), Config { ambient_celsius: 20.0, ..Config::default() });
    site.forget_sent();
    let powered = site.now().instant;
    site.switch_camera(true);
    site.run_for(SECOND);
    let run = *site.sent_at("1").first().expect("run was sent");
    assert!(run.since(powered) <= Duration::from_millis(50), "{:?}", run.since(powered));
    site.pass_until(|site| site.state().status == ChillerStatus::Cooling, 10 * SECOND);
    assert_eq!(site.state().reason, "camera_power");
    site.pass_until(|site| site.state().cooling_ok, 10 * SECOND);
    assert_eq!(site.sent_at("1").len(), 1);
    let decision = site.told("camera_power")[0];
    assert_eq!(decision.body.values["channels"], serde_json::json!(["cmos"]));
    assert_eq!(decision.body.values["dome_temp"], 12.0);
}

#[test]
fn c9_a_start_that_does_not_succeed_is_a_fault_and_is_tried_again_ever_later() {
    let mut site = Site::running();
    site.model().inject(Fault::WillNotStart);
    site.forget_sent();
    site.switch_camera(true);
    site.pass(25 * SECOND);
    assert_eq!(site.state().status, ChillerStatus::Starting);
    site.pass(10 * SECOND);
    assert_eq!((site.state().status, site.state().reason.as_str()), (ChillerStatus::Fault, "start_failed"));
    assert!(site.attention("start_failed") && site.attention("camera_without_cooling"));
    let seen = site.states().next_back().expect("a state").order;
    site.pass(35 * MINUTE);
    // 30 s for each attempt, then 1, 2, 5, 10, 10 minutes.
    assert_eq!(gaps_in_minutes(&site), [1, 2, 5, 10, 10]);
    let failures = site.told("start_failed").into_iter();
    let attempts: Vec<_> = failures.filter_map(|event| event.body.values.get("attempt")).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5, 6]);
    // The state was published all along, never older than a third of what it may be.
    let dates: Vec<_> =
        site.states().filter(|state| state.order > seen).map(|state| state.at.instant).collect();
    assert!(dates.windows(2).all(|pair| pair[1].since(pair[0]) <= 10 * SECOND));
    site.model().clear_faults();
    site.pass_until(|site| site.state().cooling_ok, 11 * MINUTE);
    assert!(!site.attention("start_failed"));
}

#[test]
fn a_unit_that_falls_back_is_started_again_at_once_if_it_had_run_for_long() {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(11 * MINUTE);
    site.model().set_status(Status::Standby);
    site.pass(8 * SECOND);
    assert!(site.model().pump_on());
    assert!(site.told("start_failed").is_empty());
}

#[test]
fn c9_a_unit_that_falls_back_again_and_again_is_a_fault_and_not_started_all_the_time() {
    let mut site = Site::running();
    site.model().inject(Fault::DropsRun(20 * SECOND));
    site.forget_sent();
    site.switch_camera(true);
    // The first time it may have been switched off at its panel: it is started once more at once.
    site.pass(30 * SECOND);
    assert_eq!(site.sent_at("1").len(), 2, "{:?}", site.sent_at("1"));
    site.pass(30 * SECOND);
    assert_eq!((site.state().status, site.state().reason.as_str()), (ChillerStatus::Fault, "start_failed"));
    site.pass(35 * MINUTE);
    assert_eq!(gaps_in_minutes(&site), [0, 1, 2, 5, 10, 10]);
    site.model().clear_faults();
    site.pass(11 * MINUTE);
    assert!(site.state().cooling_ok && !site.attention("start_failed"));
}

#[test]
fn c9_an_order_without_an_answer_is_not_sent_again_with_every_new_link() {
    let mut site = Site::running();
    site.model().inject_for(Fault::Deaf, 3);
    site.forget_sent();
    site.switch_camera(true);
    site.pass(20 * SECOND);
    assert!(site.sent_at("1").len() <= 3, "{:?}", site.sent_at("1"));
    let told = site.told("start_failed");
    assert!(told[0].body.message.contains("it did not answer the order"), "{told:?}");
    site.pass_until(|site| site.state().cooling_ok, 2 * MINUTE);
}

#[test]
fn a_short_trouble_of_the_line_does_not_delay_a_start() {
    for fault in [Fault::Garbled, Fault::Truncated, Fault::Silent, Fault::Deaf, Fault::LateByOne] {
        let mut site = Site::running();
        site.model().inject_for(fault, 1);
        site.switch_camera(true);
        site.pass_until(|site| site.state().cooling_ok, 10 * SECOND);
    }
}

#[test]
fn c10_a_pump_that_runs_with_a_neutral_drive_is_switched_off_when_nothing_wants_it() {
    let unit = Config {
        supply_celsius: Some(15.0),
        ambient_celsius: 15.0,
        heat_load_watts: 0.0,
        ..Config::default()
    };
    let mut site = Site::new(with_inputs(), unit);
    site.switch_camera(true);
    site.pass(5 * MINUTE);
    assert_eq!(site.state().status, ChillerStatus::Circulating);
    site.switch_camera(false);
    site.pass(70 * SECOND);
    assert_eq!((site.state().status, site.state().reason.as_str()), (ChillerStatus::Idle, "not_needed"));
    assert!(!site.model().pump_on());
}

#[test]
fn safety_mode_is_a_fault_that_automatic_control_does_not_start_out_of() {
    let mut site = Site::running();
    site.switch_camera(true);
    site.pass(MINUTE);
    site.model().set_status(Status::Safety);
    site.forget_sent();
    site.pass(20 * MINUTE);
    assert_eq!((site.state().status, site.state().reason.as_str()), (ChillerStatus::Fault, "alarm"));
    assert!(site.sent_at("1").is_empty(), "no start before clear_alarms");
    assert!(site.attention("alarm") && site.attention("camera_without_cooling"));
    site.rig.command_and_wait("alice", "clear_alarms", "");
    site.pass_until(|site| site.state().cooling_ok, 20 * SECOND);
}

#[test]
fn test_mode_means_hands_off() {
    let mut site = Site::running();
    site.model().set_status(Status::Test);
    site.pass(10 * SECOND);
    site.forget_sent();
    site.switch_camera(true);
    site.pass(20 * MINUTE);
    assert_eq!((site.state().status, site.state().reason.as_str()), (ChillerStatus::Service, "service"));
    assert_eq!(site.orders(), [""; 0]);
    assert!(site.attention("camera_without_cooling"));
    site.model().set_status(Status::Standby);
    site.pass_until(|site| site.state().cooling_ok, 20 * SECOND);
}

#[test]
fn an_alarm_in_test_mode_is_shown_and_not_touched() {
    let mut site = Site::running();
    site.model().set_status(Status::Test);
    site.model().inject(Fault::AlarmTrip(testbed::chiller::AlarmBit::FAN_FAILURE));
    site.forget_sent();
    site.pass(10 * MINUTE);
    assert_eq!(site.state().status, ChillerStatus::Fault);
    assert!(site.sent().iter().all(|sent| !matches!(sent.command, 15 | 18)));
}
