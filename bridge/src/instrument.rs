//! The trait that makes an instrument's crate a daemon: `main` is
//! `bridge::main::<ThatInstrument>()`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use bus::clock::Now;
use bus::device::Description;
use serde::de::DeserializeOwned;

use crate::controller::{Controller, Protocol};
use crate::line;
use crate::settings::DeviceSettings;
use crate::store::Loaded;

/// An instrument.
pub trait Instrument: 'static {
    /// Its description.
    const DESCRIPTION: &'static Description;
    /// The daemon's version: that of this workspace.
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// Whether its device is on a serial line, of which there can be a transcript.
    const HAS_SERIAL_LINE: bool = true;

    /// Its settings.
    type Settings: DeviceSettings + Clone + PartialEq + Send + 'static;
    /// The data of its controller that survive a restart.
    type Saved: serde::Serialize + DeserializeOwned;
    /// Its controller.
    type Controller: Controller<Saved = Self::Saved, Request: DeserializeOwned, Reply: Debug>;
    /// Its codec.
    type Protocol: Protocol<
            Request = <Self::Controller as Controller>::Request,
            Reply = <Self::Controller as Controller>::Reply,
        >;

    /// What the program does, for its help.
    #[must_use]
    fn about() -> String {
        format!("Puts a {} ({}) on MQTT", Self::DESCRIPTION.label, Self::DESCRIPTION.model)
    }
    /// Starts what carries the exchanges if that is no serial line.
    ///
    /// # Errors
    /// What is missing to start it.
    fn line(settings: &Self::Settings) -> io::Result<Option<line::Started>> {
        let _ = settings;
        Ok(None)
    }
    /// The settings that the rest of the bridge needs.
    fn configured(settings: &Self::Settings) -> Configured;
    /// Its codec, configured by the settings.
    fn protocol(settings: &Self::Settings) -> Self::Protocol;
    /// Its controller, with the data of the previous process.
    fn controller(settings: &Self::Settings, left: Loaded<Self::Saved>, now: Now) -> Self::Controller;
}

/// The part of an instrument's settings that the rest of the bridge needs; empty by default.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// Allowed range of a number, by verb and argument.
    pub ranges: BTreeMap<(&'static str, &'static str), RangeInclusive<f64>>,
    /// The names that may be given, by the key of their list in the settings.
    pub names: BTreeMap<&'static str, Vec<String>>,
    /// Longest time to the terminal reply, by verb; 10 s by default.
    pub timeouts: BTreeMap<&'static str, Duration>,
    /// Allow motion without a `ts`.
    pub allow_bare_motion: bool,
    /// XON/XOFF flow control.
    pub xon_xoff: bool,
    /// Topics of other services that the controller needs.
    pub inputs: Vec<String>,
}
