//! Home Assistant's names for units and quantities.
//!
//! A device class is set only with a unit that both 2024.3 and 2025.12 permit for it
//! (`DEVICE_CLASS_UNITS` in `components/sensor/const.py`): 2024.3 logs a warning for any other unit, and
//! 2025.12 refuses the entity.

use crate::device::Quantity;

/// Home Assistant's name for a unit of the bus.
pub(super) fn unit(unit: &str) -> &str {
    match unit {
        "degC" => "°C",
        "degF" => "°F",
        "deg" => "°",
        "l/min" => "L/min",
        "m3/h" => "m³/h",
        same => same,
    }
}

/// The device class of a quantity in Home Assistant's unit, if there is one.
///
/// A position has none, because Home Assistant would display it in inches with US units. A ratio has
/// none either: it is neither `power` nor `battery`.
pub(super) fn device_class(quantity: Quantity, unit: Option<&str>) -> Option<&'static str> {
    let (class, units): (_, &[&str]) = match quantity {
        Quantity::Temperature => ("temperature", &["°C", "°F", "K"]),
        Quantity::Humidity => ("humidity", &["%"]),
        Quantity::Flow => ("volume_flow_rate", &["L/min", "m³/h"]),
        Quantity::Power => ("power", &["W", "kW"]),
        Quantity::Pressure => {
            ("pressure", &["Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"])
        }
        Quantity::Voltage => ("voltage", &["V", "mV"]),
        Quantity::Current => ("current", &["A", "mA"]),
        Quantity::Speed => ("speed", &["m/s", "km/h", "ft/s", "mph", "kn"]),
        Quantity::Frequency => ("frequency", &["Hz", "kHz", "MHz", "GHz"]),
        Quantity::Duration => ("duration", &["d", "h", "min", "s", "ms"]),
        Quantity::Ratio
        | Quantity::Position
        | Quantity::Angle
        | Quantity::Count
        | Quantity::Number
        | Quantity::Switch
        | Quantity::Word
        | Quantity::Text
        | Quantity::Time => return None,
    };
    unit.filter(|unit| units.contains(unit)).map(|_| class)
}

/// The icon of a value without a device class, which would have an icon of its own.
pub(super) fn icon(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Ratio => "mdi:percent-outline",
        Quantity::Flow => "mdi:pump",
        Quantity::Speed => "mdi:speedometer",
        Quantity::Position => "mdi:arrow-expand-horizontal",
        Quantity::Angle => "mdi:angle-acute",
        Quantity::Count => "mdi:counter",
        Quantity::Number => "mdi:numeric",
        Quantity::Word => "mdi:state-machine",
        Quantity::Text => "mdi:text",
        _ => "mdi:gauge",
    }
}

/// Whether Home Assistant should keep statistics: not of durations, which count up, nor of angles, where
/// the mean of 359° and 1° would be 180°.
pub(super) fn is_measurement(quantity: Quantity) -> bool {
    quantity.is_numeric() && !matches!(quantity, Quantity::Duration | Quantity::Angle)
}
