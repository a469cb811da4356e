//! How Home Assistant calls units and quantities.
//!
//! A device class stands only with a unit that both 2024.3 and 2025.12 take for it
//! (`DEVICE_CLASS_UNITS` in `components/sensor/const.py`): one logs another, the other refuses it.

use crate::device::Quantity;

/// A unit of the bus, as Home Assistant writes it.
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

/// The class of a quantity in Home Assistant's unit, if there is one.
///
/// A position has none: Home Assistant would show it in inches where people measure so. Nor has a
/// part of a whole: it is no `power` and no `battery`.
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

/// What is drawn beside a value that has no class with a picture of its own.
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

/// Whether statistics of it mean something: not of a span that only counts up, nor of an angle, of
/// which 359° and 1° have the mean 180°.
pub(super) fn is_measurement(quantity: Quantity) -> bool {
    quantity.is_numeric() && !matches!(quantity, Quantity::Duration | Quantity::Angle)
}
