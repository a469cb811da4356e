//! Whether the device answers: decides on retries, counts failures, and decides when the link is
//! lost and when it is restored.
//!
//! It is lost at the third failure in a row, or when polling has brought no valid reply for the
//! timeout, or when the last valid reply is older than the state may be. A refusal is a valid reply.
//! Only a valid reply restores it: a port that opens proves nothing. Time in which the bridge itself
//! did not run is not the device's silence. Pure.
//!
//! ```text
//!  Down --valid reply--> Up --3 failures, time limit, port gone, stale--> Down (port reopened)
//! ```

use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::device::{Concern, every_bridge as concern};
use bus::message::LinkHealth;

use crate::line::PortTrouble;

const FAILURES_LIMIT: u32 = 3;

/// Why the link is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The port cannot be used.
    Port(PortTrouble),
    /// The port is open, but no valid reply comes.
    NoAnswer,
}

impl Cause {
    const ALL: [Self; 5] = [
        Self::Port(PortTrouble::Missing),
        Self::Port(PortTrouble::Denied),
        Self::Port(PortTrouble::Busy),
        Self::Port(PortTrouble::Failed),
        Self::NoAnswer,
    ];

    /// The attention that says so.
    #[must_use]
    pub fn concern(self) -> &'static Concern {
        match self {
            Self::Port(PortTrouble::Missing) => &concern::PORT_MISSING,
            Self::Port(PortTrouble::Denied) => &concern::PORT_DENIED,
            Self::Port(PortTrouble::Busy) => &concern::PORT_BUSY,
            Self::Port(PortTrouble::Failed) => &concern::PORT_FAILED,
            Self::NoAnswer => &concern::NO_ANSWER,
        }
    }

    /// One word for programs: the name of the attention.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.concern().name
    }

    /// Whether an attention of that name is about the link.
    #[must_use]
    pub fn is_named(name: &str) -> bool {
        Self::ALL.iter().any(|cause| cause.word() == name)
    }
}

/// Why the link is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What is wrong.
    pub cause: Cause,
    /// How it was noticed.
    pub reason: String,
}

impl Loss {
    /// For people: what is wrong, and what to check.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self.cause {
            Cause::Port(_) => self.reason.clone(),
            Cause::NoAnswer => format!("the device does not answer: {}", self.reason),
        }
    }
}

/// Why an exchange gave no reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A valid reply: the device refuses.
    Refused(String),
    /// A complete reply that is not valid.
    Bad(String),
    /// No complete reply.
    Missing(String),
    /// The request was not sent.
    Unsent(String),
    /// The port disappeared.
    Gone(String),
}

