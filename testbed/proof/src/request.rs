//! What the clients of the small worlds ask for.

use bus::command::{Arguments, Ticket};
use bus::device::{Description, Verb};

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who.
    pub by: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// The sender's id for it.
    pub id: &'static str,
    /// The payload's members after `id` and `ts`.
    pub argument: &'static str,
}

/// May send commands and stops.
pub(crate) const CONTROL: [&str; 2] = ["alice", "bob"];
/// May send stops only. Everybody else may send nothing.
pub(crate) const STOPS_ONLY: &str = "guard";

impl Request {
    const fn new(by: &'static str, verb: &'static str, id: &'static str, argument: &'static str) -> Self {
        Self { by, verb, id, argument }
    }

    /// Whether the sender may send this.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        CONTROL.contains(&self.by) || (self.by == STOPS_ONLY && self.is_stop())
    }

    /// Whether this is what the device was told to do. Two requests may have the same id.
    pub(crate) fn is_admitted_as(&self, ticket: &Ticket, verb: &Verb, arguments: &Arguments) -> bool {
        let is_its =
            ticket.by.as_str() == self.by && ticket.id.as_ref().is_some_and(|id| id.as_str() == self.id);
        let mut numbers = arguments.numbers();
        let has_its = numbers.all(|(name, number)| self.argument == format!(r#","{name}":{number}"#));
        is_its && verb.name == self.verb && has_its
    }

    /// Whether it is a stop.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        self.verb == "stop"
    }
}

/// A device, and the requests from which its worlds are made.
#[derive(Debug)]
pub struct Cast {
    /// The device.
    pub device: &'static Description,
    /// The requests.
    pub requests: &'static [Request],
}

/// A device that moves and one that is switched: between them they have every class of verb.
pub const CASTS: [Cast; 2] = [
    Cast {
        device: &focuser_device::DESCRIPTION,
        requests: &[
            Request::new("alice", "set", "a1", r#","mm":2"#),
            // The same id for another target.
            Request::new("alice", "set", "a1", r#","mm":4"#),
            Request::new("alice", "kill", "a3", ""),
            Request::new("alice", "stop", "a4", ""),
            Request::new("bob", "init", "b1", ""),
            Request::new("bob", "stop", "b2", ""),
            Request::new("guard", "stop", "g1", ""),
            Request::new("guard", "set", "g2", r#","mm":1"#),
            Request::new("eve", "stop", "e1", ""),
        ],
    },
    Cast {
        device: &chiller_device::DESCRIPTION,
        requests: &[
            Request::new("alice", "setpoint", "a1", r#","celsius":14"#),
            Request::new("alice", "enabled", "a2", r#","enabled":"off""#),
            Request::new("bob", "mode", "b1", r#","mode":"manual""#),
            Request::new("bob", "ping", "b2", ""),
            Request::new("eve", "setpoint", "e1", r#","celsius":20"#),
        ],
    },
];

/// How many clients a world has.
const CLIENTS: usize = 2;

impl Cast {
    /// All choices of `number` requests from at most two clients. Of two choices that differ in a
    /// number alone, one is enough.
    #[must_use]
    pub fn choices(&self, number: usize) -> Vec<Vec<Request>> {
        let mut choices = vec![Vec::new()];
        for request in self.requests {
            let longer: Vec<Vec<Request>> = choices
                .iter()
                .filter(|choice| choice.len() < number)
                .map(|choice| [choice.as_slice(), &[*request]].concat())
                .collect();
            choices.extend(longer);
        }
        choices.retain(|choice| choice.len() == number && clients(choice) <= CLIENTS && !has_twin(choice));
        choices
    }
}

/// A second target without the first is as the first alone.
fn has_twin(choice: &[Request]) -> bool {
    let targets = |argument| choice.iter().any(|request| request.id == "a1" && request.argument == argument);
    targets(r#","mm":4"#) && !targets(r#","mm":2"#)
}

fn clients(choice: &[Request]) -> usize {
    let mut names: Vec<_> = choice.iter().map(|request| request.by).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}
