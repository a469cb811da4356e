//! Sentences about the decision, and one property.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    antifreeze_enable_limit: 5.0,
    antifreeze_disable_limit: 7.0,
    input_hold: Duration::from_secs(300),
    power_failsafe: true,
    minimum_run_time: Duration::from_secs(60),
    switch_off_delay: Duration::from_secs(60),
};

fn at(seconds: f64) -> Instant {
    Instant::from_boot(Duration::from_secs_f64(seconds))
}

/// A warm night with all inputs, no camera, the pump off.
fn quiet() -> Observed {
    Observed {
        powered: Some(false),
        dome: Some(12.0),
        dome_expected: true,
        ambient: Some(14.0),
        water: Some(13.0),
        set_point: Some(15.0),
        pump_on: Some(false),
        ordered: None,
        in_charge: true,
        unit_read: true,
        inputs_seen: true,
    }
}

struct Night {
    decider: Decider,
    facts: Observed,
}

impl Night {
    fn new(facts: Observed) -> Self {
        Self { decider: Decider::new(RULES, false, at(0.0)), facts }
    }

    fn decide(&mut self, seconds: f64) -> (bool, &'static str) {
        let decision = self.decider.decide(&self.facts, at(seconds)).unwrap();
        (decision.wanted, decision.reason)
    }
}

#[test]
fn a_powered_camera_wants_cooling_at_once() {
    let mut night = Night::new(quiet());
    assert_eq!(night.decide(0.0), (false, NOT_NEEDED));
    night.facts.powered = Some(true);
    assert_eq!(night.decide(1.0), (true, CAMERA_POWER));
}

#[test]
fn c22_a_power_cycled_camera_does_not_toggle_the_pump() {
    let mut night = Night::new(Observed { powered: Some(true), ..quiet() });
    night.decide(0.0);
    night.facts.powered = Some(false);
    assert_eq!(night.decide(1000.0), (true, SWITCH_OFF_DELAY));
    night.facts.powered = Some(true);
    assert_eq!(night.decide(1010.0), (true, CAMERA_POWER));
    night.facts.powered = Some(false);
    assert_eq!(night.decide(1020.0), (true, SWITCH_OFF_DELAY));
    assert_eq!(night.decider.poll_timeout(), Some(at(1080.0)));
    assert_eq!(night.decide(1080.0), (false, NOT_NEEDED));
}

#[test]
fn c3_unknown_power_holds_the_decision_then_takes_the_safe_side() {
    for (before, held) in [(true, true), (false, false)] {
        let mut night = Night::new(Observed { powered: Some(before), ..quiet() });
        night.decide(0.0);
        night.facts.powered = None;
        assert_eq!(night.decide(100.0), (held, INPUT_HOLD));
        assert_eq!(night.decider.poll_timeout(), Some(at(400.0)));
        assert_eq!(night.decide(399.0), (held, INPUT_HOLD));
        assert_eq!(night.decide(400.0), (true, INPUT_FAILSAFE));
    }
}

#[test]
fn the_safe_side_can_be_off() {
    let mut night = Night::new(Observed { powered: Some(true), ..quiet() });
    night.decider.rules.power_failsafe = false;
    night.decide(0.0);
    night.facts.powered = None;
    night.decide(100.0);
    assert_eq!(night.decide(401.0), (true, SWITCH_OFF_DELAY));
    assert_eq!(night.decide(470.0), (false, NOT_NEEDED));
}

#[test]
fn c6_the_lowest_plausible_temperature_decides() {
    for (dome, ambient, water) in [(4.9, 14.0, 13.0), (12.0, 4.9, 13.0), (12.0, 14.0, 4.9)] {
        let facts = Observed { dome: Some(dome), ambient: Some(ambient), water: Some(water), ..quiet() };
        let mut night = Night::new(facts);
        assert_eq!(night.decide(0.0), (true, ANTIFREEZE), "{facts:?}");
    }
}

#[test]
fn water_counts_only_while_it_stands() {
    let mut night = Night::new(Observed { water: Some(4.0), set_point: Some(6.0), ..quiet() });
    night.facts.pump_on = Some(true);
    night.decide(0.0);
    assert_eq!(night.decider.antifreeze(), Some(true), "released only at 5°C, the set point less one");
    night.facts.water = Some(5.0);
    night.decide(1.0);
    assert_eq!(night.decider.antifreeze(), Some(false));
    night.facts.water = Some(4.0);
    night.decide(2.0);
    assert_eq!(night.decider.antifreeze(), Some(false), "it is cold because it is cooled");
}

