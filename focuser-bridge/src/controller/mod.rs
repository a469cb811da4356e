//! The decisions of the focuser's bridge: whether the position is known, how to move, and how to
//! bring every stop to standstill. Pure: time is an argument. It never moves the focuser by itself.
//!
//! ```text
//!  offline --valid reply--> (check the counter) --> idle | not_homed
//!  not_homed, idle --init--> homing --> idle        idle --set, offset--> moving --> idle
//!  any motion --stop, failure, deadline--> stopping --standstill--> idle | not_homed   --none in 3 s--> fault
//!  any --kill--> stopping --> released --init--> (check the counter)
//! ```

mod bounds;
mod commands;
mod failure;
mod halting;
mod homing;
mod memory;
mod moving;
mod orders;
mod plausibility;
mod position;
mod prepare;
mod proof;
mod slack;
mod state;
mod summary;
mod watch;

use std::collections::VecDeque;
use std::time::Duration;

use bridge::controller::{
    Command, Condition, Controller, DeviceRefusal, Effect, Facts, Input, LinkChange, Quantity,
};
use bridge::store::StoreError;
use bus::clock::{Instant, Now};
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::Verb;
use bus::message::EventBody;
use focuser_device::{FocuserState, FocuserStatus};
use serde_json::Value;

use crate::geometry::{FullStep, Mechanics};
use crate::protocol::{Reply, Request};
use failure::{Fault, MotionError};
use halting::{AtStandstill, Halt};
use homing::Homing;
pub use memory::{FailedMove, Saved, Unhomed};
use moving::Moving;
use orders::Orders;
use plausibility::Verdict;
use prepare::Prepared;
use slack::Approach;
use watch::{Motor, Standstill};

/// No standstill within this time after a stop is a fault.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// A stop is not acknowledged: a motor that still turns after this time did not receive it.
const STOP_AGAIN: Duration = Duration::from_millis(400);
/// Poll interval while the motor may turn.
const MOTION_POLL: Duration = Duration::from_millis(15);
/// The same during a move, if the reply has arrived by then: at 38400 baud it never has, so a
/// standstill is seen as soon as the line can report it.
const MOVE_POLL: Duration = Duration::from_millis(5);
/// The temperature is read after this number of idle polls.
const TEMPERATURE_EVERY: u32 = 10;
/// Margin of a deadline beyond the expected duration of the motion.
const DEADLINE_MARGIN: Duration = Duration::from_secs(3);
/// A command is answered at the latest this long after its motion's own deadline: it includes the
/// disk and the check of the counter before the motion, and [`AFTERWARDS`].
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// Time for standstill after a stop, and for the disk, which is written before the client is
/// answered.
const AFTERWARDS: Duration = Duration::from_secs(4);

/// The controller's settings.
#[derive(Clone, Copy, Debug)]
pub struct ControllerSettings {
    /// Scale, ranges and speeds.
    pub mechanics: Mechanics,
    /// Poll interval while nothing moves.
    pub query_delay: Duration,
    /// No motion may take longer.
    pub move_timeout: Duration,
}

/// An admitted motion.
#[derive(Debug)]
enum Motion {
    Home(Homing),
    Move(Moving),
}

#[derive(Debug)]
enum Job {
    None,
    /// The link is new: checks whether the counter is still valid.
    Check {
        watch: Standstill,
        /// A stop was sent; no standstill by this time is a fault.
        deadline: Option<Instant>,
    },
    Moving(Motion),
    Halt(Halt),
}

/// The running command.
#[derive(Debug)]
struct Running {
    ticket: Ticket,
    deadline: Now,
}

