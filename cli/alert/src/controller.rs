//! The alerter as a controller: between the bus, the disk and the part that delivers on one side and the
//! decisions of [`Alerts`] on the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use alert_device::{AlertState, RECEIVERS, concern};
use bridge::controller::{
    Command, Condition, Controller, DeviceRefusal, Effect, Facts, Input, LinkChange, Quantity,
};
use bridge::store::StoreError;
use bus::clock::{Instant, Now, Utc};
use bus::command::{Arguments, Outcome, Refusal, Ticket};
use bus::device::{Concern, Verb};
use bus::message::Code;
use bus::topic::What;

use crate::alerts::{AlertSettings, Alerts};
use crate::delivery::{FAILING, Order};
use crate::episode::Memory;
use crate::policy::Level;
use crate::protocol::{News, Request};
use crate::watch::Heard;
use crate::{text, watch};

/// A disk that takes longer holds no message back.
const DISK_LIMIT: Duration = Duration::from_secs(5);
/// So long before its deadline a test is answered, whatever it knows then.
const MARGIN: Duration = Duration::from_secs(1);
/// Of the open problems, the state shows so many.
const SHOWN: usize = 50;

struct Test {
    ticket: Ticket,
    message: u64,
    waits_for: BTreeSet<String>,
    problems: Vec<String>,
}

/// See the module.
pub struct Alerter {
    alerts: Alerts,
    site: String,
    effects: VecDeque<Effect<Request, Memory>>,
    /// What is on the disk, or on its way there.
    saved: Memory,
    /// The save in progress, and since when.
    saving: Option<(u64, Instant)>,
    /// The newest save that has ended.
    last_save: u64,
    tests: Vec<Test>,
    /// The part that delivers takes requests.
    is_open: bool,
    /// When it was last heard.
    date: Option<Utc>,
    shown: Option<AlertState>,
    now: Now,
}

impl Alerter {
    /// With what the previous process left.
    #[must_use]
    pub fn new(settings: AlertSettings, memory: Memory, now: Now) -> Self {
        let site = settings.site.clone();
        Self {
            saved: Memory::default(),
            alerts: Alerts::new(settings, memory, now),
            site,
            effects: VecDeque::new(),
            saving: None,
            last_save: 0,
            tests: Vec::new(),
            is_open: false,
            date: None,
            shown: None,
            now,
        }
    }

    /// What follows from what has happened.
    fn go_on(&mut self, now: Now) {
        self.now = now;
        let own = self.own_conditions().into_iter().map(|(condition, since)| watch::Condition {
            device: self.alerts.settings.device.clone(),
            name: condition.name.to_owned(),
            severity: condition.severity,
            since,
            text: condition.text,
        });
        let own = own.collect();
        self.alerts.turn(own, now);
        self.end_tests(now);
        self.save(now);
        while self.is_open
            && let Some(order) = self.alerts.next_order(self.last_save, now)
        {
            let request = match order {
                Order::Deliver { receiver, message } => Request::Deliver { receiver, message },
                Order::Look { receiver } => Request::Look { receiver },
                Order::Beat => Request::Beat,
            };
            self.effects.push_back(Effect::SendImmediately(request));
        }
        let state = self.state_now(now);
        if self.shown.as_ref() != Some(&state) {
            self.shown = Some(state);
            self.effects.push_back(Effect::Publish);
        }
    }

    fn save(&mut self, now: Now) {
        if let Some((number, since)) = self.saving {
            if now.instant.since(since) < DISK_LIMIT {
                return;
            }
            self.last_save = number;
        }
        if self.saved == *self.alerts.memory() {
            return;
        }
        self.saved = self.alerts.memory().clone();
        self.saving = Some((self.alerts.save_begins(), now.instant));
        self.effects.push_back(Effect::Save(self.saved.clone()));
    }

    fn end_tests(&mut self, now: Now) {
        let is_over = |test: &Test| test.waits_for.is_empty() || now.instant + MARGIN >= test.ticket.deadline;
        let over: Vec<Test> = self.tests.extract_if(.., |test| is_over(test)).collect();
        for mut test in over {
            test.problems.extend(test.waits_for.iter().map(|receiver| format!("{receiver}: no answer yet")));
            let outcome = if test.problems.is_empty() {
                Outcome::succeeded(format!("message {} was taken by every receiver", test.message))
            } else {
                Outcome::failed(Code::Failed, test.problems.join("; "))
            };
            self.effects.push_back(Effect::Answer(test.ticket, outcome));
        }
    }

