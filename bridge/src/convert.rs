//! `--convert-config OLD.json`: the shipped settings file with the values of a predecessor's, its
//! comments, and what is to be filled in. Pure, but for the reading of the file by the caller.

mod old;

use std::path::Path;

use bus::device::{Class, Verb};
use bus::message::misleads;
use bus::settings::{Problems, is_name, parse};
use serde_json::Value;

use crate::settings::{BridgeSettings, DeviceSettings, RENAMED, Renamed, Usual};
use old::Old;

/// The site in the shipped files.
const SHIPPED_SITE: &str = "clasp";
/// Marks the keys that the old file does not answer.
const FILL_IN: &str = "FILL IN";

/// A converted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Converted {
    /// Its text.
    pub text: String,
    /// What to do about it, a line each.
    pub notes: Vec<String>,
    /// Values that this bridge does not accept; the lines are those of the text.
    pub problems: Vec<String>,
}

/// Why a file cannot be converted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConvertError {
    /// It is no JSON object.
    #[error("{0}")]
    Syntax(String),
    /// Another bridge may know its keys.
    #[error(
        "{file}: these are not the settings of the predecessor of {bridge}: expected a key such as {expected}"
    )]
    NotMine { file: String, bridge: String, expected: String },
}

/// Converts `text`, the content of `file`, for the bridge `name`.
pub(crate) fn convert<S: DeviceSettings>(
    name: &str,
    file: &Path,
    text: &str,
) -> Result<Converted, ConvertError> {
    let shown = file.display();
    let old = Old::read(text).map_err(|error| ConvertError::Syntax(format!("{shown}:{error}")))?;
    let own = own_keys::<S>();
    if !old.values.keys().any(|key| own.contains(key)) {
        return Err(ConvertError::NotMine {
            file: shown.to_string(),
            bridge: name.to_owned(),
            expected: own.into_iter().next().unwrap_or_else(|| "none: it had no predecessor".to_owned()),
        });
    }
    let site = site(&old, file);
    let upper = site.to_uppercase();
    let shipped = S::SHIPPED.replace(SHIPPED_SITE, &site);
    let mut new = New::of(&shipped.replace(&SHIPPED_SITE.to_uppercase(), &upper));
    let mut notes = Vec::new();
    new.set("site", &format!("\"{site}\""), &[]);
    notes.push(format!("site is \"{site}\", taken from log_name or the file's name: check it"));
    let all: Vec<&Renamed> = RENAMED.iter().chain(S::RENAMED).collect();
    let known = known_keys::<S>();
    for (key, value) in &old.values {
        let comments = old.comments.get(key).map(Vec::as_slice).unwrap_or_default();
        let renamed = all.iter().find(|renamed| renamed.old == key);
        let target = match renamed {
            Some(renamed) => renamed.now,
            None => known.iter().find(|known| *known == key).map(String::as_str),
        };
        match (target, toml(value)) {
            (Some(target), Some(value)) => new.set(target, &value, comments),
            (Some(target), None) => {
                notes.push(format!("{key} ({value}) is not carried over: it is no value for {target}"))
            }
            (None, _) => {
                let why = renamed.map_or("is not a known key", |renamed| renamed.message);
                let lost = comments.iter().map(|comment| format!("; its comment was: {comment}"));
                notes.push(format!(
                    "{key} ({value}) is not carried over: it {why}{}",
                    lost.collect::<String>()
                ));
            }
        }
    }
    for renamed in all {
        if let (Some(now), Some(value), false) =
            (renamed.now, renamed.without, old.values.contains_key(renamed.old))
        {
            new.set(now, value, &[]);
        }
    }
    let clients = "the identities that may send commands; the old file lists machines";
    new.set("control_clients", "[]", &[format!("{FILL_IN}: {clients}.")]);
    notes.push(format!("{FILL_IN} control_clients: {clients}; until then nobody may"));
    let broker = "the broker's host name, as in its certificate";
    new.note("broker.host", &format!("{FILL_IN}: {broker}."));
    notes.push(format!("{FILL_IN} broker.host: {broker}"));
    notes.extend(new.missing.iter().map(|key| format!("{key} is not in the shipped file: add it")));
    let notes: Vec<String> = notes.iter().map(|note| in_one_line(note)).collect();
    let text = format!("{}{}", head(name, &old, file, &notes), new.text);
    let problems = problems::<S>(&text);
    Ok(Converted { text, notes, problems })
}

fn head(name: &str, old: &Old, file: &Path, notes: &[String]) -> String {
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let mut lines = vec![format!("Converted from {file} by {name} {}:", env!("CARGO_PKG_VERSION"))];
    lines.extend(notes.iter().map(|note| format!("- {note}")));
    if !old.head.is_empty() {
        lines.push(format!("{file} began or ended with:"));
        lines.extend(old.head.iter().map(|comment| format!("  {comment}")));
    }
    lines.iter().map(|line| format!("# {}\n", in_one_line(line))).chain(["\n".to_owned()]).collect()
}