/// What follows the end of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A valid reply; `restored` if it is the first after a loss.
    Valid {
        /// The link had been down.
        restored: bool,
    },
    /// The device refuses: the controller must be told.
    Refused {
        /// In its words.
        text: String,
        /// The link had been down.
        restored: bool,
    },
    /// Retry the same request.
    Repeat,
    /// The link is lost; `news` if it was up before, or was never tried.
    Lost {
        /// Why.
        reason: String,
        /// Whether this was not reported before.
        news: bool,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Link {
    time_limit: Duration,
    stale_after: Duration,
    up: bool,
    down_said: bool,
    loss: Option<Loss>,
    paused: bool,
    failures: u32,
    asking_since: Option<Instant>,
    last_valid: Option<Instant>,
    last_trouble: Option<String>,
    health: LinkHealth,
}

impl Link {
    /// A link that has not been tried.
    #[must_use]
    pub fn new(time_limit: Duration, stale_after: Duration) -> Self {
        Self {
            time_limit,
            stale_after,
            up: false,
            down_said: false,
            loss: None,
            paused: false,
            failures: 0,
            asking_since: None,
            last_valid: None,
            last_trouble: None,
            health: LinkHealth::default(),
        }
    }

    /// Whether the device answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Why the link is down, if known and not intended.
    #[must_use]
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref()
    }

    /// The counters.
    #[must_use]
    pub fn health(&self) -> &LinkHealth {
        &self.health
    }

    /// An exchange begins.
    pub fn asked(&mut self, now: Instant) {
        self.health.exchanges += 1;
        self.asking_since.get_or_insert(now);
    }

    /// The device is not polled; its silence means nothing.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
        self.loss = None;
        self.asking_since = None;
        self.failures = 0;
        self.last_valid = None;
    }

    /// The port is released: nothing was lost.
    pub fn release_port(&mut self) {
        self.up = false;
        self.pause(true);
    }

    /// The port was opened: what happened before does not count.
    pub fn opened(&mut self) {
        self.failures = 0;
        self.asking_since = None;
        self.loss.take_if(|loss| loss.cause != Cause::NoAnswer);
    }

    /// An exchange ended.
    pub fn ended(&mut self, result: Result<(), Trouble>, now: Now) -> Verdict {
        let trouble = match result {
            Ok(()) => return Verdict::Valid { restored: self.answered(now.instant) },
            Err(trouble) => trouble,
        };
        let (Trouble::Refused(text)
        | Trouble::Bad(text)
        | Trouble::Missing(text)
        | Trouble::Unsent(text)
        | Trouble::Gone(text)) = &trouble;
        self.health.last_error = Some(text.clone());
        self.health.last_error_at = Some(now.utc);
        match trouble {
            Trouble::Refused(text) => {
                self.health.refusals += 1;
                Verdict::Refused { text, restored: self.answered(now.instant) }
            }
            Trouble::Bad(text) => {
                self.health.bad_replies += 1;
                self.failed(text, now.instant)
            }
            Trouble::Missing(text) => {
                self.health.missing_replies += 1;
                self.failed(text, now.instant)
            }
            Trouble::Unsent(text) => self.silent(text),
            Trouble::Gone(text) => self.lost(Cause::Port(PortTrouble::Missing), text),
        }
    }

    /// The device answers; true if the link had been down.
    fn answered(&mut self, now: Instant) -> bool {
        self.failures = 0;
        self.asking_since = None;
        self.last_valid = Some(now);
        self.last_trouble = None;
        self.down_said = false;
        self.loss = None;
        !std::mem::replace(&mut self.up, true)
    }

    /// The bridge itself did not run for this time, in which it could not hear the device.
    pub fn was_away(&mut self, time: Duration) {
        for since in [&mut self.asking_since, &mut self.last_valid].into_iter().flatten() {
            *since += time;
        }
    }

    fn failed(&mut self, text: String, now: Instant) -> Verdict {
        self.failures += 1;
        if self.failures >= FAILURES_LIMIT {
            return self.silent(format!("{} failures in a row, the last: {text}", self.failures));
        }
        if self.is_too_long(now) {
            return self.silent(self.too_long(&text));
        }
        self.last_trouble = Some(text);
        Verdict::Repeat
    }

    fn is_too_long(&self, now: Instant) -> bool {
        self.asking_since.is_some_and(|since| now.since(since) >= self.time_limit)
    }

    fn too_long(&self, text: &str) -> String {
        format!("no valid reply for {} s: {text}", self.time_limit.as_secs_f64())
    }

    fn silent(&mut self, reason: String) -> Verdict {
        self.lost(Cause::NoAnswer, reason)
    }

    /// The link is lost without an exchange: the port closed or did not open.
    pub fn lost(&mut self, cause: Cause, reason: String) -> Verdict {
        self.loss = Some(Loss { cause, reason: reason.clone() });
        let news = self.up || !self.down_said;
        self.health.losses += u64::from(self.up);
        self.up = false;
        self.down_said = true;
        self.failures = 0;
        self.asking_since = None;
        self.last_valid = None;
        Verdict::Lost { reason, news }
    }

    /// When [`Link::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.paused {
            return None;
        }
        let asking = self.asking_since.map(|since| since + self.time_limit);
        let stale = self.last_valid.filter(|_| self.up).map(|valid| valid + self.stale_after);
        asking.into_iter().chain(stale).min()
    }

    /// Time has passed; perhaps too much of it.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Verdict> {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return None;
        }
        let reason = if self.is_too_long(now) {
            let trouble = self.last_trouble.clone();
            self.too_long(trouble.as_deref().unwrap_or("the device is silent"))
        } else {
            format!("the last valid reply is older than {} s", self.stale_after.as_secs_f64())
        };
        Some(self.silent(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::clock::Utc;

    fn at(seconds: f64) -> Now {
        let start = Utc::from_unix_milliseconds(1_700_000_000_000).unwrap();
        Now { instant: Instant::from_boot(Duration::ZERO), utc: start }
            .after(Duration::from_secs_f64(seconds))
    }

    fn link() -> Link {
        Link::new(Duration::from_secs(5), Duration::from_secs(30))
    }

    fn up() -> Link {
        let mut link = link();
        link.asked(at(0.0).instant);
        assert_eq!(link.ended(Ok(()), at(0.1)), Verdict::Valid { restored: true });
        link
    }

    const MISSING: Cause = Cause::Port(PortTrouble::Missing);

    fn cause(link: &Link) -> Option<Cause> {
        link.loss().map(|loss| loss.cause)
    }

    fn bad() -> Result<(), Trouble> {
        Err(Trouble::Bad("checksum".to_owned()))
    }

    #[test]
    fn the_third_failure_in_a_row_loses_the_link() {
        let mut link = up();
        link.asked(at(1.0).instant);
        assert_eq!(link.ended(bad(), at(1.1)), Verdict::Repeat);
        assert_eq!(link.ended(Err(Trouble::Missing("silent".to_owned())), at(1.2)), Verdict::Repeat);
        let Verdict::Lost { reason, news: true } = link.ended(bad(), at(1.3)) else { panic!("not lost") };
        assert!(reason.contains("3 failures in a row, the last: checksum"), "{reason}");
        assert!(!link.is_up());
        assert_eq!(link.health().losses, 1);
    }

    #[test]
    fn a_valid_reply_between_failures_forgives_them() {
        let mut link = up();
        for second in 1..20 {
            let now = at(f64::from(second));
            link.asked(now.instant);
            assert_eq!(link.ended(bad(), now), Verdict::Repeat);
            assert_eq!(link.ended(bad(), now), Verdict::Repeat);
            assert_eq!(link.ended(Ok(()), now), Verdict::Valid { restored: false });
        }
    }

    #[test]
    fn no_valid_reply_for_the_time_limit_loses_the_link_before_the_third_failure() {
        let mut link = up();
        link.asked(at(10.0).instant);
        assert_eq!(link.ended(Err(Trouble::Missing("silent".to_owned())), at(13.0)), Verdict::Repeat);
        link.asked(at(13.0).instant);
        assert_eq!(link.poll_timeout(), Some(at(15.0).instant));
        assert!(matches!(link.handle_timeout(at(15.0).instant), Some(Verdict::Lost { news: true, .. })));
    }

    #[test]
    fn a_device_that_only_refuses_answers() {
        let mut link = link();
        let refused = || Err(Trouble::Refused("digit 5".to_owned()));
        for second in 0..120 {
            let now = at(f64::from(second));
            link.asked(now.instant);
            let verdict = Verdict::Refused { text: "digit 5".to_owned(), restored: second == 0 };
            assert_eq!(link.ended(refused(), now), verdict);
            assert_eq!((link.handle_timeout(now.instant), link.is_up()), (None, true));
        }
        assert_eq!((link.health().refusals, link.health().losses), (120, 0));
    }

    #[test]
    fn the_time_in_which_the_bridge_stood_still_is_not_the_devices_silence() {
        let mut link = up();
        link.asked(at(1.0).instant);
        link.was_away(Duration::from_secs(40));
        assert_eq!(link.handle_timeout(at(41.5).instant), None);
        assert_eq!(link.ended(Err(Trouble::Missing("late".to_owned())), at(41.5)), Verdict::Repeat);
        assert!(matches!(link.handle_timeout(at(46.0).instant), Some(Verdict::Lost { .. })), "silent since");
    }

    #[test]
    fn after_a_stall_the_link_counts_as_lost() {
        let mut link = up();
        assert_eq!(link.handle_timeout(at(30.0).instant), None);
        assert!(matches!(link.handle_timeout(at(31.0).instant), Some(Verdict::Lost { .. })));
    }

    #[test]
    fn a_loss_is_news_once_until_the_link_was_back() {
        let mut link = link();
        assert!(matches!(link.lost(MISSING, "no such file".to_owned()), Verdict::Lost { news: true, .. }));
        assert!(matches!(link.lost(MISSING, "no such file".to_owned()), Verdict::Lost { news: false, .. }));
        link.asked(at(1.0).instant);
        assert_eq!(link.ended(Ok(()), at(1.0)), Verdict::Valid { restored: true });
        assert!(matches!(link.lost(MISSING, "unplugged".to_owned()), Verdict::Lost { news: true, .. }));
    }

    #[test]
    fn silence_of_a_device_that_is_let_alone_means_nothing() {
        let mut link = up();
        link.pause(true);
        assert_eq!(link.poll_timeout(), None);
        assert_eq!(link.handle_timeout(at(1000.0).instant), None);
        link.pause(false);
        link.asked(at(1000.0).instant);
        assert_eq!(link.ended(Ok(()), at(1000.1)), Verdict::Valid { restored: false });
    }

    #[test]
    fn a_port_that_cannot_be_used_is_told_from_a_device_that_is_silent() {
        let mut link = link();
        assert_eq!(link.loss(), None, "not tried yet");
        let denied = Cause::Port(PortTrouble::Denied);
        link.lost(denied, "cannot open serial port /dev/x: permission denied".to_owned());
        assert_eq!(link.loss().unwrap().in_words(), "cannot open serial port /dev/x: permission denied");
        link.lost(MISSING, "it does not exist".to_owned());
        assert_eq!(cause(&link), Some(MISSING));

        link.opened();
        assert_eq!(link.loss(), None, "nothing is wrong with the port, and the device was not asked yet");
        link.asked(at(0.0).instant);
        link.handle_timeout(at(5.0).instant);
        assert_eq!(cause(&link), Some(Cause::NoAnswer));
        assert!(link.loss().unwrap().in_words().starts_with("the device does not answer: no valid reply"));
        link.opened();
        assert_eq!(cause(&link), Some(Cause::NoAnswer), "that the port opens proves nothing of the device");
        link.ended(Ok(()), at(6.0));
        assert_eq!(link.loss(), None);
    }

    #[test]
    fn what_is_let_alone_or_let_go_of_is_not_lost() {
        for release_port in [Link::release_port, |link: &mut Link| link.pause(true)] {
            let mut link = up();
            link.lost(MISSING, "unplugged".to_owned());
            release_port(&mut link);
            assert_eq!(link.loss(), None);
        }
    }
}
