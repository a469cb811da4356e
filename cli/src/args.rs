//! What the command lines of `chiller` and `focus` take; clap types, nothing else.

use std::path::PathBuf;
use std::time::Duration;

use bus::topic::{NameError, RequestId};
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

const FOCUS_HELP: &str = "\
`set`, `offset` and `init` wait until the motion has ended. Ctrl-C sends a stop, waits for
standstill and exits 28; a second Ctrl-C does not wait. Any other end of the command (a closed
terminal, a kill) leaves the motion alone.

`outcome ID` asks the bridge again with the same id; that never moves anything. For that, requests
for motion are noted for a day in $XDG_STATE_HOME/obsbus/requests (~/.local/state/obsbus/requests).
The bridge remembers for 15 minutes. Of a request that is not noted here, `outcome` knows only what
the state says of the last command.

Exit codes: 0 done; 1 failed, or nothing is known of the id; 2 another command runs; 3 not allowed;
4 device offline or state stale; 6 outside limits; 7 not connected, not homed or released;
20-27, 31, 33 refused, see the message; 28 stopped; 29 not in time; 30 interrupted, the bridge
ended; 64 wrong usage or settings, nothing was sent; 155 broker or bridge not reached, or a stop
that could not be delivered.";

/// See and command the focuser.
#[derive(Debug, Parser)]
#[command(
    name = "focus",
    version,
    after_help = FOCUS_HELP,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct FocusArgs {
    /// Which focuser, and how to get there.
    #[command(flatten)]
    pub target: Target,
    /// What to do.
    #[command(subcommand)]
    pub command: FocusCommand,
}

/// What `focus` can do.
#[derive(Debug, Subcommand)]
pub enum FocusCommand {
    /// Show where the focuser is, and what it does
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
    /// Move to a position
    Set {
        /// Millimetres from the inner end, outwards
        #[arg(value_parser = millimetres, allow_negative_numbers = true)]
        mm: f64,
        /// Whether to wait.
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Move by a distance from where it is
    Offset {
        /// Millimetres outwards; negative: inwards
        #[arg(value_parser = millimetres, allow_negative_numbers = true)]
        mm: f64,
        /// Whether to wait.
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Drive to the inner end, which is 0 mm from then on; nothing if that is known already
    Init {
        /// Drive there all the same
        #[arg(long)]
        force: bool,
        /// Whether to wait.
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Stop, whoever moves it, and wait for standstill
    Stop,
    /// Stop, let go of the focuser, and keep it still until `init`
    Kill,
    /// Say how a motion ended, or wait for its end
    Outcome {
        /// As `--no-wait` printed it
        #[arg(value_parser = request_id)]
        id: RequestId,
    },
    /// Ask the bridge for an answer, and print how long it took
    Ping,
}

/// Whether to wait for the end of a motion.
#[derive(Clone, Copy, Debug, Args)]
pub struct Waiting {
    /// Print the id and return as soon as the motion is accepted; see `outcome`
    #[arg(long)]
    pub no_wait: bool,
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
        _ => Err("a number is wanted here, such as 12.5".to_owned()),
    }
}

fn millimetres(text: &str) -> Result<f64, String> {
    number(text).map_err(|_| "a number of millimetres is wanted here, such as 2.5".to_owned())
}

fn request_id(text: &str) -> Result<RequestId, NameError> {
    RequestId::new(text)
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
