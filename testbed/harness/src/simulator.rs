//! The main loop of the simulator programs: serves an instrument until the program is told to end,
//! and executes typed commands meanwhile.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program to be talked to at a terminal")]

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::port::Port;
use crate::sim_console::SimConsole;

/// Serves `device` at `link`, which is printed, until SIGINT or SIGTERM.
///
/// # Errors
/// If no pseudo-terminal is available, or the link cannot be made or removed.
pub fn simulate<D: SimConsole>(device: D, link: &Path) -> Result<()> {
    // Before the link exists, so that a program that sees the link can also stop this one properly.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _guard = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let port = Port::serve(device, link).with_context(|| format!("cannot serve it at {}", link.display()))?;
    let port = Arc::new(port);
    println!("{}", port.link().display());
    let console = Arc::clone(&port);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match D::obey(&console, &line) {
                Ok(None) => {}
                Ok(Some(answer)) => println!("{answer}"),
                Err(error) => eprintln!("error: {error}"),
            }
        }
    });
    runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    port.unplug().context("cannot remove the link")
}
