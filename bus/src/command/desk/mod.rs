//! The Desk: admits or refuses each request by the contract's numbered rules, remembers it, and
//! gives exactly one terminal reply.
//!
//! It knows no device: the controller knows what a command means, and says when asked (`examine`)
//! whether it is possible now.
//!
//! ```text
//!  Incoming -- rules 1-12 --> refused (one reply, one event)
//!     |
//!     +--> accepted --(journalled, rule 13)--> Output::Admit --> answer() --(journalled)--> one terminal reply
//!          Output::Prepare                                 |                                   ^
//!                                                          +--no answer by the deadline--------+
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::arguments::Arguments;
use super::cache::Cache;
use super::flood::{Buckets, COMMANDS, STOPS, Summary, Topics};
use super::requester::Requester;
use super::terms::{DeskSettings, Gate, Output, Signatures, Ticket};
use crate::clock::{Instant, Now, Utc};
use crate::device::{Class, Verb};
use crate::message::LastCommand;
use crate::signature::Trust;
use crate::topic::Identity;

mod admission;
mod answer;
mod begin;
mod held;
mod overdue;

use begin::PendingSave;
use held::{Held, Owed};
use overdue::Unanswered;

#[derive(Clone, Debug)]
struct Running {
    ticket: Ticket,
    verb: &'static Verb,
    arguments: Arguments,
    class: Class,
    requesters: Vec<Requester>,
    deadline: Utc,
    /// Set until it begins.
    waits: Option<PendingSave>,
    /// Without an answer by then the Desk ends it.
    overdue: Instant,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Desk {
    settings: DeskSettings,
    signatures: Signatures,
    gate: Gate,
    commands: Buckets,
    stops: Buckets,
    flood: Summary,
    topics: Topics,
    cache: Cache,
    forgotten: Summary,
    running: Vec<Running>,
    /// In sending order.
    held: Vec<Held>,
    /// By their receipts.
    owed: BTreeMap<u64, Owed>,
    receipts: u64,
    /// With the ticket's number.
    last_command: Option<(u64, LastCommand)>,
    outputs: VecDeque<Output>,
    tickets: u64,
    reply_seq: u64,
    saves: u64,
    /// The newest save that has ended.
    saved: u64,
    stalled_commands: u64,
    stall_announced: bool,
    unanswered: Option<Unanswered>,
    /// The bridge is ending.
    closed: bool,
}

impl Desk {
    /// A Desk that has admitted nothing yet.
    #[must_use]
    pub fn new(settings: DeskSettings) -> Self {
        Self {
            settings,
            signatures: Signatures::default(),
            gate: Gate::Pending,
            commands: Buckets::new(COMMANDS),
            stops: Buckets::new(STOPS),
            flood: Summary::flood(),
            topics: Topics::default(),
            cache: Cache::default(),
            forgotten: Summary::forgotten(),
            running: Vec::new(),
            held: Vec::new(),
            owed: BTreeMap::new(),
            receipts: 0,
            last_command: None,
            outputs: VecDeque::new(),
            tickets: 0,
            reply_seq: 0,
            saves: 0,
            saved: 0,
            stalled_commands: 0,
            stall_announced: false,
            unanswered: None,
            closed: false,
        }
    }

    /// The Desk's settings.
    #[must_use]
    pub fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    /// Sets the identities that may send commands and stops. Running commands continue.
    pub fn set_clients(&mut self, control: BTreeSet<Identity>, stop: BTreeSet<Identity>) {
        self.settings.control_clients = control;
        self.settings.stop_clients = stop;
    }

    /// Sets which verbs need a signature; none by default.
    pub fn set_signatures(&mut self, signatures: Signatures) {
        self.signatures = signatures;
    }

    /// Which verbs need a signature.
    #[must_use]
    pub fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// Sets by what signatures are verified from now on.
    pub fn set_trust(&mut self, trust: Result<Trust, String>) {
        self.signatures.trust = trust;
    }

    /// Sets the verdict on the connection; [`Gate::Pending`] after each connect.
    pub fn set_gate(&mut self, gate: Gate) {
        if gate == Gate::Pending {
            self.stall_announced = false;
        }
        self.gate = gate;
    }

    /// The verdict on the connection.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// The last admitted command that is not a query.
    #[must_use]
    pub fn last_command(&self) -> Option<&LastCommand> {
        self.last_command.as_ref().map(|(_, last)| last)
    }

    /// Number of invalid command topics.
    #[must_use]
    pub fn dropped_topics(&self) -> u64 {
        self.topics.total()
    }

    /// Number of commands dropped by the rate limit.
    #[must_use]
    pub fn flooded_commands(&self) -> u64 {
        self.flood.total()
    }

    /// Number of commands dropped because they had waited while the bridge or the broker hung.
    #[must_use]
    pub fn stalled_commands(&self) -> u64 {
        self.stalled_commands
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Desk::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = [
            self.slow_disk_timeout(),
            self.overdue_timeout(),
            self.flood.poll_timeout(),
            self.topics.poll_timeout(),
            self.forgotten.poll_timeout(),
        ];
        own.into_iter().flatten().min()
    }

    /// Releases everything that has waited too long for the disk, ends commands that the controller
    /// does not answer, and reports floods.
    pub fn handle_timeout(&mut self, now: Now) {
        self.handle_slow_disk(now);
        self.handle_overdue(now);
        let summaries = [
            self.flood.handle_timeout(now.instant),
            self.topics.handle_timeout(now.instant),
            self.forgotten.handle_timeout(now.instant),
        ];
        self.outputs.extend(summaries.into_iter().flatten().map(Output::Event));
    }
}
