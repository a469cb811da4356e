//! A bridge's Desk, journal and outbox, its disk, its device, its broker and its clients, and what can
//! happen to them.
//!
//! Three things make the number of states small and leave no case out. Requests lie ready from the
//! start, and each arrives at some time, more than once, or never; so a message that is late, lost,
//! repeated by its sender or delivered twice needs no event of its own. A reply that was posted may
//! have been heard, and counts as heard where hearing it could break a rule; it counts as told when the
//! broker has acknowledged it. And a save that is complete and not yet reported when the
//! process is killed leaves the disk as if it had been reported just before, and its reply unheard.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::command::{Arguments, Desk, Gate, Outcome, Output, Post, REPLY_EXPIRY, Ticket};
use bus::device::{Class, Verb};
use bus::incoming::Incoming;
use bus::message::ReplyStatus;
use bus::outbox::{Message, Outbox};

use crate::digest::feed;
use crate::disk::{Disk, Saved};
use crate::request::Request;
use crate::scene::{Bounds, Scene};
use crate::told::{Arrival, Seen};

/// A command ends at the latest this long after its deadline: the controller's grace, and the wait of
/// a verdict for the disk.
const ENDED_WITHIN: Duration = Duration::from_millis(1_251);

/// From a kill until the next process is there.
const RESTART: Duration = Duration::from_millis(500);

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A request arrives, for the first time or again.
    Arrive(usize),
    /// It arrives, and the bridge finds that it has hung meanwhile.
    ArriveStalled(usize),
    /// A save is complete, and the Desk is told.
    Saved,
    /// A save fails, and the Desk is told.
    SaveFails,
    /// A save that has failed is tried again.
    SaveAgain,
    /// The device completes a command.
    Complete(usize),
    /// The broker acknowledges the next reply.
    Deliver,
    /// The connection breaks. So many replies were handed over and not acknowledged.
    Break(usize),
    /// The connection is made again, and the broker's ACL is known to be in force.
    Connect,
    /// Nothing happens until the Desk's next limit.
    Lapse,
    /// The process is killed, and the next one starts.
    Kill,
    /// The process is to end: the device is at rest, and each running command is answered.
    End,
    /// It has ended, and the next one starts. It may wait for the broker before, and need not.
    Ended,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) left: Bounds,
    now: Now,
    desk: Desk,
    outbox: Outbox,
    /// The broker's ACL is known to be in force.
    connected: bool,
    /// An earlier connection of this process broke with replies on their way.
    has_lost: bool,
    /// What the previous process left, until the connection is made.
    left_over: Option<Saved>,
    pub(crate) disk: Disk,
    /// What the Desk wants to be saved.
    save_due: Option<u64>,
    /// What the device was told to do, and has not answered.
    pub(crate) device: Vec<(Ticket, &'static str)>,
    /// What this process has told the device of, and whether that is only prepared.
    told: Vec<(Ticket, bool)>,
    /// The process is about to end.
    ending: bool,
    /// One has ended.
    pub(crate) ended: bool,
    pub(crate) arrivals: Vec<Arrival>,
    /// The commands that the device was told, by their requests, in all lives of the process.
    pub(crate) ran: Vec<usize>,
    pub(crate) seen: Seen,
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        feed(self, state);
    }
}

impl World {
    /// Nothing has arrived yet.
    pub(crate) fn new(scene: &Scene) -> Self {
        const MILLISECONDS: i64 = 1_796_000_000_000;
        let Some(utc) = Utc::from_unix_milliseconds(MILLISECONDS) else {
            unreachable!("a date of this century")
        };
        let mut world = Self {
            left: scene.bounds,
            now: Now { instant: Instant::from_boot(Duration::from_secs(86_400)), utc },
            desk: Desk::new(scene.settings.clone()),
            outbox: Outbox::default(),
            connected: false,
            has_lost: false,
            left_over: None,
            disk: Disk::default(),
            save_due: None,
            device: Vec::new(),
            told: Vec::new(),
            ending: false,
            ended: false,
            arrivals: Vec::new(),
            ran: Vec::new(),
            seen: Seen::default(),
        };
        world.connect();
        world
    }

