//! Notes of requests, so that `outcome` can ask for them later: a file per request in the user's
//! state directory, kept for a day.
//!
//! Only a convenience: the bridge knows what it did. A note that cannot be written is ignored.
#![expect(clippy::disallowed_methods, reason = "reads the clock for the age of its files")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bus::clock::Utc;
use bus::topic::{Base, Identity, RequestId};
use serde_json::{Map, Value};

use crate::instrument::is_verb;
use crate::request::Request;
use crate::target::Target;

/// The bridge has long forgotten the request by then.
const KEPT: Duration = Duration::from_secs(86_400);
const ENDING: &str = "json";

/// Where the notes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notes(PathBuf);

/// Sender and device: an id means nothing without them.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The sender.
    pub identity: &'a Identity,
    /// The device.
    pub base: &'a Base,
}

impl<'a> Sender<'a> {
    /// The sender of requests to this target.
    #[must_use]
    pub const fn of(target: &'a Target) -> Self {
        Self { identity: &target.identity, base: &target.base }
    }
}

/// A note.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The request.
    pub request: Request,
    /// When it was sent.
    pub asked_at: Utc,
}

impl Notes {
    /// In `$XDG_STATE_HOME`, or `~/.local/state`; `None` if there is neither.
    #[must_use]
    pub fn find(environment: &[(String, String)]) -> Option<Self> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, value)| known == name && !value.is_empty());
            found.map(|(_, value)| Path::new(value))
        };
        let state = variable("XDG_STATE_HOME")
            .map(Path::to_path_buf)
            .or_else(|| variable("HOME").map(|home| home.join(".local/state")))?;
        Some(Self(state.join("obsbus/requests")))
    }

    /// Notes a request, and deletes old notes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, id: &RequestId, from: &Sender, request: &Request, now: Utc) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        self.forget_old();
        let mut object = Map::new();
        object.insert("base".to_owned(), from.base.to_string().into());
        object.insert("by".to_owned(), from.identity.to_string().into());
        object.insert("verb".to_owned(), request.verb.clone().into());
        object.insert("ts".to_owned(), now.to_string().into());
        object.insert("arguments".to_owned(), request.arguments.clone().into());
        fs::write(self.file(id), Value::Object(object).to_string() + "\n")
    }

    /// What `from` noted under `id`.
    #[must_use]
    pub fn read(&self, id: &RequestId, from: &Sender) -> Option<Note> {
        let note: Value = serde_json::from_str(&fs::read_to_string(self.file(id)).ok()?).ok()?;
        let text = |key: &str| note.get(key).and_then(Value::as_str);
        if text("base")? != from.base.to_string() || text("by")? != from.identity.as_str() {
            return None;
        }
        let verb = text("verb").filter(|verb| is_verb(verb))?.to_owned();
        let arguments = note.get("arguments")?.as_object()?.clone();
        Some(Note { request: Request { verb, arguments }, asked_at: Utc::parse(text("ts")?).ok()? })
    }

    /// Whether a request to this device was noted.
    #[must_use]
    pub fn knows(&self, base: &Base) -> bool {
        let notes = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut notes = notes.filter_map(|entry| fs::read(entry.path()).ok());
        notes.any(|note| {
            let note: Option<Value> = serde_json::from_slice(&note).ok();
            note.is_some_and(|note| note.get("base").and_then(Value::as_str) == Some(&base.to_string()))
        })
    }

    // An id has no slash, and with the ending it is not `..` either.
    fn file(&self, id: &RequestId) -> PathBuf {
        self.0.join(format!("{id}.{ENDING}"))
    }

    fn forget_old(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        let before = SystemTime::now().checked_sub(KEPT);
        for path in entries.flatten().map(|entry| entry.path()) {
            let written = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
            if path.extension().is_some_and(|ending| ending == ENDING)
                && let (Some(written), Some(before)) = (written, before)
                && written < before
            {
                // If this fails, it is tried again the next time.
                let _ = fs::remove_file(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_found_again_under_its_id_and_device() {
        let home = tempfile::tempdir().unwrap();
        let notes = Notes::find(&[("XDG_STATE_HOME".to_owned(), home.path().display().to_string())]).unwrap();
        let id = RequestId::new("..").unwrap();
        let (base, other_base) = (Base::new("clasp", "dome").unwrap(), Base::new("warwick", "dome").unwrap());
        let (alice, ops) = (Identity::new("alice").unwrap(), Identity::new("ops").unwrap());
        let from = Sender { identity: &alice, base: &base };
        let asked_at = Utc::from_unix_milliseconds(1_700_000_000_000).unwrap();
        for arguments in [json!({"mm": 2.0}), json!({"mm": 2.0, "slow": true}), json!({})] {
            let Value::Object(arguments) = arguments else { panic!("{arguments}") };
            let request = Request { verb: "set".to_owned(), arguments };
            notes.write(&id, &from, &request, asked_at).unwrap();
            assert_eq!(notes.read(&id, &from), Some(Note { request, asked_at }));
        }
        assert!(notes.knows(&base) && !notes.knows(&other_base));
        assert_eq!(notes.read(&id, &Sender { base: &other_base, ..from }), None);
        assert_eq!(notes.read(&id, &Sender { identity: &ops, ..from }), None);
        assert_eq!(notes.read(&RequestId::new("a1").unwrap(), &from), None);
        assert!(home.path().join("obsbus/requests/...json").is_file());
    }

    #[test]
    fn a_note_of_the_day_before_yesterday_goes_and_no_other_file() {
        let home = tempfile::tempdir().unwrap();
        let notes = Notes(home.path().to_owned());
        let long_ago = SystemTime::now() - 2 * KEPT;
        for name in ["old.json", "other.txt"] {
            fs::write(home.path().join(name), "{}").unwrap();
            fs::File::options()
                .write(true)
                .open(home.path().join(name))
                .and_then(|file| file.set_modified(long_ago))
                .unwrap();
        }
        fs::write(home.path().join("new.json"), "{}").unwrap();
        notes.forget_old();
        assert!(!home.path().join("old.json").exists());
        assert!(home.path().join("new.json").exists() && home.path().join("other.txt").exists());
    }

    #[test]
    fn without_a_home_there_are_no_notes() {
        let place = |variables: &[(&str, &str)]| {
            let variables: Vec<(String, String)> =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Notes::find(&variables).map(|notes| notes.0)
        };
        assert_eq!(
            place(&[("XDG_STATE_HOME", ""), ("HOME", "/h")]),
            Some("/h/.local/state/obsbus/requests".into())
        );
        assert_eq!(place(&[]), None);
    }
}
