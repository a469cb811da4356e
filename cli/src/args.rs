//! What the command line of `chiller` takes; clap types, nothing else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 another command runs; 3 not allowed; 4 device offline or state
stale; 6 outside limits; 7 not connected or released; 10 the mode is automatic; 20-33 refused, see
the message; 64 wrong usage or settings, nothing was sent; 155 broker or bridge not reached.";

/// See and command the water chiller.
#[derive(Debug, Parser)]
#[command(
    name = "chiller",
    version,
    after_help = EXIT_CODES,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct ChillerArgs {
    /// Which chiller, and how to get there.
    #[command(flatten)]
    pub target: Target,
    /// What to do.
    #[command(subcommand)]
    pub command: ChillerCommand,
}

/// Which device, and how to get there.
#[derive(Debug, Args)]
pub struct Target {
    /// Settings file [default: $OBSBUS_CONFIG, ~/.config/obsbus/client.toml, /etc/obsbus/client.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Site, where the settings name several
    #[arg(long, global = true)]
    pub site: Option<String>,
    /// Device, where it is not the settings' one
    #[arg(long, global = true)]
    pub device: Option<String>,
    /// Give up after this time [default: 5 for the connection, then as long as the bridge says]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

/// What `chiller` can do.
#[derive(Debug, Subcommand)]
pub enum ChillerCommand {
    /// Show what the chiller does, and why
    Status,
    /// Print the state as it is on the bus (one line of JSON)
    Json,
    /// Follow the state: a line per change, a live screen on a terminal (q quits)
    Watch,
    /// Draw the last 24 hours
    History {
        /// Only the last so many hours, 0.5 to 24
        #[arg(long, value_parser = hours)]
        hours: Option<f64>,
        /// Print the payload as it is on the bus (one line of JSON)
        #[arg(long, conflicts_with = "hours")]
        json: bool,
    },
    /// Say who decides whether the chiller runs
    Mode {
        /// `auto`: the bridge; `manual`: you
        mode: ModeArg,
    },
    /// Run the chiller (manual mode only)
    Enable,
    /// Put the chiller in standby (manual mode only)
    Disable,
    /// Set the temperature of the water
    Setpoint {
        /// Degrees Celsius
        #[arg(value_parser = number, allow_negative_numbers = true)]
        celsius: f64,
    },
    /// Stop polling for a while, so that the keys on the chiller's panel work
    Release {
        /// 0 to 15; 0 ends it now
        #[arg(value_parser = number, allow_negative_numbers = true)]
        minutes: f64,
    },
    /// Put the chiller in standby and clear its alarms
    ClearAlarms,
    /// Ask the bridge for an answer, and print how long it took
    Ping,
}

/// The words of `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// The bridge decides
    #[value(alias = "automatic")]
    Auto,
    /// You decide
    Manual,
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("a number is right, for example 12.5".to_owned()),
    }
}

fn hours(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hours) if (0.5..=24.0).contains(&hours) => Ok(hours),
        _ => Err("hours, 0.5 to 24".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (1.0..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("seconds, 1 to 3600".to_owned()),
    }
}
