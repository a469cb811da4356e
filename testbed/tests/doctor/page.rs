//! docs/doctor.md: its table is generated, and its texts are complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cli::doctor::catalogue;

const BEGIN: &str = "<!-- checks: generated -->\n";
const END: &str = "<!-- end -->";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn the_page_has_the_table_of_checks() {
    let file = root().join("docs/doctor.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("an end of the table");
    let expected = format!("{before}{BEGIN}{}{END}{after}", catalogue::table());
    if std::env::var_os("OBSBUS_GENERATE").is_some() {
        fs::write(&file, &expected).unwrap();
    } else {
        assert!(text == expected, "docs/doctor.md is not up to date: make generated");
    }
}

#[test]
fn at_least_two_dozen_broken_set_ups_are_tried() {
    use crate::{access, bridges, broker, disk, inputs, line, machine};
    let names = broker::ROWS.iter().map(|row| row.name);
    let stages =
        [access::ROWS.as_slice(), &bridges::ROWS, &disk::ROWS, &inputs::ROWS, &line::ROWS, &machine::ROWS];
    let names: Vec<_> = names.chain(stages.into_iter().flatten().map(|row| row.name)).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert!(names.len() >= 24 && distinct.len() == names.len(), "{names:?}");
}
