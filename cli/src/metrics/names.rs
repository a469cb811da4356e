//! The name and the base unit of a property's metric. Pure.

use bus::device::Quantity;
use bus::message::PropertyMeta;

/// How the values of a property become samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A number, times `factor`.
    Number {
        /// From the property's unit to the base unit.
        factor: f64,
    },
    /// 0 or 1.
    Switch,
    /// One sample for each word: 1 for the present word, 0 for the others.
    Words,
    /// A date, as Unix seconds.
    Date,
    /// An age in seconds, turned into the date at which it began.
    Age,
}

/// The metric of a property.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    /// Without the prefix, with the unit.
    pub(super) name: String,
    /// Of its values.
    pub(super) shape: Shape,
}

/// Unit on the bus, suffix of the key, base unit, factor.
const UNITS: &[(&str, &str, &str, f64)] = &[
    ("degC", "_degc", "celsius", 1.0),
    ("%", "_percent", "ratio", 0.01),
    ("l/min", "_l_min", "cubic_meters_per_second", 1.0 / 60_000.0),
    ("mm", "_mm", "meters", 1e-3),
    ("um", "_um", "meters", 1e-6),
    ("m", "_m", "meters", 1.0),
    ("deg", "_deg", "degrees", 1.0),
    ("A", "_a", "amperes", 1.0),
    ("mA", "_ma", "amperes", 1e-3),
    ("V", "_v", "volts", 1.0),
    ("W", "_w", "watts", 1.0),
    ("Hz", "_hz", "hertz", 1.0),
    ("hPa", "_hpa", "pascals", 100.0),
    ("mbar", "_mbar", "pascals", 100.0),
    ("Pa", "_pa", "pascals", 1.0),
    ("bar", "_bar", "pascals", 1e5),
    ("min", "_min", "seconds", 60.0),
    ("h", "_h", "seconds", 3600.0),
    ("ms", "_ms", "seconds", 1e-3),
    ("s", "_s", "seconds", 1.0),
];

/// No name is longer than this and a unit.
const LONGEST: usize = 100;

/// The metric of a property; none for text.
pub(super) fn named(property: &PropertyMeta) -> Option<Named> {
    let key = word(&property.key);
    // The end of a counter's samples.
    let key = key.strip_suffix("_total").unwrap_or(&key).to_owned();
    let numeric = |key: &str| match &property.unit {
        Some(unit) => match UNITS.iter().find(|(known, ..)| known == unit) {
            Some((_, suffix, base, factor)) => {
                let stem = key.strip_suffix(suffix).unwrap_or(key);
                Named { name: with_unit(stem, base), shape: Shape::Number { factor: *factor } }
            }
            None => Named { name: with_unit(key, &word(unit)), shape: Shape::Number { factor: 1.0 } },
        },
        None if property.quantity == Quantity::Ratio => {
            Named { name: with_unit(key, "ratio"), shape: Shape::Number { factor: 1.0 } }
        }
        None => Named { name: key.to_owned(), shape: Shape::Number { factor: 1.0 } },
    };
    match property.quantity {
        Quantity::Text => None,
        Quantity::Switch => Some(Named { name: key, shape: Shape::Switch }),
        Quantity::Word => Some(Named { name: key, shape: Shape::Words }),
        Quantity::Time => Some(Named { name: with_unit(&key, "timestamp_seconds"), shape: Shape::Date }),
        // An age is true only when it is published; the date stays true.
        Quantity::Duration if key.ends_with("age_s") => {
            let stem = key.trim_end_matches("age_s").trim_end_matches('_');
            Some(Named { name: with_unit(stem, "timestamp_seconds"), shape: Shape::Age })
        }
        _ => Some(numeric(&key)),
    }
}

fn with_unit(stem: &str, unit: &str) -> String {
    if stem == unit || stem.ends_with(&format!("_{unit}")) || stem.is_empty() {
        return if stem.is_empty() { unit.to_owned() } else { stem.to_owned() };
    }
    format!("{stem}_{unit}")
}

/// With the characters of a metric's name only.
fn word(text: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    text.chars().take(LONGEST).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use bus::device::Role;

    use super::*;

    fn property(key: &str, quantity: Quantity, unit: Option<&str>) -> PropertyMeta {
        PropertyMeta {
            key: key.to_owned(),
            label: String::new(),
            quantity,
            unit: unit.map(str::to_owned),
            decimals: None,
            words: Vec::new(),
            role: Role::Reading,
            many: false,
            history: false,
            set_by: None,
        }
    }

    #[test]
    fn a_metric_is_named_for_its_key_and_its_base_unit() {
        for (key, quantity, unit, name, factor) in [
            ("water_temp", Quantity::Temperature, Some("degC"), "water_temp_celsius", 1.0),
            ("current_mm", Quantity::Position, Some("mm"), "current_meters", 1e-3),
            ("tec_power", Quantity::Ratio, Some("%"), "tec_power_ratio", 0.01),
            ("progress", Quantity::Ratio, None, "progress_ratio", 1.0),
            ("flow", Quantity::Flow, Some("l/min"), "flow_cubic_meters_per_second", 1.0 / 60_000.0),
            ("eta_s", Quantity::Duration, Some("s"), "eta_seconds", 1.0),
            ("current_steps", Quantity::Count, Some("steps"), "current_steps", 1.0),
            ("frames_total", Quantity::Count, None, "frames", 1.0),
            ("ph.value", Quantity::Number, None, "ph_value", 1.0),
            ("mass", Quantity::Number, Some("kg/m2"), "mass_kg_m2", 1.0),
        ] {
            let named = named(&property(key, quantity, unit)).unwrap();
            assert_eq!(named, Named { name: name.to_owned(), shape: Shape::Number { factor } });
        }
    }

    #[test]
    fn a_date_and_an_age_become_timestamps_and_text_becomes_nothing() {
        let shown = |key, quantity, unit| {
            named(&property(key, quantity, unit)).map(|named| (named.name, named.shape))
        };
        let since = ("mode_since_timestamp_seconds".to_owned(), Shape::Date);
        assert_eq!(shown("mode_since", Quantity::Time, None), Some(since));
        let age = ("inputs_dome_timestamp_seconds".to_owned(), Shape::Age);
        assert_eq!(shown("inputs.dome.age_s", Quantity::Duration, Some("s")), Some(age));
        assert_eq!(shown("mode_by", Quantity::Text, None), None);
    }
}
