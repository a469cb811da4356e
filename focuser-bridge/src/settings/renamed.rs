//! What became of the predecessor's keys.

pub(super) const RENAMED: &[(&str, &str)] = &[
    ("daemon", "is gone: site and device name the topics, and [broker] says where they are; remove it"),
    (
        "control_machines",
        "is now control_clients: a list of identities (common names of certificates), not of machines",
    ),
];
