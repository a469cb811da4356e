//! docs/faults.md: the tables of attentions in it, which are made from the concerns of the bridges and
//! of the instruments. The rest of the page is written by hand.

use bus::device::{Concern, Tone};

use crate::{keep, root};

/// Where the tables are.
pub const PAGE: &str = "docs/faults.md";
const MARK: &str = "<!-- attentions of ";
const END: &str = "<!-- end -->";

/// The table behind the mark `<!-- attentions of WHOSE -->` is what the concerns say.
pub fn hold(whose: &str, concerns: &[Concern]) {
    let page = page();
    let mark = format!("{MARK}{whose} -->\n");
    let (before, after) = page
        .split_once(&mark)
        .unwrap_or_else(|| panic!("{PAGE} has no place for the attentions of {whose}: {mark}{END}"));
    let (_, after) = after.split_once(END).unwrap_or_else(|| panic!("{PAGE}: no {END} after {mark}"));
    keep(PAGE, &format!("{before}{mark}{}{END}{after}", table(concerns)));
}

/// Whose attentions the page has a table of, and the names of all of them, in order.
#[must_use]
pub fn contents() -> (Vec<String>, Vec<String>) {
    let page = page();
    let mut whose = Vec::new();
    let mut names = Vec::new();
    for part in page.split(MARK).skip(1) {
        let (who, table) = part.split_once(" -->\n").unwrap();
        whose.push(who.to_owned());
        let rows = table.split(END).next().unwrap().lines();
        names.extend(rows.filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned())));
    }
    (whose, names)
}

fn page() -> String {
    std::fs::read_to_string(root().join(PAGE)).unwrap_or_else(|error| panic!("{PAGE}: {error}"))
}

fn table(concerns: &[Concern]) -> String {
    let rows = concerns.iter().map(|concern| {
        let Concern { name, means, remedy, .. } = concern;
        format!("| `{name}` | {} | {means} | {remedy} |\n", level(concern))
    });
    format!("| attention | | means | do |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

fn level(concern: &Concern) -> &'static str {
    match (concern.tone, concern.grows) {
        (_, true) => "warning, later error",
        (Tone::Bad, false) => "error",
        _ => "warning",
    }
}
