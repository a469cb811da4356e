//! What to do about an attention: the tables of docs/faults.md, which are made from what every bridge and
//! every instrument says of its attentions.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::watch::{BRIDGE_OFFLINE, BROKER_LOST};

const PAGE: &str = include_str!("../../../docs/faults.md");
const MARK: &str = "<!-- attentions of ";

/// By whose attention it is (`every bridge`, `the lamp`) and its name.
static REMEDIES: LazyLock<BTreeMap<(String, String), String>> = LazyLock::new(|| {
    let mut remedies = BTreeMap::new();
    for part in PAGE.split(MARK).skip(1) {
        let Some((whose, table)) = part.split_once(" -->") else { continue };
        let table = table.split("<!-- end -->").next().unwrap_or_default();
        for row in table.lines() {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            if let [_, name, _, _, remedy, _] = cells.as_slice()
                && let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'))
            {
                remedies.insert((whose.to_owned(), name.to_owned()), plain(remedy));
            }
        }
    }
    remedies
});

/// What to do about the attention `name` of a device of this kind, if anybody knows.
#[must_use]
pub fn of(kind: &str, name: &str) -> Option<&'static str> {
    match name {
        BRIDGE_OFFLINE => {
            return Some(
                "on the machine of the bridge: systemctl status, then its journal. Did the machine lose its power or its network?",
            );
        }
        BROKER_LOST => {
            return Some(
                "on the broker's machine: systemctl status mosquitto. Did the machine lose its power or its network?",
            );
        }
        _ => {}
    }
    let find = |whose: String| REMEDIES.get(&(whose, name.to_owned())).map(String::as_str);
    find(format!("the {kind}")).or_else(|| find("every bridge".to_owned()))
}

/// Markdown as text: without marks, and without the addresses of links.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text.replace(['`', '*', '['], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedies_are_those_of_the_page_without_its_marks() {
        assert!(of("", "no_answer").is_some_and(|text| text.contains("check that the unit is powered")));
        assert!(of("alert", "receiver_failing").is_some_and(|text| text.contains("obsbus alert test")));
        assert!(of("", "nothing_of_that_name").is_none());
        assert_eq!(plain("**look** at `it` ([more](page.md#x)) now"), "look at it (more) now");
        assert!(REMEDIES.len() > 20 && REMEDIES.values().all(|text| !text.contains("](")));
    }
}
