//! Warnings about what the connection depends on: certificates that expire soon, and a key that
//! everybody may read. On a terminal once a day; in `health` always.
#![expect(clippy::disallowed_methods, reason = "reads the clock, and the age of its file")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bus::clock::{Now, Utc};
use bus::settings::{BrokerSettings, Expiry, check_files, process_environment};

use crate::output::say;

const DAY: Duration = Duration::from_secs(86_400);

/// When to warn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// On a terminal that was not warned today.
    Daily,
    /// The user asks for the health of things.
    Always,
}

/// Warns of what is found, once in a run of the program; `shown` is the broker's certificate.
pub(crate) fn tell(broker: &BrokerSettings, shown: Option<Expiry>, ask: Ask) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if TOLD.load(Ordering::Relaxed) || (ask == Ask::Daily && !io::stderr().is_terminal()) {
        return;
    }
    let warnings = warnings(broker, shown, Now::read().utc);
    if warnings.is_empty() || (ask == Ask::Daily && !is_due(note().as_deref(), SystemTime::now())) {
        return;
    }
    TOLD.store(true, Ordering::Relaxed);
    for warning in warnings {
        say(&format!("warning: {warning}"));
    }
}

/// Says why the first of several addresses of the broker is not used: each reason once in a run of the program,
/// and to scripts, too, for whom each command is slower for it, or who would lose the bus with the other.
pub(crate) fn tell_once(reasons: &[String]) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    for reason in reasons {
        if told.insert(reason.clone()) {
            say(&format!("warning: not the broker's first address: {reason}"));
        }
    }
}

fn warnings(broker: &BrokerSettings, shown: Option<Expiry>, now: Utc) -> Vec<String> {
    // What cannot be read is said when the connection fails for it.
    let own = Expiry::of_own(broker).ok().flatten();
    let authority = Expiry::of_authority(broker).ok();
    let expiring =
        [own, authority, shown].into_iter().flatten().filter_map(|certificate| certificate.warning(now));
    let is_secret = |key: &str| key == "key_file" || key == "password_file";
    let open = check_files(broker, now)
        .into_iter()
        .filter(|finding| !finding.is_problem && is_secret(finding.key))
        .map(|finding| format!("{} {}", finding.key, finding.message));
    expiring.chain(open).collect()
}

/// Whether nobody was warned within a day; notes that somebody is now. Without a place for the note
/// nobody is: a warning with every command would be worse than none.
fn is_due(note: Option<&Path>, now: SystemTime) -> bool {
    let Some(note) = note else { return false };
    let last = fs::metadata(note).and_then(|metadata| metadata.modified()).ok();
    // A note from the future comes from a wrong clock.
    if last.is_some_and(|last| now.duration_since(last).is_ok_and(|age| age < DAY)) {
        return false;
    }
    let folder = note.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(note, "")).is_ok()
}

/// `$XDG_CACHE_HOME/obsbus/warned`, or in `~/.cache`.
fn note() -> Option<PathBuf> {
    let environment = process_environment();
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| PathBuf::from(value))
    };
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("obsbus/warned"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_warned_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("obsbus/warned");
        let now = SystemTime::now();
        assert!(is_due(Some(&note), now));
        assert!(!is_due(Some(&note), now));
        assert!(!is_due(Some(&note), now + DAY - Duration::from_secs(60)));
        assert!(is_due(Some(&note), now + DAY + Duration::from_secs(60)));
        assert!(is_due(Some(&note), now - DAY), "the note is from the future");
    }

    #[test]
    fn without_a_place_for_the_note_nobody_is_warned_with_every_command() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("obsbus"), "a file").unwrap();
        assert!(!is_due(Some(&folder.path().join("obsbus/warned")), SystemTime::now()));
        assert!(!is_due(None, SystemTime::now()));
    }
}
