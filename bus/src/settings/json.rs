//! JSON settings with the line of each value, which `serde_json` does not keep.
//!
//! `serde_json` checks the syntax; the scanner then walks text that is known to be valid, and
//! leaves every string and number to `serde_json` again.

use std::path::Path;

use config::{Map, Value, ValueKind};

use super::{Origin, Problem, Problems};

/// Reads a JSON object.
///
/// # Errors
/// Wrong syntax, with its line; anything but an object; every key that is given twice.
pub(super) fn parse(text: &str, path: &Path) -> Result<Map<String, Value>, Problems> {
    // Parses into a value, because only that limits the depth.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let origin = Origin::File(path.to_owned(), Some(error.line()));
        let message = format!("{error}");
        return Err(Problems(vec![Problem { origin, key: String::new(), message, allowed: None }]));
    }
    let mut scanner = Scanner { rest: text, line: 1, path, problems: Vec::new() };
    let value = scanner.value("");
    match value.kind {
        ValueKind::Table(table) if scanner.problems.is_empty() => Ok(table),
        ValueKind::Table(_) => Err(Problems::sorted(scanner.problems)),
        _ => Err(Problems::of_file(path, "the settings must be one JSON object".to_owned())),
    }
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    path: &'a Path,
    problems: Vec<Problem>,
}

impl<'a> Scanner<'a> {
    fn value(&mut self, path: &str) -> Value {
        self.skip_space();
        let line = self.line;
        let kind = match self.rest.bytes().next() {
            Some(b'{') => self.object(path),
            Some(b'[') => self.array(path),
            _ => scalar(self.token()),
        };
        Value::new(Some(&self.origin(line).to_text()), kind)
    }

    fn object(&mut self, path: &str) -> ValueKind {
        let mut table = Map::new();
        self.skip(1);
        loop {
            self.skip_space();
            match self.rest.bytes().next() {
                Some(b'"') => {}
                Some(b',') => {
                    self.skip(1);
                    continue;
                }
                _ => break,
            }
            let line = self.line;
            let key: String = serde_json::from_str(self.token()).unwrap_or_default();
            let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.skip_space();
            self.skip(1);
            let value = self.value(&full);
            if table.insert(key, value).is_some() {
                let (origin, message) = (self.origin(line), "is given twice".to_owned());
                self.problems.push(Problem { origin, key: full, message, allowed: None });
            }
        }
        self.skip(1);
        ValueKind::Table(table)
    }

    fn array(&mut self, path: &str) -> ValueKind {
        let mut items = Vec::new();
        self.skip(1);
        loop {
            self.skip_space();
            match self.rest.bytes().next() {
                Some(b',') => self.skip(1),
                Some(b']') | None => break,
                Some(_) => items.push(self.value(path)),
            }
        }
        self.skip(1);
        ValueKind::Array(items)
    }

    /// Takes one string (with its quotes), number or word.
    fn token(&mut self) -> &'a str {
        let mut escaped = false;
        let length = if self.rest.starts_with('"') {
            let closing = self.rest.bytes().skip(1).position(|byte| {
                let closes = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                closes
            });
            closing.map_or(self.rest.len(), |position| position + 2)
        } else {
            self.rest
                .find(|letter: char| matches!(letter, ',' | ']' | '}') || letter.is_ascii_whitespace())
                .unwrap_or(self.rest.len())
        };
        let token = self.rest.get(..length).unwrap_or_default();
        self.skip(length);
        token
    }

    fn skip_space(&mut self) {
        let trimmed = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.skip(self.rest.len() - trimmed.len());
    }

    fn skip(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn origin(&self, line: usize) -> Origin {
        Origin::File(self.path.to_owned(), Some(line))
    }
}

fn scalar(token: &str) -> ValueKind {
    match serde_json::from_str(token) {
        Ok(serde_json::Value::Bool(flag)) => ValueKind::Boolean(flag),
        Ok(serde_json::Value::String(text)) => ValueKind::String(text),
        Ok(serde_json::Value::Number(number)) => match number.as_i64() {
            Some(integer) => ValueKind::I64(integer),
            None => number.as_f64().map_or(ValueKind::Nil, ValueKind::Float),
        },
        _ => ValueKind::Nil,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let text = "{\n \"a\": 1, \"t\": {\n  \"x\\\"y\": [\n   true,\n -2.5e1]\n }\n}";
        let table = parse(text, Path::new("s.json")).unwrap();
        assert_eq!(table["a"].origin(), Some("F2:s.json"));
        let ValueKind::Table(inner) = &table["t"].kind else { panic!("a table") };
        let ValueKind::Array(items) = &inner["x\"y"].kind else { panic!("an array") };
        assert_eq!(items[0].origin(), Some("F4:s.json"));
        assert_eq!(items[1], Value::new(Some(&"F5:s.json".to_owned()), -25.0));
    }

    #[test]
    fn a_key_given_twice_and_wrong_syntax_are_refused_with_their_line() {
        let twice = parse("{\"a\": 1,\n\"a\": 2}", Path::new("s.json")).unwrap_err();
        assert_eq!(twice.to_string(), "s.json:2: a: is given twice");
        let broken = parse("{\n\"a\": }", Path::new("s.json")).unwrap_err();
        assert!(broken.to_string().starts_with("s.json:2: "), "{broken}");
        assert!(parse("[1]", Path::new("s.json")).is_err());
    }
}
