//! Decides what is told to whom, and when. Pure: time is an argument.
//!
//! ```text
//!   seen --lasts long enough--> due --30 s, with whatever else--> told --(repeat)--> told
//!     |                                                             |
//!     |                                       not seen for 2 min: over, which is told, too
//!     '-- back within 15 min of the last message: the same problem, told when they have passed
//! ```

use std::time::Duration;

use alert_device::DESCRIPTION;
use bus::clock::{Instant, Now, Utc};
use bus::message::{Event, echo};
use bus::topic::What;

use crate::episode::{Episode, Memory, Message};
use crate::outgoing::Outgoing;
use crate::policy::{Level, Policy, Subject, Verdict, is_news};
use crate::text::{self, Entry, Why};
use crate::watch::{BRIDGE_OFFLINE, Condition, Heard, Watch, elapsed};

/// What was not seen for this time is over.
pub const OVER: Duration = Duration::from_secs(120);
/// What comes and goes makes no more than one message in this time.
pub const FLAPPING: Duration = Duration::from_secs(15 * 60);
/// A bridge that is gone for so long, which somebody has acknowledged, is not expected any more.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Of one device, no more is followed at a time: a bridge that has gone mad makes no more work than this.
const FOLLOWED: usize = 100;
/// While anything is pending, it is looked at this often.
const TICK: Duration = Duration::from_secs(1);

/// What the machine needs to know of the settings.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSettings {
    /// The site.
    pub site: String,
    /// The alerter's own device there.
    pub device: String,
    /// The rules.
    pub policy: Policy,
    /// The receivers, and the lowest level of which each is told.
    pub receivers: Vec<(String, Level)>,
    /// From one heartbeat to the next.
    pub heartbeat: Option<Duration>,
    /// Where the links of messages lead, and how long they are valid.
    pub link: Option<(String, Duration)>,
}

/// The index of a problem, and why it belongs into a message.
type Due = (usize, Why);

/// See the module.
#[derive(Debug)]
pub struct Alerts {
    pub(crate) settings: AlertSettings,
    pub(crate) memory: Memory,
    watch: Watch,
    pub(crate) outgoing: Outgoing,
    /// When the first of what goes into the next message was due.
    group: Option<Utc>,
    turned: Instant,
}

impl Alerts {
    /// Takes over from the previous process.
    #[must_use]
    pub fn new(settings: AlertSettings, memory: Memory, now: Now) -> Self {
        let watch = Watch::new(memory.devices.clone(), now);
        let mut alerts =
            Self { settings, memory, watch, outgoing: Outgoing::default(), group: None, turned: now.instant };
        alerts.drop_strangers();
        alerts
    }

    /// What survives a restart.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What was heard.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Whether only critical problems make a message now.
    #[must_use]
    pub fn is_quiet(&self, now: Utc) -> bool {
        self.settings.policy.is_quiet(now)
    }

    /// The problems that are there, and have been long enough.
    pub fn open(&self, now: Utc) -> impl DoubleEndedIterator<Item = &Episode> {
        let is_there =
            move |it: &&Episode| it.is_open() && (it.told.is_some() || it.due <= it.clear.unwrap_or(now));
        self.memory.episodes.iter().filter(is_there)
    }

    fn kind(&self, device: &str) -> &str {
        if device == self.settings.device { DESCRIPTION.kind } else { self.watch.kind(device) }
    }

    /// The session with the broker is up or lost.
    pub fn broker(&mut self, is_up: bool, now: Now) {
        self.watch.broker(is_up, now);
    }

    /// A message of another device.
    pub fn hear(&mut self, device: &str, what: What, heard: &Heard<'_>, now: Now) {
        if device == self.settings.device {
            return;
        }
        if what == What::Event {
            if let Ok(event) = serde_json::from_slice::<Event>(heard.payload) {
                self.hear_event(device, &event, now);
            }
            return;
        }
        self.watch.hear(device, what, heard, now);
    }

