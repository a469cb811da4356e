//! A simulated OK3Z focuser on a pseudo-terminal, which can be made to misbehave from stdin.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use focuser_sim::{Config, Focuser};
use harness::simulator::simulate;

/// A simulated OK3Z focuser on a pseudo-terminal. Type `help` while it runs.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Symbolic link to make to the pseudo-terminal
    #[arg(long, value_name = "PATH")]
    link: PathBuf,
    /// Where it stands at power-up, out of the inner end, mm
    #[arg(long, value_name = "MM", default_value_t = 2.0)]
    place: f64,
    /// From the inner to the outer end, mm
    #[arg(long, value_name = "MM", default_value_t = 9.0)]
    travel: f64,
    /// The counter left from a night before; 0: just powered up
    #[arg(long, value_name = "STEPS", default_value_t = 0, allow_negative_numbers = true)]
    counter: i32,
    /// Time from a request to its reply, ms; without it anything from 1 to 8
    #[arg(long, value_name = "N")]
    latency_ms: Option<u64>,
    /// Time from an order until its motion shows in the status, ms
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=200))]
    lag_ms: u64,
    /// Let bytes take as long as at 38400 baud
    #[arg(long)]
    wire_time: bool,
    /// Take step mode 3 for quarters of a step (undecided without hardware)
    #[arg(long)]
    quarter_steps: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let lag = Duration::from_millis(args.lag_ms);
    let mut config = Config {
        place_mm: args.place,
        travel_mm: args.travel,
        counter: args.counter,
        shows_after: lag..=lag,
        wire_time: args.wire_time,
        quarter_steps: args.quarter_steps,
        ..Config::default()
    };
    if let Some(milliseconds) = args.latency_ms {
        let latency = Duration::from_millis(milliseconds);
        config.latency = latency..=latency;
    }
    simulate(Focuser::new(config), &args.link)
}
