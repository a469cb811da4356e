//! Reads the Desk's journal entry by entry: one that is damaged, or that a newer version wrote, does
//! not take the others with it. Pure.

use bus::command::Journal;
use serde_json::{Map, Value};

use crate::store::Loaded;

/// The journal, and the error of each entry that could not be read.
pub type Salvaged = (Journal, Vec<String>);

/// Reads a file.
///
/// # Errors
/// It is no JSON object at all.
pub fn read(bytes: &[u8]) -> serde_json::Result<Salvaged> {
    let mut wrong = Vec::new();
    let whole: Map<String, Value> = serde_json::from_slice(bytes)?;
    let mut kept = Map::new();
    for name in LISTS {
        let entries = match whole.get(name) {
            Some(Value::Array(entries)) => entries.as_slice(),
            None if name == OWED => &[],
            _ => {
                wrong.push(format!("there is no list {name:?}"));
                &[]
            }
        };
        let mut good = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match serde_json::from_value::<Journal>(alone(name, entry)) {
                Ok(_) => good.push(entry.clone()),
                Err(error) => wrong.push(format!("{name}[{index}]: {error}")),
            }
        }
        kept.insert(name.to_owned(), Value::Array(good));
    }
    Ok((serde_json::from_value(Value::Object(kept))?, wrong))
}

const OWED: &str = "owed";
const LISTS: [&str; 3] = ["open", "ended", OWED];

/// A journal with only this entry.
fn alone(list: &str, entry: &Value) -> Value {
    let lists = LISTS.into_iter().map(|name| {
        let entries = if name == list { vec![entry.clone()] } else { Vec::new() };
        (name.to_owned(), Value::Array(entries))
    });
    Value::Object(lists.collect())
}

/// The journal to begin with, and what people must know of it.
#[must_use]
pub fn taken_over(loaded: Loaded<Salvaged>) -> (Journal, Option<String>) {
    const FOLLOWS: &str = "a command from before the start that is sent again with its id may run again";
    match loaded {
        Loaded::Missing => (Journal::default(), None),
        Loaded::Current((journal, wrong)) => {
            let lost = wrong.first().map(|first| {
                let number = wrong.len();
                format!("{number} entries of the saved commands could not be read ({first}): {FOLLOWS}")
            });
            (journal, lost)
        }
        Loaded::Previous((journal, _), problem) => (
            journal,
            Some(format!(
                "the saved commands could not be read ({problem}), an older copy is used: {FOLLOWS}"
            )),
        ),
        Loaded::Damaged(problem) => {
            (Journal::default(), Some(format!("the saved commands could not be read ({problem}): {FOLLOWS}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = r#"{"open":[],"ended":[],"owed":[]}"#;

    fn ended(id: &str) -> String {
        format!(
            r#"{{"id":"{id}","verb":"ping","argument":null,"reply":{{"schema":2,"id":"{id}","verb":"ping","by":"alice",
            "status":"succeeded","code":0,"reason":"succeeded","message":"done","note":null,"seq":3,
            "received_at":"2026-11-20T18:00:00.000Z","deadline":null,
            "finished_at":"2026-11-20T18:00:00.000Z","duplicate":false}}}}"#
        )
    }

    #[test]
    fn an_entry_that_cannot_be_read_does_not_take_the_others_with_it() {
        for bad in [r#"{"x":1}"#.to_owned(), ended("a b"), "null".to_owned()] {
            let text = format!(r#"{{"open":[],"ended":[{},{bad},{}]}}"#, ended("r1"), ended("r2"));
            let (journal, wrong) = read(text.as_bytes()).unwrap();
            let kept = serde_json::to_value(&journal).unwrap();
            let ids: Vec<_> =
                kept["ended"].as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect();
            assert_eq!(ids, ["r1", "r2"], "{wrong:?}");
            assert!(wrong.len() == 1 && wrong[0].starts_with("ended[1]: "), "{wrong:?}");
            let (_, told) = taken_over(Loaded::Current((journal, wrong)));
            let told = told.expect("it is said");
            assert!(told.starts_with("1 entries of") && told.contains("may run again"), "{told}");
        }
    }

    #[test]
    fn a_list_that_is_missing_is_said_and_a_file_of_an_earlier_version_is_whole() {
        assert_eq!(read(br#"{"open":[]}"#).unwrap().1, [r#"there is no list "ended""#]);
        assert_eq!(read(br#"{"open":[],"ended":[]}"#).unwrap().1, [""; 0]);
        let (journal, wrong) = read(NONE.as_bytes()).unwrap();
        assert_eq!(taken_over(Loaded::Current((journal, wrong))).1, None);
        assert!(read(b"").is_err() && read(b"[]").is_err());
    }
}
