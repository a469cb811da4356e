//! What survives a restart, and what is said when it could not.

use std::time::Duration;

use bridge::core::File;
use bus::message::{Code, ReplyStatus, Severity};
use chiller_bridge::settings::{Settings, StartMode};
use chiller_device::Mode;
use testbed::chiller::{Config, Fault};

use crate::rig::{Rig, settings};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn c2_mode_request_and_who_set_them_survive_a_restart() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "mode", "manual");
    rig.command_and_wait("ops", "enabled", "on");
    let before = rig.state();
    let orders = rig.model().writes().count();
    rig.run_for(SECOND);
    rig.restart();
    rig.run_until_connected();
    let after = rig.state();
    assert_eq!((after.mode, after.requested), (Mode::Manual, Some(true)));
    assert_eq!((after.mode_since, after.device.mode_by), (before.mode_since, before.device.mode_by));
    rig.run_for(600 * SECOND);
    assert_eq!(rig.model().writes().count(), orders);
    assert!(rig.model().pump_on());
}

#[test]
fn c2_a_restart_during_maintenance_never_starts_the_pump() {
    let mut rig = Rig::new(settings(), Config { auto_start: true, ..Config::default() });
    rig.run_until_connected();
    rig.command_and_wait("alice", "mode", "manual");
    rig.command_and_wait("alice", "enabled", "off");
    for _ in 0..10 {
        rig.run_for(7 * SECOND);
        rig.restart();
    }
    rig.run_for(3600 * SECOND);
    assert!(!rig.model().pump_on());
    assert!(rig.model().writes().all(|write| write.data != "1"));
}

#[test]
fn c2_damaged_memory_means_manual_with_the_pump_as_it_is() {
    for auto_start in [false, true] {
        let mut rig = Rig::new(settings(), Config { auto_start, ..Config::default() });
        rig.run_until_connected();
        rig.damage(File::Device);
        rig.restart();
        rig.run_until_connected();
        rig.run_for(600 * SECOND);
        let state = rig.state();
        assert_eq!((state.mode, state.reason.as_str()), (Mode::Manual, "mode_lost"));
        assert_eq!(state.requested, Some(auto_start));
        assert!(state.attention.iter().any(|attention| attention.name == "mode_lost"));
        assert_eq!(rig.model().writes().count(), 0);
        rig.command_and_wait("alice", "mode", "automatic");
        assert!(!rig.state().attention.iter().any(|attention| attention.name == "mode_lost"));
    }
}

#[test]
fn c2_if_the_newest_memory_is_damaged_the_order_before_it_does_not_count() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "mode", "manual");
    rig.command_and_wait("alice", "mode", "automatic");
    rig.command_and_wait("alice", "mode", "manual");
    rig.run_for(600 * SECOND);
    rig.damage_newest(File::Device);
    for _ in 0..2 {
        rig.restart();
        rig.run_until_connected();
        let state = rig.state();
        assert_eq!((state.mode, state.reason.as_str()), (Mode::Manual, "mode_lost"));
        assert!(has_attention(&rig, "mode_lost"));
    }
    assert_eq!(rig.model().writes().count(), 0);
    rig.command_and_wait("alice", "mode", "manual");
    assert!(!has_attention(&rig, "mode_lost"));
}

#[test]
fn that_an_older_memory_is_used_is_an_event_and_an_attention() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "mode", "manual");
    rig.damage_newest(File::Device);
    rig.restart();
    rig.run_until_connected();
    let state = rig.state();
    let attention = state.attention.iter().find(|it| it.name == "memory_damaged").expect("it is said");
    assert!(attention.text.contains("an older copy is used"), "{attention:?}");
    assert!(rig.events().any(|it| it.body.reason.as_deref() == Some("memory_damaged")));
    rig.run_for(901 * SECOND);
    assert!(!has_attention(&rig, "memory_damaged"));
}

