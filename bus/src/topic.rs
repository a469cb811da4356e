//! Every topic of the bus, and the characters that are permitted in them.
//!
//! The only module that contains a topic's text. Text from a client enters a topic only through
//! [`Identity`] and [`RequestId`]: a control character in a topic makes the broker drop the
//! *bridge*.

mod discovery;
mod replay;
mod survey;
mod what;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use discovery::{birth, discovery_of_all};
pub use replay::{Replayed, replay_clock, replay_filter, replayed};
pub use survey::{everything_of, is_filter, readable_of};
pub use what::{What, with_other_identity};

/// The identity level of the canary, whose publish the ACL must refuse.
pub const CANARY: &str = "acl-canary";
/// The id level of replies to requests without a usable id.
pub const LAST: &str = "last";

const NAME_LIMIT: usize = 64;
const VERB_LIMIT: usize = 32;

/// What [`is_name`] accepts, in words.
pub const NAME_ALPHABET: &str = "1 to 64 of a-z, 0-9, _ and -";
/// Characters of an invalid text that are shown.
const SHOWN: usize = 80;

/// Why a text is not a valid name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has wrong characters, too many, or none.
    #[error("\"{}\" is not a valid {what} (allowed: {NAME_ALPHABET})", text.escape_debug())]
    Name {
        /// What it should name.
        what: &'static str,
        /// The text, or its beginning.
        text: String,
    },
    /// It is not an id. The text is not repeated: a client may have sent anything.
    #[error("an id is 1 to 64 of A-Z a-z 0-9 . _ : - and not \"last\"")]
    Id,
    /// No client may have this identity: bridges use it to test the broker's access rules.
    #[error("the identity \"{CANARY}\" is reserved: bridges try the broker's access rules with it")]
    Reserved,
}

impl NameError {
    fn name(what: &'static str, text: &str) -> Self {
        Self::Name { what, text: text.chars().take(SHOWN).collect() }
    }
}