#[test]
fn c4_no_plausible_temperature_for_the_hold_time_may_be_frost() {
    for running in [false, true] {
        let unknown = Observed { dome: None, ambient: None, water: None, pump_on: Some(running), ..quiet() };
        let mut night = Night::new(unknown);
        assert_eq!(night.decide(0.0), (running, INPUT_HOLD), "neither on nor off at once");
        assert_eq!(night.decider.poll_timeout(), Some(at(300.0)));
        assert_eq!(night.decide(299.0), (running, INPUT_HOLD));
        assert_eq!(night.decide(300.0), (true, ANTIFREEZE));
    }
}

#[test]
fn temperatures_that_are_refused_for_a_moment_change_nothing() {
    let no_dome = Observed { dome: None, dome_expected: false, ..quiet() };
    let refused = Observed { ambient: None, water: None, set_point: None, pump_on: None, ..no_dome };
    let mut night = Night::new(no_dome);
    assert_eq!(night.decide(0.0), (false, NOT_NEEDED));
    night.facts = refused;
    assert_eq!((night.decide(1.0), night.decider.antifreeze()), ((false, NOT_NEEDED), Some(false)));
    assert_eq!(night.decide(299.0), (false, NOT_NEEDED));
    assert_eq!(night.decider.poll_timeout(), Some(at(300.0)));
    assert_eq!(night.decide(300.0), (true, ANTIFREEZE), "for too long");
    night.facts = no_dome;
    night.decide(301.0);
    assert_eq!(night.decider.antifreeze(), Some(false));
}

#[test]
fn a_set_point_that_is_refused_for_a_moment_does_not_make_cold_water_a_frost() {
    let cold = Observed { water: Some(4.5), set_point: Some(5.0), ..quiet() };
    let mut night = Night::new(cold);
    assert_eq!(night.decide(0.0), (false, NOT_NEEDED), "it was cooled");
    night.facts.set_point = None;
    assert_eq!(night.decide(1.0), (false, NOT_NEEDED));
    assert_eq!(night.decide(302.0), (true, ANTIFREEZE));
}

#[test]
fn a_cold_ambient_that_is_refused_for_a_moment_ends_no_frost() {
    let mut night = Night::new(Observed { ambient: Some(4.0), ..quiet() });
    assert_eq!(night.decide(0.0), (true, ANTIFREEZE));
    night.facts = Observed { ambient: None, pump_on: Some(true), ..quiet() };
    assert_eq!(night.decide(299.0), (true, ANTIFREEZE));
}

#[test]
fn what_the_unit_did_not_say_yet_is_no_missing_temperature() {
    let facts = Observed { dome: None, ambient: None, water: None, unit_read: false, ..quiet() };
    assert_eq!(Night::new(facts).decide(0.0), (false, INPUT_HOLD));
}

#[test]
fn antifreeze_ends_when_air_and_water_are_warm() {
    let mut night = Night::new(Observed { dome: Some(4.0), ..quiet() });
    night.decide(0.0);
    night.facts.pump_on = Some(true);
    for (dome, ambient, water, freezing) in [
        (6.9, 14.0, 13.0, true),
        (7.0, 6.9, 13.0, true),
        (7.0, 7.0, 6.9, true),
        (7.0, 7.0, 7.0, false),
        (6.0, 7.0, 7.0, false),
        (4.9, 7.0, 7.0, true),
    ] {
        night.facts.dome = Some(dome);
        night.facts.ambient = Some(ambient);
        night.facts.water = Some(water);
        night.decide(1000.0);
        assert_eq!(night.decider.antifreeze(), Some(freezing), "{:?}", night.facts);
    }
}

#[test]
fn c6_a_sensor_that_fails_in_the_frost_does_not_end_antifreeze() {
    let mut night = Night::new(Observed { dome: Some(1.0), ..quiet() });
    assert_eq!(night.decide(0.0), (true, ANTIFREEZE));
    night.facts = Observed { dome: None, pump_on: Some(true), water: Some(14.5), ..quiet() };
    assert_eq!(night.decide(3600.0), (true, ANTIFREEZE));
    night.facts.dome = Some(8.0);
    assert_eq!(night.decide(3700.0), (true, SWITCH_OFF_DELAY));
    let mut night = Night::new(Observed { dome: None, dome_expected: false, ambient: Some(1.0), ..quiet() });
    assert_eq!(night.decide(0.0), (true, ANTIFREEZE));
    night.facts.ambient = Some(8.0);
    assert_eq!(night.decide(100.0), (true, SWITCH_OFF_DELAY), "without such a sensor the other one decides");
}

