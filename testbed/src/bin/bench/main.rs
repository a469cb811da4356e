//! Measures what the product promises to reach, beside the targets: real broker under the shipped
//! files, real processes, a pseudo-terminal with the byte model of a chiller or a focuser.
//!
//! A slow figure is no failure: the exit code says whether everything could be measured.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod cameras;
mod discovery;
mod figures;
mod focuser;
mod metrics;
mod recovery;
mod scale;
mod stage;
mod virtual_time;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use stage::Stage;
use testbed::chiller::Config;
use testbed::report::{self, Report};

/// Measures latencies, memory and processor time of the release build, beside their targets.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to write the figures as JSON
    #[arg(long, value_name = "PATH", default_value = "target/bench.json")]
    json: PathBuf,
    /// Measure only figures whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Measure this instead: so many instruments on one broker
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', conflicts_with = "only", value_parser = clap::value_parser!(u16).range(1..=1900))]
    instruments: Vec<u16>,
}

/// What can be measured without the focuser, by the words that `--only` looks for.
const STATUS: &[&str] = &["status"];
const COMMAND: &[&str] = &["command"];
const LINE: &[&str] = &["serial", "poll"];
const CAMERA: &[&str] = &["camera power"];
const BROKER: &[&str] = &["broker"];
const FOOTPRINT: &[&str] = &["memory", "idle"];
const DISCOVERY: &[&str] = &["discovery"];
const METRICS: &[&str] = &["metrics"];
const VIRTUAL: &[&str] = &["year", "winter"];
/// The focuser's figures, which share one site: stop, moves, status, footprint.
const FOCUSER: [&[&str]; 4] = [
    &["focuser stop"],
    &["focuser position", "focuser reply", "focuser move"],
    &["focus status"],
    &["focuser-bridge: resident memory", "focuser-bridge idle"],
];

fn main() -> Result<()> {
    let args = Args::parse();
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: its figures say nothing (cargo run --release)");
    }
    let all =
        [STATUS, COMMAND, LINE, CAMERA, BROKER, FOOTPRINT, &FOCUSER.concat(), DISCOVERY, METRICS, VIRTUAL]
            .concat();
    if !all.iter().any(|name| name.contains(args.only.as_str())) {
        bail!("no figure has {:?} in its name: there are {}", args.only, all.join(", "));
    }
    let mut report = Report::begin();
    let sizes: Vec<_> = args.instruments.iter().copied().map(usize::from).collect();
    let measured =
        if sizes.is_empty() { measure(&args.only, &mut report) } else { scale::measure(&sizes, &mut report) };
    // What was measured before something failed is worth seeing.
    show(&report, &args.json)?;
    measured
}

/// The figures with `only` in their name.
fn measure(only: &str, report: &mut Report) -> Result<()> {
    let wanted = |names: &[&str]| names.iter().any(|name| name.contains(only));
    if wanted(&[STATUS, COMMAND].concat()) {
        eprintln!("a bridge, an idle line: chiller status, commands …");
        let stage = Stage::start(stage::instant_line(), None)?;
        if wanted(STATUS) {
            figures::status(&stage, report).context("measure chiller status")?;
        }
        if wanted(COMMAND) {
            figures::commands(&stage, report).context("measure commands")?;
        }
        stage.stop()?;
        if wanted(COMMAND) {
            eprintln!("two bridges, one of which demands a signature …");
            figures::signatures(report).context("measure signatures")?;
        }
    }
    if wanted(LINE) {
        eprintln!("a bridge, a line of 9600 baud: readings, poll sets …");
        let config = Config { wire_time: true, ..stage::instant_line() };
        let stage = Stage::start(config, Some(0.5))?;
        figures::line(&stage, report).context("measure the serial line")?;
        stage.stop()?;
    }
    if wanted(CAMERA) {
        eprintln!("a camera, a line of 9600 baud: from its power to the order to run …");
        // Warm, so that it cools.
        let config = Config { wire_time: true, ambient_celsius: 22.0, ..stage::instant_line() };
        let stage = Stage::start_automatic(config, Some(0.5))?;
        cameras::measure(&stage, report).context("measure automatic control")?;
        stage.stop()?;
    }
    if wanted(BROKER) {
        eprintln!("a broker that dies: retry, topics back …");
        recovery::measure(report).context("measure the broker's return")?;
    }
    if wanted(FOOTPRINT) {
        eprintln!("a bridge, left alone: memory, processor …");
        let config = Config { wire_time: true, gap: None, ..Config::default() };
        let stage = Stage::start(config, None)?;
        figures::footprint(&stage, report).context("measure the bridge's footprint")?;
        stage.stop()?;
    }
    if wanted(&FOCUSER.concat()) {
        eprintln!("a focuser, a line of 38400 baud: stops, moves, focus status, memory, processor …");
        let mut stage = focuser::Stage::start().context("start the focuser's site")?;
        if wanted(FOCUSER[0]) {
            focuser::stops(&stage, report).context("measure the focuser's stop")?;
        }
        if wanted(FOCUSER[1]) {
            focuser::moves(&stage, report).context("measure the focuser's moves")?;
        }
        if wanted(FOCUSER[2]) {
            focuser::status(&stage, report).context("measure focus status")?;
        }
        if wanted(FOCUSER[3]) {
            focuser::footprint(&mut stage, report).context("measure the focuser bridge's footprint")?;
        }
        stage.stop()?;
    }
    if wanted(DISCOVERY) {
        eprintln!("a Home Assistant that is born: all entities, memory …");
        discovery::measure(report).context("measure discovery")?;
    }
    if wanted(METRICS) {
        eprintln!("a hundred devices: a scrape of obsbus metrics …");
        metrics::measure(report).context("measure obsbus metrics")?;
    }
    if wanted(VIRTUAL) {
        eprintln!("virtual time (the tests are built first): a year, a winter …");
        virtual_time::measure(report).context("measure virtual time")?;
    }
    Ok(())
}

fn show(report: &Report, json: &Path) -> Result<()> {
    println!("{}", report.table());
    report.write(json)?;
    eprintln!("also in {}", json.display());
    Ok(())
}