/// See the module.
#[derive(Debug)]
pub struct Focuser {
    settings: ControllerSettings,
    saved: Saved,
    motor: Motor,
    connected: bool,
    /// It was asked and did not answer; before the first question nothing is known.
    silent: bool,
    /// Whether the counter was checked since the link came up.
    checked: bool,
    job: Job,
    /// Killing and its end, on the way to the disk.
    orders: Orders,
    /// A motion is being saved: no order is sent before it is on the disk.
    saving: bool,
    /// A command's motion that is saved before the command begins.
    prepared: Option<Prepared>,
    run: Option<Running>,
    pending_init: Option<(Ticket, bool)>,
    stop_when_back: bool,
    /// When the last stop was sent.
    stop_sent: Instant,
    fault: Option<Fault>,
    /// A position too far from the previous one to be accepted at once.
    suspicious: Option<(i32, Instant)>,
    /// A status said that the motor turns, which it should not.
    turned_once: bool,
    /// A temperature too far from the previous one.
    doubted_temperature: Option<i32>,
    ask_temperature_next: bool,
    /// When the pending request was sent.
    asked_at: Instant,
    /// When a motion was ordered that is not visible yet.
    ordered: Option<Instant>,
    /// For the motion in progress, or whose end was not seen.
    approach: Option<Approach>,
    out_of_range: u32,
    outstanding: bool,
    next_question: Instant,
    idle_polls: u32,
    ask_position_next: bool,
    /// Ask the status before the position, also in motion.
    ask_status_next: bool,
    status: FocuserStatus,
    effects: VecDeque<Effect<Request, Saved>>,
}

impl Focuser {
    /// A controller that has not asked anything yet.
    #[must_use]
    pub fn new(settings: ControllerSettings, mut saved: Saved, now: Now) -> Self {
        saved.full_step = saved.full_step.filter(FullStep::is_plausible);
        let mut effects = VecDeque::new();
        let released = saved.released;
        let fault = saved.end_moved.map(Fault::EndMoved);
        if released {
            effects.push_back(Effect::ReleasePort(true));
        }
        Self {
            orders: Orders::new(saved.released || saved.release_owed),
            settings,
            saved,
            motor: Motor::default(),
            connected: false,
            silent: false,
            checked: false,
            job: Job::None,
            saving: false,
            prepared: None,
            run: None,
            pending_init: None,
            stop_when_back: false,
            stop_sent: now.instant,
            fault,
            suspicious: None,
            turned_once: false,
            doubted_temperature: None,
            ask_temperature_next: false,
            asked_at: now.instant,
            ordered: None,
            approach: None,
            out_of_range: 0,
            outstanding: false,
            next_question: now.instant,
            idle_polls: 0,
            ask_position_next: false,
            ask_status_next: false,
            status: if released { FocuserStatus::Released } else { FocuserStatus::Offline },
            effects,
        }
    }

    fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        self.effects.push_back(Effect::Answer(ticket, outcome));
    }

    fn emit(&mut self, body: EventBody) {
        self.effects.push_back(Effect::Event(body));
    }

    fn save(&mut self) {
        self.orders.writes();
        let mut saved = self.saved.clone();
        if let Some(prepared) = &self.prepared {
            prepared.stake.note_in(&mut saved);
        }
        self.effects.push_back(Effect::Save(saved));
    }

    fn motion_answered(&mut self, reply: Reply, now: Now) {
        if let Reply::Position(steps) = reply
            && self.is_out_of_range(steps)
        {
            // An order by something else, or a counter that was reset.
            self.lose_home(Unhomed::CounterChanged, "the motor left the range of its motion");
            return self.motion_failed(MotionError::OutOfRange(steps), now);
        }
        let Job::Moving(motion) = &mut self.job else { return };
        match motion {
            Motion::Move(moving) => match moving.take(reply, self.asked_at, now.instant) {
                moving::Progress::Going => self.stop_again_if_held(now),
                moving::Progress::Held { at, after } => self.judge_held(at, after, now),
                moving::Progress::Arrived { at, seen } => {
                    self.job = Job::None;
                    self.saved.failed_move = None;
                    self.saved.speeds = Some(self.speeds());
                    self.rest_after_move(at, seen, now);
                    let outcome = Outcome::succeeded(format!("at {}", self.place()));
                    if let Some(run) = self.run.take() {
                        self.answer(run.ticket, outcome);
                    }
                }
                moving::Progress::Failed(error) => self.motion_failed(error.into(), now),
            },
            Motion::Home(homing) => match homing.take(reply, now.instant) {
                homing::Progress::Going => {}
                homing::Progress::Found { end, at } => {
                    let (full_step, measured) = (homing.full_step(), homing.in_words());
                    self.saved.speeds = Some(self.speeds());
                    self.end_found(end, at, full_step, &measured, now);
                }
                homing::Progress::Failed(error) => self.motion_failed(error.into(), now),
            },
        }
    }

    fn run_overdue(&mut self, now: Now) {
        let Some(run) = self.run.as_ref().filter(|run| now.instant >= run.deadline.instant) else { return };
        if !matches!(self.job, Job::Moving(_)) {
            return;
        }
        if self.saving {
            let message = "nothing was moved: the disk did not take the journal in time";
            return self.end_motion(Outcome::timed_out(message), now);
        }
        let error = MotionError::Overdue(run.deadline.utc);
        self.motion_failed(error, now);
    }

    /// A motion has failed by itself.
    fn motion_failed(&mut self, error: MotionError, now: Now) {
        let outcome = error.outcome();
        match &self.job {
            Job::Moving(Motion::Home(_)) => {
                // In any case the counter may have changed.
                self.lose_home(Unhomed::HomingFailed, &outcome.message);
                self.fault = Some(Fault::Homing(error));
            }
            Job::Moving(Motion::Move(_)) if error.is_of_the_motor() => {
                self.saved.failed_move = Some(FailedMove { why: outcome.message.clone(), at: now.utc });
                self.save();
            }
            _ => {}
        }
        self.end_motion(outcome, now);
    }

    fn note_status(&mut self) {
        self.status = self.current_status();
    }
}