    fn hear_event(&mut self, device: &str, event: &Event, now: Now) {
        if !is_news(event) {
            return;
        }
        let name = echo(event.body.reason.as_deref().unwrap_or_default());
        let kind = self.kind(device).to_owned();
        let severity = event.body.severity;
        let subject = Subject { device, kind: &kind, name: &name, severity, event: Some(event.body.code) };
        let Some(verdict) = self.settings.policy.judge(&subject) else { return };
        let known = self.memory.episodes.iter_mut();
        let mut known = known.filter(|it| it.is_event && it.device == device && it.name == name);
        if let Some(episode) = known.next() {
            // Once in a while is enough.
            episode.returns += 1;
            episode.untold_return = true;
            episode.text = echo(&event.body.message);
            episode.since = event.date;
            return;
        }
        let condition = Condition {
            device: device.to_owned(),
            name,
            severity,
            since: event.date,
            text: echo(&event.body.message),
        };
        let verdict = Verdict { after: Duration::ZERO, repeat: None, ..verdict };
        self.begin(condition, verdict, true, now.utc);
    }

    /// Lets time pass; `own` is what is the matter with the alerter itself.
    pub fn turn(&mut self, own: Vec<Condition>, now: Now) {
        self.turned = now.instant;
        self.memory.episodes.iter_mut().for_each(|episode| episode.correct(now.utc));
        let mut conditions = self.watch.conditions(now);
        let unknown = self.watch.unknown(&conditions);
        conditions.extend(own);
        for condition in &conditions {
            self.follow(condition, now.utc);
        }
        let is_seen = |episode: &Episode| {
            conditions.iter().any(|it| it.device == episode.device && it.name == episode.name)
        };
        for episode in self.memory.episodes.iter_mut().filter(|episode| episode.is_open()) {
            if is_seen(episode) && episode.clear.is_none() {
                continue;
            }
            // Of a device that nobody hears, nobody knows that it is over.
            if unknown.contains(&episode.device) {
                continue;
            }
            let clear = *episode.clear.get_or_insert(now.utc);
            if elapsed(clear, now.utc) >= OVER {
                episode.ended = Some(clear);
                episode.end_told = !self.settings.policy.tell_end && episode.told.is_some();
            }
        }
        self.forget_devices(now.utc);
        self.tell(now.utc);
        self.prune(now.utc);
        let devices = self.watch.devices();
        let known =
            devices.map(|(name, (kind, label))| (name.to_owned(), (kind.to_owned(), label.to_owned())));
        self.memory.devices = known.collect();
    }

    /// A condition that is there now.
    fn follow(&mut self, condition: &Condition, now: Utc) {
        let Condition { device, name, severity, .. } = condition;
        let kind = self.kind(device).to_owned();
        let subject = Subject { device, kind: &kind, name, severity: *severity, event: None };
        let verdict = self.settings.policy.judge(&subject);
        let known = self.memory.episodes.iter_mut();
        let mut known = known.filter(|it| !it.is_event && it.device == *device && it.name == *name);
        let Some(verdict) = verdict else {
            if let Some(episode) = known.next() {
                // The rules are others now.
                episode.clear.get_or_insert(now);
            }
            return;
        };
        let Some(episode) = known.next() else {
            self.begin(condition.clone(), verdict, false, now);
            return;
        };
        if episode.ended.take().is_some() {
            episode.began = now;
            // Whoever was told that it is over has to learn that it is not, and nobody works on it.
            if std::mem::take(&mut episode.end_told) {
                episode.untold_return = true;
                (episode.acknowledged, episode.repeats) = (None, 0);
            }
        }
        if episode.clear.take().is_some() {
            episode.returns += 1;
        }
        // Whoever knows of a warning does not know that it wakes people now.
        if episode.told_level.unwrap_or(episode.level) < verdict.level {
            episode.acknowledged = None;
        }
        (episode.severity, episode.since) = (*severity, condition.since);
        episode.text.clone_from(&condition.text);
        episode.level = verdict.level;
        episode.due = episode.began.after(verdict.after);
        episode.repeat = verdict.repeat;
        episode.receivers = verdict.receivers;
    }

