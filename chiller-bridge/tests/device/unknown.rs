//! What is not known never switches off: every way into unknown camera power, from everything that
//! the pump can be doing then.
//!
//! The rule for all of them: a pump that runs is left running for `input_hold`, one that is off is
//! left off, and then the safe side is taken.

use std::fmt::Debug;
use std::time::Duration;

use bus::clock::Instant;
use chiller_bridge::settings::Settings;
use chiller_device::Mode;
use testbed::chiller::{Config, Fault, Status};

use crate::site::{MINUTE, POWER, SECOND, Site, with_inputs};

const HOLD: Duration = Duration::from_secs(300);

/// What the pump does when power becomes unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pump {
    On,
    Off,
    Starting,
    Stopping,
    /// The unit does not answer; its pump runs.
    UnheardOn,
    /// The unit does not answer; its pump is off.
    UnheardOff,
}

const PUMPS: [Pump; 6] =
    [Pump::On, Pump::Off, Pump::Starting, Pump::Stopping, Pump::UnheardOn, Pump::UnheardOff];

impl Pump {
    /// Whether it must run soon, and until the safe side is taken.
    fn is_kept_on(self) -> bool {
        !matches!(self, Self::Off | Self::UnheardOff)
    }
}

/// How camera power becomes unknown to automatic control.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Never heard, and the mode becomes automatic.
    ModeChange,
    /// Never heard, and the link to the unit comes back.
    Reconnect,
    /// Never heard, and the bridge starts in automatic.
    Restart,
    /// Never heard, and the unit is no longer released.
    ReleaseEnds,
    /// Its publisher says that it does not know.
    NotKnown,
    /// Its publisher calls the channel something else.
    Renamed,
    /// Its publisher falls silent.
    Stale,
    /// What it publishes is no message.
    Nonsense,
}

const NEVER_HEARD: [Way; 4] = [Way::ModeChange, Way::Reconnect, Way::Restart, Way::ReleaseEnds];
const NO_LONGER_KNOWN: [Way; 4] = [Way::NotKnown, Way::Renamed, Way::Stale, Way::Nonsense];

fn settings(failsafe: bool) -> Settings {
    let mut settings = with_inputs();
    settings.automatic.rules.power_failsafe = failsafe;
    settings.bridge.query_delay = 10 * SECOND;
    settings
}

/// Nothing was heard of power, and in manual an operator has brought the pump to this.
fn by_an_operator(pump: Pump, failsafe: bool) -> Site {
    let mut site = Site::beginning_with(settings(failsafe), Config::default(), None, Some(12.0));
    site.rig.command_and_wait("alice", "mode", "manual");
    if matches!(pump, Pump::On | Pump::Stopping | Pump::UnheardOn) {
        site.rig.command_and_wait("alice", "enabled", "on");
    }
    match pump {
        Pump::Starting | Pump::Stopping => {
            site.model().inject_for(Fault::Slow(2 * SECOND), 1);
            site.rig.command("alice", "enabled", if pump == Pump::Starting { "on" } else { "off" });
            site.rig.run_until(|rig| rig.is_asking(), 10 * SECOND);
            site.pass(Duration::from_millis(500));
        }
        Pump::UnheardOn | Pump::UnheardOff => {
            site.unplug();
            site.pass(20 * SECOND);
        }
        Pump::On | Pump::Off => {}
    }
    site
}

/// Automatic control itself has brought the pump to this while it knew.
fn by_automatic_control(pump: Pump, failsafe: bool) -> Site {
    let mut site = Site::new(settings(failsafe), Config::default());
    site.switch_camera(matches!(pump, Pump::On | Pump::Stopping | Pump::UnheardOn));
    site.pass(3 * MINUTE);
    match pump {
        Pump::Starting => {
            site.model().inject_for(Fault::Slow(2 * SECOND), 1);
            site.switch_camera(true);
            site.pass(Duration::from_millis(500));
        }
        Pump::Stopping => {
            site.switch_camera(false);
            let stops = site.sent_at("0").len();
            site.pass_until(|site| site.sent_at("0").len() > stops, 3 * MINUTE);
        }
        Pump::UnheardOn | Pump::UnheardOff => {
            site.unplug();
            site.pass(20 * SECOND);
        }
        Pump::On | Pump::Off => {}
    }
    site
}