/// Whether `text` can be a site, a device or an identity: `[a-z0-9_-]{1,64}`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_LIMIT).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Whether `text` can be a verb.
pub(crate) fn is_verb(text: &str) -> bool {
    (1..=VERB_LIMIT).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_id(text: &str) -> bool {
    (1..=NAME_LIMIT).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// The topic of another service's state: `<site>/<service>/state`.
#[must_use]
pub fn of_service(site: &str, service: &str) -> String {
    format!("{site}/{service}/state")
}

/// The name under which the broker knows a connection: `[a-z0-9_-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Identity(String);

impl Identity {
    /// The identity `text`, if every character is allowed.
    ///
    /// # Errors
    /// Names the permitted characters.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(NameError::name("identity", text)) }
    }

    /// The identity of a client; nobody may have [`CANARY`].
    ///
    /// # Errors
    /// Names the permitted characters, or says that it is reserved.
    pub fn client(text: &str) -> Result<Self, NameError> {
        if text == CANARY { Err(NameError::Reserved) } else { Self::new(text) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Identity {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client's choice of name for one request: `[A-Za-z0-9._:-]{1,64}`, not `last`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// The id `text`, if every character is allowed.
    ///
    /// # Errors
    /// Names the permitted characters.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if is_id(text) && text != LAST { Ok(Self(text.to_owned())) } else { Err(NameError::Id) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RequestId {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `<site>/<device>`: the first two levels of a device's topics.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Base {
    site: String,
    device: String,
}

/// Sender and verb, from the topic of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandTopic {
    /// The sender; the broker's ACL guarantees it.
    pub identity: Identity,
    /// Valid characters; the device may not know the verb.
    pub verb: String,
}

impl Base {
    /// The base of `device` at `site`.
    ///
    /// # Errors
    /// Either is outside `[a-z0-9_-]{1,64}`.
    pub fn new(site: &str, device: &str) -> Result<Self, NameError> {
        for (what, text) in [("name of a site", site), ("name of a device", device)] {
            if !is_name(text) {
                return Err(NameError::name(what, text));
            }
        }
        Ok(Self { site: site.to_owned(), device: device.to_owned() })
    }

    /// The site's name.
    #[must_use]
    pub fn site(&self) -> &str {
        &self.site
    }

    /// The device's name.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Topic filters for every device of a site: its description, its state, and whether its bridge
    /// is online.
    #[must_use]
    pub fn filters_of_all(site: &str) -> [String; 3] {
        [What::Meta, What::State, What::Availability].map(|what| what.of_all(site))
    }

    fn under(&self, rest: &str) -> String {
        format!("{}/{}/{rest}", self.site, self.device)
    }

    /// What follows the device in a topic of this device.
    fn rest<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(&self.site)?.strip_prefix('/')?.strip_prefix(&self.device)?.strip_prefix('/')
    }

    /// Retained: the full snapshot.
    #[must_use]
    pub fn state(&self) -> String {
        self.under(What::State.level())
    }

    /// Retained, and the will: `online` or `offline`.
    #[must_use]
    pub fn availability(&self) -> String {
        self.under(What::Availability.level())
    }

    /// Retained: the condition of the bridge itself.
    #[must_use]
    pub fn health(&self) -> String {
        self.under(What::Health.level())
    }

    /// Retained: the last 24 h.
    #[must_use]
    pub fn history(&self) -> String {
        self.under(What::History.level())
    }

    /// Retained: the last events of interest to people.
    #[must_use]
    pub fn recent(&self) -> String {
        self.under(What::Recent.level())
    }

    /// Retained: the bridge's description of itself.
    #[must_use]
    pub fn meta(&self) -> String {
        self.under(What::Meta.level())
    }

    /// One message per transition and per command.
    #[must_use]
    pub fn event(&self) -> String {
        self.under(What::Event.level())
    }

    /// The topic on which `identity` sends `verb`.
    #[must_use]
    pub fn command(&self, identity: &Identity, verb: &str) -> String {
        self.under(&format!("command/{identity}/{verb}"))
    }

    /// The filter on which a bridge receives commands.
    #[must_use]
    pub fn command_filter(&self) -> String {
        self.under("command/+/+")
    }

    /// Whether `topic` is a command's, valid or not.
    #[must_use]
    pub fn is_command(&self, topic: &str) -> bool {
        self.rest(topic).is_some_and(|rest| rest.starts_with("command/"))
    }

    /// Where a bridge can publish only if no ACL is in force.
    #[must_use]
    pub fn canary(&self) -> String {
        self.under(&format!("command/{CANARY}/ping"))
    }

    /// The topic of replies to `identity`; without an id, `last`.
    #[must_use]
    pub fn reply(&self, identity: &Identity, id: Option<&RequestId>) -> String {
        self.under(&format!("reply/{identity}/{}", id.map_or(LAST, RequestId::as_str)))
    }

    /// All replies to `identity`.
    #[must_use]
    pub fn reply_filter(&self, identity: &Identity) -> String {
        self.under(&format!("reply/{identity}/+"))
    }

    /// The topic that an ACL must grant so that a bridge may publish on `topic`: one line covers
    /// all replies, and one all of Home Assistant's discovery.
    #[must_use]
    pub fn grant(&self, topic: &str) -> String {
        if self.rest(topic).is_some_and(|rest| rest.starts_with("reply/")) {
            return self.under("reply/+/+");
        }
        let mut levels = topic.rsplitn(5, '/');
        let mut next = || levels.next();
        if let (Some("config"), Some(_), Some(node), Some(_), Some(prefix)) =
            (next(), next(), next(), next(), next())
            && node == self.node()
        {
            return self.discovery_filter(prefix);
        }
        topic.to_owned()
    }

    /// Parses the topic of a command.
    ///
    /// # Errors
    /// Says which part is wrong; never quotes the topic.
    pub fn parse_command(&self, topic: &str) -> Result<CommandTopic, &'static str> {
        let mut levels = topic.split('/');
        if levels.next() != Some(&self.site)
            || levels.next() != Some(&self.device)
            || levels.next() != Some("command")
        {
            return Err("not a command topic of this device");
        }
        let (Some(identity), Some(verb), None) = (levels.next(), levels.next(), levels.next()) else {
            return Err("a command topic has five levels");
        };
        let identity = Identity::new(identity).map_err(|_| "identity outside its alphabet")?;
        if !is_verb(verb) {
            return Err("verb outside its alphabet");
        }
        Ok(CommandTopic { identity, verb: verb.to_owned() })
    }

    /// Whether a client may have its replies on `topic`: it must be exactly its own reply topic
    /// with one level for the id.
    #[must_use]
    pub fn may_reply_on(&self, topic: &str, identity: &Identity) -> bool {
        topic.strip_prefix(&self.under(&format!("reply/{identity}/"))).is_some_and(is_id)
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        Base::new("clasp", "lamp").unwrap()
    }

    #[test]
    fn topics_are_those_of_the_contract() {
        let alice = Identity::new("alice").unwrap();
        let id = RequestId::new("a-1").unwrap();
        assert_eq!(base().state(), "clasp/lamp/state");
        assert_eq!(base().history(), "clasp/lamp/history");
        assert_eq!(of_service("clasp", "power"), "clasp/power/state");
        assert_eq!(base().recent(), "clasp/lamp/recent");
        assert_eq!(base().command(&alice, "mode"), "clasp/lamp/command/alice/mode");
        assert_eq!(base().reply(&alice, Some(&id)), "clasp/lamp/reply/alice/a-1");
        assert_eq!(base().reply(&alice, None), "clasp/lamp/reply/alice/last");
        assert_eq!(base().canary(), "clasp/lamp/command/acl-canary/ping");
    }

    #[test]
    fn one_grant_covers_all_replies_and_all_of_a_discovery() {
        assert_eq!(base().grant("clasp/lamp/state"), "clasp/lamp/state");
        assert_eq!(base().grant("clasp/lamp/reply/alice/a-1"), "clasp/lamp/reply/+/+");
        for prefix in ["homeassistant", "ha/discovery"] {
            let discovery = base().discovery(prefix, "sensor", "water");
            assert_eq!(discovery, format!("{prefix}/sensor/clasp_lamp/water/config"));
            assert_eq!(base().grant(&discovery), format!("{prefix}/+/clasp_lamp/+/config"));
        }
        let of_another = "homeassistant/sensor/clasp_slide/water/config";
        assert_eq!(base().grant(of_another), of_another);
    }

    #[test]
    fn a_command_topic_names_who_and_what() {
        let parsed = base().parse_command("clasp/lamp/command/alice/mode").unwrap();
        assert_eq!((parsed.identity.as_str(), parsed.verb.as_str()), ("alice", "mode"));
    }

    #[test]
    fn a_topic_that_is_not_exactly_a_command_is_none() {
        for topic in [
            "clasp/lamp/command/alice",
            "clasp/lamp/command/alice/mode/x",
            "clasp/lamp/command//mode",
            "clasp/lamp/command/Alice/mode",
            "clasp/lamp/command/alice/mo de",
            "clasp/lamp/command/alice/",
            "clasp/slide/command/alice/mode",
            "clasp/lamp/commands/alice/mode",
            "",
        ] {
            assert!(base().parse_command(topic).is_err(), "{topic}");
        }
    }

    #[test]
    fn a_reply_goes_to_its_own_identity_only() {
        let alice = Identity::new("alice").unwrap();
        assert!(base().may_reply_on("clasp/lamp/reply/alice/x.1", &alice));
        assert!(base().may_reply_on("clasp/lamp/reply/alice/last", &alice));
        for topic in [
            "clasp/lamp/reply/bob/x",
            "clasp/lamp/reply/alice/",
            "clasp/lamp/reply/alice/x/y",
            "clasp/lamp/reply/alice/+",
            "clasp/lamp/reply/alice/#",
            "clasp/lamp/reply/alice/\u{1}",
            "clasp/lamp/state",
        ] {
            assert!(!base().may_reply_on(topic, &alice), "{topic:?}");
        }
    }

    #[test]
    fn ids_and_identities_keep_to_their_alphabets() {
        assert!(RequestId::new("A.b_c:d-9").is_ok());
        for id in ["", "last", "a b", "ü", "a/b", "\u{0}", &"x".repeat(65)] {
            assert!(RequestId::new(id).is_err(), "{id:?}");
        }
        assert!(Identity::new("lamp-bridge").is_ok());
        for identity in ["", "Alice", "a+b", "a/b", &"x".repeat(65)] {
            assert!(Identity::new(identity).is_err(), "{identity:?}");
        }
    }
}
