//! What a ThermoTek T257P water chiller is to every program on the bus: its description and its state. Links nothing of
//! the serial side.

pub mod concern;
mod description;
mod inputs;
mod state;

pub use description::DESCRIPTION;
pub use inputs::{Date, DomeState, PowerState};
pub use state::{ChillerState, ChillerStatus, Input, InputStatus, Inputs, Mode, Reading, TecMode, UnitMode};
