//! A simulated thermometer on a pseudo-terminal, which can be made to misbehave from stdin.

use std::path::PathBuf;

use clap::Parser;
use harness::site::{Instrument as _, SiteModel as _};
use thermometer_sim::{Thermometer, Unit};

/// A simulated thermometer on a pseudo-terminal. Type `help` while it runs.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Symbolic link to make to the pseudo-terminal
    #[arg(long, value_name = "PATH")]
    link: PathBuf,
}

fn main() -> anyhow::Result<()> {
    harness::simulator::simulate(Unit::build(Thermometer::usual()), &Args::parse().link)
}
