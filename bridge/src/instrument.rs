//! What an instrument's crate brings to become a daemon, in one place: `main` is
//! `bridge::main::<ThatInstrument>()`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bus::clock::Now;
use bus::device::Description;
use serde::de::DeserializeOwned;

use crate::controller::{Controller, Protocol};
use crate::settings::DeviceSettings;
use crate::store::Loaded;

/// An instrument.
pub trait Instrument: 'static {
    /// What it is.
    const DESCRIPTION: &'static Description;
    /// The daemon's version: that of this workspace.
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// Its settings.
    type Settings: DeviceSettings + Clone + PartialEq + Send + 'static;
    /// What its controller keeps over a restart.
    type Saved: serde::Serialize + DeserializeOwned;
    /// What decides.
    type Controller: Controller<Saved = Self::Saved>;
    /// Its codec.
    type Protocol: Protocol<
            Request = <Self::Controller as Controller>::Request,
            Reply = <Self::Controller as Controller>::Reply,
        >;

    /// What of its settings the rest of the bridge must know.
    fn configured(settings: &Self::Settings) -> Configured;
    /// Its codec, as the settings say.
    fn protocol(settings: &Self::Settings) -> Self::Protocol;
    /// Its controller, with what the process before left.
    fn controller(settings: &Self::Settings, left: Loaded<Self::Saved>, now: Now) -> Self::Controller;
}

/// What the settings of an instrument say to the rest of the bridge; nothing, by default.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// Allowed range of a number, by verb and argument.
    pub ranges: BTreeMap<(&'static str, &'static str), RangeInclusive<f64>>,
    /// The names that may be given, by the key of their list in the settings.
    pub names: BTreeMap<&'static str, Vec<String>>,
    /// Longest time to the terminal reply, by verb; 10 s otherwise.
    pub timeouts: BTreeMap<&'static str, Duration>,
    /// Let motion run without a time.
    pub allow_bare_motion: bool,
    /// XON/XOFF flow control.
    pub xon_xoff: bool,
    /// Topics of other services that the controller wants to hear.
    pub inputs: Vec<String>,
}