/// Since when it is unknown to automatic control, and until when at least nothing may be switched off.
fn lose(site: &mut Site, way: Way, pump: Pump) -> Instant {
    let automatic = |site: &mut Site| {
        site.rig.command("alice", "mode", "automatic");
        site.pass(Duration::from_millis(20));
    };
    match way {
        Way::ModeChange => automatic(site),
        Way::Reconnect => {
            site.unplug();
            automatic(site);
            site.pass(30 * SECOND);
            // As the unit is found when it answers again.
            let status = if pump.is_kept_on() { Status::Run } else { Status::Standby };
            site.model().set_status(status);
            site.plug();
        }
        Way::Restart => {
            automatic(site);
            site.restart();
        }
        Way::ReleaseEnds => {
            site.rig.command("alice", "release", "1");
            site.pass(SECOND);
            automatic(site);
            site.pass(MINUTE);
        }
        Way::NotKnown => publish(site, r#"{"cmos":null,"swir":false}"#),
        Way::Renamed => publish(site, r#"{"cam1":true,"swir":false}"#),
        Way::Nonsense => publish(site, "7"),
        Way::Stale => {
            site.camera = None;
            site.pass(62 * SECOND);
        }
    }
    site.camera = None;
    site.rig.now().instant
}

fn publish(site: &mut Site, channels: &str) {
    let payload = format!(r#"{{"date":"{}","channels":{channels}}}"#, site.now().utc);
    site.input(POWER, &payload, false);
}

/// What happens in the minutes that follow, and in the end.
fn check(mut site: Site, way: Way, pump: Pump, failsafe: bool, what: &dyn Debug) {
    let begun = Instant::from_boot(Duration::from_secs(1000));
    let unknown_at = lose(&mut site, way, pump);
    if matches!(pump, Pump::UnheardOn | Pump::UnheardOff) {
        site.pass(30 * SECOND);
        site.plug();
        site.pass(15 * SECOND);
    } else {
        site.pass(if way == Way::Reconnect { 15 * SECOND } else { 5 * SECOND });
    }
    // A new process finds what the stop before it has done.
    let kept_on = pump.is_kept_on() && (way, pump) != (Way::Restart, Pump::Stopping);
    // A stop that was on its way already had been decided by somebody who knew.
    let settled = if pump == Pump::Stopping { site.now().instant } else { unknown_at };
    // The safe side that is on counts from when it was last known, the hold from when somebody has
    // to decide.
    let never_heard = NEVER_HEARD.contains(&way) && way != Way::Restart;
    let since = if failsafe && never_heard { begun } else { unknown_at };
    let hold_ends = since + HOLD - 5 * SECOND;
    while site.now().instant < hold_ends {
        assert_eq!(site.model().pump_on(), kept_on, "{what:?}: {:#?}", site.view());
        let view = site.view();
        assert_eq!((view.mode, view.requested), (Mode::Automatic, Some(kept_on)), "{what:?}: {view:#?}");
        assert_eq!(view.reason, "input_hold", "{what:?}");
        crate::sentence::check(site.controller(), site.now());
        site.pass(5 * SECOND);
    }
    assert!(site.sent_at("0").iter().all(|at| *at < settled), "{what:?}: it was switched off");
    site.pass(9 * MINUTE);
    assert_eq!(site.model().pump_on(), failsafe, "{what:?}: {:#?}", site.view());
    assert_eq!(site.view().reason, if failsafe { "input_failsafe" } else { "not_needed" }, "{what:?}");
    if failsafe {
        assert!(site.sent_at("0").iter().all(|at| *at < settled), "{what:?}: it was switched off");
    }
}

#[test]
fn power_that_was_never_heard_switches_nothing_off_whoever_started_the_pump() {
    for failsafe in [true, false] {
        for way in NEVER_HEARD {
            for pump in PUMPS {
                let pulled = matches!(pump, Pump::UnheardOn | Pump::UnheardOff);
                let under_way = matches!(pump, Pump::Starting | Pump::Stopping);
                // What another way would bring about first is that other way.
                if (way == Way::Reconnect && (pulled || under_way)) || (way == Way::ReleaseEnds && pulled) {
                    continue;
                }
                let site = by_an_operator(pump, failsafe);
                check(site, way, pump, failsafe, &(way, pump, failsafe));
            }
        }
    }
}

#[test]
fn power_that_is_no_longer_known_switches_nothing_off() {
    for failsafe in [true, false] {
        for way in NO_LONGER_KNOWN {
            for pump in PUMPS {
                // A start or stop does not last as long as it takes to be too old.
                if way == Way::Stale && matches!(pump, Pump::Starting | Pump::Stopping) {
                    continue;
                }
                let site = by_automatic_control(pump, failsafe);
                check(site, way, pump, failsafe, &(way, pump, failsafe));
            }
        }
    }
}

#[test]
fn s7_a_pump_that_an_operator_started_runs_on_when_automatic_control_takes_over_without_knowing() {
    let mut site = by_an_operator(Pump::On, true);
    site.forget_sent();
    site.rig.command_and_wait("alice", "mode", "automatic");
    let state = site.state();
    assert_eq!((state.reason.as_str(), state.requested), ("input_hold", Some(true)));
    assert_eq!(state.wanted_by_automatic, Some(true));
    site.pass(20 * MINUTE);
    assert_eq!(site.orders(), [""; 0]);
    assert!(site.model().pump_on());
    assert_eq!(site.state().reason, "input_failsafe");
}

#[test]
fn a_pump_that_somebody_starts_at_the_unit_while_power_is_unknown_is_not_stopped() {
    let mut site = by_an_operator(Pump::Off, true);
    site.rig.command_and_wait("alice", "mode", "automatic");
    site.forget_sent();
    site.model().set_status(Status::Run);
    site.pass(20 * MINUTE);
    assert_eq!(site.orders(), [""; 0]);
    assert!(site.model().pump_on());
}

#[test]
fn a_pump_that_an_operator_stopped_is_not_started_before_the_safe_side_is_taken() {
    let mut site = by_an_operator(Pump::On, true);
    site.rig.command_and_wait("alice", "enabled", "off");
    site.pass(10 * SECOND);
    site.forget_sent();
    site.rig.command_and_wait("alice", "mode", "automatic");
    site.pass(4 * MINUTE);
    assert_eq!(site.orders(), [""; 0]);
    site.pass(2 * MINUTE);
    assert_eq!((site.orders(), site.state().reason.as_str()), (vec!["1"], "input_failsafe"));
}

#[test]
fn a_unit_that_comes_back_running_is_not_stopped_before_it_was_read() {
    let mut site = Site::running();
    site.pass(10 * MINUTE);
    site.unplug();
    site.pass(MINUTE);
    // A power cut, in the frost: it runs by itself, and its ambient is read after its status.
    site.model().set_status(Status::AutoStart);
    site.model().set_ambient_celsius(2.0);
    site.dome = None;
    site.pass(3 * MINUTE);
    site.forget_sent();
    site.plug();
    site.pass(10 * MINUTE);
    assert_eq!(site.orders(), [""; 0]);
    assert_eq!(site.state().reason, "antifreeze");
}
