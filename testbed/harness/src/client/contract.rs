//! Whether what is heard is what the schemas say: every message on a topic that `schemas/` knows is
//! looked at as it arrives, so that no test can forget to.
//!
//! What a client of this process has published itself is exempt: tests send nonsense on purpose.
//! Commands are not looked at either, since anybody may send anything there.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use bus::message::{OFFLINE, ONLINE};
use jsonschema::Validator;
use serde_json::Value;

/// Of a message that is wrong, so much is shown.
const SHOWN: usize = 4_000;
/// What is told of one client.
const TOLD: usize = 5;

const STATE_SUFFIX: &str = "-state";
/// Messages that are the same for every device, by the third level of their topics.
const COMMON: [&str; 6] = ["health", "meta", "history", "recent", "event", "reply"];

static SCHEMAS: LazyLock<Schemas> =
    LazyLock::new(|| Schemas::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")));
/// What clients of this process have published where bridges do.
static OWN: LazyLock<Mutex<HashSet<u64>>> = LazyLock::new(Mutex::default);

/// Notes what a client of this process publishes itself.
pub(super) fn exempt(topic: &str, payload: &[u8]) {
    if !topic.contains("/command/") {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).insert(hash(topic, payload));
    }
}

fn is_exempt(topic: &str, payload: &[u8]) -> bool {
    OWN.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash(topic, payload))
}

fn hash(topic: &str, payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (topic, payload).hash(&mut hasher);
    hasher.finish()
}

/// What one client has heard that violates the schemas.
#[derive(Debug, Default)]
pub(super) struct Contract {
    /// What the devices say that they are, by site and device.
    kinds: BTreeMap<String, String>,
    violations: Vec<String>,
    stopped: bool,
}

