//! The long tests: `make soak`.
//!
//! Exit codes: 0 if nothing is wrong, 1 if something is, or could not be tried.

#![expect(clippy::print_stdout, reason = "a program that prints what it finds")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use testbed::demo::Stop;
use testbed::soak;
use tokio::signal::unix::{SignalKind, signal};

/// Real programs, a real broker and simulated instruments under faults.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Runs the whole demo site for hours, and shows whether any process grows
    Soak {
        /// How long, in hours; fractions are good
        #[arg(long, default_value_t = 2.0, value_parser = hours)]
        hours: f64,
        /// Where everything is while it runs
        #[arg(long, value_name = "DIR", default_value = "target/soak")]
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let stop = Stop::default();
    let done = listen(&stop).and_then(|()| match Args::parse().what {
        What::Soak { hours, folder } => endure(hours, &folder, &stop),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("FAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn endure(hours: f64, folder: &std::path::Path, stop: &Stop) -> Result<()> {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    say(&format!("{hours} h of the whole site with faults, a {build} build, in {}", folder.display()));
    let verdict = soak::run(folder, hours, stop, say)?;
    say(&soak::figures::head());
    for row in &verdict.rows {
        say(&row.to_string());
    }
    if verdict.misses.is_empty() {
        say(&format!("PASSED: {hours} h, nothing grew, every fault was survived"));
        return Ok(());
    }
    bail!("{} misses:\n{}", verdict.misses.len(), verdict.misses.join("\n"))
}

fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // That nobody reads is no reason to leave processes behind.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn hours(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|hours| (0.02..=1000.0).contains(hours))
        .ok_or_else(|| "expected hours from 0.02 to 1000, such as 2 or 0.1".to_owned())
}

/// Has Ctrl-C and SIGTERM ask for the end.
fn listen(stop: &Stop) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let stop = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stop.ask();
        });
    });
    Ok(())
}
