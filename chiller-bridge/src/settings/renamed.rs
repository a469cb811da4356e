//! What became of the predecessor's keys.

const NO_AUTOMATIC: &str = "automatic control by other services' readings is not in this version; remove it";

pub(super) const RENAMED: &[(&str, &str)] = &[
    ("daemon", "is gone: site and device name the topics, and [broker] says where they are; remove it"),
    (
        "control_machines",
        "is now control_clients: a list of identities (common names of certificates), not of machines",
    ),
    ("power_daemon", NO_AUTOMATIC),
    ("power_channels", NO_AUTOMATIC),
    ("temperature_daemon", NO_AUTOMATIC),
    ("temperature_value_key", NO_AUTOMATIC),
    ("temperature_valid_key", NO_AUTOMATIC),
    ("antifreeze_enable_limit", "antifreeze is not in this version; remove it"),
    ("antifreeze_disable_limit", "antifreeze is not in this version; remove it"),
];
