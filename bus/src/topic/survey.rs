//! Topics for programs that look at all devices of a site, and at the broker's access rules.

use super::{Base, CANARY, Identity, NameError, What};

/// What of every device everybody may read.
const PUBLIC: [&str; 7] = ["state", "availability", "health", "meta", "history", "recent", "event"];

/// The filter for every topic of a site.
#[must_use]
pub fn everything_of(site: &str) -> String {
    format!("{site}/#")
}

/// What of a site `identity` may read, kind by kind: for a broker that grants a filter as a whole or not
/// at all.
#[must_use]
pub fn readable_of(site: &str, identity: &Identity) -> Vec<String> {
    let mut filters: Vec<String> = PUBLIC.iter().map(|what| format!("{site}/+/{what}")).collect();
    filters.push(Base::replies_of_all(site, identity));
    filters
}

/// Whether `text` can be a filter of MQTT: `+` and `#` are levels of their own, `#` the last.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    let is_level = |(index, level): (usize, &&str)| match *level {
        "#" => index + 1 == levels.len(),
        "+" => true,
        level => !level.contains(['+', '#']) && !level.chars().any(char::is_control),
    };
    (1..=256).contains(&text.len()) && levels.iter().enumerate().all(is_level)
}

impl Base {
    /// The filter for the health of every bridge of a site.
    #[must_use]
    pub fn health_of_all(site: &str) -> String {
        What::Health.of_all(site)
    }

    /// The filter for the last events of every device of a site.
    #[must_use]
    pub fn recent_of_all(site: &str) -> String {
        What::Recent.of_all(site)
    }

    /// The filter for the events of every device of a site.
    #[must_use]
    pub fn events_of_all(site: &str) -> String {
        What::Event.of_all(site)
    }

    /// The filter for the replies of every device of a site to `identity`.
    #[must_use]
    pub fn replies_of_all(site: &str, identity: &Identity) -> String {
        format!("{site}/+/reply/{identity}/+")
    }

    /// The filter for the replies of every device of a site to everybody, which the broker must not
    /// deliver.
    #[must_use]
    pub fn replies_of_everybody(site: &str) -> String {
        format!("{site}/+/reply/+/+")
    }

    /// A device that does not exist: a client that may publish its state may publish the state of
    /// any device.
    ///
    /// # Errors
    /// The site is outside `[a-z0-9_-]{1,64}`.
    pub fn nobody(site: &str) -> Result<Self, NameError> {
        Self::new(site, CANARY)
    }

    /// A topic of the device that nobody uses: a client that may publish here may publish all
    /// topics of the device.
    #[must_use]
    pub fn unused(&self) -> String {
        self.under(CANARY)
    }

    /// The device that has replied on this topic.
    #[must_use]
    pub fn of_reply(topic: &str) -> Option<Self> {
        let mut levels = topic.split('/');
        match (levels.next(), levels.next(), levels.next(), levels.next(), levels.next(), levels.next()) {
            (Some(site), Some(device), Some("reply"), Some(_), Some(_), None) => Self::new(site, device).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_its_wildcards_as_levels_of_their_own() {
        for good in ["clasp/#", "#", "+/+/state", "clasp/lamp/state", "$SYS/broker/uptime"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "clasp/#/state", "clasp/a+", "clasp#", "a\u{0}", &"x".repeat(300)] {
            assert!(!is_filter(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_somebody_may_read_is_the_public_topics_and_the_own_replies() {
        let filters = readable_of("clasp", &Identity::new("alice").unwrap());
        let base = Base::new("clasp", "dome").unwrap();
        for topic in [base.state(), base.availability(), base.health(), base.event()] {
            assert!(filters.contains(&topic.replace("dome", "+")), "{topic}");
        }
        assert_eq!(filters.last().unwrap(), "clasp/+/reply/alice/+");
        assert!(!filters.iter().any(|filter| filter.contains("command") || filter.contains('#')));
    }

    #[test]
    fn a_reply_tells_its_device_and_nothing_else_does() {
        let base = Base::new("clasp", "dome").unwrap();
        let alice = Identity::new("alice").unwrap();
        assert_eq!(Base::of_reply(&base.reply(&alice, None)), Some(base.clone()));
        assert_eq!(Base::of_reply(&base.state()), None);
        assert_eq!(Base::of_reply(&base.command(&alice, "ping")), None);
    }

    #[test]
    fn what_must_be_refused_is_on_topics_that_no_device_uses() {
        let base = Base::new("clasp", "dome").unwrap();
        assert_eq!(base.unused(), "clasp/dome/acl-canary");
        assert_eq!(Base::nobody("clasp").unwrap().state(), "clasp/acl-canary/state");
    }
}
