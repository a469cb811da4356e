//! What became of the predecessor's keys.

pub(super) const RENAMED: &[(&str, &str)] = &[
    ("daemon", "is gone: site and device name the topics, and [broker] says where they are; remove it"),
    (
        "control_machines",
        "is now control_clients: a list of identities (common names of certificates), not of machines",
    ),
    ("power_daemon", "is now topic in [power]: where the power service publishes"),
    ("power_channels", "is now channels in [power]"),
    ("temperature_daemon", "is now topic in [dome]: where the sensor's service publishes"),
    ("temperature_value_key", "is now key in [dome]"),
    ("temperature_valid_key", "is now valid_key in [dome]"),
];