    fn begin(&mut self, condition: Condition, verdict: Verdict, is_event: bool, now: Utc) {
        let Condition { device, name, severity, since, text } = condition;
        let followed = self.memory.episodes.iter().filter(|episode| episode.device == device).count();
        if followed >= FOLLOWED && name != BRIDGE_OFFLINE {
            return;
        }
        self.memory.last_episode += 1;
        self.memory.episodes.push(Episode {
            number: self.memory.last_episode,
            device,
            name,
            is_event,
            severity,
            level: verdict.level,
            text,
            since,
            began: now,
            due: now.after(verdict.after),
            clear: None,
            ended: None,
            returns: 0,
            told: None,
            told_level: None,
            untold_return: false,
            end_told: false,
            repeat: verdict.repeat,
            repeats: 0,
            acknowledged: None,
            receivers: verdict.receivers,
        });
    }

    /// Makes a message of what is due, once it was waited for more.
    fn tell(&mut self, now: Utc) {
        let quiet = self.is_quiet(now);
        let policy = &self.settings.policy;
        let due = self.memory.episodes.iter().enumerate().filter_map(|(index, episode)| {
            let held = quiet && episode.level < Level::Critical;
            why(episode, policy, now).filter(|_| !held).map(|why| (index, why))
        });
        let due: Vec<Due> = due.collect();
        if due.is_empty() {
            // What comes and goes must not begin to wait anew each time.
            self.group = self.group.filter(|begun| elapsed(*begun, now) < policy.group + OVER);
            return;
        }
        let begun = *self.group.get_or_insert(now);
        if elapsed(begun, now) < policy.group {
            return;
        }
        self.group = None;
        self.send(&due, now);
        for (index, why) in due {
            let Some(episode) = self.memory.episodes.get_mut(index) else { continue };
            match why {
                Why::Over | Why::Passed => episode.end_told = true,
                Why::Again => episode.repeats += 1,
                Why::New | Why::Back => {}
            }
            episode.told = Some(now);
            episode.told_level = Some(episode.level);
            episode.untold_return = false;
        }
    }

    /// Everybody gets a message with what is for them.
    fn send(&mut self, due: &[Due], now: Utc) {
        let mut groups: Vec<(Vec<Due>, Vec<String>)> = Vec::new();
        for (receiver, least) in &self.settings.receivers {
            let is_for = |(index, _): &&Due| {
                self.memory.episodes.get(*index).is_some_and(|episode| {
                    episode.level >= *least
                        && (episode.receivers.is_empty() || episode.receivers.contains(receiver))
                })
            };
            let theirs: Vec<Due> = due.iter().filter(is_for).copied().collect();
            if theirs.is_empty() {
                continue;
            }
            match groups.iter_mut().find(|(known, _)| *known == theirs) {
                Some((_, receivers)) => receivers.push(receiver.clone()),
                None => groups.push((theirs, vec![receiver.clone()])),
            }
        }
        for (theirs, receivers) in groups {
            let entries: Vec<Entry<'_>> = theirs
                .iter()
                .filter_map(|(index, why)| {
                    let episode = self.memory.episodes.get(*index)?;
                    Some(Entry { episode, why: *why, kind: self.kind(&episode.device) })
                })
                .collect();
            let number = self.memory.last_message + 1;
            let can_ack = entries.iter().any(|entry| entry.is_open());
            let link = self.settings.link.as_ref().filter(|_| can_ack);
            let link = link.map(|(url, valid)| {
                let token = crate::token::sign(&self.memory.key, number, now.after(*valid));
                format!("{url}/{token}")
            });
            let (subject, body) = text::message(&self.settings.site, &entries, link.as_deref(), now);
            let worst =
                entries.iter().filter(|entry| entry.why != Why::Over).map(|it| it.episode.level).max();
            let episodes = entries.iter().map(|entry| entry.episode.number).collect();
            let message =
                Message { number, date: now, level: worst, subject, body, episodes, link, is_used: false };
            self.post(message, &receivers, now);
        }
    }

