//! The chiller's description, state, files and examples agree.

use chiller_device::{ChillerState, ChillerStatus, DESCRIPTION};

#[test]
fn description_state_files_and_examples_agree() {
    contract::instrument::hold::<ChillerState, ChillerStatus>(&DESCRIPTION);
}
