//! The templates (Jinja, in Home Assistant's sandbox).
//!
//! For an unknown value a template returns `None`, which sets the state to "unknown". A sensor that
//! displays text understands this only since 2024.10, so its templates return [`UNKNOWN`], which has the
//! same effect in every version.

use serde_json::Value;

/// Home Assistant's state of an unknown value.
pub(super) const UNKNOWN: &str = "unknown";
/// The longest text that Home Assistant accepts as a state.
const TEXT_LIMIT: usize = 255;

/// A template that returns `expression`.
pub(super) fn show(expression: &str) -> String {
    format!("{{{{ {expression} }}}}")
}

/// The expression for a key of the state; the key has a dot for each level of nesting.
pub(super) fn value(key: &str) -> String {
    let levels = key.split('.').map(|level| format!("[{}]", quoted(level)));
    format!("value_json{}", levels.collect::<String>())
}

/// A string literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A word.
pub(super) fn word(value: &str) -> String {
    show(&format!("'{UNKNOWN}' if {value} is none else {value}"))
}

/// A text, cut to the length that Home Assistant accepts.
pub(super) fn text(value: &str) -> String {
    show(&format!("'{UNKNOWN}' if {value} is none else ({value} | string)[:{TEXT_LIMIT}]"))
}

/// A list of texts.
pub(super) fn list(value: &str) -> String {
    show(&format!("'{UNKNOWN}' if {value} is none else ({value} | join(', '))[:{TEXT_LIMIT}] or 'none'"))
}

/// A list of numbers with their unit.
pub(super) fn numbers(value: &str, decimals: u8, unit: Option<&str>) -> String {
    let unit = unit.map(|unit| format!(" ~ {}", quoted(&format!(" {unit}")))).unwrap_or_default();
    let rounded = format!("{value} | map('round', {decimals}, 'common', none) | join(', ')");
    show(&format!("'{UNKNOWN}' if {value} is none else (({rounded}){unit})[:{TEXT_LIMIT}]"))
}

/// `yes` or `no`, for true and false.
pub(super) fn switch(value: &str, yes: &str, no: &str) -> String {
    let (yes, no) = (quoted(yes), quoted(no));
    show(&format!("'None' if {value} is none else {yes} if {value} else {no}"))
}

/// A number, if it is within the range of a control: otherwise Home Assistant logs an error for each message.
pub(super) fn in_range(value: &str, minimum: f64, maximum: f64) -> String {
    show(&format!("{value} if {value} is number and {minimum} <= {value} <= {maximum} else 'None'"))
}

/// A word, if it is one of a control's options: otherwise Home Assistant logs an error for each message.
pub(super) fn one_of(value: &str, words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    show(&format!("{value} if {value} in [{}] else 'None'", words.join(", ")))
}

/// A date. Before 2024.10 Home Assistant logs a warning for each message with an unknown date. So this
/// always returns a date, and the entity is unavailable while the date is unknown
/// ([`super::entity::Needs::Value`]).
pub(super) fn date(value: &str) -> String {
    show(&format!("{value} or '1970-01-01T00:00:00Z'"))
}

/// A request with a unique id and the current time; with the argument `name` as the expression `given`
/// makes it, if there is one. The sandbox permits no `range` longer than 100,000.
pub(super) fn request(argument: Option<(&str, &str)>) -> String {
    let argument = argument.map(|(name, given)| format!(", {}: {}", Value::from(name), show(given)));
    format!(
        r#"{{"id": "ha-{{{{ (now().timestamp() * 1000) | int }}}}-{{{{ range(100000) | random }}}}", "ts": {{{{ now().timestamp() }}}}{}}}"#,
        argument.unwrap_or_default()
    )
}
