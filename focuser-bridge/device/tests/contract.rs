//! The focuser's description, state, files and examples agree.

use focuser_device::{DESCRIPTION, FocuserState, FocuserStatus};

#[test]
fn description_state_files_and_examples_agree() {
    contract::instrument::hold::<FocuserState, FocuserStatus>(&DESCRIPTION);
}
