//! The values on the command line: their syntax, and what would be right. Pure.

use std::time::Duration;

use bus::homeassistant::HomeAssistant;
use bus::topic::{RequestId, is_filter};

/// An invalid text on the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotUnderstood(String);

fn not_understood(text: impl Into<String>) -> NotUnderstood {
    NotUnderstood(text.into())
}

pub(crate) fn number(text: &str, unit: &str) -> Result<f64, NotUnderstood> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ if unit.is_empty() => Err(not_understood("expected a number, such as 12.5")),
        _ => Err(not_understood(format!("expected a number ({unit}), such as 2.5"))),
    }
}

pub(crate) fn service(text: &str) -> Result<String, NotUnderstood> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    match text.split_once('.') {
        Some((domain, name)) if is_word(domain) && is_word(name) => Ok(text.to_owned()),
        _ => Err(not_understood("not a service of Home Assistant, such as notify.mobile_app_phone")),
    }
}

pub(crate) fn prefix(text: &str) -> Result<String, NotUnderstood> {
    match HomeAssistant::is_prefix(text) {
        true => Ok(text.to_owned()),
        false => Err(not_understood(HomeAssistant::PREFIX)),
    }
}

pub(crate) fn request_id(text: &str) -> Result<RequestId, NotUnderstood> {
    RequestId::new(text).map_err(|error| not_understood(error.to_string()))
}

pub(crate) fn hours(text: &str) -> Result<f64, NotUnderstood> {
    match text.parse::<f64>() {
        Ok(hours) if (0.5..=24.0).contains(&hours) => Ok(hours),
        _ => Err(not_understood("hours, 0.5 to 24")),
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, NotUnderstood> {
    match text.parse::<f64>() {
        Ok(seconds) if (1.0..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(not_understood("seconds, 1 to 3600")),
    }
}

/// A number with one of these units behind it.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|value| *value > 0)
}

pub(crate) fn duration(text: &str) -> Result<Duration, NotUnderstood> {
    let units = [("s", 1), ("min", 60), ("m", 60), ("h", 3600), ("d", 86_400)];
    let seconds = with_unit(text, &units).filter(|seconds| *seconds <= 366 * 86_400);
    let expected = || not_understood("expected a duration of at most 366d: 90s, 30min, 12h or 7d");
    seconds.map(Duration::from_secs).ok_or_else(expected)
}

pub(crate) fn bytes(text: &str) -> Result<u64, NotUnderstood> {
    let units = [("", 1), ("k", 1000), ("M", 1_000_000), ("G", 1_000_000_000)];
    with_unit(text, &units).ok_or_else(|| not_understood("expected bytes: 500k, 20M or 2G"))
}

pub(crate) fn filter(text: &str) -> Result<String, NotUnderstood> {
    match is_filter(text) {
        true => Ok(text.to_owned()),
        false => Err(not_understood("expected a topic filter of MQTT, such as clasp/# or +/+/state")),
    }
}

pub(crate) fn speed(text: &str) -> Result<f64, NotUnderstood> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=1000.0).contains(&speed) => Ok(speed),
        _ => Err(not_understood("expected 0.1 to 1000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units_and_others_are_told_which() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), duration("5min"));
        assert_eq!(duration("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(bytes("20M"), Ok(20_000_000));
        for text in ["", "12", "0s", "-1h", "1.5h", "367d", "9999999999999999999s"] {
            assert!(duration(text).unwrap_err().to_string().contains("expected a duration"), "{text}");
        }
        for text in ["", "M", "20MB", "20000000000G"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
