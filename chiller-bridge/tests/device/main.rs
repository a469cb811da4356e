//! The chiller's bridge against the model of its unit, in virtual time. `c8_` and the like name
//! the weakness of the predecessor that a test shows to be gone.

mod alarms;
mod alone;
mod automatic;
mod bus_side;
mod campaign;
mod claims;
mod frost;
mod hand_over;
mod homeassistant;
mod latch;
mod link;
mod log_volume;
mod manual;
mod memory;
mod meta;
mod polling;
mod promises;
mod release;
mod rig;
mod sentence;
mod set_point;
mod site;
mod steering;
mod switching;
mod truth;
mod unknown;
mod verdicts;
mod weather;
mod winter;
mod year;