/// Keys and comments of the old file may hold anything; a comment of the new one must not end before its line.
fn in_one_line(text: &str) -> String {
    text.chars().map(|letter| if letter != '\t' && misleads(letter) { '?' } else { letter }).collect()
}

/// What a bridge would say of these settings at its start.
fn problems<S: DeviceSettings>(text: &str) -> Vec<String> {
    let path = Path::new("line ");
    let found = parse(text, path).and_then(|mut section| {
        S::read(&mut section, &[]);
        section.finish(&[]).map(|_| ())
    });
    let Problems(problems) = found.err().unwrap_or(Problems(Vec::new()));
    problems.iter().map(|problem| problem.to_string().replacen("line :", "line ", 1)).collect()
}

/// The site's name in `log_name = "lampd@clasp"`, else the name of the file.
fn site(old: &Old, file: &Path) -> String {
    let of_log = old.values.get("log_name").and_then(Value::as_str).and_then(|name| name.split_once('@'));
    let of_file = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let found = of_log.map(|(_, site)| site.to_owned()).or_else(of_file).unwrap_or_default();
    if is_name(&found) { found } else { SHIPPED_SITE.to_owned() }
}

/// Every key that this bridge reads.
fn known_keys<S: DeviceSettings>() -> Vec<String> {
    keys(|section| _ = S::read(section, &[]))
}

/// With a stop, a bridge has all common keys.
const VERBS: &[Verb] = &[Verb { stop: true, ..Verb::new("stop", "Stop", Class::Overriding) }];

/// The keys that no other bridge reads, and those that only this predecessor had.
fn own_keys<S: DeviceSettings>() -> Vec<String> {
    let usual = Usual {
        kind: "device",
        serial_baud: 9600,
        query_delay: (0.1..=10.0, 1.0),
        exchange_limit: (0.1..=5.0, 1.0),
        stale_after: (2.0..=60.0, 30.0),
        verbs: VERBS,
    };
    let common = keys(|section| _ = BridgeSettings::read(section, &usual, &[]));
    let own = S::RENAMED.iter().map(|renamed| renamed.old.to_owned());
    own.chain(known_keys::<S>().into_iter().filter(|key| !key.contains('.') && !common.contains(key)))
        .collect()
}

fn keys(read: impl FnOnce(&mut bus::settings::Section)) -> Vec<String> {
    let Ok(mut section) = parse("", Path::new("")) else { return Vec::new() };
    read(&mut section);
    section.findings(&[]).0.into_iter().map(|known| known.key).collect()
}

/// A value of JSON in TOML, if it is one that settings have.
fn toml(value: &Value) -> Option<String> {
    match value {
        // Strings, numbers and booleans are written alike.
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(toml).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// The shipped file, as it is being filled.
pub(crate) struct New {
    pub(crate) text: String,
    /// Keys that it does not have.
    missing: Vec<String>,
}

impl New {
    pub(crate) fn of(shipped: &str) -> Self {
        Self { text: shipped.to_owned(), missing: Vec::new() }
    }

    /// Gives `key` a value; one that the shipped file does not have is put above it.
    pub(crate) fn set_or_add(&mut self, key: &str, value: &str) {
        self.set(key, value, &[]);
        if self.missing.pop().is_some() {
            self.text = format!("{key} = {value}\n{}", self.text);
        }
    }

    /// Gives `key` (with its section) a value, and comments above it.
    fn set(&mut self, key: &str, value: &str, comments: &[String]) {
        let name = key.rsplit('.').next().unwrap_or(key);
        self.change(key, comments, |_| format!("{name} = {value}"));
    }

    /// Puts a comment above `key`.
    fn note(&mut self, key: &str, comment: &str) {
        self.change(key, &[comment.to_owned()], str::to_owned);
    }

    fn change(&mut self, key: &str, comments: &[String], line: impl Fn(&str) -> String) {
        let (wanted, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut section = String::new();
        let mut is_done = false;
        let mut lines = Vec::new();
        for old in self.text.lines() {
            if let Some(header) = old.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                header.clone_into(&mut section);
            }
            let bare = old.trim_start_matches(['#', ' ']);
            let is_key = bare.strip_prefix(name).is_some_and(|rest| rest.starts_with(" = "));
            if is_done || section != wanted || !is_key {
                lines.push(old.to_owned());
                continue;
            }
            lines.extend(comments.iter().map(|comment| format!("# {}", in_one_line(comment))));
            lines.push(line(old));
            is_done = true;
        }
        if !is_done {
            self.missing.push(key.to_owned());
        }
        self.text = lines.join("\n") + "\n";
    }
}
