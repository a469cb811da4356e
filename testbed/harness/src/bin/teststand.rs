//! A whole site for tests that are not written in Rust: see `harness::stand`.

#![expect(clippy::print_stdout, reason = "its answers are what it is for")]

use std::io::BufRead as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use harness::stand::{HELP, Plan, Stand};

/// Broker, simulators and bridges on loopback. Prints where they are as a line of JSON, then answers
/// each line that is typed with another, until `quit` or the end of its input.
#[derive(Parser)]
#[command(version, after_help = format!("What can be typed:\n{HELP}"))]
struct Args {
    /// An instrument: the programs KIND-sim and KIND-bridge; may be repeated
    #[arg(long = "instrument", value_name = "KIND", required = true)]
    kinds: Vec<String>,
    /// A setting of a bridge (KIND, or `all`); may be repeated
    #[arg(long = "set", value_name = "KIND:KEY=TOML", value_parser = setting)]
    settings: Vec<(String, String, String)>,
    /// Who may command; may be repeated
    #[arg(long, value_name = "NAME", default_values_t = ["alice".to_owned(), "ops".to_owned()])]
    control: Vec<String>,
    /// Folder of files that the WebSocket listener serves
    #[arg(long, value_name = "DIR")]
    http_dir: Option<PathBuf>,
    /// Port for a listener with TLS, beside the one without
    #[arg(long, value_name = "PORT")]
    tls_port: Option<u16>,
    /// A line for the broker's configuration; may be repeated
    #[arg(long, value_name = "LINE")]
    broker_config: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let broker_config = args.broker_config.iter().map(|line| format!("{line}\n")).collect();
    let mut stand = Stand::start(Plan {
        kinds: args.kinds,
        settings: args.settings,
        control: args.control,
        http_dir: args.http_dir,
        tls_port: args.tls_port,
        broker_config,
    })?;
    println!("{}", stand.describe());
    for line in std::io::stdin().lock().lines() {
        let line = line.context("read a command")?;
        let Some(answer) = stand.obey(&line) else { break };
        println!("{answer}");
    }
    Ok(())
}

fn setting(text: &str) -> Result<(String, String, String)> {
    let parts = text.split_once(':').and_then(|(kind, rest)| Some((kind, rest.split_once('=')?)));
    let (kind, (key, toml)) =
        parts.with_context(|| format!("`{text}` is not KIND:KEY=TOML, as in all:query_delay=0.2"))?;
    Ok((kind.to_owned(), key.to_owned(), toml.to_owned()))
}
