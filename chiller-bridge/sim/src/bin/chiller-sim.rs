//! A simulated T257P chiller on a pseudo-terminal, which can be made to misbehave from stdin.

use std::path::PathBuf;
use std::time::Duration;

use chiller_sim::{Chiller, Config};
use clap::Parser;
use harness::simulator::simulate;

/// A simulated T257P chiller on a pseudo-terminal. Type `help` while it runs.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Symbolic link to make to the pseudo-terminal
    #[arg(long, value_name = "PATH")]
    link: PathBuf,
    /// Air temperature, °C
    #[arg(long, value_name = "C", default_value_t = 12.0, allow_negative_numbers = true)]
    ambient: f64,
    /// Set point at power-up, °C
    #[arg(long, value_name = "C", default_value_t = 15.0, allow_negative_numbers = true)]
    set_point: f64,
    /// Heat the camera gives to the water, W
    #[arg(long, value_name = "W", default_value_t = 60.0)]
    heat: f64,
    /// Time from a request to its reply, ms; without it anything from 0 to 20
    #[arg(long, value_name = "N")]
    latency_ms: Option<u64>,
    /// Let bytes take as long as at 9600 baud
    #[arg(long)]
    wire_time: bool,
    /// Ignore requests with a longer pause in them, ms (a real unit: 10)
    #[arg(long, value_name = "N")]
    gap_ms: Option<u64>,
    /// Run by itself at power-up
    #[arg(long)]
    auto_start: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut config = Config {
        ambient_celsius: args.ambient,
        set_point_celsius: args.set_point,
        heat_load_watts: args.heat,
        wire_time: args.wire_time,
        gap: args.gap_ms.map(Duration::from_millis),
        auto_start: args.auto_start,
        ..Config::default()
    };
    if let Some(milliseconds) = args.latency_ms {
        let latency = Duration::from_millis(milliseconds);
        config.latency = latency..=latency;
    }
    simulate(Chiller::new(config), &args.link)
}
