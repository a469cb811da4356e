//! Finds the best focus: a whole client of the focuser's bridge, as docs/scheduler-rust.md shows it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this repository's libraries do not print")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bus::client::Device;
use bus::message::{Code, Snapshot};
use bus::settings::ClientSettings;
use clap::Parser;
use focuser_device::{FocuserState, FocuserStatus};
use serde_json::json;

/// Samples: outwards of where it stands, and in all.
const OUTWARDS: u32 = 5;
const SAMPLES: u32 = 11;

/// Finds the best focus.
#[derive(Parser)]
struct Args {
    /// Broker and certificate
    #[arg(long, default_value = "/etc/obsbus/client.toml")]
    config: PathBuf,
    /// Device, or SITE/DEVICE
    #[arg(long, default_value = "focuser")]
    device: String,
    /// Between two samples, mm
    #[arg(long, default_value_t = 0.05)]
    step: f64,
    /// Program that prints the HFD at a position in mm
    hfd: PathBuf,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let settings = ClientSettings::load(&args.config, &[])?;
    let focuser = Device::open(&settings.broker, settings.base(&args.device)?)?;
    tokio::select! {
        done = run(&focuser, &args) => done.map(|()| ExitCode::SUCCESS),
        _ = tokio::signal::ctrl_c() => {
            let reply = focuser.command("stop", &json!({})).await.context("NOT STOPPED, IT MAY STILL MOVE")?;
            eprintln!("stopped: {}", reply.message);
            Ok(ExitCode::from(Code::Stopped.number()))
        }
    }
}

async fn run(focuser: &Device, args: &Args) -> Result<()> {
    let state = standing(focuser).await?;
    let initial = state.device.current_mm.context("it is not homed: `focus init`")?;
    let found = autofocus(focuser, args, initial, state.device.limits_mm).await;
    if found.is_err() {
        match restore(focuser, initial).await {
            Ok(true) => eprintln!("moved back to {initial:.3} mm"),
            Ok(false) => eprintln!("left where it is; it began at {initial:.3} mm"),
            Err(error) => eprintln!("NOT MOVED BACK to {initial:.3} mm: {error}"),
        }
    }
    found
}

/// Back to where it was, unless somebody else has commanded it: whoever stopped it has a reason.
async fn restore(focuser: &Device, initial: f64) -> Result<bool> {
    let last = standing(focuser).await?.common.last_command;
    let is_ours = last.is_some_and(|last| last.by == *focuser.identity());
    if is_ours {
        go(focuser, initial).await?;
    }
    Ok(is_ours)
}

async fn autofocus(focuser: &Device, args: &Args, initial: f64, [lowest, highest]: [f64; 2]) -> Result<()> {
    // Inwards only, so that each sample is approached from the same side.
    let start = (initial + f64::from(OUTWARDS) * args.step).min(highest);
    let mut samples = Vec::new();
    for mm in (0..SAMPLES).map(|n| start - f64::from(n) * args.step).filter(|mm| *mm >= lowest) {
        go(focuser, mm).await?;
        let hfd = measure(&args.hfd, mm)?;
        println!("{mm:.3} mm: HFD {hfd:.2}");
        samples.push((mm, hfd));
    }
    let best = vertex(&samples).context("the samples do not lie on a V-curve")?;
    go(focuser, best).await?;
    println!("best focus at {best:.3} mm, HFD {:.2}", measure(&args.hfd, best)?);
    Ok(())
}

/// The state of a focuser that stands; it is current.
async fn standing(focuser: &Device) -> Result<Snapshot<FocuserState, FocuserStatus>> {
    let idle = |state: &Snapshot<FocuserState, FocuserStatus>| state.common.status == FocuserStatus::Idle;
    // After a restart its bridge first looks whether the position still holds.
    let state = focuser.state_when(Duration::from_secs(5), idle).await?;
    ensure!(idle(&state), "the focuser is not idle: {}", state.common.summary);
    Ok(state)
}

/// Returns when it was measured to stand there.
async fn go(focuser: &Device, mm: f64) -> Result<()> {
    let reply = focuser.command("set", &json!({ "mm": mm })).await?;
    if reply.code != Some(Code::Succeeded) {
        bail!("move to {mm:.3} mm {}: {}", reply.status.word(), reply.message);
    }
    Ok(())
}

/// >>> THE CAMERA GOES HERE <<<
fn measure(program: &Path, mm: f64) -> Result<f64> {
    let done = Command::new(program).arg(format!("{mm:.3}")).output().context("run the camera")?;
    ensure!(
        done.status.success(),
        "no image at {mm:.3} mm: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    String::from_utf8_lossy(&done.stdout).trim().parse().context("read the HFD")
}

/// A V-curve is a hyperbola, so the squares of the HFDs lie on a parabola: the vertex of the one that
/// fits best. The positions are evenly spaced, so odd sums vanish.
fn vertex(samples: &[(f64, f64)]) -> Option<f64> {
    let count = f64::from(u32::try_from(samples.len()).ok()?);
    let middle = samples.iter().map(|(mm, _)| mm).sum::<f64>() / count;
    let sum = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
        samples.iter().map(|(mm, hfd)| term(mm - middle, hfd * hfd)).sum()
    };
    let (u2, u4) = (sum(&|u, _| u * u), sum(&|u, _| u.powi(4)));
    let slope = sum(&|u, y| u * y) / u2;
    let curvature = (count * sum(&|u, y| u * u * y) - u2 * sum(&|_, y| y)) / (count * u4 - u2 * u2);
    let offset = -slope / (2.0 * curvature);
    let reach = samples.first()?.0 - middle;
    (curvature > 0.0 && offset.abs() <= reach).then_some(middle + offset)
}
