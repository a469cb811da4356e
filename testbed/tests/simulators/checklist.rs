//! docs/commissioning.md: what the protocol pages call unknown stands in it, and each of its items says what
//! to do, what to look for, what follows, and how to undo it.

use std::collections::BTreeSet;
use std::fs;

use crate::transcripts::root;

const PAGE: &str = "docs/commissioning.md";
/// Parts of an item.
const PARTS: [&str; 4] = ["*Do.*", "*Look for.*", "*Then.*", "*Undo.*"];

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The protocol pages of the instruments.
fn pages() -> Vec<String> {
    let folders =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = folders.filter(|name| name.ends_with("-bridge")).map(|name| format!("{name}/protocol.md"));
    let mut pages: Vec<_> = pages.filter(|page| root().join(page).is_file()).collect();
    pages.sort();
    assert!(pages.len() >= 2, "{pages:?}");
    pages
}

/// Where the page says that something is unknown: line, text, and the checklist's items that it links.
fn unknowns(page: &str) -> Vec<(usize, String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let mut heading = String::new();
    // A table's row, a paragraph or an item of a list, with its lines joined.
    let mut block: (usize, String) = (1, String::new());
    for (number, line) in page.lines().chain([""]).enumerate() {
        let begins = line.is_empty() || line.starts_with(['|', '#']) || line.starts_with("- ");
        if begins {
            let (first, text) =
                std::mem::replace(&mut block, (number + 1 + usize::from(line.is_empty()), String::new()));
            let is_listed = heading == "## Unknown facts" && text.starts_with("- ");
            let says =
                text.contains("**unknown**") || text.contains("**Unknown:**") || text.contains(" is unknown");
            if is_listed || says {
                let links = text.split("docs/commissioning.md#").skip(1);
                let links = links.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
                found.push((first, text.clone(), links.collect()));
            }
        }
        if line.starts_with('#') {
            line.clone_into(&mut heading);
        }
        block.1 += line;
        block.1.push(' ');
    }
    found
}

/// The items of the checklist, by their anchors, with their text.
fn items(page: &str) -> Vec<(String, &str)> {
    let items = page.split("\n### ").skip(1).filter(|item| !item.starts_with(['0', ' ']));
    let items = items.map(|item| {
        let (heading, text) = item.split_once('\n').unwrap();
        let slug = heading.to_lowercase().replace(' ', "-");
        let slug = slug.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-' || *letter == '_');
        (slug.collect(), text.split("\n## ").next().unwrap())
    });
    items.collect()
}

#[test]
fn everything_unknown_stands_in_the_checklist() {
    let page = read(PAGE);
    let items = items(&page);
    let anchors: BTreeSet<&str> = items.iter().map(|(anchor, _)| anchor.as_str()).collect();
    assert!(anchors.len() >= 12, "{anchors:?}");
    let mut linked = BTreeSet::new();
    let mut wrong = Vec::new();
    for name in pages() {
        for (line, text, links) in unknowns(&read(&name)) {
            if links.is_empty() || !links.iter().all(|link| anchors.contains(link.as_str())) {
                wrong.push(format!("{name}:{line}: expected a link to an item of {PAGE}: {text}"));
            }
            linked.extend(links);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let idle: Vec<_> = anchors.iter().filter(|anchor| !linked.contains(**anchor)).collect();
    assert!(idle.is_empty(), "no protocol page says that these are unknown: {idle:?}");
    for (anchor, text) in &items {
        for part in PARTS {
            assert!(text.contains(part), "{PAGE}#{anchor}: expected {part}");
        }
    }
}

#[test]
fn the_page_adds_the_transcript_to_the_unit_as_it_is_and_where_it_may_write() {
    let unit = read("deploy/systemd/bridge@.service");
    let starts = unit.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    let folder = unit.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    let (program, settings) = starts.split_once(' ').unwrap();
    let line = format!("\n{program} --transcript %S/{folder}/transcript.txt {settings}\n");
    assert!(read(PAGE).contains(&line), "{PAGE}: expected{line}");
}

#[test]
fn an_unknown_without_a_link_would_be_found() {
    let page = "# P\n\n| reply | **unknown** | |\n| x | known | |\n\nThe scale is\n**unknown** \
                ([a](../docs/commissioning.md#a)).\n\n## Unknown facts\n\n- This,\n  and that.\n- More.\n";
    let found: Vec<_> = unknowns(page).into_iter().map(|(line, _, links)| (line, links.len())).collect();
    assert_eq!(found, [(3, 0), (6, 1), (11, 0), (13, 0)]);
}