impl Contract {
    /// Looks at nothing any more, and forgets what was wrong.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.violations.clear();
    }

    /// Looks at a message.
    pub(super) fn hear(&mut self, topic: &str, payload: &[u8]) {
        if !self.stopped
            && self.violations.len() < TOLD
            && let Err(wrong) = self.judge(&SCHEMAS, topic, payload)
            && !is_exempt(topic, payload)
        {
            let text: String = String::from_utf8_lossy(payload).chars().take(SHOWN).collect();
            self.violations.push(format!("{topic} violates its schema {wrong}: {text}"));
        }
    }

    /// What was wrong, in words.
    pub(super) fn violations(&self) -> Option<String> {
        (!self.violations.is_empty()).then(|| self.violations.join("\n"))
    }

    fn judge(&mut self, schemas: &Schemas, topic: &str, payload: &[u8]) -> Result<(), String> {
        let levels: Vec<&str> = topic.split('/').collect();
        let (base, what) = match levels.as_slice() {
            [site, device, "reply", _, _] => (format!("{site}/{device}"), "reply"),
            [site, device, what] => (format!("{site}/{device}"), *what),
            _ => return Ok(()),
        };
        let below = topic.split_once('/').map_or("", |(_, below)| below);
        let json = || serde_json::from_slice::<Value>(payload).map_err(|error| format!("({error})"));
        match what {
            "availability" => [ONLINE, OFFLINE]
                .iter()
                .any(|word| word.as_bytes() == payload)
                .then_some(())
                .ok_or_else(|| format!("({ONLINE} or {OFFLINE})")),
            _ if schemas.inputs.contains_key(below) => schemas.inputs(below, &json()?),
            "state" => {
                let device = base.split_once('/').map_or("", |(_, device)| device);
                schemas.state(self.kinds.get(&base).map(String::as_str), device, &json()?)
            }
            _ if COMMON.contains(&what) => {
                let value = json()?;
                schemas.hold(what, &value)?;
                if let (true, Some(kind)) = (what == "meta", value.get("kind").and_then(Value::as_str)) {
                    self.kinds.insert(base, kind.to_owned());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The schemas of the repository as they are now.
struct Schemas {
    common: BTreeMap<String, Validator>,
    /// By kind.
    states: BTreeMap<String, Validator>,
    /// By the topic below the site.
    inputs: BTreeMap<String, Vec<Validator>>,
}

impl Schemas {
    #[expect(clippy::panic, reason = "without its schemas no test can run")]
    fn read(folder: &Path) -> Self {
        let mut schemas = Self { common: BTreeMap::new(), states: BTreeMap::new(), inputs: BTreeMap::new() };
        let validator = |file: &Path| {
            let text = fs::read(file).map_err(|error| error.to_string());
            let schema =
                text.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
            schema
                .and_then(|schema: Value| {
                    jsonschema::validator_for(&schema).map_err(|error| error.to_string())
                })
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        };
        // The gateway is no bridge: its schema is beside it.
        let beside_the_gateway = files(&folder.join("../deploy/compat"));
        for file in files(folder).into_iter().chain(beside_the_gateway) {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(kind) = stem.strip_suffix(STATE_SUFFIX) {
                schemas.states.insert(kind.to_owned(), validator(&file));
            } else if COMMON.contains(&stem.as_str()) {
                schemas.common.insert(stem, validator(&file));
            }
        }
        for kind in folders(&folder.join("inputs")) {
            for service in folders(&kind) {
                for file in files(&service) {
                    let topic = file.strip_prefix(&kind).unwrap_or(&file).with_extension("");
                    let topic = topic.to_string_lossy().into_owned();
                    schemas.inputs.entry(topic).or_default().push(validator(&file));
                }
            }
        }
        schemas
    }

    fn hold(&self, name: &str, value: &Value) -> Result<(), String> {
        self.common.get(name).map_or(Ok(()), |validator| held(validator, name, value))
    }

    /// What nobody has said the kind of is a state of any; the device is often called as its kind is.
    fn state(&self, kind: Option<&str>, device: &str, value: &Value) -> Result<(), String> {
        let of = |kind: &str| {
            let name = format!("{kind}{STATE_SUFFIX}");
            self.states.get(kind).map(|validator| held(validator, &name, value))
        };
        match kind {
            Some(kind) => of(kind).unwrap_or_else(|| Err(format!("(there is none of a {kind})"))),
            None if self.states.values().any(|validator| validator.is_valid(value)) => Ok(()),
            None => of(device).unwrap_or_else(|| Err("(of any instrument)".to_owned())),
        }
    }

    fn inputs(&self, topic: &str, value: &Value) -> Result<(), String> {
        let mut validators = self.inputs.get(topic).into_iter().flatten();
        validators.try_for_each(|validator| held(validator, topic, value))
    }
}

fn held(validator: &Validator, name: &str, value: &Value) -> Result<(), String> {
    validator
        .validate(value)
        .map_err(|error| format!("{name}.json at {:?}, {error}", error.instance_path().as_str()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(messages: &[(&str, &str)]) -> Vec<String> {
        let mut contract = Contract::default();
        for (topic, payload) in messages {
            contract.hear(topic, payload.as_bytes());
        }
        contract.violations
    }

    /// An example of a message, with its `key` taken away.
    fn without(file: &str, key: &str) -> String {
        let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/examples").join(file));
        let mut example: Value = serde_json::from_slice(&text.unwrap()).unwrap();
        example.as_object_mut().unwrap().remove(key);
        example.to_string()
    }

    #[test]
    fn every_topic_of_a_bridge_is_looked_at() {
        let reply = without("reply/accepted.json", "code");
        let broken = [
            ("s/d/availability", "Online".to_owned()),
            ("s/d/health", without("health/good.json", "acl_ok")),
            ("s/d/event", without("event/flood.json", "kind")),
            ("s/d/recent", without("recent/first-start.json", "events")),
            ("s/d/history", without("history/first-start.json", "from")),
        ];
        for (topic, payload) in &broken {
            let told = violations(&[(topic, payload)]);
            assert_eq!(told.len(), 1, "{topic}");
            assert!(told[0].starts_with(topic) && told[0].ends_with(payload.as_str()), "{told:?}");
        }
        for (topic, payload) in
            [("s/d/reply/alice/x", reply.as_str()), ("s/d/meta", "{}"), ("s/d/state", "{}")]
        {
            assert_eq!(violations(&[(topic, payload)]).len(), 1, "{topic}");
        }
        let told = violations(&[("s/d/health", &without("health/good.json", "acl_ok"))]);
        assert!(told[0].contains("health.json at \"\"") && told[0].contains("\"acl_ok\""), "{told:?}");
        assert_eq!(violations(&[("s/d/event", "not JSON")]).len(), 1);
    }

    #[test]
    fn what_is_right_what_is_no_bridges_and_what_is_anybodys_is_let_pass() {
        let good = without("health/good.json", "no such key");
        for (topic, payload) in [
            ("s/d/health", good.as_str()),
            ("s/d/availability", "offline"),
            ("s/d/command/alice/set", "{\"mm\": \"nonsense\"}"),
            ("homeassistant/status", "online"),
            ("$SYS/broker/uptime", "3 seconds"),
            ("s/d/spectrum", "not ours"),
        ] {
            assert_eq!(violations(&[(topic, payload)]), [] as [&str; 0], "{topic}");
        }
    }

    #[test]
    fn what_a_client_of_this_process_publishes_itself_is_exempt() {
        exempt("s/own/event", b"nonsense");
        assert_eq!(violations(&[("s/own/event", "nonsense")]), [] as [&str; 0]);
        assert_eq!(violations(&[("s/other/event", "nonsense")]).len(), 1);
    }
}
