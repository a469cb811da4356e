//! What a link of a message does: opened, it shows a button; only the button acknowledges, because mail
//! gateways open links. Pure.

use bus::clock::Utc;
use serde::{Deserialize, Serialize};

use crate::alerts::Alerts;
use crate::token::{self, Wrong};

/// The answer to a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// HTTP's.
    pub status: u16,
    /// One line.
    pub title: String,
    /// More of it.
    pub text: String,
    /// Whether it has the button.
    pub has_button: bool,
}

impl Page {
    fn new(status: u16, title: &str, text: impl Into<String>) -> Self {
        Self { status, title: title.to_owned(), text: text.into(), has_button: false }
    }
}

impl Alerts {
    /// Somebody opened a link (`is_post` false), or pressed the button.
    pub fn page(&mut self, token: &str, is_post: bool, now: Utc) -> Page {
        let number = match token::read(&self.memory.key, token, now) {
            Ok(number) => number,
            Err(Wrong::Forged) => {
                return Page::new(404, "No such link", "It is not a link of a message of this alerter.");
            }
            Err(Wrong::Expired) => {
                return Page::new(410, "This link has expired", "obsbus alert ack acknowledges, too.");
            }
        };
        let Some(message) = self.memory.messages.get_mut(&number) else {
            return Page::new(
                410,
                "This message is not known any more",
                "obsbus alert ack acknowledges, too.",
            );
        };
        if message.is_used {
            return Page::new(410, "This link was used", "What was in the message is acknowledged.");
        }
        let subject = message.subject.clone();
        if !is_post {
            let text =
                format!("{subject}\n\nThe button says that somebody knows of it: it is not said again.");
            return Page { has_button: true, ..Page::new(200, "Acknowledge?", text) };
        }
        message.is_used = true;
        let (episodes, by) = (message.episodes.clone(), format!("the link of message {number}"));
        let over =
            episodes.iter().filter(|episode| self.acknowledge(&by, Some(**episode), now).is_err()).count();
        let text = match (over, episodes.len()) {
            (0, _) => subject,
            (over, all) if over == all => format!("{subject}\n\nIt was over already."),
            _ => format!("{subject}\n\nA part of it was over already."),
        };
        Page::new(200, "Acknowledged", text)
    }
}
