//! `many-bridges FOLDER`: a bridge for each settings file in the folder (`chiller-*.toml`,
//! `focuser-*.toml`), all in this process, until SIGTERM.
//!
//! Each is the whole daemon: settings, core, controller, codec, session over TLS with its own
//! certificate, store and watchdog. Two things differ from as many processes: the serial port is a
//! line in memory with the simulated device at its end, and the runtime's threads are shared.

#![expect(clippy::print_stdout, reason = "a program that says when it has started")]
#![expect(clippy::disallowed_methods, reason = "a program that starts others is IO: it waits between them")]

mod instrument;
mod line;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bridge::device_loop::{Ended, Request, Requests};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use instrument::{Chiller, Focuser, Running, start};

/// Machines do not start in the same millisecond, and each bridge makes two connections at its start.
const APART: Duration = Duration::from_millis(8);

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: many-bridges FOLDER")?;
    let files = settings_files(Path::new(&folder))?;
    // A thousand bridges that whoever started them has left behind would take the whole machine.
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&files))
}

async fn run(files: &[PathBuf]) -> Result<()> {
    let mut asked_to_stop = signal(SignalKind::terminate())?;
    let (mut bridges, mut stops) = (JoinSet::new(), Vec::new());
    for file in files {
        let (stop, requests) = mpsc::channel(1);
        bridges.spawn(bridge(file, requests)?);
        stops.push(stop);
        sleep(APART).await;
    }
    println!("{} bridges started", stops.len());
    tokio::select! {
        _ = asked_to_stop.recv() => {}
        Some(ended) = bridges.join_next() => bail!("a bridge ended by itself: {:?}", ended??),
    }
    for stop in stops {
        stop.send(Request::Stop).await.context("a bridge has ended by itself")?;
    }
    while let Some(ended) = bridges.join_next().await {
        ensure!(ended?? == Ended::Stopped, "a bridge did not end as it was asked to");
    }
    Ok(())
}

/// The bridge for this file, by the beginning of its name.
fn bridge(file: &Path, requests: Requests) -> Result<Running> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match name.split('-').next() {
        Some("chiller") => start::<Chiller>(file, requests),
        Some("focuser") => start::<Focuser>(file, requests),
        _ => bail!("{}: expected chiller-....toml or focuser-....toml", file.display()),
    }
}

fn settings_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    ensure!(!files.is_empty(), "{}: expected settings files (*.toml)", folder.display());
    files.sort();
    Ok(files)
}
