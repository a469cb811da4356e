//! `chiller-bridge SETTINGS`: puts a ThermoTek T257P water chiller on MQTT.

use std::path::PathBuf;
use std::process::ExitCode;

use bridge::device_loop::Ended;
use chiller_bridge::{daemon, settings::Settings};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Puts a ThermoTek T257P water chiller on MQTT.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Only check the settings file, then exit.
    #[arg(long)]
    check_config: bool,
    /// The settings file (TOML, or JSON by extension).
    #[arg(value_name = "SETTINGS")]
    file: PathBuf,
}

/// Wrong settings or usage; what systemd should not retry for ever is for its unit to say.
const USAGE: u8 = 64;
/// Another bridge runs: try again later.
const TRY_LATER: u8 = 75;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = match Settings::load(&arguments.file) {
        Ok(settings) => settings,
        Err(problems) => return Ok(fail(&problems.to_string(), USAGE)),
    };
    if arguments.check_config {
        return Ok(ExitCode::SUCCESS);
    }
    bus::log::start(&settings.log_name)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
    };
    Ok(match daemon::run(settings, stop).await? {
        Ended::Stopped => ExitCode::SUCCESS,
        Ended::AnotherInstance => ExitCode::from(TRY_LATER),
        Ended::Broken => ExitCode::FAILURE,
    })
}

#[expect(clippy::print_stderr, reason = "before there is a log, words go to the terminal")]
fn fail(words: &str, code: u8) -> ExitCode {
    eprintln!("{words}");
    ExitCode::from(code)
}
