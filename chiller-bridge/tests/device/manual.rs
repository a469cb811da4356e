//! Manual mode is the operator's word: nothing happens by itself, and the state speaks up.

use std::time::Duration;

use bridge::core::File;
use bus::message::Code;
use chiller_device::{ChillerStatus, Mode};
use testbed::chiller::{Config, Fault, Status};

use crate::site::{MINUTE, SECOND, Site, with_inputs};

fn manual() -> Site {
    let mut site = Site::running();
    site.rig.command_and_wait("alice", "mode", "manual");
    site.forget_sent();
    site
}

#[test]
fn c1_in_manual_automatic_control_says_what_it_would_want_and_does_nothing() {
    let mut site = manual();
    site.switch_camera(true);
    site.pass(MINUTE);
    let state = site.state();
    assert_eq!(
        (state.mode, state.requested, state.wanted_by_automatic),
        (Mode::Manual, Some(false), Some(true))
    );
    assert_eq!(state.reason, "manual");
    assert!(site.attention("camera_without_cooling"));
    site.dome = Some(4.0);
    site.switch_camera(false);
    site.pass(2 * MINUTE);
    assert!(!site.attention("camera_without_cooling") && site.attention("freezing_without_flow"));
    assert_eq!(site.orders(), [""; 0]);
}

#[test]
fn c1_manual_does_not_take_the_water_from_a_camera_and_no_old_request_comes_back() {
    let mut site = manual();
    site.rig.command_and_wait("alice", "enabled", "off");
    site.rig.command_and_wait("alice", "mode", "auto");
    site.switch_camera(true);
    site.pass(MINUTE);
    site.forget_sent();
    site.rig.command_and_wait("alice", "mode", "manual");
    site.pass(10 * MINUTE);
    assert!(site.model().pump_on());
    assert_eq!(site.state().requested, Some(true));
    assert_eq!(site.orders(), [""; 0]);
    site.rig.command_and_wait("alice", "mode", "automatic");
    site.pass(MINUTE);
    assert_eq!((site.state().requested, site.state().reason.as_str()), (Some(true), "camera_power"));
    site.switch_camera(false);
    site.pass(2 * MINUTE);
    assert!(!site.model().pump_on());
}

#[test]
fn a_start_that_was_decided_and_not_sent_is_not_sent_in_manual() {
    let mut site = Site::running();
    site.forget_sent();
    // The order waits for the exchange in progress; meanwhile the operator's word comes.
    site.rig.run_until(|rig| rig.is_asking(), 10 * SECOND);
    site.model().inject_for(Fault::Slow(SECOND), 1);
    site.rig.run_for(Duration::from_millis(100));
    site.rig.run_until(|rig| rig.is_asking(), 10 * SECOND);
    site.switch_camera(true);
    site.rig.command("alice", "mode", "manual");
    site.pass(MINUTE);
    assert_eq!(site.orders(), [""; 0]);
    assert!(!site.model().pump_on());
}

#[test]
fn a_start_that_the_unit_did_not_hear_is_not_repeated_in_manual() {
    let mut site = Site::running();
    site.forget_sent();
    site.model().inject(Fault::Deaf);
    site.switch_camera(true);
    site.rig.run_until(|rig| rig.sent().iter().any(|sent| sent.command == 15), 10 * SECOND);
    site.rig.command("alice", "mode", "manual");
    site.model().clear_faults();
    site.pass(5 * MINUTE);
    assert_eq!(site.orders(), ["1"]);
    assert!(!site.model().pump_on());
}

#[test]
fn c9_a_failed_start_is_not_tried_again_in_manual() {
    let mut site = Site::running();
    site.model().inject(Fault::WillNotStart);
    site.switch_camera(true);
    site.pass(MINUTE);
    site.rig.command_and_wait("alice", "mode", "manual");
    site.model().clear_faults();
    site.forget_sent();
    site.pass(30 * MINUTE);
    assert_eq!(site.orders(), [""; 0]);
}

#[test]
fn c2_a_restart_during_maintenance_never_starts_the_pump_whatever_was_requested() {
    for requested in ["on", "off"] {
        let mut site = manual();
        site.rig.command_and_wait("alice", "enabled", requested);
        // Somebody switches the unit off at its panel, and works on the hoses.
        site.model().set_status(Status::Standby);
        site.switch_camera(true);
        site.dome = Some(1.0);
        let by = site.state().device.mode_by;
        let since = site.state().mode_since;
        site.forget_sent();
        for _ in 0..3 {
            site.restart();
            site.model().power_cycle();
            site.pass(10 * MINUTE);
        }
        assert_eq!(site.orders(), [""; 0]);
        let state = site.state();
        assert_eq!((state.mode, state.requested), (Mode::Manual, Some(requested == "on")));
        assert_eq!((state.mode_since, state.device.mode_by), (since, by));
    }
}

