//! The broker's access control for one instrument, from its description.

use std::fmt::Write as _;

use bus::device::Description;

/// The site that the committed files are for; `obsbus acl --site` writes them for another.
pub const SITE: &str = "clasp";
/// What a bridge publishes besides replies.
pub const PUBLISHED: [&str; 7] = ["state", "availability", "health", "meta", "history", "recent", "event"];

/// The lines of the bridge of this instrument, and of the services that it listens to.
#[must_use]
pub fn fragment(description: &Description) -> String {
    let kind = description.kind;
    let mut text =
        format!("# Generated from the description of the {}: see `make generated`.\n\n", description.label);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "user {kind}-bridge");
    for what in PUBLISHED {
        let _ = writeln!(text, "topic write {SITE}/{kind}/{what}");
    }
    let _ = writeln!(text, "topic write {SITE}/{kind}/reply/+/+");
    let _ = writeln!(text, "topic read {SITE}/{kind}/command/+/+");
    for service in description.services {
        let _ = writeln!(text, "topic read {SITE}/{}", service.topic);
    }
    // It also reads its own discovery messages, and clears those that are obsolete.
    let _ = writeln!(text, "topic readwrite homeassistant/+/{SITE}_{kind}/+/config");
    let _ = writeln!(text, "topic read homeassistant/status");
    for service in description.services {
        let _ = writeln!(text, "\nuser {}\ntopic write {SITE}/{}", service.identity, service.topic);
    }
    text
}

/// The whole file: what is the same for every site and instrument, with the fragments in their place.
#[must_use]
pub fn assemble(common: &str, fragments: &[String]) -> String {
    let bodies: Vec<&str> = fragments
        .iter()
        .map(|fragment| fragment.split_once("\n\n").map_or(fragment.as_str(), |(_, body)| body).trim_end())
        .collect();
    common.replace("@INSTRUMENTS@", &bodies.join("\n\n"))
}
