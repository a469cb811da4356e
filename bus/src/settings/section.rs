//! One table of settings, asked key by key.
//!
//! A problem is noted and a placeholder returned, so that the following keys are checked, too;
//! [`Section::finish`] refuses everything if anything was noted, so a placeholder is never used.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::field::{Field, Reading, in_full, number, split, written};
use super::{Findings, Origin, Problem, Problems};

/// A key that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name, with its section.
    pub key: String,
    /// Its allowed values, in words.
    pub allowed: String,
    origin: Origin,
}

/// A table of settings and the errors found in it so far.
#[derive(Debug)]
pub struct Section {
    file: PathBuf,
    prefix: String,
    table: Map<String, Value>,
    known: Vec<Known>,
    unknown: Vec<(String, Origin)>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Section {
    pub(super) fn root(file: &Path, table: Map<String, Value>) -> Self {
        Self {
            file: file.to_owned(),
            prefix: String::new(),
            table,
            known: Vec::new(),
            unknown: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The table under `key`, to be returned to [`Section::close`]. A missing one is empty.
    pub fn section(&mut self, key: &str) -> Section {
        let mut inner = Self::root(&self.file, Map::new());
        inner.prefix = format!("{}{key}.", self.prefix);
        match self.table.remove(key) {
            None => {}
            Some(Value { kind: ValueKind::Table(table), .. }) => inner.table = table,
            Some(other) => inner.problems.push(Problem {
                origin: self.origin_of(Some(&other)),
                key: format!("{}{key}", self.prefix),
                message: format!("{} is not a section", written(&other)),
                allowed: Some(format!("[{}{key}] and its keys", self.prefix)),
            }),
        }
        inner
    }

    /// Takes over the findings of an inner section.
    pub fn close(&mut self, mut inner: Section) {
        inner.note_unknown();
        self.known.append(&mut inner.known);
        self.unknown.append(&mut inner.unknown);
        self.problems.append(&mut inner.problems);
        self.warnings.append(&mut inner.warnings);
    }

    /// Ignores the keys that were not read: they belong to another program.
    pub fn ignore_rest(&mut self) {
        self.table.clear();
    }

    /// The keys of this table that were not read yet, in the order of the file.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.table.iter().map(|(key, value)| (self.origin_of(Some(value)), key)).collect();
        names.sort();
        names.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// Every value that was not read yet, as it stands in a TOML file, by its key with its section.
    #[must_use]
    pub fn values(&self) -> Vec<(String, String)> {
        fn collect(table: &Map<String, Value>, prefix: &str, values: &mut Vec<(String, String)>) {
            for (key, value) in table {
                let key = format!("{prefix}{key}");
                match &value.kind {
                    ValueKind::Table(inner) => collect(inner, &format!("{key}."), values),
                    _ => values.push((key, in_full(value))),
                }
            }
        }
        let mut values = Vec::new();
        collect(&self.table, &self.prefix, &mut values);
        values.sort();
        values
    }

    /// A text.
    pub fn text(&mut self, key: &str) -> Field<'_, String> {
        self.field(key, "a text in quotes", |value, _| match &value.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// A file; a relative one in the settings file is relative to that file's folder.
    pub fn path(&mut self, key: &str) -> Field<'_, PathBuf> {
        let folder = self.file.parent().map(Path::to_owned).unwrap_or_default();
        self.field(key, "a path in quotes", move |value, environment| match &value.kind {
            ValueKind::String(text) if text.is_empty() => None,
            ValueKind::String(text) if environment => Some(PathBuf::from(text)),
            ValueKind::String(text) => Some(folder.join(text)),
            _ => None,
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str) -> Field<'_, bool> {
        self.field(key, "true or false", |value, environment| match &value.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) if environment => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// A whole number.
    pub fn integer(&mut self, key: &str) -> Field<'_, i64> {
        self.field(key, "a whole number", |value, environment| match &value.kind {
            ValueKind::I64(integer) => Some(*integer),
            ValueKind::String(text) if environment => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// A finite number in `unit`, within `range`.
    pub fn number(&mut self, key: &str, unit: &str, range: RangeInclusive<f64>) -> Field<'_, f64> {
        let allowed = format!("{} to {} {unit}", range.start(), range.end());
        self.field(key, "a number", number).check(allowed, move |number| range.contains(number))
    }

    /// A duration, given in seconds.
    pub fn seconds(&mut self, key: &str, range: RangeInclusive<f64>, default: f64) -> Duration {
        Duration::try_from_secs_f64(self.number(key, "s", range).default(default)).unwrap_or_default()
    }

    /// A list of numbers (in the environment: separated by commas).
    pub fn numbers(&mut self, key: &str) -> Field<'_, Vec<f64>> {
        self.field(key, "a list of numbers", |value, environment| match &value.kind {
            ValueKind::Array(items) => items.iter().map(|item| number(item, environment)).collect(),
            ValueKind::String(text) if environment => {
                split(text).map(|item| item.parse().ok().filter(|number: &f64| number.is_finite())).collect()
            }
            _ => None,
        })
    }

    /// A list of texts (in the environment: separated by commas).
    pub fn texts(&mut self, key: &str) -> Field<'_, Vec<String>> {
        self.field(key, "a list of texts in quotes", |value, environment| match &value.kind {
            ValueKind::Array(items) => items
                .iter()
                .map(|item| match &item.kind {
                    ValueKind::String(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            ValueKind::String(text) if environment => Some(split(text).map(str::to_owned).collect()),
            _ => None,
        })
    }

    /// One of the words of a table.
    pub fn choice<T: Clone + 'static>(
        &mut self,
        key: &str,
        words: &'static [(&'static str, T)],
    ) -> Field<'_, T> {
        let allowed = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        self.field(key, &allowed, |value, _| match &value.kind {
            ValueKind::String(text) => words.iter().find(|(word, _)| word == text).map(|(_, is)| is.clone()),
            _ => None,
        })
    }

    /// Whether `key` is present, valid or not. Call this before the key is read.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether no error was found in `key`, so that another key can be compared with it.
    #[must_use]
    pub fn is_good(&self, key: &str) -> bool {
        let key = format!("{}{key}", self.prefix);
        !self.problems.iter().any(|problem| problem.key == key)
    }

    /// Notes that `key`, which was read before, conflicts with other keys.
    pub fn refuse(&mut self, key: &str, origin: Origin, message: String, allowed: Option<String>) {
        self.problems.push(Problem { origin, key: format!("{}{key}", self.prefix), message, allowed });
    }

    /// Notes a warning about `key`, which was read before; it is no reason to refuse the settings.
    pub fn warn(&mut self, key: &str, message: String) {
        let origin = self.origin(key);
        self.warnings.push(Problem { origin, key: format!("{}{key}", self.prefix), message, allowed: None });
    }

    /// Where `key` is written; the file if nowhere.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        if let Some(value) = self.table.get(key) {
            return self.origin_of(Some(value));
        }
        let full = format!("{}{key}", self.prefix);
        let known = self.known.iter().find(|known| known.key == full).map(|known| known.origin.clone());
        known.unwrap_or_else(|| self.origin_of(None))
    }

    /// Ends the reading: keys that were not read are unknown.
    ///
    /// `renamed` gives the new names of a predecessor's keys, or why they are gone. Returns every
    /// key that was read.
    ///
    /// # Errors
    /// All errors that were found.
    pub fn finish(self, renamed: &[(&str, &str)]) -> Result<Vec<Known>, Problems> {
        let (known, findings) = self.findings(renamed);
        if findings.problems.0.is_empty() { Ok(known) } else { Err(findings.problems) }
    }

    /// As [`Section::finish`], with the warnings, and always with the keys.
    #[must_use]
    pub fn findings(mut self, renamed: &[(&str, &str)]) -> (Vec<Known>, Findings) {
        self.note_unknown();
        for (key, origin) in std::mem::take(&mut self.unknown) {
            let message = match renamed.iter().find(|(old, _)| *old == key) {
                Some((_, message)) => (*message).to_owned(),
                None => match nearest(&key, &self.known) {
                    Some(known) => format!("is not a known key; is {known} meant?"),
                    None => "is not a known key".to_owned(),
                },
            };
            self.problems.push(Problem { origin, key, message, allowed: None });
        }
        let sorted = Problems::sorted;
        (self.known, Findings { problems: sorted(self.problems), warnings: sorted(self.warnings) })
    }

    fn note_unknown(&mut self) {
        for (key, value) in std::mem::take(&mut self.table) {
            let origin = self.origin_of(Some(&value));
            self.unknown.push((format!("{}{key}", self.prefix), origin));
        }
    }

    fn field<T>(
        &mut self,
        key: &str,
        allowed: &str,
        convert: impl FnOnce(&Value, bool) -> Option<T>,
    ) -> Field<'_, T> {
        let value = self.table.remove(key);
        let origin = self.origin_of(value.as_ref());
        let full = format!("{}{key}", self.prefix);
        self.known.push(Known { key: full, allowed: allowed.to_owned(), origin: origin.clone() });
        let environment = matches!(origin, Origin::Environment(_));
        let shown = value.as_ref().map(written).unwrap_or_default();
        let found = match &value {
            None => Reading::Nothing,
            Some(value) => match convert(value, environment) {
                Some(value) => Reading::Value(value),
                None => Reading::Wrong,
            },
        };
        Field { section: self, key: key.to_owned(), found, origin, shown, allowed: allowed.to_owned() }
    }

