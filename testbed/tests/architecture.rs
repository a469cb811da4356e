//! What README and docs/architecture.md say of the code, looked for in its text: who may mention
//! what, how long a file may be, and that no modules of a crate import one another in a circle.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helper may panic as its test may"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The Rust files below `folder`, without build folders.
fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') && name != "node_modules" {
            files_below(&path, files);
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
}

/// Every Rust file of the repository, by its path from the root, with its text.
fn sources() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    files_below(&root(), &mut files);
    let named = files.into_iter().map(|path| {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        (name, text)
    });
    let sources: BTreeMap<_, _> = named.collect();
    assert!(sources.len() > 100, "the sources are not where they were");
    sources
}

/// Without comments, and without what follows `#[cfg(test)]`.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The files among `within` (prefixes) whose code has one of `words`, but for those in `except`.
fn mentions(words: &[&str], within: &[&str], except: &[&str]) -> Vec<String> {
    let is_in = |name: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let sources = sources();
    let candidates = sources.iter().filter(|(name, _)| is_in(name, within) && !is_in(name, except));
    candidates
        .filter(|(_, text)| {
            let code = code(text).to_lowercase();
            words.iter().any(|word| code.contains(word))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST_FILE} lines: {long:?}");
}

#[test]
fn what_every_bridge_shares_names_no_instrument() {
    let kinds: Vec<String> = fs::read_dir(root())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix("-bridge").map(str::to_owned))
        .collect();
    assert!(kinds.len() >= 2, "{kinds:?}");
    let mut words: Vec<&str> = kinds.iter().map(String::as_str).collect();
    words.push("focus");
    assert_eq!(
        mentions(
            &words,
            &["bus/src/", "bridge/src/", "cli/src/", "rig/src/", "testbed/harness/src/", "schemas/src/"],
            &[]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn only_the_session_mentions_the_mqtt_library() {
    let product = [
        "bus/src/",
        "bridge/src/",
        "cli/src/",
        "cli/alpaca/src/",
        "chiller-bridge/src/",
        "focuser-bridge/src/",
    ];
    assert_eq!(mentions(&["rumqttc"], &product, &["bus/src/session/"]), Vec::<String>::new());
}

#[test]
fn only_one_module_takes_a_topic_apart() {
    let product = ["bus/src/", "bridge/src/", "cli/", "chiller-bridge/src/", "focuser-bridge/src/"];
    let ways = [
        "split(",
        "splitn(",
        "split_once(",
        "rsplit(",
        "rsplitn(",
        "rsplit_once(",
        "starts_with(",
        "ends_with(",
    ];
    let words: Vec<String> = ways.iter().map(|way| format!("topic.{way}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // The tests of the rules look at replies.
    let except = ["bus/src/topic", "bus/src/command/rules/", "cli/alert/tests/"];
    assert_eq!(mentions(&words, &product, &except), Vec::<String>::new());
}

#[test]
fn a_replay_has_no_settings_and_so_no_broker_but_its_own() {
    let ways =
        ["clientsettings", "bridgeoutline", "find_client_file", "process_environment", "cli::", "access"];
    assert_eq!(mentions(&ways, &["cli/record/src/"], &[]), Vec::<String>::new());
    assert!(!mentions(&["brokersettings"], &["cli/record/src/broker.rs"], &[]).is_empty());
}

#[test]
fn only_the_line_mentions_the_serial_library() {
    let product = ["bus/src/", "bridge/src/", "cli/src/", "chiller-bridge/", "focuser-bridge/"];
    assert_eq!(mentions(&["tokio_serial"], &product, &["bridge/src/line"]), Vec::<String>::new());
}

#[test]
fn only_the_alerters_courier_sends_mail_and_makes_web_requests() {
    // Its settings know what an address of mail is.
    let except = ["cli/alert/src/courier", "cli/alert/src/settings/"];
    assert_eq!(
        mentions(&["lettre", "ureq"], &["bus/src/", "bridge/src/", "cli/"], &except),
        Vec::<String>::new()
    );
}

#[test]
fn only_the_store_touches_the_state_directory() {
    let product = ["bridge/src/", "chiller-bridge/src/", "focuser-bridge/src/"];
    let writes = ["fs::write", "file::create", "fs::rename", "openoptions", "create_dir"];
    assert_eq!(
        mentions(&writes, &product, &["bridge/src/store", "bridge/src/restarts", "bridge/src/transcript"]),
        Vec::<String>::new()
    );
}

/// A module of a crate: `controller::homing`; the crate itself is empty.
fn module(source: &Path, file: &Path) -> String {
    let inner = file.strip_prefix(source).unwrap().with_extension("");
    let parts: Vec<_> = inner.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let parts: Vec<_> =
        parts.into_iter().filter(|part| !["mod", "lib", "main"].contains(&part.as_str())).collect();
    parts.join("::")
}

/// The paths that the `use` lines of `text` name, from the crate's root.
fn imports(text: &str, module: &str) -> Vec<String> {
    let code = code(text);
    let mut paths = Vec::new();
    for statement in code.split(';') {
        let is_visibility = |text: &str| {
            text.is_empty() || text == "pub" || (text.starts_with("pub(") && text.ends_with(')'))
        };
        let begins = statement.match_indices("use ").find(|(at, _)| {
            let line = statement[..*at].rsplit('\n').next().unwrap_or_default().trim();
            is_visibility(line)
        });
        let Some((at, _)) = begins else { continue };
        for path in expand(statement[at + 4..].trim()) {
            let mut parts: Vec<&str> = path.split("::").map(str::trim).collect();
            let mut from: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
            match parts.first() {
                Some(&"crate") => {
                    from.clear();
                    parts.remove(0);
                }
                Some(&"super") => {
                    while parts.first() == Some(&"super") {
                        parts.remove(0);
                        from.pop();
                    }
                }
                Some(&"self") => _ = parts.remove(0),
                _ => continue,
            }
            paths.push(from.into_iter().chain(parts).collect::<Vec<_>>().join("::"));
        }
    }
    paths
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn expand(path: &str) -> Vec<String> {
    let Some(open) = path.find('{') else {
        return vec![path.split(" as ").next().unwrap_or(path).to_owned()];
    };
    let (prefix, rest) = path.split_at(open);
    let inner = rest.trim_start_matches('{').trim_end().strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(|part| expand(&format!("{prefix}{part}"))).collect()
}

fn is_kin(one: &str, other: &str) -> bool {
    one == other
        || one.is_empty()
        || other.is_empty()
        || one.starts_with(&format!("{other}::"))
        || other.starts_with(&format!("{one}::"))
}

/// A circle of modules that import one another, if there is one. What a module and its own children
/// have to do with each other is their affair.
fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        at: &str,
        edges: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(begin) = way.iter().position(|module| module == at) {
            return Some(way[begin..].to_vec());
        }
        if done.contains(at) {
            return None;
        }
        way.push(at.to_owned());
        let found = edges.get(at).into_iter().flatten().find_map(|next| walk(next, edges, way, done));
        way.pop();
        done.insert(at.to_owned());
        found
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|module| walk(module, edges, &mut Vec::new(), &mut done))
}

#[test]
fn no_modules_of_a_crate_import_one_another_in_a_circle() {
    let sources = sources();
    let mut crates = BTreeSet::new();
    for name in sources.keys() {
        if let Some((before, _)) = name.split_once("/src/") {
            crates.insert(format!("{before}/src"));
        }
    }
    let mut circles = Vec::new();
    for source in crates {
        let own: BTreeMap<String, &String> = sources
            .iter()
            .filter(|(name, _)| name.starts_with(&format!("{source}/")) && !name.contains("/src/bin/"))
            .map(|(name, text)| (module(Path::new(&source), Path::new(name)), text))
            .collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, text) in own.iter().filter(|(module, _)| !module.ends_with("tests")) {
            for path in imports(text, from) {
                // The longest part of the path that is a module.
                let to = own.keys().filter(|to| path == **to || path.starts_with(&format!("{to}::")));
                if let Some(to) = to.max_by_key(|to| to.len()).filter(|to| !is_kin(from, to)) {
                    edges.entry(from.clone()).or_default().insert(to.clone());
                }
            }
        }
        circles.extend(circle(&edges).map(|circle| format!("{source}: {}", circle.join(" -> "))));
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_circle_would_be_found() {
    let text = "//! Head.\nuse crate::b::{self, c::D};\n\npub use super::e::F;\n";
    assert_eq!(imports(text, "a::x"), ["b::self", "b::c::D", "a::e::F"]);
    let edge = |from: &str, to: &str| (from.to_owned(), BTreeSet::from([to.to_owned()]));
    assert_eq!(circle(&[edge("a", "b"), edge("b", "c")].into()), None);
    let found = circle(&[edge("a", "b"), edge("b", "c"), edge("c", "b")].into());
    assert_eq!(found, Some(vec!["b".to_owned(), "c".to_owned()]));
}
