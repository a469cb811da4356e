//! The section `[homeassistant]` of a bridge's settings.

use crate::settings::{IDENTITY_ALPHABET, Section, is_identity};
use crate::topic::Identity;

/// Home Assistant's default discovery prefix, and the default identity.
const USUAL: &str = "homeassistant";
const LINK_TOPIC: &str = "1 to 200 printable ASCII characters without a space, + and #";

/// Settings that must agree with those of Home Assistant and of the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeAssistant {
    /// Home Assistant's identity on the broker.
    pub identity: Identity,
    /// Home Assistant's discovery prefix.
    pub prefix: String,
    /// For a Home Assistant on another broker: where the bridge between the brokers publishes `1` or `0`.
    pub link_topic: Option<String>,
}

impl HomeAssistant {
    /// What can be a prefix, in words.
    pub const PREFIX: &str = "1 to 100 of a-z, A-Z, 0-9, _ and -, with a / between levels";

    /// Whether `text` can be a prefix.
    #[must_use]
    pub fn is_prefix(text: &str) -> bool {
        let is_level = |level: &str| {
            !level.is_empty() && level.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        text.len() <= 100 && text.split('/').all(is_level)
    }

    /// Reads the section; `None` if discovery is not enabled.
    pub fn read(section: &mut Section) -> Option<Self> {
        let enabled = section.flag("enabled").default(false);
        let identity = section.text("identity").check(IDENTITY_ALPHABET, |name| is_identity(name));
        let identity = identity.default(USUAL.to_owned());
        let prefix = section.text("prefix").check(Self::PREFIX, |prefix| Self::is_prefix(prefix));
        let prefix = prefix.default(USUAL.to_owned());
        let link_topic = section.text("link_topic").check(LINK_TOPIC, |topic| is_topic(topic)).optional();
        let identity = Identity::client(&identity).ok().filter(|_| enabled)?;
        Some(Self { identity, prefix, link_topic })
    }
}

fn is_topic(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'+' && b != b'#')
}
