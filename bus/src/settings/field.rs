//! One key of a [`Section`] that was looked up, while the caller still declares the allowed values.

use std::ops::RangeInclusive;

use config::{Value, ValueKind};

use super::{Origin, Section};

/// One key that was looked up; the caller still declares the allowed values.
#[derive(Debug)]
pub struct Field<'a, T> {
    pub(super) section: &'a mut Section,
    pub(super) key: String,
    pub(super) found: Reading<T>,
    pub(super) origin: Origin,
    pub(super) shown: String,
    pub(super) allowed: String,
}

#[derive(Debug)]
pub(super) enum Reading<T> {
    Nothing,
    Value(T),
    Wrong,
}

impl<T> Field<'_, T> {
    /// Refuses a value that does not pass `test`; `allowed` describes the allowed values.
    #[must_use]
    pub fn check(mut self, allowed: impl Into<String>, test: impl FnOnce(&T) -> bool) -> Self {
        self.allowed = allowed.into();
        if let Reading::Value(value) = &self.found
            && !test(value)
        {
            self.found = Reading::Wrong;
        }
        self
    }

    /// The value, or `default` if the key is missing.
    #[must_use]
    pub fn default(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value, if the key is present.
    #[must_use]
    pub fn optional(self) -> Option<T> {
        self.section.note_allowed(&self.key, &self.allowed);
        match self.found {
            Reading::Nothing => None,
            Reading::Value(value) => Some(value),
            Reading::Wrong => {
                let message = format!("{} is not allowed", self.shown);
                self.section.refuse(&self.key, self.origin, message, Some(self.allowed));
                None
            }
        }
    }
}

impl<T: Default> Field<'_, T> {
    /// The value; a problem if the key is missing.
    #[must_use]
    pub fn required(self) -> T {
        if matches!(self.found, Reading::Nothing) {
            self.section.note_allowed(&self.key, &self.allowed);
            self.section.refuse(&self.key, self.origin, "is missing".to_owned(), Some(self.allowed));
            return T::default();
        }
        self.optional().unwrap_or_default()
    }
}

impl Field<'_, i64> {
    /// Refuses a value outside `range`.
    #[must_use]
    pub fn range(self, range: RangeInclusive<i64>) -> Self {
        let allowed = format!("{} to {}", range.start(), range.end());
        self.check(allowed, |value| range.contains(value))
    }

    /// Refuses a value that is not in `values`.
    #[must_use]
    pub fn one_of(self, values: &[i64]) -> Self {
        let allowed = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.check(allowed, |value| values.contains(value))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a whole number beyond 2^53 is out of every range here")]
pub(super) fn number(value: &Value, environment: bool) -> Option<f64> {
    let number = match &value.kind {
        ValueKind::I64(integer) => *integer as f64,
        ValueKind::Float(number) => *number,
        ValueKind::String(text) if environment => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The value as a person would write it, cut to a readable length.
pub(super) fn written(value: &Value) -> String {
    let text = in_full(value);
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// As it stands in a TOML file.
pub(super) fn in_full(value: &Value) -> String {
    match &value.kind {
        ValueKind::Nil => "null".to_owned(),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Float(number) => format!("{number:?}"),
        ValueKind::Table(_) => "a section".to_owned(),
        ValueKind::Array(items) => {
            format!("[{}]", items.iter().map(in_full).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
