//! What the pages of documentation say, as far as it can be held without running it: links lead
//! somewhere, quoted messages are said by a program, commands are commands.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::process::Launch;

const LIMIT: Duration = Duration::from_secs(10);
/// Our programs that take `--help` behind anything that they know.
const PROGRAMS: [&str; 5] = ["obsbus", "chiller", "focus", "chiller-bridge", "focuser-bridge"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files below the repository with this ending, without those that are built.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["target", "node_modules"].contains(&name.as_str()) && !name.starts_with('.')
            {
                folders.push(path);
            } else if path.is_file() && name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn pages() -> Vec<PathBuf> {
    let pages = files(&root(), ".md");
    assert!(pages.len() > 20, "{pages:?}");
    pages
}

/// The text outside of fenced blocks; the blocks of shell commands, each with its mark if it has one.
fn parts(page: &str) -> (Vec<&str>, Vec<(Option<&str>, String)>) {
    let (mut text, mut blocks) = (Vec::new(), Vec::new());
    let mut inside: Option<(bool, String)> = None;
    let mut mark = None;
    for line in page.lines() {
        match (&mut inside, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => inside = Some((language == "sh", String::new())),
            (Some(_), Some(_)) => {
                let (is_shell, block) = inside.take().unwrap();
                if is_shell {
                    blocks.push((mark, block));
                }
                mark = None;
            }
            (Some((_, block)), None) => *block += &format!("{}\n", line.trim_start()),
            (None, None) => {
                if !line.trim().is_empty() {
                    mark = line.trim().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                }
                text.push(line);
            }
        }
    }
    (text, blocks)
}

/// What stands between backticks, and the rest.
fn quoted(line: &str) -> (Vec<&str>, String) {
    let (mut quotes, mut rest) = (Vec::new(), String::new());
    for (at, piece) in line.split('`').enumerate() {
        if at % 2 == 1 { quotes.push(piece) } else { rest += piece }
    }
    (quotes, rest)
}

/// The targets of the links in a page.
fn links(page: &str) -> Vec<String> {
    let text = parts(page).0.into_iter().map(|line| quoted(line).1);
    let mut links = Vec::new();
    for line in text {
        let targets = line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        links.extend(targets);
    }
    links
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = parts(page).0.into_iter().filter(|line| line.starts_with('#'));
    let slug = |line: &str| {
        let kept = line
            .trim_start_matches('#')
            .trim()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for link in links(&page).iter().filter(|link| !link.contains("://")) {
            count += 1;
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(f, a)| (f, Some(a)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_there = match anchor {
                None => target.exists(),
                Some(anchor) => fs::read_to_string(&target).is_ok_and(|page| anchors(&page).contains(anchor)),
            };
            if !is_there {
                wrong.push(format!("{}: {link}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(count > 100, "only {count} links");
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn links_and_anchors_are_read_as_a_browser_reads_them() {
    let page = "# The 1st, *of* all\nsee [a](b.md#c), `[no](x)` and [d](e)\n```\n# no\n[no](y)\n```\n";
    assert_eq!(links(page), ["b.md#c", "e"]);
    assert_eq!(anchors(page), BTreeSet::from(["the-1st-of-all".to_owned()]));
}

/// The text of all programs, in which a literal that goes over several lines is one line.
fn programs_text() -> String {
    let mut text = String::new();
    for folder in ["bus", "bridge", "cli", "identity", "chiller-bridge", "focuser-bridge"] {
        if !root().join(folder).is_dir() {
            continue;
        }
        for file in files(&root().join(folder), ".rs") {
            let mut joined = false;
            for line in fs::read_to_string(file).unwrap().lines() {
                let line = if joined { line.trim_start() } else { line };
                joined = line.ends_with('\\');
                text += line.strip_suffix('\\').unwrap_or(line);
                if !joined {
                    text.push('\n');
                }
            }
        }
    }
    text
}

#[test]
fn the_messages_by_which_the_fault_guide_is_searched_are_said_by_a_program() {
    let page = fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let text = programs_text();
    let tables = page.split("\n## Attentions").next().unwrap();
    let rows = tables.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| it says"));
    let mut count = 0;
    for row in rows {
        let first = row.trim_start_matches("| ").split(" | ").next().unwrap();
        for piece in quoted(first).0.into_iter().flat_map(|quote| quote.split("...")) {
            count += 1;
            assert!(text.contains(piece.trim()), "no program says {piece:?}, which docs/faults.md explains");
        }
    }
    assert!(count >= 12, "{count}");
}

#[test]
fn the_page_about_moving_names_every_word_that_status_may_be() {
    let page = fs::read_to_string(root().join("docs/moving.md")).unwrap();
    for kind in ["chiller", "focuser"] {
        let meta = fs::read(root().join(format!("{kind}-bridge/device/examples/meta.json"))).unwrap();
        let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap();
        let properties = meta["properties"].as_array().unwrap();
        let status = properties.iter().find(|property| property["key"] == "status").unwrap();
        let words = status["words"].as_array().unwrap();
        assert!(words.len() > 5, "{words:?}");
        for word in words {
            let shown = format!("`{}`", word["word"]);
            assert!(page.contains(&shown), "docs/moving.md does not say that status may be {shown}");
        }
    }
}

/// The commands of a block, joined where they go over several lines; without those that are shown because
/// they are wrong, and without comments.
fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let mut commands: Vec<String> = Vec::new();
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "# exit code 64" {
            commands.pop();
        } else if !line.starts_with('#') {
            commands.push(line.split(" # ").next().unwrap_or(line).trim_end().to_owned());
        }
    }
    commands
}

/// A plain call of one of our programs, ready to be asked for its help. What `obsbus` does with a device it
/// knows only from the broker; `chiller` and `focus` know it from the start.
fn call(command: &str) -> Option<(&'static str, Vec<&str>)> {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["obsbus", "chiller", ..] => _ = words.splice(..2, ["chiller"]),
        ["obsbus", "focuser", ..] => _ = words.splice(..2, ["focus"]),
        // Names of devices on other sites, and devices that only the broker knows.
        ["obsbus", device, ..] if device.contains('/') => return None,
        ["obsbus", "alert" | "pyro-gateway", ..] => return None,
        _ => {}
    }
    if words.get(1) == Some(&"help") {
        return None;
    }
    let program = PROGRAMS.into_iter().find(|program| words.first() == Some(program))?;
    let is_plain = !command.contains(['|', '>', '<', '$', '&', ';', '"', '\'', '(', '{']);
    is_plain.then(|| (program, words.split_off(1)))
}

#[test]
fn every_command_that_is_shown_is_one() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in pages() {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let page = fs::read_to_string(&path).unwrap();
        for (_, block) in parts(&page).1 {
            let syntax = Launch::machine("bash").unwrap().args(["-n", "-c", &block]).run(LIMIT).unwrap();
            if syntax.code != 0 {
                wrong.push(format!("{name}: {}", syntax.stderr));
            }
            for command in commands(&block) {
                let Some((program, arguments)) = call(&command) else { continue };
                count += 1;
                let launch = Launch::workspace(program).unwrap().args(&arguments).args(["--help"]);
                let output = launch.run(LIMIT).unwrap();
                if output.code != 0 {
                    wrong.push(format!("{name}: {command}\n    {}", output.stderr));
                }
            }
        }
    }
    assert!(count > 60, "only {count} commands");
    assert!(wrong.is_empty(), "these are not commands:\n{}", wrong.join("\n"));
}