    pub(super) fn note_allowed(&mut self, key: &str, allowed: &str) {
        let full = format!("{}{key}", self.prefix);
        if let Some(known) = self.known.iter_mut().find(|known| known.key == full) {
            allowed.clone_into(&mut known.allowed);
        }
    }

    // A table has no line of its own after the layers were merged: its first value stands for it.
    fn origin_of(&self, value: Option<&Value>) -> Origin {
        let here = value.and_then(Value::origin).map(|origin| Origin::from_text(origin, &self.file));
        let inside = || match value.map(|value| &value.kind) {
            Some(ValueKind::Table(table)) => {
                table.values().map(|value| self.origin_of(Some(value))).min_by_key(|origin| match origin {
                    Origin::File(_, line) => line.unwrap_or(usize::MAX),
                    Origin::Environment(_) => usize::MAX,
                })
            }
            _ => None,
        };
        here.or_else(inside).unwrap_or_else(|| Origin::File(self.file.clone(), None))
    }
}

/// The known key that was probably meant: the same word in another section, or the nearest one.
fn nearest<'a>(key: &str, known: &'a [Known]) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let word = last(key);
    let limit = (word.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| candidate.key.as_str())
        .map(|candidate| (strsim::levenshtein(&word, &last(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, candidate)| {
            (*distance, candidate.rsplit_once('.').map(|(s, _)| s) != key.rsplit_once('.').map(|(s, _)| s))
        })
        .map(|(_, candidate)| candidate)
}