#[test]
fn c2_lost_memory_is_manual_with_the_pump_as_it_is_until_somebody_says_something() {
    for running in [true, false] {
        let mut site = Site::running();
        site.switch_camera(running);
        site.pass(2 * MINUTE);
        site.damage(File::Device);
        site.forget_sent();
        site.switch_camera(!running);
        site.restart();
        site.pass(10 * MINUTE);
        let state = site.state();
        assert_eq!((state.mode, state.reason.as_str()), (Mode::Manual, "mode_lost"));
        assert_eq!((state.requested, site.model().pump_on()), (Some(running), running));
        assert!(site.attention("mode_lost"));
        assert_eq!(site.orders(), [""; 0]);
        site.rig.command_and_wait("alice", "mode", "manual");
        assert!(!site.attention("mode_lost"));
    }
}

#[test]
fn a_mode_that_could_not_be_saved_is_in_force_and_says_what_a_restart_does() {
    let mut site = Site::running();
    site.rig.command_and_wait("alice", "mode", "manual");
    site.rig.command_and_wait("alice", "mode", "auto");
    site.set_disk_full(true);
    let reply = site.rig.command_and_wait("alice", "mode", "manual");
    assert_eq!(reply.code, Some(Code::Failed));
    let said = "manual now, but not saved: a restart returns to automatic";
    assert!(reply.message.starts_with(said), "{reply:?}");
    site.pass(10 * SECOND);
    assert!(site.attention("mode_not_saved"));
    site.switch_camera(true);
    site.pass(MINUTE);
    assert!(!site.model().pump_on());
    site.set_disk_full(false);
    let reply = site.rig.command_and_wait("alice", "mode", "manual");
    assert_eq!(reply.code, Some(Code::Succeeded), "saying it again saves it");
    site.restart();
    site.pass(10 * SECOND);
    assert_eq!(site.state().mode, Mode::Manual);
}

#[test]
fn c20_the_mode_says_who_set_it_and_when_and_manual_for_long_is_an_attention() {
    let mut settings = with_inputs();
    settings.automatic.manual_long = Duration::from_secs(3600);
    let mut site = Site::new(settings, Config::default());
    site.rig.command_and_wait("ops", "mode", "manual");
    let state = site.state();
    assert_eq!(state.mode_by.as_ref().map(|by| by.as_str().to_owned()), Some("ops".to_owned()));
    let since = state.mode_since.expect("a date");
    site.restart();
    site.pass(55 * MINUTE);
    assert!(!site.attention("manual_long"));
    site.pass(6 * MINUTE);
    assert!(site.attention("manual_long"));
    assert_eq!(site.state().mode_since, Some(since));
    site.rig.command_and_wait("ops", "mode", "auto");
    site.pass(10 * SECOND);
    assert!(!site.attention("manual_long"));
}

#[test]
fn a_release_ends_as_soon_as_automatic_control_wants_a_change_and_not_for_less() {
    let mut site = Site::running();
    site.rig.command_and_wait("alice", "release", "15");
    site.pass(2 * MINUTE);
    assert_eq!(site.state().status, ChillerStatus::Released);
    // Another reason for the same is no change.
    site.camera = None;
    site.pass(2 * MINUTE);
    assert_eq!(site.state().status, ChillerStatus::Released);
    site.switch_camera(true);
    site.pass(3 * SECOND);
    assert!(site.model().pump_on());
}

#[test]
fn a_release_ends_when_the_mode_becomes_automatic_and_a_camera_waits() {
    let mut site = manual();
    site.switch_camera(true);
    site.pass(MINUTE);
    site.rig.command_and_wait("alice", "release", "15");
    site.pass(2 * MINUTE);
    assert_eq!(site.state().status, ChillerStatus::Released, "in manual nothing ends it");
    site.rig.command_and_wait("alice", "mode", "auto");
    site.pass(5 * SECOND);
    assert!(site.model().pump_on());
}

#[test]
fn an_operator_can_release_a_unit_that_does_not_start() {
    let mut site = Site::running();
    site.model().inject(Fault::WillNotStart);
    site.switch_camera(true);
    site.pass(MINUTE);
    site.rig.command_and_wait("alice", "release", "10");
    site.camera = None;
    site.pass(5 * MINUTE);
    assert_eq!(site.state().status, ChillerStatus::Released);
}
