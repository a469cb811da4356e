//! A predecessor's settings file: a JSON object, in which people may have written comments.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Its values and comments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Old {
    /// The values.
    pub values: Map<String, Value>,
    /// The comments above a key, or behind it on its line.
    pub comments: BTreeMap<String, Vec<String>>,
    /// The comments that belong to no key.
    pub head: Vec<String>,
}

impl Old {
    /// Reads it; `//` and `#` begin a comment.
    ///
    /// # Errors
    /// `LINE: what is wrong`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (json, comments) = divided(text);
        let value = serde_json::from_str(&json).map_err(|error| format!("{}: {error}", error.line()))?;
        let Value::Object(values) = value else { return Err("1: expected one JSON object".to_owned()) };
        let mut old = Self { values, ..Self::default() };
        let keys = lines_of_keys(&json, &old.values);
        let opened = json.lines().position(|line| line.contains('{')).unwrap_or_default();
        for (line, comment) in comments {
            match keys.iter().find(|(at, _)| *at >= line) {
                Some((_, key)) if line > opened => old.comments.entry(key.clone()).or_default().push(comment),
                _ => old.head.push(comment),
            }
        }
        Ok(old)
    }
}

/// The line of each key, in the order of the file.
fn lines_of_keys(json: &str, values: &Map<String, Value>) -> Vec<(usize, String)> {
    let line_of = |key: &String| {
        let written = Value::from(key.as_str()).to_string();
        let is_key = |line: &str| {
            line.split_once(&written).is_some_and(|(_, rest)| rest.trim_start().starts_with(':'))
        };
        json.lines().position(is_key).map(|line| (line, key.clone()))
    };
    let mut keys: Vec<_> = values.keys().filter_map(line_of).collect();
    keys.sort();
    keys
}

/// The JSON without comments, and the comments by the number of their line.
fn divided(text: &str) -> (String, Vec<(usize, String)>) {
    let mut json = String::new();
    let mut comments = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = comment_at(line).unwrap_or(line.len());
        let (code, comment) = line.split_at(at);
        json.push_str(code);
        json.push('\n');
        let words = comment.trim_start_matches(['/', '#']).trim();
        if !words.is_empty() {
            comments.push((number, words.to_owned()));
        }
    }
    (json, comments)
}

/// Where a comment begins: not within a text.
fn comment_at(line: &str) -> Option<usize> {
    let mut is_text = false;
    let mut is_escaped = false;
    for (at, letter) in line.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            '#' if !is_text => return Some(at),
            '/' if !is_text && line.get(at..).is_some_and(|rest| rest.starts_with("//")) => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_belong_to_the_key_on_their_line_or_below() {
        let text = "// Of the mountain.\n{\n  # Above it.\n  \"a\": \"x // y # z\", // Behind it.\n  \"b\" : 2 # Two.\n}\n\
                    // The end.\n";
        let old = Old::read(text).unwrap();
        assert_eq!(old.values["a"], "x // y # z");
        assert_eq!(old.comments["a"], ["Above it.", "Behind it."]);
        assert_eq!(old.comments["b"], ["Two."]);
        assert_eq!(old.head, ["Of the mountain.", "The end."]);
    }

    #[test]
    fn what_is_no_object_is_told_with_its_line() {
        assert_eq!(Old::read("{\n  \"a\": 1,\n}").unwrap_err(), "3: trailing comma at line 3 column 1");
        assert_eq!(Old::read("[1]").unwrap_err(), "1: expected one JSON object");
    }
}
