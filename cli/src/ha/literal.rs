//! Texts within templates.

/// A text in a template. Nothing that a bridge says of itself is ever a template of its own.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}
