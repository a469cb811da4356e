//! What the bridge says of itself.

use crate::rig::Rig;

#[test]
fn a_program_that_has_never_heard_of_it_finds_what_it_needs_in_meta() {
    contract::instrument::hold_meta(&Rig::running().meta());
}