#[test]
fn a_memory_of_a_later_version_is_no_damaged_one() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "mode", "manual");
    rig.run_for(SECOND);
    rig.edit(File::Device, |text| text.replacen('{', r#"{"new":{"a":[1]},"#, 1));
    rig.restart();
    rig.run_until_connected();
    assert_eq!((rig.state().mode, rig.state().reason.as_str()), (Mode::Manual, "manual"));
    assert!(!has_attention(&rig, "memory_damaged"));
}

#[test]
fn damaged_memory_of_commands_hurts_nobody_and_is_said() {
    let mut rig = Rig::running();
    rig.damage(File::Commands);
    rig.restart();
    rig.run_until_connected();
    assert_eq!(rig.command_and_wait("alice", "ping", "").status, ReplyStatus::Succeeded);
    let state = rig.state();
    let attention = state.attention.iter().find(|it| it.name == "journal_lost").expect("it is said");
    assert_eq!(attention.severity, Severity::Warning);
    assert!(attention.text.contains("may run again"), "{attention:?}");
}

#[test]
fn one_bad_entry_among_the_saved_commands_does_not_make_the_others_run_again() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "mode", "manual");
    rig.ask("first", "alice", "setpoint", "12");
    rig.wait_for("first");
    rig.run_for(SECOND);
    rig.edit(File::Commands, |text| text.replacen(r#""ended":["#, r#""ended":[{"x":1},"#, 1));
    rig.restart();
    rig.run_until_connected();
    let orders = rig.model().writes().count();
    rig.ask("first", "alice", "setpoint", "12");
    assert!(rig.wait_for("first").duplicate);
    assert_eq!(rig.model().writes().count(), orders);
    let state = rig.state();
    let attention = state.attention.iter().find(|it| it.name == "journal_lost").expect("it is said");
    assert!(attention.text.starts_with("1 entries of the saved commands"), "{attention:?}");
}

#[test]
fn an_order_to_run_that_could_not_be_saved_says_so() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "mode", "manual");
    rig.set_disk_full(true);
    let reply = rig.command_and_wait("alice", "enabled", "on");
    assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::Failed)), "{reply:?}");
    assert!(reply.message.starts_with("running after "), "{reply:?}");
    assert!(reply.message.contains("a restart of the bridge would forget the order"), "{reply:?}");
    assert!(rig.model().pump_on());
    let again = rig.command_and_wait("alice", "enabled", "on");
    assert_eq!(again.code, Some(Code::Failed), "already running, and still not saved: {again:?}");
    rig.set_disk_full(false);
    assert_eq!(rig.command_and_wait("alice", "enabled", "on").code, Some(Code::Succeeded));
    rig.run_for(SECOND);
    rig.restart();
    rig.run_until_connected();
    assert_eq!(rig.state().requested, Some(true));
}

#[test]
fn a_disk_that_hangs_does_not_keep_an_order_to_run_unanswered() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "mode", "manual");
    rig.set_disk_slow(600 * SECOND);
    let reply = rig.command_and_wait("alice", "enabled", "on");
    assert_eq!(reply.code, Some(Code::Failed), "{reply:?}");
    assert!(reply.message.contains("the disk does not answer"), "{reply:?}");
}

#[test]
fn a_mode_that_could_not_be_saved_is_in_force_and_answered_failed() {
    let mut rig = Rig::running();
    rig.set_disk_full(true);
    let reply = rig.command_and_wait("alice", "mode", "manual");
    assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::Failed)));
    assert!(reply.message.starts_with("manual now, but not saved: a restart returns to automatic"));
    let state = rig.state();
    assert_eq!(state.mode, Mode::Manual);
    let attention = state.attention.iter().find(|attention| attention.name == "mode_not_saved").unwrap();
    assert_eq!(attention.severity, Severity::Warning);
    rig.run_for(60 * SECOND);
    assert!(!rig.health().journal_ok);
    rig.restart();
    rig.run_until_connected();
    assert_eq!(rig.state().mode, Mode::Automatic);
}

#[test]
fn the_first_start_is_in_the_configured_mode() {
    for (start_mode, mode) in [(StartMode::Automatic, Mode::Automatic), (StartMode::Manual, Mode::Manual)] {
        let mut rig = Rig::new(Settings { start_mode, ..settings() }, Config::default());
        rig.run_until_connected();
        assert_eq!((rig.state().mode, rig.state().device.mode_by), (mode, None));
    }
}

