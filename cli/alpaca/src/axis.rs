//! Which instruments can be a focuser of the standard, and how their positions become its steps: one
//! step is a micrometre. Pure; everything comes from the bridge's description.

use bus::device::{Quantity, Role};
use bus::message::{ArgumentType, Meta, PropertyMeta, Snapshot, VerbMeta};
use serde_json::Value;

/// The state of a device.
pub(crate) type State = Snapshot<Value>;

/// Units of length, and how many steps they have.
const UNITS: [(&str, f64); 3] = [("um", 1.0), ("mm", 1e3), ("m", 1e6)];
/// What a limit may be off a whole step by rounding.
const ROUNDING: f64 = 1e-6;

/// One position that one verb sets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Moves to a position.
    pub(crate) verb: String,
    /// Its argument.
    pub(crate) argument: String,
    /// Stops.
    pub(crate) stop: String,
    /// Where it is: a key of the state.
    position: String,
    /// In degrees Celsius, if there is such a reading.
    temperature: Option<String>,
    /// The words of `status` while something moves, and those of a fault.
    busy: Vec<String>,
    bad: Vec<String>,
    steps_per_unit: f64,
    minimum: f64,
    maximum: f64,
    /// Greatest position, steps.
    pub(crate) max_step: i32,
}

/// The description is not that of a focuser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {label} cannot be an Alpaca focuser: expected {expected}")]
pub(crate) struct NotAFocuser {
    label: String,
    expected: &'static str,
}

impl Axis {
    /// The axis of the device that `meta` describes.
    ///
    /// # Errors
    /// It has none, or several.
    pub(crate) fn of(meta: &Meta) -> Result<Self, NotAFocuser> {
        let not = |expected| NotAFocuser { label: meta.label.clone(), expected };
        let mut found = meta.verbs.iter().filter_map(|verb| motion(verb, &meta.properties));
        let (Some(found), None) = (found.next(), found.next()) else {
            return Err(not("one verb that moves to a position in mm, um or m, within limits"));
        };
        let Motion { verb, argument, steps_per_unit, minimum, maximum, position } = found;
        let stop = meta.verbs.iter().find(|verb| verb.stop).ok_or_else(|| not("a verb that stops"))?;
        let of_tone = |tone| {
            let status = meta.properties.iter().find(|property| property.key == "status");
            let words = status.map(|status| status.words.as_slice()).unwrap_or_default();
            words.iter().filter(|word| word.tone == tone).map(|word| word.word.clone()).collect()
        };
        let range = ((maximum - origin(minimum)) * steps_per_unit + ROUNDING).floor();
        let max_step = whole(range).filter(|steps| *steps >= 1);
        Ok(Self {
            verb: verb.to_owned(),
            argument: argument.to_owned(),
            stop: stop.name.clone(),
            position: position.to_owned(),
            temperature: meta.properties.iter().find(|it| is_temperature(it)).map(|it| it.key.clone()),
            busy: of_tone(bus::device::Tone::Busy),
            bad: of_tone(bus::device::Tone::Bad),
            steps_per_unit,
            minimum,
            maximum,
            max_step: max_step.ok_or_else(|| not("a range of 1 to 2147483647 micrometres"))?,
        })
    }

    /// Where it is, steps; `None` if that is not known.
    pub(crate) fn position(&self, state: &State) -> Option<i32> {
        let value = value(state, &self.position)?.as_f64()?;
        whole(((value - origin(self.minimum)) * self.steps_per_unit).round())
    }

    /// The position of the bus for a wanted one of the standard, which is moved into the limits.
    pub(crate) fn target(&self, steps: i32) -> f64 {
        let steps = steps.clamp(0, self.max_step);
        (origin(self.minimum) + f64::from(steps) / self.steps_per_unit).clamp(self.minimum, self.maximum)
    }

    /// In degrees Celsius; `None` if it is not known, an outer `None` if the device has no such reading.
    pub(crate) fn temperature(&self, state: &State) -> Option<Option<f64>> {
        let key = self.temperature.as_ref()?;
        Some(value(state, key).and_then(Value::as_f64))
    }

    /// Whether it moves, by its status; `None` in a fault, in which nobody can say so.
    pub(crate) fn is_moving(&self, state: &State) -> Option<bool> {
        let is_in = |words: &[String]| words.contains(&state.common.status);
        if is_in(&self.bad) { None } else { Some(is_in(&self.busy)) }
    }
}

/// A motion verb with the position that it sets.
struct Motion<'a> {
    verb: &'a str,
    argument: &'a str,
    steps_per_unit: f64,
    minimum: f64,
    maximum: f64,
    position: &'a str,
}

fn motion<'a>(verb: &'a VerbMeta, properties: &'a [PropertyMeta]) -> Option<Motion<'a>> {
    let ([argument], true, false) = (verb.arguments.as_slice(), verb.motion, verb.needs_id) else {
        return None;
    };
    let (Some(minimum), Some(maximum)) = (argument.minimum, argument.maximum) else { return None };
    let (_, steps_per_unit) = UNITS.iter().find(|(unit, _)| argument.unit.as_deref() == Some(unit))?;
    let is_place = |property: &PropertyMeta| {
        property.quantity == Quantity::Position && property.unit == argument.unit && !property.many
    };
    // A verb without a property that it sets would go somewhere else.
    properties.iter().find(|it| is_place(it) && it.set_by.as_deref() == Some(&verb.name))?;
    let position = properties.iter().find(|it| is_place(it) && it.role == Role::Headline)?;
    (argument.kind == Some(ArgumentType::Number)).then_some(Motion {
        verb: &verb.name,
        argument: &argument.name,
        steps_per_unit: *steps_per_unit,
        minimum,
        maximum,
        position: &position.key,
    })
}

