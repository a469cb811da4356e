//! `obsbus doctor` finds what is wrong: each row breaks something of a real site, and says which words
//! the first line that is not well must have: the cause, and what to do.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]
#![expect(
    clippy::indexing_slicing,
    reason = "a key that JSON does not have is null, and then the test fails"
)]

mod access;
mod bridges;
mod broker;
mod disk;
mod inputs;
mod line;
mod machine;
mod page;
mod slow;
mod stage;

use testbed::process::{Launch, Output};
use testbed::site::LIMIT;

use stage::Stage;

/// One broken set-up.
struct Row<S> {
    name: &'static str,
    /// Breaks it, and waits until it shows where anybody can see it; how to call the doctor then.
    break_it: fn(&mut S) -> Launch,
    /// What the first line that is not well must say.
    says: &'static [&'static str],
    code: i32,
    /// Repairs it for the next row.
    mend: fn(&mut S),
}

/// Breaks, asks, and repairs, row by row; the row's name is in every failure.
fn try_rows<S>(stage: &mut S, rows: &[Row<S>]) {
    let mut failures = Vec::new();
    for row in rows {
        let output = (row.break_it)(stage).run(LIMIT).unwrap();
        failures.extend(wrong(row.name, &output, row.says, row.code));
        (row.mend)(stage);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What is wrong with the doctor's answer, if anything.
fn wrong(name: &str, output: &Output, says: &[&str], code: i32) -> Option<String> {
    let first = first_unwell(output).unwrap_or_default();
    let lacks: Vec<_> = says.iter().filter(|words| !first.contains(**words)).collect();
    let is_right = lacks.is_empty() && output.code == code && output.stderr.is_empty();
    (!is_right).then(|| {
        format!(
            "{name}: exit code {} (expected {code}), the first line lacks {lacks:?}: {first}\n{output:?}",
            output.code
        )
    })
}

/// The first line with a failure or a warning.
fn first_unwell(output: &Output) -> Option<&str> {
    output.stdout.lines().find(|line| line.starts_with("  FAILURE") || line.starts_with("  warning"))
}

fn nothing<S>(_: &mut S) {}
