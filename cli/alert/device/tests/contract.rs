//! Description, state, files and examples agree.

use alert_device::{AlertState, AlertStatus, DESCRIPTION};

#[test]
fn description_state_files_and_examples_agree() {
    contract::instrument::hold::<AlertState, AlertStatus>(&DESCRIPTION);
}
