//! Merges the layers: the environment overrides the file.
//!
//! The `config` crate merges; the files are parsed here, because only a parser that keeps positions
//! can tell the line of a value, and because `config` would silently turn `true` into `"true"` and
//! 1883.9 into 1884.

use std::path::Path;

use config::{Config, ConfigError, Environment, Map, Source, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use super::{Origin, Problem, Problems, Section, json, read_file};

/// The environment of this process, for [`read`].
///
/// Variables that are not UTF-8 keep their readable part, and so fail the check of the value.
#[must_use]
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// Reads a settings file; the variables that begin with `prefix` override it.
///
/// `prefix` includes its underscore (`OBSBUS_LAMP_`); a section and its key are joined by two
/// underscores (`OBSBUS_LAMP_BROKER__PORT`). A `.json` file is JSON, any other TOML.
///
/// # Errors
/// The file cannot be read, or its syntax is wrong. The [`Section`] checks the values later.
pub fn read(path: &Path, prefix: &str, environment: &[(String, String)]) -> Result<Section, Problems> {
    let text = read_file(path)
        .map_err(|error| Problems::of_file(path, format!("the settings file {error}")))
        .and_then(|bytes| {
            let not_text = |_| Problems::of_file(path, "the settings file is not UTF-8 text".to_owned());
            String::from_utf8(bytes).map_err(not_text)
        })?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let file = if is_json { json::parse(&text, path) } else { parse_toml(&text, path) }?;
    let environment = environment_layer(prefix, environment)
        .map_err(|error| Problems::of_file(path, format!("cannot read the environment: {error}")))?;
    let merged = Config::builder()
        .add_source(Layer(file))
        .add_source(Layer(environment))
        .build()
        .map_err(|error| Problems::of_file(path, error.to_string()))?;
    let ValueKind::Table(table) = merged.cache.kind else {
        return Err(Problems::of_file(path, "this is not a table of settings".to_owned()));
    };
    Ok(Section::root(path, table))
}

/// The settings in `text`, as if it stood in the TOML file `path`, without an environment.
///
/// # Errors
/// Its syntax is wrong.
pub fn parse(text: &str, path: &Path) -> Result<Section, Problems> {
    parse_toml(text, path).map(|table| Section::root(path, table))
}

/// Values with their origin.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }
    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

// `try_parsing` stays off: it would turn the password "012345" into a number.
fn environment_layer(
    prefix: &str,
    environment: &[(String, String)],
) -> Result<Map<String, Value>, ConfigError> {
    let source: Map<String, String> = environment.iter().cloned().collect();
    let collected = Environment::with_prefix(prefix.trim_end_matches('_'))
        .prefix_separator("_")
        .separator("__")
        .source(Some(source))
        .collect()?;
    Ok(collected
        .into_iter()
        .map(|(key, value)| {
            let name = format!("{prefix}{}", key.replace('.', "__").to_uppercase());
            let origin = Origin::Environment(name).to_text();
            (key, Value::new(Some(&origin), value.kind))
        })
        .collect())
}

fn parse_toml(text: &str, path: &Path) -> Result<Map<String, Value>, Problems> {
    let mut reader = Toml { text, path, problems: Vec::new() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map(|span| reader.line(span.start));
        let twice = error.span().filter(|_| error.message() == "duplicate key");
        let message = twice.and_then(|span| reader.twice(span));
        reader.problem(line, "", message.unwrap_or_else(|| error.message().to_owned()));
    }
    let table = reader.table(document.get_ref(), "");
    if reader.problems.is_empty() { Ok(table) } else { Err(Problems::sorted(reader.problems)) }
}

struct Toml<'a> {
    text: &'a str,
    path: &'a Path,
    problems: Vec<Problem>,
}

impl Toml<'_> {
    fn table(&mut self, table: &DeTable<'_>, prefix: &str) -> Map<String, Value> {
        table
            .iter()
            .map(|(key, value)| {
                let key = key.get_ref().as_ref();
                let path = format!("{prefix}{key}");
                (key.to_owned(), self.value(value.get_ref(), value.span().start, &path))
            })
            .collect()
    }

    fn value(&mut self, value: &DeValue<'_>, offset: usize, path: &str) -> Value {
        let line = self.line(offset);
        let kind = match value {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Boolean(flag) => ValueKind::Boolean(*flag),
            DeValue::Datetime(date) => ValueKind::String(date.to_string()),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => ValueKind::I64(integer),
                Err(_) => self.unreadable(line, path, integer),
            },
            DeValue::Float(float) => match float.as_str().parse::<f64>() {
                Ok(float) => ValueKind::Float(float),
                Err(_) => self.unreadable(line, path, float),
            },
            DeValue::Table(table) => ValueKind::Table(self.table(table, &format!("{path}."))),
            DeValue::Array(array) => ValueKind::Array(
                array.iter().map(|item| self.value(item.get_ref(), item.span().start, path)).collect(),
            ),
        };
        Value::new(Some(&Origin::File(self.path.to_owned(), Some(line)).to_text()), kind)
    }

    /// What stands a second time at `span`: mostly a section that was copied from a page to the end of a file which
    /// has it.
    fn twice(&self, span: std::ops::Range<usize>) -> Option<String> {
        fn heading(line: &str) -> Option<&str> {
            Some(line.trim_start().strip_prefix('[')?.split_once(']')?.0.trim())
        }
        let name = self.text.get(span.clone())?;
        let here = self.line(span.start);
        let Some(section) = self.text.lines().nth(here - 1).and_then(heading) else {
            return Some(format!("{name} stands a second time in its section"));
        };
        let first = self.text.lines().take(here - 1).position(|line| heading(line) == Some(section))?;
        Some(format!(
            "the section [{section}] stands a second time: its keys belong below line {}",
            first + 1
        ))
    }

    fn unreadable(&mut self, line: usize, path: &str, number: &impl std::fmt::Display) -> ValueKind {
        self.problem(Some(line), path, format!("{number} is not a number that can be used"));
        ValueKind::Nil
    }

    fn problem(&mut self, line: Option<usize>, key: &str, message: String) {
        let origin = Origin::File(self.path.to_owned(), line);
        self.problems.push(Problem { origin, key: key.to_owned(), message, allowed: None });
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}