    fn news(&mut self, news: News, now: Now) {
        match news {
            News::Delivered { receiver, message, came } => {
                let problem = came.problem();
                for test in self.tests.iter_mut().filter(|test| test.message == message) {
                    test.waits_for.remove(&receiver);
                    test.problems.extend(problem.map(|problem| format!("{receiver}: {problem}")));
                }
                match problem {
                    None => tracing::info!("message {message} was delivered to {receiver}"),
                    Some(problem) => {
                        tracing::warn!("message {message} was not delivered to {receiver}: {problem}")
                    }
                }
                self.alerts.delivered(&receiver, message, came, now);
            }
            News::Looked { receiver, problem } => {
                let known = self.alerts.memory().receivers.get(&receiver).map(|it| it.problem.clone());
                match &problem {
                    Some(problem) if known.as_ref() != Some(problem) => {
                        tracing::warn!("{receiver} cannot be reached: {problem}")
                    }
                    None if known.is_some() => tracing::info!("{receiver} can be reached"),
                    _ => {}
                }
                self.alerts.looked(&receiver, problem.map_or(Ok(()), Err), now);
            }
            News::Beaten { problem } => self.alerts.beaten(problem.map_or(Ok(()), Err), now.utc),
            News::Visited { visit, token, is_post } => {
                let page = self.alerts.page(&token, is_post, now.utc);
                self.effects.push_back(Effect::SendImmediately(Request::Show { visit, page }));
            }
        }
    }

    /// What is the matter with the alerter itself, and since when.
    fn own_conditions(&self) -> Vec<(Condition, Utc)> {
        let mut conditions = Vec::new();
        let mut add = |concern: &'static Concern, since: Utc, text: String| {
            conditions.push((Condition::new(concern, text), since));
        };
        let memory = self.alerts.memory();
        let failing: Vec<_> = memory.receivers.iter().filter(|(_, it)| it.failures >= FAILING).collect();
        if let Some(since) = failing.iter().filter_map(|(_, it)| it.failing_since).min() {
            let words = failing.iter().map(|(name, it)| {
                let since = it.failing_since.map(Utc::in_words).unwrap_or_default();
                format!("{name} takes no message since {since}: {}", it.problem)
            });
            add(&concern::RECEIVER_FAILING, since, words.collect::<Vec<_>>().join("; "));
        }
        if let Some((since, problem)) = &self.alerts.outgoing.beat_problem {
            add(&concern::HEARTBEAT_FAILING, *since, problem.clone());
        }
        if let Some((since, text)) = &memory.lost {
            add(&concern::MESSAGE_LOST, *since, text.clone());
        }
        conditions
    }

    fn state_now(&self, now: Now) -> AlertState {
        let alerts = &self.alerts;
        let memory = alerts.memory();
        let open: Vec<_> = alerts.open(now.utc).collect();
        let failing = memory.receivers.iter().map(|(name, it)| format!("{name}: {}", it.problem));
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        AlertState {
            open: count(open.len()),
            unacknowledged: count(open.iter().filter(|it| it.acknowledged.is_none()).count()),
            episodes: open.iter().rev().take(SHOWN).map(|episode| text::line(episode)).collect(),
            quiet_hours: alerts.is_quiet(now.utc),
            last_message_at: memory.said.as_ref().map(|(date, _)| *date),
            last_message: memory.said.as_ref().map(|(_, subject)| subject.clone()),
            waiting: count(memory.queue.len()),
            failing: failing.collect(),
            heartbeat_at: alerts.outgoing.beat,
            devices: alerts.watch().devices().map(|(name, _)| name.to_owned()).collect(),
        }
    }

    fn status(&self, now: Utc) -> (&'static str, &'static str) {
        if !self.is_open {
            return ("offline", "link_lost");
        }
        let worst = |acknowledged: bool| {
            let open = self.alerts.open(now);
            open.filter(|it| it.acknowledged.is_some() == acknowledged).map(|it| it.level).max()
        };
        match (worst(false), worst(true)) {
            (Some(Level::Critical), _) => ("alert", "unacknowledged"),
            (_, Some(Level::Critical)) => ("acknowledged", "acknowledged"),
            (None, None) => ("quiet", "no_problem"),
            _ => ("problems", "warnings"),
        }
    }
}

fn episode(arguments: &Arguments) -> Option<Result<u64, Refusal>> {
    let number = arguments.number("episode")?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and small"
    )]
    let whole = (number.fract() == 0.0 && (1.0..=1e9).contains(&number)).then_some(number as u64);
    Some(whole.ok_or_else(|| {
        Refusal::new(
            Code::OutsideLimits,
            format!("{number} is not the number of a problem: expected 1, 2, ..."),
        )
    }))
}

impl Controller for Alerter {
    type Request = Request;
    type Reply = Vec<News>;
    type State = AlertState;
    type Saved = Memory;

