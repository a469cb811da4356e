//! Description, state, files and examples agree.

use thermometer_device::{DESCRIPTION, ThermometerState, ThermometerStatus};

#[test]
fn description_state_files_and_examples_agree() {
    contract::instrument::hold::<ThermometerState, ThermometerStatus>(&DESCRIPTION);
}