impl Controller for Focuser {
    type Request = Request;
    type Reply = Reply;
    type State = FocuserState;
    type Saved = Saved;

    fn examine(&self, verb: &'static Verb, arguments: &Arguments) -> Result<Option<Duration>, Refusal> {
        Ok(self.time_needed(verb, arguments)?.map(|time| time + GRACE))
    }

    fn prepare(&mut self, command: &Command, now: Now) {
        self.prepare_move(command, now);
    }

    fn withdraw(&mut self, ticket: &Ticket, _now: Now) {
        self.withdraw_move(ticket);
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        self.run_command(command, now);
        self.forget_prepared();
        self.note_status();
    }

    fn handle_input(&mut self, _input: Input<'_>, _now: Now) {}

    fn handle_reply(&mut self, _request: Request, reply: Result<Reply, DeviceRefusal>, now: Now) {
        self.outstanding = false;
        // This controller cannot refuse; a reply after `kill` does not count.
        let Ok(reply) = reply else { return };
        if self.saved.released && !self.in_motion() {
            return;
        }
        if reply != Reply::Written {
            self.connected = true;
        }
        match self.judge(reply, now) {
            Verdict::Believed => self.motor.take(reply, self.asked_at, now),
            Verdict::Unconfirmed => {}
            Verdict::Doubted => return,
        }
        if self.motor.turns() == Some(true) {
            self.ordered = None;
        }
        self.note_reset(reply, now);
        match &mut self.job {
            Job::None if self.fault == Some(Fault::NoStandstill) => self.stop_again(now),
            Job::None => self.rest_answered(reply, now),
            Job::Check { .. } => self.check_answered(reply, now),
            Job::Moving(_) => self.motion_answered(reply, now),
            Job::Halt(_) => self.halt_answered(reply, now),
        }
        self.begin_pending_init(now);
        self.note_status();
    }

    fn handle_link(&mut self, change: LinkChange, now: Now) {
        match change {
            LinkChange::Opened => self.port_opened(),
            LinkChange::Lost { reason } => self.link_lost(&reason),
            LinkChange::Restored => self.link_restored(now),
        }
        self.note_status();
    }

    fn handle_saved(&mut self, result: Result<(), StoreError>, now: Now) {
        self.orders_saved(result);
        // With a full disk motion runs nevertheless.
        if std::mem::take(&mut self.saving) && self.in_motion() {
            self.next_question = now.instant;
        }
        self.note_status();
    }

    fn handle_timeout(&mut self, now: Now) {
        if matches!(&self.job, Job::Halt(halt) if now.instant >= halt.deadline) {
            self.not_halted(now);
        }
        self.proof_overdue(now);
        self.check_overdue(now);
        self.run_overdue(now);
        self.init_overdue(now);
        self.orders_overdue(now);
        self.note_status();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let job = match &self.job {
            Job::Halt(halt) => Some(halt.deadline),
            Job::Check { deadline, .. } => *deadline,
            Job::None | Job::Moving(_) => None,
        };
        let run = self.run.as_ref().map(|run| run.deadline.instant);
        let init = self.pending_init.as_ref().map(|(ticket, _)| self.latest_homing(ticket));
        [job, run, init, self.question_due(), self.orders.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_request(&mut self, now: Now) -> Option<Request> {
        if now.instant < self.next_question || (self.saved.released && !self.in_motion()) {
            return None;
        }
        let may_order = !self.saving;
        let request = match &mut self.job {
            _ if std::mem::take(&mut self.ask_status_next) => Some(Request::ReadStatus),
            Job::None => Some(self.idle_question(now)),
            Job::Check { watch, .. } => Some(watch.request()),
            Job::Halt(halt) => Some(halt.watch.request()),
            Job::Moving(Motion::Move(moving)) => {
                let until = moving.waits_until(may_order, now.instant);
                self.next_question = until.unwrap_or(self.next_question);
                if until.is_some() { None } else { moving.request(may_order, now.instant) }
            }
            Job::Moving(Motion::Home(_)) if !may_order => Some(Request::ReadStatus),
            Job::Moving(Motion::Home(homing)) => homing.request(now.instant),
        }?;
        if !matches!(self.job, Job::None) {
            // A write is followed up at once; queries leave a pause on the line.
            let pause = match &self.job {
                _ if !request.has_reply() => Duration::ZERO,
                Job::Moving(Motion::Move(_)) => MOVE_POLL,
                _ => MOTION_POLL,
            };
            self.next_question = now.instant + pause;
        }
        self.outstanding = true;
        self.asked_at = now.instant;
        if matches!(request, Request::GoTo(_) | Request::RunInwards(_)) {
            self.ordered = Some(now.instant);
            self.note_order();
        }
        Some(request)
    }

    fn is_wanted(&self, request: &Request) -> bool {
        // An order whose bytes may have been sent is never repeated, and a released focuser is not
        // queried.
        request.has_reply() && (!self.saved.released || self.in_motion())
    }

    fn poll_effect(&mut self) -> Option<Effect<Request, Saved>> {
        self.effects.pop_front()
    }

    fn handle_absence(&mut self, time: Duration, now: Now) {
        self.was_absent(time, now);
        self.note_status();
    }

    fn handle_shutdown(&mut self, now: Now) {
        // The Desk answers waiting clients: interrupted.
        self.pending_init = None;
        let turns = match &self.job {
            Job::Moving(_) => true,
            Job::Check { watch, .. } => self.may_turn() || watch.seen_motion(),
            Job::None | Job::Halt(_) => self.may_turn() || self.fault == Some(Fault::NoStandstill),
        };
        if turns && self.connected {
            self.run = None;
            self.halt(Vec::new(), false, now);
        } else if turns {
            self.send_stop(now);
        }
        self.note_status();
    }

    fn is_at_rest(&self) -> bool {
        !self.in_motion() && !self.may_turn()
    }

    fn may_hand_over(&self) -> bool {
        self.is_at_rest() && !self.seems_to_turn()
    }

    fn conditions(&self, _now: Now) -> Vec<Condition> {
        self.all_conditions()
    }

    fn quantities(&self) -> Vec<Quantity> {
        self.charted()
    }

    fn status_word(&self) -> &'static str {
        self.status.word()
    }

    fn details(&self) -> Vec<(&'static str, Value)> {
        vec![("steps", self.motor.steps.into())]
    }

    fn facts(&self, _now: Now) -> Facts {
        let status = self.current_status();
        Facts {
            status: status.word(),
            reason: self.reason(),
            summary: self.summary(),
            date: self.motor.date,
            connected: self.connected,
        }
    }

    fn state(&self, now: Now) -> FocuserState {
        self.published(now.instant)
    }
}
