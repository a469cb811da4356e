//! Sends commands and waits for them; motions are also shown, stopped by Ctrl-C and noted.
#![expect(clippy::disallowed_methods, reason = "reads the clock for the note of a request")]

use bus::clock::Now;
use bus::message::Code;
use bus::session::client::SessionError;
use bus::settings::process_environment;
use bus::topic::RequestId;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::ask::{Asker, INSIST_LIMIT, Notices};
use crate::cache;
use crate::connection::Connection;
use crate::display::ProgressDisplay;
use crate::exit::{Failure, with_causes};
use crate::halt::{self, Parties, Stop};
use crate::instrument::Instrument;
use crate::notes::{Notes, Sender};
use crate::output::{print, say, tell, wipe_echo};
use crate::request::{Request, new_id};
use crate::tool::Session;
use crate::wait::{Outcome, Until};

/// The status of a device that the bridge has released: nobody moves it.
const RELEASED: &str = "released";

/// The user's request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UserRequest {
    /// The request on the bus.
    pub(crate) request: Request,
    /// The same in the user's words.
    pub(crate) words: String,
    /// Do not wait for the end of a motion.
    pub(crate) no_wait: bool,
}

/// A pending request.
struct Pending<'a> {
    session: &'a Session,
    instrument: &'a Instrument,
    user_request: &'a UserRequest,
    id: RequestId,
}

/// Sends the request under `id` (on `connection`, if one is ready for it), waits for its outcome,
/// and returns the exit code.
pub(crate) async fn carry_out(
    session: &Session,
    instrument: &Instrument,
    user_request: &UserRequest,
    (id, connection): (RequestId, Option<Connection>),
) -> Result<u8, Failure> {
    let verb = instrument.verb(&user_request.request.verb);
    if verb.is_some_and(|verb| verb.needs_signature) && !session.target.broker.can_sign() {
        if let Some(connection) = connection {
            connection.close().await;
        }
        let message = format!(
            "{}: {} needs a signature, and {} has a password and no key: use certificate_file and key_file in \
             [broker]; nothing was sent",
            session.noun(instrument),
            user_request.words,
            session.target.identity
        );
        return Err(Failure::said(Code::Unsigned.number(), message));
    }
    let pending = Pending { session, instrument, user_request, id };
    match instrument.verb(&user_request.request.verb) {
        Some(verb) if instrument.moves(verb) => pending.motion(connection).await,
        Some(verb) if instrument.halts(verb) => pending.halt(connection).await,
        _ => pending.plain(connection).await,
    }
}

/// `ping`.
pub(crate) async fn ping(session: &Session) -> Result<u8, Failure> {
    let user_request =
        UserRequest { request: Request::bare("ping"), words: "ping".to_owned(), no_wait: false };
    let outcome = Asker::new(&session.target, "device", session.limit)
        .ask(&user_request.request, &new_id()?, None, &mut Notices)
        .await?;
    match &outcome {
        Outcome::Answered(reply, round_trip) if reply.code == Some(Code::Succeeded) => {
            let milliseconds = round_trip.as_secs_f64() * 1000.0;
            print(&format!("{} answered in {milliseconds:.1} ms\n", session.target.base))?;
            Ok(0)
        }
        _ => Ok(said(outcome.exit_code(), &message(session, &outcome, &user_request.words))),
    }
}

/// Ctrl-C from now on.
///
/// # Errors
/// The system refuses.
pub(crate) fn interrupts() -> Result<Signal, Failure> {
    signal(SignalKind::interrupt()).map_err(|source| Failure::System { what: "wait for Ctrl-C", source })
}

/// The result of `work`; `None` if Ctrl-C came first.
pub(crate) async fn unless<T>(interrupt: &mut Signal, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = interrupt.recv() => {
            wipe_echo();
            None
        }
        done = work => Some(done),
    }
}

/// A stop that did not succeed; returns the exit code.
pub(crate) fn not_stopped(session: &Session, noun: &str, words: &str, stop: &Stop) -> u8 {
    said(halt::exit_code(stop), &halt::failure(stop, words, parties(noun, &names(session))))
}