#[test]
fn a_set_point_below_the_limits_does_not_run_the_chiller_for_ever() {
    let mut night = Night::new(Observed { dome: Some(4.0), set_point: Some(4.0), ..quiet() });
    night.decide(0.0);
    night.facts = Observed { pump_on: Some(true), water: Some(4.0), set_point: Some(4.0), ..quiet() };
    night.decide(500.0);
    assert_eq!(night.decide(600.0), (false, NOT_NEEDED));
    // And the cold water that it leaves behind does not start it again.
    night.facts.pump_on = Some(false);
    assert_eq!(night.decide(601.0), (false, NOT_NEEDED));
}

#[test]
fn at_the_start_what_the_pump_does_is_held_until_all_inputs_were_seen() {
    for running in [true, false] {
        let facts = Observed { pump_on: Some(running), powered: None, inputs_seen: false, ..quiet() };
        let mut night = Night::new(facts);
        assert_eq!(night.decide(10.0), (running, INPUT_HOLD));
        assert_eq!(night.decide(299.0), (running, INPUT_HOLD));
        night.facts = Observed { pump_on: Some(running), ..quiet() };
        assert_eq!(night.decide(299.5).0, running, "a minute more, if it ran");
        assert_eq!(night.decide(400.0), (false, NOT_NEEDED));
    }
}

#[test]
fn at_the_start_a_camera_that_is_known_to_be_powered_waits_for_nothing() {
    let facts = Observed { powered: Some(true), dome: None, inputs_seen: false, ..quiet() };
    assert_eq!(Night::new(facts).decide(0.0), (true, CAMERA_POWER));
}

#[test]
fn inputs_that_never_come_end_on_the_safe_side() {
    let mut night = Night::new(Observed { powered: None, inputs_seen: false, ..quiet() });
    night.decide(0.0);
    assert_eq!(night.decide(300.0), (true, INPUT_FAILSAFE));
}

#[test]
fn without_a_reading_of_the_pump_there_is_no_decision() {
    let mut decider = Decider::new(RULES, false, at(0.0));
    assert_eq!(decider.decide(&Observed { pump_on: None, ..quiet() }, at(0.0)), None);
}

fn celsius() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![1 => Just(None), 5 => (-15.0..30.0).prop_map(Some)]
}

prop_compose! {
    fn any_facts()(
        powered in prop_oneof![Just(None), Just(Some(true)), Just(Some(false))],
        dome in celsius(),
        dome_expected in any::<bool>(),
        ambient in celsius(),
        water in celsius(),
        set_point in prop_oneof![Just(None), (-5.0..30.0).prop_map(Some)],
        pump_on in prop_oneof![Just(None), Just(Some(true)), Just(Some(false))],
        ordered in prop_oneof![Just(None), Just(Some(true)), Just(Some(false))],
        in_charge in any::<bool>(),
        unit_read in any::<bool>(),
        inputs_seen in any::<bool>(),
    ) -> Observed {
        Observed {
            powered, dome, dome_expected, ambient, water, set_point, pump_on, ordered,
            in_charge: in_charge && pump_on.is_some(), unit_read, inputs_seen,
        }
    }
}

proptest! {
    #[test]
    fn what_must_run_always_runs_and_what_may_stop_stops(
        steps in proptest::collection::vec((any_facts(), 0.0..200.0), 1..60)
    ) {
        let mut decider = Decider::new(RULES, false, at(0.0));
        let mut now = 0.0;
        let mut wanted_before = false;
        for (facts, seconds) in steps {
            now += seconds;
            let Some(decision) = decider.decide(&facts, at(now)) else { continue };
            let cold = [facts.dome, facts.ambient].into_iter().flatten().any(|air| air < 5.0);
            if facts.powered == Some(true) || cold {
                prop_assert!(decision.wanted, "{facts:?} {decision:?}");
            }
            if facts.powered.is_none() && wanted_before && now >= 300.0 {
                prop_assert!(
                    decision.wanted || decision.reason == INPUT_HOLD,
                    "unknown power switched it off: {facts:?} {decision:?}"
                );
            }
            if let Some(wake) = decider.poll_timeout() {
                prop_assert!(wake > at(now), "it would wake for ever");
            }
            wanted_before = decision.wanted;
        }
        // A warm, powered-off system ends off.
        let warm = Observed { pump_on: Some(true), water: Some(14.5), ..quiet() };
        decider.decide(&warm, at(now));
        let end = decider.decide(&warm, at(now + 400.0)).unwrap();
        prop_assert_eq!((end.wanted, end.reason), (false, NOT_NEEDED));
    }
}
