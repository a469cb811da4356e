//! Topics of a replay: a recorded topic below a level of its own. Nothing that listens to a device
//! hears them, because the depth of a device's topics is fixed.

use super::What;

/// The first level of every topic of a replay.
const REPLAY: &str = "replay";

/// How a recorded message is published again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The topic, below that of the replay.
    pub topic: String,
    /// Whether the broker keeps it for those who come later, as it kept the recorded one.
    pub retained: bool,
}

/// Where a replay tells which time it shows.
#[must_use]
pub fn replay_clock() -> String {
    format!("{REPLAY}/clock")
}

/// The filter for everything that a replay publishes.
#[must_use]
pub fn replay_filter() -> String {
    format!("{REPLAY}/#")
}

/// How the message on a recorded `topic` is published again; `None` for everything but what devices
/// and services say of themselves: above all for commands and replies.
#[must_use]
pub fn replayed(topic: &str) -> Option<Replayed> {
    let (_, what) = What::on(topic)?;
    Some(Replayed { topic: format!("{REPLAY}/{topic}"), retained: what.is_retained() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_says_is_replayed_below_a_level_of_its_own() {
        let state = Replayed { topic: "replay/clasp/lamp/state".to_owned(), retained: true };
        assert_eq!(replayed("clasp/lamp/state"), Some(state));
        let event = Replayed { topic: "replay/clasp/lamp/event".to_owned(), retained: false };
        assert_eq!(replayed("clasp/lamp/event"), Some(event));
        assert_eq!(What::on("replay/clasp/lamp/state"), None, "no device's topic");
    }

    #[test]
    fn commands_replies_and_whatever_is_no_topic_of_a_device_are_never_replayed() {
        for topic in [
            "clasp/lamp/command/alice/dim",
            "clasp/lamp/reply/alice/x",
            "clasp/command/alice",
            "clasp/lamp/command",
            "homeassistant/sensor/clasp_lamp/water/config",
            "replay/clasp/lamp/state",
            "clasp/lamp/state/x",
            "clasp/lamp/state\u{0}",
            "clasp/+/state",
            "#",
            "",
        ] {
            assert_eq!(replayed(topic), None, "{topic:?}");
        }
    }
}