    pub(crate) fn actions(&self, scene: &Scene, actions: &mut Vec<Action>) {
        // What comes meanwhile is for the next process.
        let heard = if self.ending { 0 } else { scene.requests.len() };
        for index in 0..heard {
            let is_new = self.arrivals.iter().all(|arrival| arrival.request != index);
            if is_new || self.left.repeats > 0 {
                actions.push(Action::Arrive(index));
                if self.left.stalls > 0 {
                    actions.push(Action::ArriveStalled(index));
                }
            }
        }
        if !self.disk.is_idle() {
            actions.push(Action::Saved);
            if self.left.failures > 0 {
                actions.push(Action::SaveFails);
            }
        } else if self.disk.failed.is_some() {
            actions.push(Action::SaveAgain);
        }
        actions.extend((0..self.device.len()).map(Action::Complete));
        let sendable = self.sendable();
        if sendable > 0 {
            actions.push(Action::Deliver);
        }
        if self.connected && self.left.breaks > 0 {
            actions.extend((0..=sendable).map(Action::Break));
        }
        if !self.connected {
            actions.push(Action::Connect);
        }
        // A healthy disk is faster than any limit of the Desk.
        let may_lapse = self.left.lapses > 0 && (self.disk.is_idle() || self.left.slow_disk);
        if may_lapse && self.desk.poll_timeout().is_some() {
            actions.push(Action::Lapse);
        }
        if self.left.kills > 0 {
            actions.push(Action::Kill);
        }
        if self.left.ends > 0 && !self.ending {
            actions.push(Action::End);
        }
        if self.ending && !self.desk.holds_replies() && self.disk.is_idle() {
            actions.push(Action::Ended);
        }
    }

    pub(crate) fn act(&mut self, action: Action, scene: &Scene) {
        match action {
            Action::Arrive(index) => self.arrive(index, false, scene),
            Action::ArriveStalled(index) => {
                self.left.stalls -= 1;
                self.arrive(index, true, scene);
            }
            Action::Saved => {
                if let Some(number) = self.disk.written() {
                    self.desk.journalled(number);
                }
            }
            Action::SaveFails => {
                self.left.failures -= 1;
                if let Some(number) = self.disk.fail() {
                    self.desk.journalled(number);
                }
            }
            Action::SaveAgain => self.save_due = self.disk.failed,
            Action::Complete(place) => self.complete(place),
            Action::Deliver => self.deliver(),
            Action::Break(handed_over) => {
                self.left.breaks -= 1;
                self.break_off(handed_over);
            }
            Action::Connect => self.connect(),
            Action::Lapse => self.lapse(),
            Action::Kill => self.kill(scene),
            Action::End => {
                self.left.ends -= 1;
                self.ending = true;
                self.device.clear();
                self.desk.interrupt(self.now);
            }
            Action::Ended => self.end(scene),
        }
        self.settle(scene);
    }