fn is_temperature(property: &PropertyMeta) -> bool {
    property.quantity == Quantity::Temperature
        && property.unit.as_deref() == Some("degC")
        && matches!(property.role, Role::Headline | Role::Reading)
        && !property.many
}

/// The position that is 0 steps: 0, unless the limits begin below it, since steps are never negative.
fn origin(minimum: f64) -> f64 {
    minimum.min(0.0)
}

fn value<'a>(state: &'a State, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(&state.device, |value, level| value.get(level))
}

fn whole(number: f64) -> Option<i32> {
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "it fits, and has no fraction")]
    fits.then_some(number as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{meta, state};

    fn axis() -> Axis {
        Axis::of(&meta()).unwrap()
    }

    #[test]
    fn a_step_is_a_micrometre() {
        let axis = axis();
        assert_eq!((axis.verb.as_str(), axis.argument.as_str(), axis.stop.as_str()), ("go", "mm", "halt"));
        assert_eq!(axis.max_step, 6000);
        for (millimetres, steps) in [(0.0, 0), (0.0004, 0), (1.2345, 1235), (2.3, 2300), (6.0, 6000)] {
            assert_eq!(axis.position(&state("idle", Some(millimetres))), Some(steps));
        }
        for steps in 0..=6000 {
            let there = axis.target(steps);
            assert_eq!(axis.position(&state("idle", Some(there))), Some(steps));
        }
        assert_eq!(axis.position(&state("idle", None)), None);
    }

    #[test]
    fn a_target_outside_the_range_becomes_its_end() {
        let axis = axis();
        for (steps, end) in [(-1, 0.0), (i32::MIN, 0.0), (0, 0.0), (6000, 6.0), (6001, 6.0), (i32::MAX, 6.0)]
        {
            assert_eq!(Some(axis.target(steps)), Some(end), "{steps}");
        }
    }

    #[test]
    fn other_units_and_limits_are_counted_in_micrometres_too() {
        let with = |unit: &str, minimum: f64, maximum: f64| {
            let mut meta = meta();
            for verb in &mut meta.verbs {
                for argument in &mut verb.arguments {
                    argument.unit = Some(unit.to_owned());
                    (argument.minimum, argument.maximum) = (Some(minimum), Some(maximum));
                }
            }
            for property in meta.properties.iter_mut().filter(|it| it.quantity == Quantity::Position) {
                property.unit = Some(unit.to_owned());
            }
            Axis::of(&meta)
        };
        assert_eq!(with("um", 0.0, 25_000.0).unwrap().max_step, 25_000);
        assert_eq!(with("m", 0.0, 0.01).unwrap().max_step, 10_000);
        let below = with("mm", -2.0, 4.0).unwrap();
        assert_eq!((below.max_step, below.target(0), below.target(9999)), (6000, -2.0, 4.0));
        let above = with("mm", 0.5, 4.0).unwrap();
        assert_eq!((above.max_step, above.target(0), above.target(700)), (4000, 0.5, 0.7));
        for (unit, minimum, maximum) in [("deg", 0.0, 6.0), ("mm", 1.0, -1.0), ("m", 0.0, 1e9)] {
            assert!(with(unit, minimum, maximum).is_err(), "{unit}");
        }
    }

    #[test]
    fn what_has_no_such_position_or_no_stop_is_refused_with_what_was_expected() {
        let mut still = meta();
        still.verbs.retain(|verb| !verb.motion);
        let error = Axis::of(&still).unwrap_err().to_string();
        assert!(error.starts_with("the slide cannot be an Alpaca focuser: expected one verb"), "{error}");
        let mut unstoppable = meta();
        unstoppable.verbs.retain(|verb| !verb.stop);
        assert!(Axis::of(&unstoppable).unwrap_err().to_string().ends_with("expected a verb that stops"));
        let mut unlimited = meta();
        unlimited.verbs.iter_mut().flat_map(|verb| &mut verb.arguments).for_each(|it| it.maximum = None);
        assert!(Axis::of(&unlimited).is_err());
        let mut unset = meta();
        unset.properties.iter_mut().for_each(|property| property.set_by = None);
        assert!(Axis::of(&unset).is_err());
    }

    #[test]
    fn its_status_says_whether_it_moves() {
        for (status, moving) in [("idle", Some(false)), ("moving", Some(true)), ("fault", None)] {
            assert_eq!(axis().is_moving(&state(status, None)), moving, "{status}");
        }
    }

    #[test]
    fn only_a_reading_in_degrees_is_a_temperature() {
        let mut warm = meta();
        assert_eq!(axis().temperature(&state("idle", None)), None);
        let raw = warm.properties.iter_mut().find(|it| it.key == "temp").unwrap();
        (raw.quantity, raw.unit) = (Quantity::Temperature, Some("degC".to_owned()));
        let warm = Axis::of(&warm).unwrap();
        assert_eq!(warm.temperature(&state("idle", None)), Some(Some(12.5)));
    }
}
