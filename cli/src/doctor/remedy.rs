//! What to do about the attentions that any bridge may raise. The attention's own text names the
//! cause; those of one instrument's own are explained in docs/faults.md.

use bus::device::every_bridge;

/// Those that more than one instrument may raise under the same name.
const COMMON: [(&str, &str); 3] = [
    (
        "input_stale",
        "check that the service which publishes it runs, and under the identity to which the access list grants this topic; channels and keys in the bridge's settings must be the service's",
    ),
    ("released", "command it back when nobody works on it any more"),
    ("not_homed", "check that nothing is in the way, then home it"),
];

/// What to do about an attention of `device`.
pub(crate) fn remedy(name: &str, device: &str) -> String {
    let of_bridges = every_bridge::CONCERNS.iter().map(|concern| (concern.name, concern.remedy));
    match of_bridges.chain(COMMON).find(|(known, _)| *known == name) {
        Some((_, remedy)) => remedy.to_owned(),
        None => format!("obsbus {device} status shows more; docs/faults.md says what to do about {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attention_that_this_program_does_not_know_is_looked_up_by_its_name() {
        assert!(remedy("port_busy", "dome").contains("fuser -v"));
        assert!(remedy("shutter_open", "dome").ends_with("what to do about shutter_open"));
    }
}