    fn arrive(&mut self, index: usize, stalled: bool, scene: &Scene) {
        let Some(request) = scene.requests.get(index) else { return };
        self.left.repeats -= u8::from(self.arrivals.iter().any(|arrival| arrival.request == index));
        self.now = self.now.after(Duration::from_millis(1));
        self.arrivals.push(Arrival::new(index, self.now.utc));
        let Request { by, verb, id, argument } = request;
        let incoming = Incoming {
            topic: format!("{}/command/{by}/{verb}", scene.settings.base),
            payload: format!(r#"{{"id":"{id}","ts":"{}"{argument}}}"#, self.now.utc).into_bytes(),
            retain: false,
            response_topic: None,
            correlation: None,
            signatures: Vec::new(),
            received: self.now,
            stalled,
        };
        self.desk.receive(&incoming, self.now, |_, _| Ok(None));
        self.settle(scene);
        let stops = self.device.iter().any(|(_, verb)| *verb == "stop");
        self.seen.stop_lost |= request.is_stop() && request.is_allowed() && !stops;
    }

    /// The device does what it was told; what overrides ends a motion first.
    fn complete(&mut self, place: usize) {
        let (ticket, verb) = self.device.remove(place);
        if verb == "stop" || verb == "kill" {
            for (other, _) in std::mem::take(&mut self.device) {
                self.desk.answer(&other, &Outcome::stopped(&ticket.by, verb), self.now);
            }
            self.desk.note_rest(true);
        }
        self.desk.answer(&ticket, &Outcome::succeeded("done"), self.now);
    }

    fn sendable(&self) -> usize {
        if self.outbox.is_settled() {
            return 0;
        }
        let mut outbox = self.outbox.clone();
        std::iter::from_fn(|| outbox.next(self.now.instant)).count()
    }

    fn deliver(&mut self) {
        let Some((token, outgoing)) = self.outbox.next(self.now.instant) else { return };
        let receipt = self.outbox.acknowledge(token);
        if let [place, is_terminal] = *outgoing.payload
            && let Some(arrival) = self.arrivals.get_mut(usize::from(place))
        {
            arrival.is_told |= is_terminal == 1;
            arrival.owed = arrival.owed.filter(|_| receipt.is_none());
        }
        if let Some(receipt) = receipt {
            self.desk.delivered(receipt);
        }
    }

    /// Whether the broker may not have a verdict, and somebody still waits for it.
    pub(crate) fn is_owed(&self, arrival: &Arrival) -> bool {
        arrival.owed.is_some_and(|until| self.now.utc < until)
    }

    /// Whether a command is prepared, and neither began nor was withdrawn.
    pub(crate) fn has_prepared(&self) -> bool {
        self.told.iter().any(|(_, is_prepared)| *is_prepared)
    }

    /// Whether the disk is about to get a newer journal.
    pub(crate) fn saves(&self) -> bool {
        !self.disk.is_idle() || self.save_due.is_some()
    }

    fn break_off(&mut self, handed_over: usize) {
        (0..handed_over).for_each(|_| self.outbox.next(self.now.instant).into_iter().for_each(drop));
        let dropped = self.outbox.dropped();
        self.outbox.disconnected();
        // What was lost with two connections is not sent a third time: the contract says so.
        if self.outbox.dropped() > dropped && self.has_lost {
            self.arrivals.iter_mut().for_each(|arrival| arrival.excused = true);
        }
        self.has_lost |= handed_over > 0;
        self.desk.set_gate(Gate::Pending);
        self.connected = false;
    }

    /// As the core does when it is announced.
    fn connect(&mut self) {
        self.outbox.open();
        self.desk.set_gate(Gate::Ready);
        self.connected = true;
        if let Some(left) = self.left_over.take() {
            // Until then nobody could be told.
            let until = self.now.instant + ENDED_WITHIN;
            let dues = self.arrivals.iter_mut().filter_map(|arrival| arrival.due.as_mut());
            dues.for_each(|due| *due = (*due).max(until));
            self.desk.recover((*left.journal).clone(), self.now);
        }
    }

    fn lapse(&mut self) {
        self.left.lapses -= 1;
        self.disk.was_not_waited_for |= !self.disk.is_idle();
        if let Some(due) = self.desk.poll_timeout() {
            self.now = self.now.after(due.since(self.now.instant));
            self.desk.handle_timeout(self.now);
        }
        // Where nothing comes of a limit, nothing comes until it is too late.
        let still_waits = self.desk.poll_timeout().is_some_and(|due| due <= self.now.instant);
        let due = self.arrivals.iter().filter_map(|arrival| arrival.due).min().filter(|_| still_waits);
        if let Some(due) = due {
            self.now = self.now.after(due.since(self.now.instant) + Duration::from_millis(1));
        }
    }

    fn kill(&mut self, scene: &Scene) {
        self.left.kills -= 1;
        let hasty = self.disk.was_not_waited_for;
        let is_open = |it: &&mut Arrival| it.accepted || it.in_progress || it.due.is_some();
        for arrival in self.arrivals.iter_mut().filter(is_open) {
            let is_known = self.disk.contents.has_open(&arrival.at.to_string());
            arrival.due = arrival.due.filter(|_| is_known);
            // A stop does not wait for the disk, and a query is not written to it.
            let waits =
                scene.requests.get(arrival.request).is_some_and(|it| !["stop", "ping"].contains(&it.verb));
            arrival.excused |= !is_known && (hasty || !waits);
        }
        self.start_anew(scene);
    }

    fn end(&mut self, scene: &Scene) {
        self.ended = true;
        // A query is not written to the disk. And what was never announced has said nothing to anybody.
        let is_unsaid = |it: &Request| it.verb == "ping" || (it.is_stop() && self.left_over.is_some());
        let requests = |it: &&mut Arrival| scene.requests.get(it.request).is_some_and(is_unsaid);
        self.arrivals.iter_mut().filter(requests).for_each(|arrival| arrival.excused |= !arrival.is_told);
        self.start_anew(scene);
    }

    /// The next process finds what is on the disk.
    fn start_anew(&mut self, scene: &Scene) {
        // What went on without the disk may run again: the contract says so.
        if self.disk.was_not_waited_for {
            self.arrivals.iter_mut().for_each(|arrival| arrival.excused = true);
        }
        self.disk.process_gone();
        self.now = self.now.after(RESTART);
        self.desk = Desk::new(scene.settings.clone());
        self.outbox = Outbox::default();
        self.connected = false;
        self.left_over = Some(self.disk.contents.clone());
        self.save_due = None;
        self.device.clear();
        self.told.clear();
        (self.ending, self.has_lost) = (false, false);
    }

    /// What the bridge's core does after each event.
    fn settle(&mut self, scene: &Scene) {
        while let Some(output) = self.desk.poll_output() {
            match output {
                Output::Post(post) => self.post(post),
                Output::Prepare(ticket, ..) => {
                    self.seen.ill_prepared |= self.told.iter().any(|(other, _)| *other == ticket);
                    self.told.push((ticket, true));
                }
                Output::Withdraw(ticket) => {
                    self.seen.withdrawn = true;
                    self.seen.ill_prepared |= self.note_end_of_preparation(&ticket) != Some(true);
                }
                Output::Admit(ticket, verb, arguments) => {
                    match self.note_end_of_preparation(&ticket) {
                        None => self.told.push((ticket.clone(), false)),
                        Some(was_prepared) => self.seen.ill_prepared |= !was_prepared,
                    }
                    self.note_begin(&ticket, verb, &arguments, scene);
                    self.device.push((ticket, verb.name));
                }
                Output::Save(number) => self.save_due = Some(number),
                Output::Reconnect => self.break_off(0),
                Output::Event(_) | Output::ClocksAgree => {}
            }
        }
        // The core writes no journal until it has taken over the last one.
        if self.left_over.is_none()
            && let Some(number) = self.save_due.take()
        {
            self.disk.save(number, self.desk.journal(self.now));
        }
        // Nobody can be told before that, either.
        let now = self.now.instant;
        // When a reply is acknowledged matters if it is owed, or can be lost with the connection.
        while self.left.breaks == 0 && !self.outbox.is_settled() && self.is_next_of_no_interest() {
            self.deliver();
        }
        let is_late = |arrival: &Arrival| arrival.due.is_some_and(|due| due < now);
        self.seen.late |= self.left_over.is_none() && self.arrivals.iter().any(is_late);
    }

    fn is_next_of_no_interest(&self) -> bool {
        let mut outbox = self.outbox.clone();
        let next = outbox.next(self.now.instant);
        next.is_some_and(|(token, _)| outbox.acknowledge(token).is_none())
    }

    fn post(&mut self, Post { topic, correlation, reply, receipt }: Post) {
        let Some(place) = self.arrivals.iter().position(|arrival| arrival.at == reply.received_at) else {
            return;
        };
        let is_terminal = reply.status.is_terminal();
        if let Some(arrival) = self.arrivals.get_mut(place) {
            arrival.hear(&reply);
            if receipt.is_some() {
                arrival.owed = reply.finished_at.map(|at| at.after(REPLY_EXPIRY));
                arrival.is_early = self.left_over.is_some();
            }
            if is_terminal {
                arrival.due = None;
            } else if let Some(deadline) = reply.deadline.filter(|_| reply.status == ReplyStatus::Accepted) {
                let left = Duration::from_secs_f64(deadline.seconds_since(self.now.utc).max(0.0));
                arrival.due = Some(self.now.instant + left + ENDED_WITHIN);
            }
        }
        // To the outbox a payload is any bytes. Short ones keep the states small.
        let payload = vec![u8::try_from(place).unwrap_or(u8::MAX), u8::from(is_terminal)];
        let expires = Some(self.now.instant + REPLY_EXPIRY);
        self.outbox.push(Message { topic, payload, correlation, expires, receipt });
    }

    /// Whether it was only prepared until now; `None` if the device was not told of it.
    fn note_end_of_preparation(&mut self, ticket: &Ticket) -> Option<bool> {
        let told = self.told.iter_mut().find(|(other, _)| other == ticket)?;
        Some(std::mem::replace(&mut told.1, false))
    }

    fn note_begin(&mut self, ticket: &Ticket, verb: &Verb, arguments: &Arguments, scene: &Scene) {
        let request =
            scene.requests.iter().position(|request| request.is_admitted_as(ticket, verb, arguments));
        let asked = request.and_then(|index| scene.requests.get(index));
        // A stop that the Desk orders itself, in the name of whoever is owed a verdict, has no id.
        let is_own = ticket.id.is_none() && verb.stop;
        self.seen.trespass |= !asked.map_or(is_own, Request::is_allowed);
        let Some(index) = request else { return };
        // What overrides may have to end a motion, and then does not wait for the disk.
        if verb.class_with(arguments) == Class::Exclusive || !scene.moves() {
            self.ran.push(index);
        }
        let mut arrivals = self.arrivals.iter().filter(|arrival| arrival.request == index);
        let is_known = arrivals.any(|arrival| self.disk.contents.has_open(&arrival.at.to_string()));
        self.seen.unknown_motion |= verb.motion && !is_known && self.disk.failed.is_none();
    }

    /// Whether nothing is under way any more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.connected
            && self.disk.is_idle()
            && self.outbox.is_settled()
            && self.device.is_empty()
            && !self.desk.holds_replies()
            && self.desk.open_command().is_none()
    }

    /// How often the process was killed.
    pub(crate) fn kills(&self, scene: &Scene) -> usize {
        usize::from(scene.bounds.kills - self.left.kills)
    }
}
