//! `outcome ID`: how an earlier request ended.
//!
//! The same id, verb and argument are sent again with a time so old that the request cannot run:
//! the bridge answers from memory, or waits with us for the end. If the request is not noted on
//! this host, or the bridge has forgotten it, the state's last command may be the one.
#![expect(clippy::disallowed_methods, reason = "reads the clock for the age of what it hears")]

use std::time::Duration;

use bus::clock::Now;
use bus::message::{Code, LastCommand, Reply};
use bus::session::client::SessionError;
use bus::topic::{Base, RequestId};

use crate::ask::{Asker, Observer};
use crate::cache;
use crate::connection::Connection;
use crate::display::ProgressDisplay;
use crate::exit::{EXIT_FAILED, Failure};
use crate::instrument::Instrument;
use crate::notes::{Notes, Sender};
use crate::picture::last_command;
use crate::show::read_meta;
use crate::status::Renderer;
use crate::tool::Session;
use crate::view::{Standing, View};
use crate::wait::Outcome;

/// How long the bridge remembers, less the difference that two clocks may have.
const REMEMBERED_S: f64 = 14.0 * 60.0;
/// How often staleness is checked.
const TICK: Duration = Duration::from_millis(500);

/// How it ended: the exit code and the message.
///
/// # Errors
/// The broker cannot be reached, or nobody knows.
pub(crate) async fn outcome(
    session: &Session,
    notes: Option<&Notes>,
    id: &RequestId,
) -> Result<(u8, String), Failure> {
    let target = &session.target;
    let note = notes.and_then(|notes| notes.read(id, &Sender::of(target)));
    // After that time the bridge would take it for a new request that is too old, and remember that
    // instead.
    let note = note.filter(|note| Now::read().utc.seconds_since(note.asked_at) < REMEMBERED_S);
    let asker = Asker::new(target, "device", session.limit);
    let mut topics = asker.topics(id);
    topics.extend(session.instrument.is_none().then(|| target.base.meta()));
    let mut connection = Connection::open(target, &topics).await?;
    let instrument = match &session.instrument {
        Some(instrument) => instrument.clone(),
        None => match connection.stored(&target.base.meta()).await? {
            Some(message) => read_meta(session, &message.payload),
            None => cache::find(&target.broker, &target.base).unwrap_or_else(Instrument::unknown),
        },
    };
    let renderer = session.renderer(&instrument);
    let mut display = ProgressDisplay::new(&instrument, id.to_string(), Some(id.clone()));
    if let Some(note) = note {
        let answer = asker.ask_after(&note.request, id, Some(connection), &mut display).await?;
        if !matches!(&answer, Outcome::Answered(reply, _) if is_of_the_question(reply)) {
            let what = format!("{} {id}", note.request.verb.replace('_', "-"));
            let message = answer.message(&what, target.identity.as_str(), &target.base.to_string());
            return Ok((answer.exit_code(), message));
        }
        connection = Connection::open(target, &topics).await?;
    }
    let known = follow(session, connection, renderer, id, &mut display).await?;
    match known {
        Known::Ended(command) => {
            let code = command.code.map_or(EXIT_FAILED, |code| code.number());
            Ok((code, format!("{id}: {}", last_command(&command))))
        }
        Known::Lost(code, why) => Err(Failure::said(code, format!("{id}: how it ends is UNKNOWN: {why}"))),
        Known::GaveUp => {
            Err(Failure::said(Code::TimedOut.number(), format!("{id}: still running after --timeout")))
        }
        Known::Nothing => Err(Failure::said(
            EXIT_FAILED,
            format!(
                "nothing is known of {id}: it never arrived at {}, or was not asked from here, or too long ago",
                target.base
            ),
        )),
    }
}

/// Whether a reply refers to our inquiry itself: the bridge did not know the id.
fn is_of_the_question(reply: &Reply) -> bool {
    !reply.duplicate && matches!(reply.code, Some(Code::Expired | Code::ClockSkew))
}

/// What the state tells about a request.
#[derive(Clone, Debug, PartialEq)]
enum Known {
    Ended(LastCommand),
    Lost(u8, String),
    GaveUp,
    Nothing,
}

