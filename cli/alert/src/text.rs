//! What a message says. Pure.

use std::fmt::Write as _;

use bus::clock::Utc;
use bus::message::echo;

use crate::episode::Episode;
use crate::policy::Level;
use crate::remedy;
use crate::watch::{BRIDGE_OFFLINE, BROKER_LOST};

/// A message explains no more problems than these.
const SHOWN: usize = 20;
/// Attentions that mean that a device cannot be reached, beside a bridge that is gone.
const CONTACT: [&str; 6] =
    ["no_answer", "port_missing", "port_denied", "port_busy", "port_failed", BRIDGE_OFFLINE];

/// Why a problem is in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has begun.
    New,
    /// It came back.
    Back,
    /// It is still there.
    Again,
    /// It is over.
    Over,
    /// It was there while nothing was to be said.
    Passed,
}

/// A problem in a message.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Which.
    pub episode: &'a Episode,
    /// Why it is in it.
    pub why: Why,
    /// The kind of its device.
    pub kind: &'a str,
}

impl Entry<'_> {
    /// Whether it is there now, and lasts.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.episode.is_open()
    }

    fn is_bad_news(&self) -> bool {
        !matches!(self.why, Why::Over | Why::Passed)
    }
}

/// `lamp: no answer`.
#[must_use]
pub fn title(episode: &Episode) -> String {
    if episode.name == BROKER_LOST {
        return "no connection to the broker".to_owned();
    }
    let name = episode.name.replace('_', " ");
    format!("{}: {}", episode.device, if name.is_empty() { "event" } else { &name })
}

/// One line for lists.
#[must_use]
pub fn line(episode: &Episode) -> String {
    let by = episode.acknowledged.as_ref().map(|by| format!(", acknowledged by {by}")).unwrap_or_default();
    let (level, since) = (episode.level.in_words(), episode.since.in_words());
    format!("{} {level} {}, since {since}{by}", episode.number, title(episode))
}

/// Subject and body of a message.
#[must_use]
pub fn message(site: &str, entries: &[Entry<'_>], link: Option<&str>, now: Utc) -> (String, String) {
    let mut sorted = entries.to_vec();
    sorted.sort_by_key(|entry| {
        (!entry.is_bad_news(), std::cmp::Reverse(entry.episode.level), entry.episode.number)
    });
    (subject(site, &sorted), body(site, &sorted, link, now))
}

fn subject(site: &str, entries: &[Entry<'_>]) -> String {
    let bad: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.is_bad_news()).collect();
    let contact = bad.iter().filter(|entry| CONTACT.contains(&entry.episode.name.as_str())).count();
    let Some(first) = entries.first() else { return site.to_owned() };
    let more = |count: usize| if count > 0 { format!(" (and {count} more)") } else { String::new() };
    if bad.is_empty() {
        return format!("{site}: over: {}{}", title(first.episode), more(entries.len() - 1));
    }
    let level = first.episode.level.in_words();
    if contact > 1 && contact == bad.len() {
        return format!("{site} {level}: no contact with {contact} devices (power? network?)");
    }
    let again = match first.why {
        Why::Again => "still ",
        Why::Back => "again ",
        _ => "",
    };
    format!("{site} {level}: {again}{}{}", title(first.episode), more(bad.len() - 1))
}

fn body(site: &str, entries: &[Entry<'_>], link: Option<&str>, now: Utc) -> String {
    let mut text = format!("{site}, {}\n", now.in_words());
    // Writing to a String cannot fail.
    for entry in entries.iter().take(SHOWN) {
        let _ = write!(text, "\n{}", paragraph(entry));
    }
    if entries.len() > SHOWN {
        let _ = writeln!(text, "\nand {} more: obsbus alert", entries.len() - SHOWN);
    }
    if entries.iter().any(|entry| entry.is_open() && entry.why != Why::Over) {
        text.push_str("\nTo acknowledge, so that it is not said again: obsbus alert ack\n");
        if let Some(link) = link {
            let _ = writeln!(text, "or open {link} and press the button");
        }
    }
    text
}

fn paragraph(entry: &Entry<'_>) -> String {
    let Entry { episode, why, kind } = *entry;
    let (title, since) = (title(episode), episode.since.in_words());
    let until = || episode.ended.map(|ended| format!(", until {}", ended.in_words())).unwrap_or_default();
    let number = episode.number;
    match why {
        Why::Over => return format!("OVER  {title}, since {since}{} ({number})\n", until()),
        Why::Passed => {
            return format!(
                "WAS   {title}, since {since}{} ({number})\n  {}\n",
                until(),
                echo(&episode.text)
            );
        }
        Why::New | Why::Back | Why::Again => {}
    }
    let level = episode.level.in_words();
    let mut text = format!("{level}  {title} ({number})\n");
    let when = if episode.is_event { "at" } else { "since" };
    let _ = writeln!(text, "  {when} {since}{}", returns(episode));
    if !episode.text.is_empty() {
        let _ = writeln!(text, "  {}", echo(&episode.text));
    }
    if let Some(remedy) = remedy::of(kind, &episode.name) {
        let _ = writeln!(text, "  What to do: {remedy}");
    }
    text
}

fn returns(episode: &Episode) -> String {
    match episode.returns {
        0 => String::new(),
        1 => ", and once more".to_owned(),
        count => format!(", and {count} times more"),
    }
}

/// One sentence: how things are.
#[must_use]
pub fn summary<'a>(open: impl Iterator<Item = &'a Episode>) -> String {
    let mut open: Vec<&Episode> = open.collect();
    open.sort_by_key(|it| (it.acknowledged.is_some(), std::cmp::Reverse(it.level), it.number));
    let Some(first) = open.first() else { return "nothing is the matter".to_owned() };
    let level = if first.level == Level::Critical { "critical" } else { "warning" };
    match open.len() - 1 {
        0 => format!("{level}: {}", title(first)),
        more => format!("{level}: {}, and {more} more", title(first)),
    }
}