    /// Somebody knows of the problem, or of all that people have seen: in a message, or for a while in a list.
    /// Returns how many were not acknowledged before.
    ///
    /// # Errors
    /// There is no such problem.
    pub fn acknowledge(&mut self, by: &str, number: Option<u64>, now: Utc) -> Result<usize, String> {
        let group = self.settings.policy.group;
        let is_seen = |it: &Episode| it.told.is_some() || it.due.after(group) <= now;
        let open = self.memory.episodes.iter_mut().filter(|episode| episode.is_open());
        let is_meant = |it: &Episode| number.map_or_else(|| is_seen(it), |number| it.number == number);
        let theirs: Vec<&mut Episode> = open.filter(|episode| is_meant(episode)).collect();
        if let (Some(number), true) = (number, theirs.is_empty()) {
            return Err(format!("there is no problem {number}, or it is over"));
        }
        let mut count = 0;
        for episode in theirs.into_iter().filter(|episode| episode.acknowledged.is_none()) {
            episode.acknowledged = Some(by.to_owned());
            count += 1;
        }
        Ok(count)
    }

    /// Whether a problem is open that nobody has acknowledged.
    #[must_use]
    pub fn is_any_new(&self) -> bool {
        self.memory.episodes.iter().any(|episode| episode.is_open() && episode.acknowledged.is_none())
    }

    /// A bridge that is gone for good is nobody's problem.
    fn forget_devices(&mut self, now: Utc) {
        let gone = self.memory.episodes.iter().filter(|episode| {
            let is_old = elapsed(episode.began, now) >= FORGOTTEN;
            episode.is_open() && episode.name == BRIDGE_OFFLINE && episode.acknowledged.is_some() && is_old
        });
        for device in gone.map(|episode| episode.device.clone()).collect::<Vec<_>>() {
            self.watch.forget(&device);
        }
    }

    fn prune(&mut self, now: Utc) {
        self.memory.episodes.retain(|episode| {
            let told = episode.told.map_or(Duration::MAX, |told| elapsed(told, now));
            let is_settled = match (episode.is_event, episode.ended) {
                (true, _) => episode.told.is_some() && !episode.untold_return,
                // Nobody was told, and nobody was to be.
                (false, Some(ended)) => (episode.told.is_none() && ended < episode.due) || episode.end_told,
                (false, None) => return true,
            };
            !(is_settled && told >= FLAPPING)
        });
        self.prune_messages(now);
    }

    /// When [`Alerts::turn`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let is_idle = self.memory.episodes.is_empty()
            && self.memory.queue.is_empty()
            && self.watch.is_connected()
            && self.settings.heartbeat.is_none();
        if is_idle { self.watch.poll_timeout(now) } else { Some(self.turned + TICK) }
    }
}

/// Why a problem belongs into a message now, if it does.
fn why(episode: &Episode, policy: &Policy, now: Utc) -> Option<Why> {
    let told = episode.told.map(|told| elapsed(told, now));
    let may_again = told.is_none_or(|told| told >= FLAPPING);
    let is_due = episode.due <= now;
    if episode.is_event {
        return match told {
            None => Some(Why::New),
            Some(_) => (episode.untold_return && may_again).then_some(Why::Back),
        };
    }
    if let Some(ended) = episode.ended {
        return match told {
            // It came and went while nothing was to be said.
            None => (ended >= episode.due).then_some(Why::Passed),
            Some(_) => (!episode.end_told && (episode.returns == 0 || may_again)).then_some(Why::Over),
        };
    }
    if episode.clear.is_some() || episode.acknowledged.is_some() || !is_due {
        return None;
    }
    match (told, episode.told_level) {
        (None, _) => Some(Why::New),
        (_, Some(level)) if level < episode.level => Some(Why::New),
        _ if episode.untold_return => may_again.then_some(Why::Back),
        (Some(told), _) => {
            let again = episode.repeat.is_some_and(|repeat| told >= repeat);
            (again && episode.level == Level::Critical && episode.repeats < policy.repeats)
                .then_some(Why::Again)
        }
    }
}