#[test]
fn a_command_that_ran_when_the_bridge_died_is_answered_and_not_run_again() {
    let mut rig = Rig::running();
    rig.command_and_wait("alice", "mode", "manual");
    rig.model().inject(Fault::WillNotStart);
    let id = rig.command("alice", "enabled", "on");
    rig.run_for(3 * SECOND);
    rig.restart();
    let reply = rig.wait_for(&id);
    assert_eq!((reply.status, reply.code), (ReplyStatus::Failed, Some(Code::Interrupted)));
    rig.model().clear_faults();
    rig.run_for(600 * SECOND);
    assert_eq!(rig.model().writes().count(), 1);
    assert_eq!(rig.replies(&id).iter().filter(|reply| reply.what.status.is_terminal()).count(), 1);
}

#[test]
fn c23_a_clean_stop_ends_what_runs_and_leaves_the_unit_as_it_is() {
    let mut rig = Rig::new(settings(), Config { auto_start: true, ..Config::default() });
    rig.run_until_connected();
    rig.run_until(|rig| rig.is_asking(), 10 * SECOND);
    rig.stop();
    assert!(!rig.has_ended(), "the exchange that is out is finished first");
    rig.run_until(|rig| rig.has_ended(), SECOND);
    assert_eq!(rig.availability().last(), Some(&"offline"));
    rig.run_for(60 * SECOND);
    assert!(rig.model().pump_on());
}

fn has_attention(rig: &Rig, name: &str) -> bool {
    rig.state().attention.iter().any(|attention| attention.name == name)
}

#[test]
fn a_disk_that_is_full_at_the_start_is_well_again_soon_after_it_was_freed() {
    let mut rig = Rig::running();
    rig.set_disk_full(true);
    rig.restart();
    rig.run_until_connected();
    rig.run_for(1200 * SECOND);
    assert!(!rig.health().journal_ok && has_attention(&rig, "journal_failed"));
    let text = &rig.state().attention[0].text;
    assert!(text.contains("no space left on device"), "{text}");

    rig.set_disk_full(false);
    rig.run_for(20 * SECOND);
    assert!(rig.health().journal_ok && !has_attention(&rig, "journal_failed"));
}

#[test]
fn a_directory_that_can_be_written_is_proved_by_whatever_is_saved_first() {
    let mut rig = Rig::running();
    rig.set_disk_full(true);
    rig.restart();
    rig.run_until_connected();
    rig.set_disk_full(false);
    let reply = rig.command_and_wait("alice", "mode", "manual");
    assert_eq!(reply.code, Some(Code::Succeeded), "{reply:?}");
    rig.run_for(SECOND);
    assert!(rig.health().journal_ok && !has_attention(&rig, "journal_failed"));
}

#[test]
fn what_could_not_be_saved_is_saved_when_it_can_be() {
    let mut rig = Rig::running();
    rig.set_disk_full(true);
    rig.command_and_wait("alice", "mode", "manual");
    rig.run_for(60 * SECOND);
    assert!(!rig.health().journal_ok && has_attention(&rig, "mode_not_saved"));
    rig.set_disk_full(false);
    rig.run_for(20 * SECOND);
    assert!(rig.health().journal_ok, "nothing was set meanwhile");
    assert!(!has_attention(&rig, "journal_failed") && !has_attention(&rig, "mode_not_saved"));
    rig.restart();
    rig.run_until_connected();
    assert_eq!(rig.state().mode, Mode::Manual);
}

#[test]
fn a_disk_that_does_not_answer_is_no_secret() {
    let mut rig = Rig::running();
    rig.set_disk_slow(600 * SECOND);
    rig.command("alice", "mode", "manual");
    rig.run_for(4 * SECOND);
    assert!(rig.health().journal_ok);
    rig.run_for(2 * SECOND);
    assert!(!rig.health().journal_ok && has_attention(&rig, "journal_failed"));
    rig.set_disk_slow(Duration::from_millis(5));
    rig.run_for(600 * SECOND);
    assert!(rig.health().journal_ok && !has_attention(&rig, "journal_failed"));
    assert_eq!(rig.needless_wakes(), 0);
}
