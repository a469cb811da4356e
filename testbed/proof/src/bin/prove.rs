//! Goes through the worlds and prints what it went through: `prove` all of them, `prove 20` one in
//! twenty.
//! Ends with 1 where a rule is broken, or a situation was not come to.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it says how long it took")]

use std::process::ExitCode;
use std::time::Instant;

use proof::{Checked, FAMILIES, SITUATIONS, check_all};

fn main() -> ExitCode {
    let of = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let begun = Instant::now();
    let mut all = Checked::default();
    for family in &FAMILIES {
        let start = Instant::now();
        let checked = check_all(family.scenes(of), threads);
        let [none, one, two] = checked.states;
        println!(
            "{}: {} worlds of {} requests; {}\n    {} states ({none} before a kill, {one} after one, {two} after two), \
             {} steps, the longest way {}; {:.0} s",
            family.name,
            checked.worlds,
            family.requests,
            family.bounds,
            checked.all_states(),
            checked.steps,
            checked.longest,
            start.elapsed().as_secs_f64(),
        );
        all = all.and(checked);
        if !all.broken.is_empty() {
            break;
        }
    }
    for (rule, events) in &all.broken {
        println!("BROKEN: {rule}\n  {events}");
    }
    if !all.broken.is_empty() {
        return ExitCode::FAILURE;
    }
    let mut status = ExitCode::SUCCESS;
    println!("states in which");
    for ((situation, _), count) in SITUATIONS.iter().zip(all.situations) {
        println!("    {count:>9}  {situation}");
        if count == 0 {
            println!("BROKEN: no world came to this");
            status = ExitCode::FAILURE;
        }
    }
    println!(
        "{} worlds, {} states, {} steps: no rule is broken in any; {:.0} s with {threads} threads",
        all.worlds,
        all.all_states(),
        all.steps,
        begun.elapsed().as_secs_f64()
    );
    status
}
