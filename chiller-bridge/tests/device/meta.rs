//! What the bridge says of itself.

use crate::rig::Rig;
use bus::message::encode;

#[test]
fn a_program_that_has_never_heard_of_it_finds_what_it_needs_in_meta() {
    let rig = Rig::running();
    let meta = rig.meta();
    assert!(encode(&meta).len() < 32 * 1024, "{} bytes", encode(&meta).len());
    let text = format!("{:#}\n", serde_json::to_value(&meta).expect("meta is JSON"));
    contract::keep("chiller-bridge/device/examples/meta.json", &text);
    let words = meta.properties.first().expect("status").words.len();
    assert_eq!((meta.schema, meta.kind.as_str(), words), (2, "chiller", 10));
    for property in meta.properties.iter().filter_map(|property| property.set_by.as_ref()) {
        let verb = meta.verbs.iter().find(|verb| verb.name == *property).expect("a verb");
        assert_eq!(verb.arguments.len(), 1, "{property}");
    }
}
