//! Virtual time: how long the controller alone takes for a year, and a bridge with the unit of
//! bytes for a winter. The tests that live through them say so.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use testbed::process::Launch;

use crate::report::{Judged, Report};

/// For a build from the beginning, and the test.
const LIMIT: Duration = Duration::from_secs(1200);

/// What is lived through.
struct Span {
    figure: &'static str,
    test: &'static str,
    settings: [(&'static str, &'static str); 2],
    seconds: f64,
}

const SPANS: [Span; 2] = [
    Span {
        figure: "a year of the controller alone",
        test: "year::in_a_year_of_weather_no_camera_is_dry_nothing_freezes_and_nothing_runs_for_nothing",
        settings: [("OBSBUS_YEAR_DAYS", "365"), ("OBSBUS_YEAR_SEEDS", "1")],
        seconds: 5.0,
    },
    Span {
        figure: "a winter with the unit of bytes",
        test: "winter::in_a_winter_of_troubles_the_safety_rules_hold_in_every_step",
        // As long as December, January and February.
        settings: [("OBSBUS_WINTER_DAYS", "90"), ("OBSBUS_WINTER_SEEDS", "1")],
        seconds: 30.0,
    },
];

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    // Built first, for whoever waits: nothing of that is measured.
    let build = cargo()?.arg("--no-run").run(LIMIT)?;
    ensure!(build.code == 0, "the tests cannot be built: {}", build.stderr);
    for span in SPANS {
        let launch = span
            .settings
            .iter()
            .fold(cargo()?, |launch, (key, value)| launch.env(key, value))
            .args(["--", "--exact", span.test]);
        let output = launch.run(LIMIT)?;
        ensure!(output.code == 0, "{} failed: {}{}", span.figure, output.stdout, output.stderr);
        ensure!(output.stdout.contains("1 passed"), "{} is no test any more: {}", span.test, output.stdout);
        let seconds = seconds(&output.stdout).with_context(|| format!("no time in {}", output.stdout))?;
        report.add(span.figure, "s", Some((Judged::Worst, span.seconds)), vec![seconds])?;
    }
    Ok(())
}

fn cargo() -> Result<Launch> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    Ok(Launch::machine(&program.to_string_lossy())?.args([
        "test",
        "--release",
        "--locked",
        "--manifest-path",
        manifest,
        "--package",
        "chiller-bridge",
        "--test",
        "device",
    ]))
}

/// As the test says it: `finished in 3.21s`.
fn seconds(output: &str) -> Option<f64> {
    output.rsplit_once("finished in ")?.1.split_once('s')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_taken_from_the_tests_last_line() {
        let output = "test result: ok. 1 passed; 0 failed; 70 filtered out; finished in 3.21s\n\n";
        assert_eq!(seconds(output), Some(3.21));
        assert_eq!(seconds("running 1 test"), None);
    }
}
