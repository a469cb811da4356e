//! What a topic carries: the only place that takes the topic of a device apart.

use super::Base;

/// What a device says of itself, each on a topic of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// The full snapshot.
    State,
    /// `online` or `offline`; the will, too.
    Availability,
    /// The condition of the bridge itself.
    Health,
    /// The bridge's description of itself.
    Meta,
    /// The last 24 h.
    History,
    /// The last events of interest to people.
    Recent,
    /// One message per transition and per command.
    Event,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::State, Self::Availability, Self::Health, Self::Meta, Self::History, Self::Recent, Self::Event];

    /// The third level of the topic.
    #[must_use]
    pub const fn level(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Availability => "availability",
            Self::Health => "health",
            Self::Meta => "meta",
            Self::History => "history",
            Self::Recent => "recent",
            Self::Event => "event",
        }
    }

    /// Whether the broker keeps it for those who come later.
    #[must_use]
    pub const fn is_retained(self) -> bool {
        !matches!(self, Self::Event)
    }

    /// The filter for what every device of a site says.
    #[must_use]
    pub fn of_all(self, site: &str) -> String {
        format!("{site}/+/{}", self.level())
    }

    /// What `topic` carries, and of which device. A state may also be of another service of the site.
    #[must_use]
    pub fn on(topic: &str) -> Option<(Base, Self)> {
        let mut levels = topic.split('/');
        let (Some(site), Some(device), Some(level), None) =
            (levels.next(), levels.next(), levels.next(), levels.next())
        else {
            return None;
        };
        let what = Self::ALL.into_iter().find(|what| what.level() == level)?;
        Some((Base::new(site, device).ok()?, what))
    }
}

/// The topic with another name for the sender, or the receiver, if it is one of a command or a reply.
#[must_use]
pub fn with_other_identity(topic: &str, other: impl FnOnce(&str) -> String) -> String {
    let mut levels = topic.splitn(5, '/');
    let (Some(site), Some(device), Some(kind @ ("command" | "reply")), Some(identity)) =
        (levels.next(), levels.next(), levels.next(), levels.next())
    else {
        return topic.to_owned();
    };
    let rest = levels.next().map(|rest| format!("/{rest}")).unwrap_or_default();
    format!("{site}/{device}/{kind}/{}{rest}", other(identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_three_levels_tells_the_device_and_what_it_carries() {
        let base = Base::new("clasp", "lamp").unwrap();
        for (topic, what) in [
            (base.state(), What::State),
            (base.availability(), What::Availability),
            (base.health(), What::Health),
            (base.meta(), What::Meta),
            (base.history(), What::History),
            (base.recent(), What::Recent),
            (base.event(), What::Event),
        ] {
            assert_eq!(What::on(&topic), Some((base.clone(), what)), "{topic}");
            assert_eq!(what.of_all("clasp").replace('+', "lamp"), topic);
        }
        for topic in [
            "clasp/lamp",
            "clasp/Lamp/meta",
            "clasp/lamp/reply/alice",
            "clasp/lamp/command",
            "clasp/lamp/State",
            "clasp/lamp/state/",
            "clasp/+/state",
            "",
            "a//b",
        ] {
            assert_eq!(What::on(topic), None, "{topic}");
        }
    }

    #[test]
    fn only_the_identity_of_a_command_or_a_reply_gets_another_name() {
        let hidden = |topic| with_other_identity(topic, |name| format!("not-{name}"));
        assert_eq!(hidden("clasp/lamp/reply/alice/x"), "clasp/lamp/reply/not-alice/x");
        assert_eq!(hidden("clasp/lamp/command/bob/dim"), "clasp/lamp/command/not-bob/dim");
        assert_eq!(hidden("clasp/lamp/command/bob/dim/x/y"), "clasp/lamp/command/not-bob/dim/x/y");
        for topic in ["clasp/lamp/state", "clasp/lamp/command", "x/command/alice/y/z", ""] {
            assert_eq!(hidden(topic), topic);
        }
    }
}
