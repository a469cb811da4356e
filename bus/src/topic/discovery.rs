//! The topics of Home Assistant: discovery and birth message.

use super::Base;

/// Home Assistant's birth and will message.
#[must_use]
pub fn birth(prefix: &str) -> String {
    format!("{prefix}/status")
}

/// The discovery messages of all devices; `prefix` is Home Assistant's discovery prefix.
#[must_use]
pub fn discovery_of_all(prefix: &str) -> String {
    format!("{prefix}/+/+/+/config")
}

impl Base {
    /// The device's level in the topics of Home Assistant's discovery.
    #[must_use]
    pub fn node(&self) -> String {
        format!("{}_{}", self.site, self.device)
    }

    /// Retained: the configuration of one entity; `prefix` is Home Assistant's discovery prefix.
    #[must_use]
    pub fn discovery(&self, prefix: &str, component: &str, object: &str) -> String {
        format!("{prefix}/{component}/{}/{object}/config", self.node())
    }

    /// The discovery messages of this device.
    #[must_use]
    pub fn discovery_filter(&self, prefix: &str) -> String {
        self.discovery(prefix, "+", "+")
    }

    /// Whether `topic` is one of [`Self::discovery_filter`].
    #[must_use]
    pub fn is_discovery(&self, prefix: &str, topic: &str) -> bool {
        topic.strip_prefix(prefix).is_some_and(|rest| {
            let levels: Vec<&str> = rest.split('/').collect();
            matches!(levels.as_slice(), ["", _, node, _, "config"] if *node == self.node())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_own_discovery_is_told_from_anothers() {
        let base = Base::new("clasp", "lamp").unwrap();
        assert_eq!(birth("homeassistant"), "homeassistant/status");
        assert_eq!(base.discovery_filter("homeassistant"), "homeassistant/+/clasp_lamp/+/config");
        assert!(base.is_discovery("homeassistant", "homeassistant/sensor/clasp_lamp/water/config"));
        for topic in [
            "homeassistant/sensor/clasp_slide/water/config",
            "homeassistant/sensor/clasp_lamp/config",
            "homeassistant/sensor/clasp_lamp/water/config/x",
            "homeassistant2/sensor/clasp_lamp/water/config",
            "homeassistant/status",
        ] {
            assert!(!base.is_discovery("homeassistant", topic), "{topic}");
        }
    }
}
