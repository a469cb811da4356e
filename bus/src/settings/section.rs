//! One table of settings, asked key by key.
//!
//! A problem is noted and a placeholder handed out, so that the questions after it are asked all
//! the same; [`Section::finish`] refuses the whole if anything was noted, so a placeholder never
//! gets further.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::{Origin, Problem, Problems};

/// A table of settings and what was found wrong with it so far.
#[derive(Debug)]
pub struct Section {
    file: PathBuf,
    prefix: String,
    table: Map<String, Value>,
    known: Vec<String>,
    unknown: Vec<(String, Origin)>,
    problems: Vec<Problem>,
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
        }
    }

    /// The table under `key`, to be given back to [`Section::close`]. A missing one is empty.
    pub fn section(&mut self, key: &'static str) -> Section {
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

    /// Takes over what was found in an inner section.
    pub fn close(&mut self, mut inner: Section) {
        inner.note_unknown();
        self.known.append(&mut inner.known);
        self.unknown.append(&mut inner.unknown);
        self.problems.append(&mut inner.problems);
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Field<'_, String> {
        self.field(key, "a text in quotes", |value, _| match &value.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// A file; a relative one in the settings file is relative to that file's folder.
    pub fn path(&mut self, key: &'static str) -> Field<'_, PathBuf> {
        let folder = self.file.parent().map(Path::to_owned).unwrap_or_default();
        self.field(key, "a path in quotes", move |value, environment| match &value.kind {
            ValueKind::String(text) if text.is_empty() => None,
            ValueKind::String(text) if environment => Some(PathBuf::from(text)),
            ValueKind::String(text) => Some(folder.join(text)),
            _ => None,
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Field<'_, bool> {
        self.field(key, "true or false", |value, environment| match &value.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) if environment => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// A whole number.
    pub fn integer(&mut self, key: &'static str) -> Field<'_, i64> {
        self.field(key, "a whole number", |value, environment| match &value.kind {
            ValueKind::I64(integer) => Some(*integer),
            ValueKind::String(text) if environment => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// A finite number in `unit`, within `range`.
    pub fn number(&mut self, key: &'static str, unit: &str, range: RangeInclusive<f64>) -> Field<'_, f64> {
        let allowed = format!("{} to {} {unit}", range.start(), range.end());
        self.field(key, "a number", number).check(allowed, move |number| range.contains(number))
    }

    /// A duration, given in seconds.
    pub fn seconds(&mut self, key: &'static str, range: RangeInclusive<f64>, default: f64) -> Duration {
        Duration::try_from_secs_f64(self.number(key, "s", range).default(default)).unwrap_or_default()
    }

    /// A list of numbers (in the environment: separated by commas).
    pub fn numbers(&mut self, key: &'static str) -> Field<'_, Vec<f64>> {
        self.field(key, "a list of numbers", |value, environment| match &value.kind {
            ValueKind::Array(items) => items.iter().map(|item| number(item, environment)).collect(),
            ValueKind::String(text) if environment => {
                split(text).map(|item| item.parse().ok().filter(|number: &f64| number.is_finite())).collect()
            }
            _ => None,
        })
    }

    /// A list of texts (in the environment: separated by commas).
    pub fn texts(&mut self, key: &'static str) -> Field<'_, Vec<String>> {
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
        key: &'static str,
        words: &'static [(&'static str, T)],
    ) -> Field<'_, T> {
        let allowed = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        self.field(key, &allowed, |value, _| match &value.kind {
            ValueKind::String(text) => words.iter().find(|(word, _)| word == text).map(|(_, is)| is.clone()),
            _ => None,
        })
    }

    /// Whether `key` is written, rightly or wrongly. Ask before the key is read.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether nothing was found wrong with `key`, so that another key can be measured by it.
    #[must_use]
    pub fn is_good(&self, key: &str) -> bool {
        let key = format!("{}{key}", self.prefix);
        !self.problems.iter().any(|problem| problem.key == key)
    }

    /// Notes that `key`, which was read before, does not go with the rest.
    pub fn refuse(&mut self, key: &str, origin: Origin, message: String, allowed: Option<String>) {
        self.problems.push(Problem { origin, key: format!("{}{key}", self.prefix), message, allowed });
    }

    /// Where `key` stands; the file if nowhere. Ask before the key is read.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origin_of(self.table.get(key))
    }

    /// Ends the reading: what was not asked for is unknown.
    ///
    /// `renamed` says of keys of a predecessor what they are called now, or why they are gone.
    /// Returns every key that was asked for, with its section.
    ///
    /// # Errors
    /// Everything that was found wrong.
    pub fn finish(mut self, renamed: &[(&str, &str)]) -> Result<Vec<String>, Problems> {
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
        if self.problems.is_empty() { Ok(self.known) } else { Err(Problems::sorted(self.problems)) }
    }

    fn note_unknown(&mut self) {
        for (key, value) in std::mem::take(&mut self.table) {
            let origin = self.origin_of(Some(&value));
            self.unknown.push((format!("{}{key}", self.prefix), origin));
        }
    }

    fn field<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        convert: impl FnOnce(&Value, bool) -> Option<T>,
    ) -> Field<'_, T> {
        self.known.push(format!("{}{key}", self.prefix));
        let value = self.table.remove(key);
        let origin = self.origin_of(value.as_ref());
        let environment = matches!(origin, Origin::Environment(_));
        let shown = value.as_ref().map(written).unwrap_or_default();
        let found = match &value {
            None => Found::Nothing,
            Some(value) => match convert(value, environment) {
                Some(value) => Found::Value(value),
                None => Found::Wrong,
            },
        };
        Field { section: self, key, found, origin, shown, allowed: allowed.to_owned() }
    }

    // A table has no line of its own after the layers were put together: its first value stands
    // for it.
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

/// One key that was looked up; what is allowed is still being told.
#[derive(Debug)]
pub struct Field<'a, T> {
    section: &'a mut Section,
    key: &'static str,
    found: Found<T>,
    origin: Origin,
    shown: String,
    allowed: String,
}

#[derive(Debug)]
enum Found<T> {
    Nothing,
    Value(T),
    Wrong,
}

impl<T> Field<'_, T> {
    /// Refuses what does not pass `test`; `allowed` says in words what would.
    #[must_use]
    pub fn check(mut self, allowed: impl Into<String>, test: impl FnOnce(&T) -> bool) -> Self {
        self.allowed = allowed.into();
        if let Found::Value(value) = &self.found
            && !test(value)
        {
            self.found = Found::Wrong;
        }
        self
    }

    /// The value, or `default` if the key is not there.
    #[must_use]
    pub fn default(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value, if the key is there.
    #[must_use]
    pub fn optional(self) -> Option<T> {
        match self.found {
            Found::Nothing => None,
            Found::Value(value) => Some(value),
            Found::Wrong => {
                let message = format!("{} is not allowed", self.shown);
                self.section.refuse(self.key, self.origin, message, Some(self.allowed));
                None
            }
        }
    }
}

impl<T: Default> Field<'_, T> {
    /// The value; a problem if the key is not there.
    #[must_use]
    pub fn required(self) -> T {
        if matches!(self.found, Found::Nothing) {
            self.section.refuse(self.key, self.origin, "is missing".to_owned(), Some(self.allowed));
            return T::default();
        }
        self.optional().unwrap_or_default()
    }
}

impl Field<'_, i64> {
    /// Refuses what is outside `range`.
    #[must_use]
    pub fn range(self, range: RangeInclusive<i64>) -> Self {
        let allowed = format!("{} to {}", range.start(), range.end());
        self.check(allowed, |value| range.contains(value))
    }

    /// Refuses what is not in `values`.
    #[must_use]
    pub fn one_of(self, values: &[i64]) -> Self {
        let allowed = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.check(allowed, |value| values.contains(value))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a whole number beyond 2^53 is out of every range here")]
fn number(value: &Value, environment: bool) -> Option<f64> {
    let number = match &value.kind {
        ValueKind::I64(integer) => *integer as f64,
        ValueKind::Float(number) => *number,
        ValueKind::String(text) if environment => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The value as a person would write it, cut to a readable length.
fn written(value: &Value) -> String {
    let text = match &value.kind {
        ValueKind::Nil => "null".to_owned(),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Float(number) => format!("{number:?}"),
        ValueKind::Table(_) => "a section".to_owned(),
        ValueKind::Array(items) => {
            format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    };
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The known key that was probably meant: the same word in another section, or the nearest one.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let word = last(key);
    let limit = (word.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (distance(&word, &last(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, candidate)| {
            (*distance, candidate.rsplit_once('.').map(|(s, _)| s) != key.rsplit_once('.').map(|(s, _)| s))
        })
        .map(|(_, candidate)| candidate)
}

/// How many letters must be changed, added or taken away to make `a` of `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for (to, pair) in b.chars().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(from != to)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
