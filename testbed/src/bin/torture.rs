//! The long tests: `make torture` and `make soak`.
//!
//! Exit codes: 0 if nothing is wrong, 1 if something is, or could not be tried.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use testbed::demo::Stop;
use testbed::soak;
use testbed::torture::{self, Campaign};
use tokio::signal::unix::{SignalKind, signal};

/// Set for itself by root, who has started it anew.
const OWN_MOUNTS: &str = "TORTURE_OWN_MOUNTS";

/// Real programs, a real broker and simulated instruments under faults.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Rounds of random faults, and the rules of docs/bus.md applied to what happened
    Run {
        /// How many rounds
        #[arg(long, default_value_t = 1000)]
        rounds: u64,
        /// The seed of the plans; one of its own if there is none
        #[arg(long)]
        seed: Option<u64>,
        /// The first round, to repeat one
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// How many sites at once
        #[arg(long, default_value_t = 2)]
        sites: usize,
        /// Where the logs go
        #[arg(long, value_name = "DIR", default_value = "target/torture")]
        folder: PathBuf,
        /// Keep the logs without a violation, too
        #[arg(long)]
        keep: bool,
    },
    /// Applies the rules of docs/bus.md to logs
    Check {
        /// The logs
        #[arg(required = true, value_name = "LOG")]
        logs: Vec<PathBuf>,
    },
    /// Lists the rules
    Rules,
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
        What::Run { rounds, seed, first, sites, folder, keep } => {
            let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) << 16 | rounds);
            let disks = rustix::process::geteuid().is_root() && has_own_mounts()?;
            campaign(&Campaign { seed, first, rounds, sites, folder, disks, keep }, &stop)
        }
        What::Check { logs } => judge(&logs),
        What::Rules => {
            for rule in &torture::check::RULES {
                say(&format!("{:18} {} ({})", rule.name, rule.says, rule.section));
            }
            Ok(())
        }
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

/// Root starts itself anew where its mounts are nobody else's, and end with it.
fn has_own_mounts() -> Result<bool> {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        return Ok(true);
    }
    let program = std::env::current_exe()?;
    let words = std::env::args_os().skip(1);
    let unshare = |command: &mut Command| {
        command.args(["--mount", "--propagation", "private", "--"]).env(OWN_MOUNTS, "1");
    };
    let mut trial = Command::new("unshare");
    unshare(&mut trial);
    if !trial
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
    {
        return Ok(false);
    }
    let mut again = Command::new("unshare");
    unshare(&mut again);
    Err(again.arg(program).args(words).exec()).context("start with mounts of its own")
}

fn campaign(campaign: &Campaign, stop: &Stop) -> Result<()> {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    say(&format!(
        "{} rounds from {}, seed {}, {} sites at once, a {build} build; logs with violations stay in {}",
        campaign.rounds,
        campaign.first,
        campaign.seed,
        campaign.sites,
        campaign.folder.display()
    ));
    let outcome = campaign.run(stop, say)?;
    let counts = outcome.counts;
    for (fault, times) in &outcome.faults {
        say(&format!("{times:6} x {fault}"));
    }
    say(&format!(
        "{} rounds settled in {} min: {} requests, {} replies, {} states, {} frames on the lines",
        counts.rounds,
        outcome.took.as_secs() / 60,
        counts.requests,
        counts.replies,
        counts.states,
        counts.frames
    ));
    let wrong = outcome.violations.len() + outcome.broken.len();
    if stop.is_asked() {
        say("it was interrupted");
    }
    if wrong > 0 {
        bail!("{wrong} violations");
    }
    say("PASSED: no violation");
    Ok(())
}

fn judge(logs: &[PathBuf]) -> Result<()> {
    let mut wrong = 0;
    for log in logs {
        let (counts, violations) = torture::check::check(&torture::log::read(log)?);
        say(&format!("{}: {counts:?}", log.display()));
        for violation in &violations {
            say(&format!("VIOLATION {violation}"));
        }
        wrong += violations.len();
    }
    if wrong > 0 {
        bail!("{wrong} violations");
    }
    say("no violation");
    Ok(())
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
