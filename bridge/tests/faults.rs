//! The fault guide has every attention of a bridge.

use bridge::concern::CONCERNS;

#[test]
fn the_fault_guide_says_of_each_attention_of_a_bridge_what_it_means_and_what_to_do() {
    contract::faults::hold("every bridge", CONCERNS);
}
