//! The values on the command line: their syntax, and what would be right. Pure.

use std::time::Duration;

use bus::homeassistant::HomeAssistant;
use bus::topic::RequestId;

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