async fn follow(
    session: &Session,
    mut connection: Connection,
    renderer: Renderer<'_>,
    id: &RequestId,
    display: &mut ProgressDisplay<'_>,
) -> Result<Known, SessionError> {
    let base = &session.target.base;
    let mut view = View::default();
    let give_up = session.limit.map(|limit| Now::read().instant + limit);
    let known = loop {
        let message = connection.next(connection.limit(TICK)).await?;
        let settled = message.is_none();
        if let Some(message) = message {
            view.hear(base, &message, Now::read());
            if message.topic == base.state() {
                display.state(&message.payload);
            }
        }
        let now = Now::read();
        if let Some(known) = known_from(renderer, base, &view, id, (now, settled)) {
            break known;
        }
        if give_up.is_some_and(|give_up| now.instant >= give_up) {
            break Known::GaveUp;
        }
    };
    connection.close().await;
    Ok(known)
}

/// `None`: wait for it.
fn known_from(
    renderer: Renderer,
    base: &Base,
    view: &View,
    id: &RequestId,
    (now, settled): (Now, bool),
) -> Option<Known> {
    let standing = view.standing(now);
    let last = view.snapshot().and_then(|snapshot| snapshot.common.last_command.as_ref());
    let lost = || {
        let why = renderer.why_not_current(base, view, &standing, now);
        Some(Known::Lost(standing.exit_code(), why))
    };
    match last.filter(|last| last.id.as_ref() == Some(id)) {
        // An ended command does not become stale.
        Some(last) if last.outcome.is_terminal() => Some(Known::Ended(last.clone())),
        // The bridge continues while the device does not answer, and will report the end.
        Some(_)
            if matches!(standing, Standing::Current | Standing::DeviceOffline | Standing::ReadingStale) =>
        {
            None
        }
        // Availability may come after the state.
        Some(_) if !settled => None,
        Some(_) => lost(),
        None if view.snapshot().is_some() => Some(Known::Nothing),
        None if !settled => None,
        None => lost(),
    }
}

#[cfg(test)]
mod tests {
    use bus::clock::{Instant, Utc};
    use bus::message::ReplyStatus;
    use serde_json::json;

    use super::*;
    use crate::view::Seen;

    fn now() -> Now {
        Now { instant: Instant::default(), utc: Utc::from_unix_milliseconds(1_700_000_000_000).unwrap() }
    }

    fn view(availability: Option<&str>, id: &str, outcome: ReplyStatus, code: Option<u8>) -> View {
        let at = now().utc.to_string();
        let state = json!({
            "schema": 1, "session": "s", "started_at": at, "seq": 1, "stale_after_s": 5.0, "published_at": at,
            "date": at, "connected": true, "status": "moving", "reason": "commanded", "attention": [],
            "last_command": {
                "id": id, "by": "alice", "verb": "set", "outcome": outcome.word(), "code": code, "date": at
            },
            "percent_open": 40.0,
        });
        let state = Seen::new(state.to_string(), now(), true, Some(5));
        View { availability: availability.map(str::to_owned), state: Some(state) }
    }

    fn known(view: &View, settled: bool) -> Option<Known> {
        let base = Base::new("clasp", "dome").unwrap();
        let instrument = Instrument::unknown();
        let id = RequestId::new("a1").unwrap();
        known_from(Renderer::generic(&instrument), &base, view, &id, (now(), settled))
    }

    #[test]
    fn an_end_that_was_published_holds_even_if_the_bridge_is_gone() {
        for availability in [Some("online"), Some("offline"), None] {
            let view = view(availability, "a1", ReplyStatus::Stopped, Some(28));
            let Some(Known::Ended(command)) = known(&view, false) else { panic!("{view:?}") };
            assert_eq!(command.code, Some(Code::Stopped));
        }
    }

    #[test]
    fn what_runs_is_waited_for_while_the_bridge_is_there() {
        assert_eq!(known(&view(Some("online"), "a1", ReplyStatus::Accepted, None), true), None);
        assert_eq!(known(&view(None, "a1", ReplyStatus::Accepted, None), false), None);
        let gone = known(&view(Some("offline"), "a1", ReplyStatus::Accepted, None), true);
        assert!(matches!(gone, Some(Known::Lost(155, _))), "{gone:?}");
    }

    #[test]
    fn another_commands_end_is_not_taken_for_it() {
        let other = view(Some("online"), "b2", ReplyStatus::Succeeded, Some(0));
        assert_eq!(known(&other, false), Some(Known::Nothing));
        assert_eq!(known(&View::default(), false), None);
        assert!(matches!(known(&View::default(), true), Some(Known::Lost(155, _))));
    }
}