impl Pending<'_> {
    fn noun(&self) -> &str {
        self.session.noun(self.instrument)
    }

    fn asker(&self) -> Asker<'_> {
        Asker::new(&self.session.target, self.noun(), self.session.limit)
    }

    /// Whether this host has heard of the device's bridge before, or moved the device.
    fn is_known(&self) -> bool {
        let target = &self.session.target;
        self.instrument.is_from_bridge()
            || cache::find(&target.broker, &target.base).is_some()
            || Notes::find(&process_environment()).is_some_and(|notes| notes.knows(&target.base))
    }

    async fn plain(&self, connection: Option<Connection>) -> Result<u8, Failure> {
        let outcome =
            self.asker().ask(&self.user_request.request, &self.id, connection, &mut Notices).await?;
        Ok(said(outcome.exit_code(), &message(self.session, &outcome, &self.user_request.words)))
    }

    /// Sends a verb that stops or releases the device.
    async fn halt(&self, connection: Option<Connection>) -> Result<u8, Failure> {
        let words = &self.user_request.words;
        let mut display = ProgressDisplay::new(self.instrument, words.clone(), None);
        let asker = self.asker().insistent(self.session.insist_by()).known(self.is_known());
        let request = &self.user_request.request;
        let asking = asker.ask(request, &self.id, connection, &mut display);
        let asked = unless(&mut interrupts()?, asking).await;
        display.clear();
        let stop = match asked {
            None => Stop::given_up(display.sent()),
            Some(Ok(outcome)) if outcome.exit_code() == 0 => {
                let code = said(0, &message(self.session, &outcome, words));
                let is_stop = self.instrument.verb(&request.verb).is_some_and(|verb| verb.stop);
                if is_stop && display.status() != Some(RELEASED) {
                    self.session.tool.and_then(|tool| tool.after_stop).into_iter().for_each(say);
                }
                return Ok(code);
            }
            Some(Ok(outcome)) => Stop::Asked(outcome),
            Some(Err(error @ SessionError::Settings(_))) => return Err(error.into()),
            Some(Err(error)) => Stop::NotSent(with_causes(&error)),
        };
        Ok(not_stopped(self.session, self.noun(), words, &stop))
    }

    async fn motion(&self, connection: Option<Connection>) -> Result<u8, Failure> {
        let (session, user_request) = (self.session, self.user_request);
        let noted = match Notes::find(&process_environment()) {
            Some(notes) => notes
                .write(&self.id, &Sender::of(&session.target), &user_request.request, Now::read().utc)
                .map_err(|error| error.to_string()),
            None => Err("neither XDG_STATE_HOME nor HOME is set".to_owned()),
        };
        let ask_again = format!("{} outcome", session.command);
        if let (true, Err(error)) = (user_request.no_wait, &noted) {
            say(&format!("the request is not noted, `{ask_again}` will know little of it: {error}"));
        }
        // From here on Ctrl-C is ours.
        let mut interrupt = interrupts()?;
        let until = if user_request.no_wait { Until::Accepted } else { Until::Verdict };
        let mut display =
            ProgressDisplay::new(self.instrument, user_request.words.clone(), Some(self.id.clone()));
        let asker = self.asker().until(until);
        let asking = asker.ask(&user_request.request, &self.id, connection, &mut display);
        let asked = unless(&mut interrupt, asking).await;
        display.clear();
        let outcome = match asked {
            Some(asked) => asked?,
            None => {
                let stop = if display.sent() { self.stop(&mut interrupt).await } else { Stop::NotNeeded };
                let names = names(session);
                let parties = parties(self.noun(), &names);
                let (code, text) = halt::after_interrupt(&stop, &user_request.words, parties);
                say(&text);
                return Ok(code);
            }
        };
        if outcome == Outcome::Accepted {
            return Ok(tell(self.id.as_str()));
        }
        let mut message = message(session, &outcome, &user_request.words);
        if !matches!(outcome, Outcome::Answered(..) | Outcome::NobodyListens | Outcome::BrokerForbids) {
            message.push_str(&format!("; `{ask_again} {}` asks again", self.id));
        }
        Ok(said(outcome.exit_code(), &message))
    }

    /// Stops the motion, on a separate connection, because the one that waited may be dead. A
    /// second Ctrl-C ends the wait.
    async fn stop(&self, interrupt: &mut Signal) -> Stop {
        say("stopping; Ctrl-C again does not wait for standstill");
        let (Some(verb), Ok(id)) = (self.instrument.stop(), new_id()) else {
            return Stop::NotSent("cannot get random numbers".to_owned());
        };
        let mut display = ProgressDisplay::new(self.instrument, verb.name.clone(), None);
        let request = Request::bare(&verb.name);
        // What was set in motion is there.
        let asker = Asker::new(&self.session.target, self.noun(), None)
            .insistent(Now::read().instant + INSIST_LIMIT)
            .known(true);
        let asked = unless(interrupt, asker.ask(&request, &id, None, &mut display)).await;
        display.clear();
        match asked {
            Some(Ok(outcome)) => Stop::Asked(outcome),
            Some(Err(error)) => Stop::NotSent(with_causes(&error)),
            None => Stop::given_up(display.sent()),
        }
    }
}

/// Identity and device, as text.
fn names(session: &Session) -> (String, String) {
    (session.target.identity.to_string(), session.target.base.to_string())
}

fn parties<'a>(noun: &'a str, (whom, at): &'a (String, String)) -> Parties<'a> {
    Parties { noun, whom, at }
}

fn message(session: &Session, outcome: &Outcome, words: &str) -> String {
    let (whom, at) = names(session);
    outcome.message(words, &whom, &at)
}

/// Prints success to stdout, everything else to stderr; returns the exit code.
pub(crate) fn said(code: u8, message: &str) -> u8 {
    if code == 0 {
        return tell(message);
    }
    say(&format!("error: {message}"));
    code
}
