//! The state of a device that this program was built with.

use std::ops::Deref;

use bus::message::{Common, Stamp};
use serde::Deserialize;

/// A state as it was published.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Snapshot<T> {
    /// Who publishes, when, and for how long it may be believed.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// The device.
    #[serde(flatten)]
    pub device: T,
}

/// The common keys, then the device's own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Typed<D, S> {
    /// What every device has.
    #[serde(flatten)]
    pub common: Common<S>,
    /// The device's own.
    #[serde(flatten)]
    pub own: D,
}

impl<D, S> Deref for Typed<D, S> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.own
    }
}

/// A chiller's state.
pub type ChillerState = Typed<chiller_device::ChillerState, chiller_device::ChillerStatus>;
/// A focuser's state.
pub type FocuserState = Typed<focuser_device::FocuserState, focuser_device::FocuserStatus>;
