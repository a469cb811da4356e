//! The chiller's description, state, inputs, files and examples agree.

use chiller_device::{ChillerState, ChillerStatus, DESCRIPTION, DomeState, PowerState};

#[test]
fn description_state_files_and_examples_agree() {
    contract::instrument::hold::<ChillerState, ChillerStatus>(&DESCRIPTION);
    contract::instrument::hold_input::<PowerState>(&DESCRIPTION, "power/state", "Which cameras have power.");
    contract::instrument::hold_input::<DomeState>(&DESCRIPTION, "domealert/state", "How cold the dome is.");
}
