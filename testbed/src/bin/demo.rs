//! A whole site on this machine, with a simulated chiller and a simulated focuser, to look at and to command.
//!
//! Exit codes: 0 when it was stopped or the tour went as it should, 1 otherwise.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use testbed::demo::{Console, Interrupted, Stage, Stop, Voice, folder, tour};
use tokio::signal::unix::{SignalKind, signal};

/// A whole site on this machine, with a simulated chiller and a simulated focuser, to look at and to command.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Stop after the tour
    #[arg(long, conflicts_with = "no_tour")]
    tour: bool,
    /// No tour, only the site
    #[arg(long)]
    no_tour: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let voice = Voice::new();
    let stop = Stop::default();
    let ended = listen(&stop).and_then(|()| show(&args, voice, &stop));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // Ctrl-C is how a demo ends that is not asked to stop by itself.
        Err(error) if error.is::<Interrupted>() && !args.tour => ExitCode::SUCCESS,
        Err(error) => {
            voice.verdict(false, &format!("\nThe demo failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn show(args: &Args, voice: Voice, stop: &Stop) -> Result<()> {
    voice.head("Starting broker, bridges, a simulated chiller and a simulated focuser here ...");
    let mut stage = Stage::start(&folder()?, stop)?;
    let played = play(args, &mut stage, voice, stop);
    let stopped = stage.stop();
    if stopped.is_ok() {
        voice.line("\nStopped; nothing is left running.");
    }
    played.and(stopped)
}

fn play(args: &Args, stage: &mut Stage, voice: Voice, stop: &Stop) -> Result<()> {
    if !args.no_tour {
        let shown = tour(stage, voice, stop)?;
        voice.head(&format!("The tour is over: {shown} commands ended as they should."));
    }
    if args.tour { Ok(()) } else { stay(stage, voice, stop) }
}

/// Runs until the end is asked for.
fn stay(stage: &mut Stage, voice: Voice, stop: &Stop) -> Result<()> {
    voice.head("It runs until you press Ctrl-C. In another terminal:");
    let env = stage.env_file();
    let logs = stage.bridge_logs().map(|log| log.display().to_string()).join(" \\\n        ");
    let mut text = format!(
        "
    . {env}

    chiller status                 what it does, and why
    chiller watch                  live; q quits
    chiller mode manual            you decide ...
    chiller enable                 ... about the pump
    chiller history                what was, drawn
    focus status                   where the focuser is
    focus init                     drive to the inner end: now it knows
    focus set 3.2                  a move; Ctrl-C stops it
    focus --help                   everything, and the exit codes
    act_as visitor                 be somebody else: visitor, bob, ops, alice

    mosquitto_sub -v -t 'clasp/#'
    mosquitto_pub -t clasp/chiller/command/alice/setpoint -m 14

    {panel}

    tail -f {logs}",
        env = env.display(),
        panel = stage.panel()
    );
    let mut console = Console::on_terminal();
    if console.is_read() {
        text.push_str(
            "\n\nHere you can do things to the site: camera cmos on, power dies, dome 3; unplug, plug, alarm A2:1, clear, ambient 30; focuser unplug, focuser fault jammed; help lists them all.",
        );
    }
    voice.line(&text);
    loop {
        // Between two looks at processes and signals; people do not notice it.
        let typed = console.next_line(Duration::from_millis(200));
        if stop.is_asked() {
            return Ok(());
        }
        if let Some(line) = typed {
            match stage.obey(&line) {
                Ok(None) => {}
                Ok(Some(answer)) => voice.line(&answer),
                Err(error) => voice.line(&format!("error: {error:#}")),
            }
        }
        stage.check()?;
    }
}

/// Has Ctrl-C, SIGTERM and the terminal's end ask for the end.
fn listen(stop: &Stop) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before anything runs, so that a signal cannot find it without ears.
    let mut signals = {
        let _guard = runtime.enter();
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
            .map(|kind| signal(kind).context("listen for signals"))
    };
    let stop = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let [interrupt, terminate, hangup] = &mut signals;
            let (Ok(interrupt), Ok(terminate), Ok(hangup)) = (interrupt, terminate, hangup) else {
                return stop.ask();
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            stop.ask();
        });
    });
    Ok(())
}
