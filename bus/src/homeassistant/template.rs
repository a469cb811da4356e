//! The texts of templates (Jinja, in Home Assistant's sandbox).
//!
//! What is not known is `None` there, which Home Assistant takes for "unknown". Before 2024.10 a sensor
//! that shows words takes it for a word; so a text is [`UNKNOWN`], which is the same to every version.

use serde_json::Value;

/// What Home Assistant calls the state of what is not known.
pub(super) const UNKNOWN: &str = "unknown";
/// Home Assistant keeps no longer text as a state.
const TEXT_LIMIT: usize = 255;

/// A template that shows `expression`.
pub(super) fn show(expression: &str) -> String {
    format!("{{{{ {expression} }}}}")
}

/// The value of a key of the state, which has a dot for each level of nesting.
pub(super) fn value(key: &str) -> String {
    let levels = key.split('.').map(|level| format!("[{}]", quoted(level)));
    format!("value_json{}", levels.collect::<String>())
}

/// A text in a template.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Shows a word.
pub(super) fn word(value: &str) -> String {
    show(&format!("'{UNKNOWN}' if {value} is none else {value}"))
}

/// Shows a text, as much of it as Home Assistant keeps.
pub(super) fn text(value: &str) -> String {
    show(&format!("'{UNKNOWN}' if {value} is none else ({value} | string)[:{TEXT_LIMIT}]"))
}

/// Shows a list of texts.
pub(super) fn list(value: &str) -> String {
    show(&format!("'{UNKNOWN}' if {value} is none else ({value} | join(', '))[:{TEXT_LIMIT}] or 'none'"))
}

/// Shows a list of numbers with their unit.
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

/// Shows a number where a control can: outside its range Home Assistant logs an error for each message.
pub(super) fn in_range(value: &str, minimum: f64, maximum: f64) -> String {
    show(&format!("{value} if {value} is number and {minimum} <= {value} <= {maximum} else 'None'"))
}

/// Shows one of these words, where a control can: of another Home Assistant logs an error for each message.
pub(super) fn one_of(value: &str, words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    show(&format!("{value} if {value} in [{}] else 'None'", words.join(", ")))
}

/// A date. Before 2024.10 a date that is not known is a warning for each message: so a date always
/// comes out, and who shows it needs the value ([`super::entity::Needs::Value`]).
pub(super) fn date(value: &str) -> String {
    show(&format!("{value} or '1970-01-01T00:00:00Z'"))
}

/// A request, with an id of its own and its time; with the argument `name`, if there is one, as the
/// expression `given` makes it. Home Assistant lets no `range` be longer than 100,000.
pub(super) fn request(argument: Option<(&str, &str)>) -> String {
    let argument = argument.map(|(name, given)| format!(", {}: {}", Value::from(name), show(given)));
    format!(
        r#"{{"id": "ha-{{{{ (now().timestamp() * 1000) | int }}}}-{{{{ range(100000) | random }}}}", "ts": {{{{ now().timestamp() }}}}{}}}"#,
        argument.unwrap_or_default()
    )
}
