//! A command line, read before the device's `meta` has arrived: from the `meta` of an earlier time.

use std::time::Duration;

use crate::action::{Action, action};
use crate::command::not_stopped;
use crate::exit::Failure;
use crate::halt::Stop;
use crate::instrument::Instrument;
use crate::output::style;
use crate::target::Common;
use crate::tool::Session;
use crate::usage::{self, STOP, is_help, rendered};

/// A command line, read before the device's `meta` has arrived.
pub(crate) struct Foreseen {
    pub(crate) instrument: Instrument,
    /// It ends a motion.
    pub(crate) halts: bool,
    /// The timeout that stands behind the verb.
    pub(crate) limit: Option<Duration>,
    /// It asks for help.
    pub(crate) help: Option<Failure>,
}

impl Foreseen {
    pub(crate) fn of(name: &str, instrument: Instrument, rest: &[String]) -> Self {
        let matches = usage::device(name, &instrument).try_get_matches_from(rest);
        let sent = match matches.as_ref().map(|matches| action(matches, Some(&instrument), None)) {
            Ok(Ok(Some(Action::Send(user_request)))) => instrument.verb(&user_request.request.verb),
            _ => None,
        };
        let halts = sent.is_some_and(|verb| instrument.halts(verb));
        let limit = matches.as_ref().ok().and_then(|it| usage::common(it, Common::default()).timeout);
        let help = matches.err().filter(is_help).map(|help| Failure::Help(rendered(&help, style())));
        Self { instrument, halts, limit, help }
    }

    pub(crate) fn not_sent(&self, session: &Session, stop: &Stop) -> u8 {
        not_stopped(session, session.noun(&self.instrument), STOP, stop)
    }
}
