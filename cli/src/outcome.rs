//! `focus outcome ID`: how a request of before ended.
//!
//! The bridge is asked again with the same id, verb and argument and with a time so old that it
//! cannot run: it answers from what it remembers, or waits with us for the end. Where the request
//! is not noted on this host, or the bridge has forgotten it, the state's last command may be it.
#![expect(clippy::disallowed_methods, reason = "reads the clock for the age of what it hears")]

use std::time::Duration;

use crate::typed::FocuserState;
use bus::clock::Now;
use bus::message::{Code, LastCommand, Reply};
use bus::session::client::{Client, SessionError};
use bus::topic::{Base, RequestId};
use focuser_device::DESCRIPTION;

use crate::meter::Meter;
use crate::program::{EXIT_FAILED, Failure, Way, unreachable};
use crate::remember::Notes;
use crate::render::{last_command, why_not_current};
use crate::request::{Asker, Witness};
use crate::view::{Standing, View};
use crate::wait::Outcome;

/// So long the bridge remembers, less what two clocks may differ.
const REMEMBERED_S: f64 = 14.0 * 60.0;
/// How often staleness is looked for.
const TICK: Duration = Duration::from_millis(500);

/// How it ended: the exit code, and what to say of it.
///
/// # Errors
/// The broker cannot be reached, or nobody knows.
pub async fn outcome(
    way: &Way,
    notes: Option<&Notes>,
    id: &RequestId,
    limit: Option<Duration>,
) -> Result<(u8, String), Failure> {
    let note = notes.and_then(|notes| notes.read(id, &way.sender(), DESCRIPTION.verbs));
    // Asked later than that, the bridge would take it for a new one that is too old, and remember
    // that instead.
    let note = note.filter(|note| Now::read().utc.seconds_since(note.asked_at) < REMEMBERED_S);
    let mut meter = Meter::new(id.to_string(), Some(id.clone()));
    if let Some(note) = note {
        let asker = Asker::new(way, limit).with_state();
        let answer =
            asker.ask_after(&note.request, id, &mut meter).await.map_err(|error| unreachable(&error))?;
        if !matches!(&answer, Outcome::Answered(reply, _) if is_of_the_question(reply)) {
            let what = format!("{} {id}", note.request.verb);
            let message = answer.message(&what, way.identity.as_str(), &way.base.to_string());
            return Ok((answer.exit_code(), message));
        }
    }
    let known = follow(way, id, limit, &mut meter).await.map_err(|error| unreachable(&error))?;
    match known {
        Known::Ended(command) => {
            let code = command.code.map_or(EXIT_FAILED, |code| code.number());
            Ok((code, format!("{id}: {}", last_command(&command))))
        }
        Known::Lost(code, why) => {
            Err(Failure { code, message: format!("{id}: how it ends is UNKNOWN: {why}") })
        }
        Known::GaveUp => Err(Failure {
            code: Code::TimedOut.number(),
            message: format!("{id}: still running after --timeout"),
        }),
        Known::Nothing => Err(Failure {
            code: EXIT_FAILED,
            message: format!(
                "nothing is known of {id}: it never arrived at {}, or was not asked from here, or too long ago",
                way.base
            ),
        }),
    }
}

/// Whether a reply is about our asking after it: the bridge did not know the id.
fn is_of_the_question(reply: &Reply) -> bool {
    !reply.duplicate && matches!(reply.code, Some(Code::Expired | Code::ClockSkew))
}

/// What the state knows of a request.
#[derive(Clone, Debug, PartialEq)]
enum Known {
    Ended(LastCommand),
    Lost(u8, String),
    GaveUp,
    Nothing,
}

async fn follow(
    way: &Way,
    id: &RequestId,
    limit: Option<Duration>,
    meter: &mut Meter,
) -> Result<Known, SessionError> {
    let mut client = Client::connect(&way.broker, &way.client_id, way.connect_limit).await?;
    client.subscribe(&[way.base.state(), way.base.availability()]).await?;
    let mut view = View::<FocuserState>::default();
    let give_up = limit.map(|limit| Now::read().instant + limit);
    let known = loop {
        let message = client.next_message(TICK).await?;
        let settled = message.is_none();
        if let Some(message) = message {
            view.hear(&way.base, &message, Now::read());
            if message.topic == way.base.state() {
                meter.state(&message.payload);
            }
        }
        let now = Now::read();
        if let Some(known) = known_from(&way.base, &view, id, now, settled) {
            break known;
        }
        if give_up.is_some_and(|give_up| now.instant >= give_up) {
            break Known::GaveUp;
        }
    };
    client.disconnect().await;
    Ok(known)
}

/// `None`: it is to be waited for.
fn known_from(
    base: &Base,
    view: &View<FocuserState>,
    id: &RequestId,
    now: Now,
    settled: bool,
) -> Option<Known> {
    let standing = view.standing(now);
    let last = view.snapshot().and_then(|snapshot| snapshot.device.common.last_command.as_ref());
    match last.filter(|last| last.id.as_ref() == Some(id)) {
        // That does not age.
        Some(last) if last.outcome.is_terminal() => Some(Known::Ended(last.clone())),
        // The bridge goes on while the device does not answer, and will say how it ends.
        Some(_)
            if matches!(standing, Standing::Current | Standing::DeviceOffline | Standing::ReadingStale) =>
        {
            None
        }
        // Availability may come after the state.
        Some(_) if !settled => None,
        Some(_) => {
            let why = why_not_current(base, view, &standing, now);
            Some(Known::Lost(standing.exit_code(), why))
        }
        None if view.snapshot().is_some() => Some(Known::Nothing),
        None if !settled => None,
        None => {
            let why = why_not_current(base, view, &standing, now);
            Some(Known::Lost(standing.exit_code(), why))
        }
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

    fn view(
        availability: Option<&str>,
        id: &str,
        outcome: ReplyStatus,
        code: Option<u8>,
    ) -> View<FocuserState> {
        let at = now().utc.to_string();
        let state = json!({
            "schema": 1, "session": "s", "started_at": at, "seq": 1, "stale_after_s": 5.0, "published_at": at,
            "date": at, "connected": true, "status": "moving", "reason": "commanded", "attention": [],
            "last_command": {
                "id": id, "by": "alice", "verb": "set", "outcome": outcome.word(), "code": code, "date": at
            },
            "current_mm": 1.0, "target_mm": 2.0, "current_steps": 1, "origin_steps": 2, "homed": true,
            "moving": true, "progress": 0.5, "eta_s": 1.0, "deadline": at, "temperature_raw": null,
            "limits_mm": [0.0, 6.0],
        });
        let state = Seen::new(state.to_string().as_bytes(), now(), true, Some(5));
        View { availability: availability.map(str::to_owned), state: Some(state) }
    }

    fn known(view: &View<FocuserState>, settled: bool) -> Option<Known> {
        let way = Base::new("clasp", "focuser").unwrap();
        known_from(&way, view, &RequestId::new("a1").unwrap(), now(), settled)
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
