//! The instruments as they are, but for the serial port: behind each is its simulated device.

use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use bridge::daemon::{self, StartError, line_settings};
use bridge::device_loop::{Ended, Requests};
use bridge::instrument::{Configured, Instrument};
use bridge::line::Started;
use bridge::settings::DeviceSettings as _;
use bridge::store::Loaded;
use bus::clock::Now;
use bus::device::Description;
use harness::port::Device;

use crate::line;

/// A running bridge.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<Ended, StartError>> + Send>>;

/// An instrument, and how its device is simulated.
pub(crate) trait Simulated: 'static {
    type Instrument: Instrument;
    type Device: Device;

    /// One that behaves a little differently for each seed.
    fn device(seed: u64) -> Self::Device;

    /// The daemon with these settings.
    fn run(settings: SettingsOf<Self>, requests: Requests) -> Running;
}

pub(crate) type SettingsOf<S> = <<S as Simulated>::Instrument as Instrument>::Settings;

/// Loads the settings as the daemon's `main` does, and starts it.
pub(crate) fn start<S: Simulated>(file: &Path, requests: Requests) -> Result<Running> {
    let settings = SettingsOf::<S>::load(file, &[]).with_context(|| format!("load {}", file.display()))?;
    Ok(S::run(settings, requests))
}

/// The water chiller.
pub(crate) struct Chiller;

impl Simulated for Chiller {
    type Instrument = chiller_bridge::daemon::Bridge;
    type Device = chiller_sim::Chiller;

    fn device(seed: u64) -> Self::Device {
        // A busy process may pause within a request.
        chiller_sim::Chiller::new(chiller_sim::Config {
            seed,
            wire_time: true,
            gap: None,
            ..chiller_sim::Config::default()
        })
    }

    fn run(settings: SettingsOf<Self>, requests: Requests) -> Running {
        Box::pin(daemon::run::<InMemory<Self>>(settings, requests, None))
    }
}

/// The focuser.
pub(crate) struct Focuser;

impl Simulated for Focuser {
    type Instrument = focuser_bridge::daemon::Bridge;
    type Device = focuser_sim::Focuser;

    fn device(seed: u64) -> Self::Device {
        focuser_sim::Focuser::new(focuser_sim::Config {
            seed,
            wire_time: true,
            ..focuser_sim::Config::default()
        })
    }

    fn run(settings: SettingsOf<Self>, requests: Requests) -> Running {
        Box::pin(daemon::run::<InMemory<Self>>(settings, requests, None))
    }
}

/// The instrument with another line.
pub(crate) struct InMemory<S>(PhantomData<S>);

static SEED: AtomicU64 = AtomicU64::new(1);

impl<S: Simulated> Instrument for InMemory<S> {
    const DESCRIPTION: &'static Description = S::Instrument::DESCRIPTION;

    type Settings = SettingsOf<S>;
    type Saved = <S::Instrument as Instrument>::Saved;
    type Controller = <S::Instrument as Instrument>::Controller;
    type Protocol = <S::Instrument as Instrument>::Protocol;

    fn line(settings: &Self::Settings) -> io::Result<Option<Started>> {
        let rules = line_settings(settings.bridge(), Self::configured(settings).xon_xoff).rules();
        let device = S::device(SEED.fetch_add(1, Ordering::Relaxed));
        Ok(Some(line::start(device, rules)))
    }

    fn configured(settings: &Self::Settings) -> Configured {
        S::Instrument::configured(settings)
    }

    fn protocol(settings: &Self::Settings) -> Self::Protocol {
        S::Instrument::protocol(settings)
    }

    fn controller(settings: &Self::Settings, left: Loaded<Self::Saved>, now: Now) -> Self::Controller {
        S::Instrument::controller(settings, left, now)
    }
}