    fn examine(&self, verb: &'static Verb, arguments: &Arguments) -> Result<Option<Duration>, Refusal> {
        if verb.name == "test" && self.alerts.settings.receivers.is_empty() {
            return Err(Refusal::new(Code::Failed, format!("the settings have no [{RECEIVERS}]")));
        }
        episode(arguments).transpose().map(|_| None)
    }

    fn handle_command(&mut self, command: Command, now: Now) {
        let Command { ticket, verb, arguments } = command;
        if verb.name == "test" {
            let receiver = arguments.name("receiver");
            let (message, waits_for) = self.alerts.test(receiver, ticket.by.as_str(), now.utc);
            self.tests.push(Test { ticket, message, waits_for, problems: Vec::new() });
        } else {
            for test in self.tests.drain(..) {
                // Its message goes on.
                self.effects.push_back(Effect::Answer(test.ticket, Outcome::stopped(&ticket.by, verb.name)));
            }
            let number = episode(&arguments).and_then(Result::ok);
            let outcome = match self.alerts.acknowledge(ticket.by.as_str(), number, now.utc) {
                Ok(0) if self.alerts.is_any_new() => Outcome::succeeded(
                    "nothing is acknowledged: what is open began a moment ago, and nobody was told; try again in half a \
                     minute, or name its number (--episode)",
                ),
                Ok(0) => Outcome::succeeded("there was nothing that was not acknowledged before"),
                Ok(1) => Outcome::succeeded("one problem is acknowledged"),
                Ok(count) => Outcome::succeeded(format!("{count} problems are acknowledged")),
                Err(text) => Outcome::failed(Code::Failed, text),
            };
            self.effects.push_back(Effect::Answer(ticket, outcome));
        }
        self.go_on(now);
    }

    fn handle_input(&mut self, input: Input<'_>, now: Now) {
        let Some((base, what)) = What::on(input.topic) else { return };
        if base.site() == self.site {
            let heard = Heard { payload: input.payload, stored: input.stored };
            self.alerts.hear(base.device(), what, &heard, now);
        }
    }

    fn handle_broker(&mut self, is_up: bool, now: Now) {
        self.alerts.broker(is_up, now);
        self.go_on(now);
    }

    fn handle_reply(&mut self, _: Request, reply: Result<Vec<News>, DeviceRefusal>, now: Now) {
        self.date = Some(now.utc);
        for news in reply.into_iter().flatten() {
            self.news(news, now);
        }
        self.go_on(now);
    }

    fn handle_link(&mut self, change: LinkChange, now: Now) {
        match change {
            LinkChange::Opened => self.is_open = true,
            LinkChange::Lost { .. } => {
                self.is_open = false;
                // What it was doing is not known: it is done again.
                self.alerts.forget_attempts();
            }
            LinkChange::Restored => {}
        }
        self.go_on(now);
    }

    fn handle_saved(&mut self, _: Result<(), StoreError>, now: Now) {
        // A disk that is full holds no message back.
        if let Some((number, _)) = self.saving.take() {
            self.last_save = number;
        }
        self.go_on(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.go_on(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.alerts.poll_timeout(self.now.instant)
    }

    fn poll_request(&mut self, _: Now) -> Option<Request> {
        Some(Request::News)
    }

    fn is_wanted(&self, _: &Request) -> bool {
        true
    }

    fn poll_effect(&mut self) -> Option<Effect<Request, Memory>> {
        self.effects.pop_front()
    }

    /// What is being delivered is delivered once more by the next process, unless this one hears how it
    /// ended.
    fn is_at_rest(&self) -> bool {
        self.alerts.attempts() == 0
    }

    fn conditions(&self, _: Now) -> Vec<Condition> {
        self.own_conditions().into_iter().map(|(condition, _)| condition).collect()
    }

    fn facts(&self, now: Now) -> Facts {
        let (status, reason) = self.status(now.utc);
        let summary = text::summary(self.alerts.open(now.utc));
        Facts { status, reason, summary, date: self.date, connected: self.is_open && self.date.is_some() }
    }

    fn state(&self, now: Now) -> AlertState {
        self.state_now(now)
    }

    fn quantities(&self) -> Vec<Quantity> {
        #[expect(clippy::cast_precision_loss, reason = "a count of problems")]
        let open = self.alerts.open(self.now.utc).count() as f64;
        vec![Quantity { name: "open", unit: "", value: Some(open) }]
    }

    fn status_word(&self) -> &'static str {
        self.status(self.now.utc).0
    }
}

/// The names that a test may have as its argument.
#[must_use]
pub fn names(settings: &AlertSettings) -> BTreeMap<&'static str, Vec<String>> {
    BTreeMap::from([(RECEIVERS, settings.receivers.iter().map(|(name, _)| name.clone()).collect())])
}
