//! The canary and the loopback: whether the broker's ACL is in force, and whether commands arrive.
//!
//! Once its subscriptions are acknowledged, the bridge publishes a ping on a topic where it must
//! not be allowed to publish, then one where it is. The broker keeps the order, so the arrival of
//! the loopback without the canary shows that the canary was refused. Pure; the session does the
//! IO.
//!
//! ```text
//!  begin --canary arrives-----------------------> open, heard
//!    |---loopback arrives, canary did not-------> closed, heard
//!    +---loopback refused, or the time is over--> closed or unknown; heard if a command was
//! ```
//!
//! No verdict is final: a late arrival corrects it, any command shows that commands arrive, and a
//! bad verdict is checked again after a minute.

pub mod wills;

use std::time::Duration;

use crate::clock::Instant;

/// How long the pings may take, unless the link is slow.
pub const VERDICT_WITHIN: Duration = Duration::from_millis(1800);
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The probe's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the ACL is in force; `None` if unknown.
    pub acl_ok: Option<bool>,
    /// Whether it is in force except for wills: then `acl_ok` is false.
    pub wills_open: bool,
    /// Whether commands reach the bridge.
    pub command_path_ok: bool,
}

impl Verdict {
    /// Whether both pings show what they should.
    #[must_use]
    pub fn is_good(self) -> bool {
        self.acl_ok == Some(true) && self.command_path_ok
    }
}

/// Which of the two pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ping {
    /// On a topic where the bridge must not be allowed to publish.
    Canary,
    /// On a topic where it is.
    Loopback,
}

/// What a timeout leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutResult {
    /// A verdict.
    Judged(Verdict),
    /// Both pings must be sent again.
    TryAgain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Canary {
    Silent,
    Refused,
    Arrived,
}

/// One connection's probe.
#[derive(Debug)]
pub struct Probe {
    round: u64,
    canary: Canary,
    /// Deadline of this round; `None` once it is decided.
    deadline: Option<Instant>,
    again: Instant,
    /// Whether any command has arrived on this connection.
    heard: bool,
    verdict: Option<Verdict>,
}

impl Probe {
    /// Begins at the SUBACK: nothing can arrive before it. `limit` is the time for the pings.
    #[must_use]
    pub fn begin(now: Instant, limit: Duration) -> Self {
        let mut probe = Self {
            round: 0,
            canary: Canary::Silent,
            deadline: None,
            again: now,
            heard: false,
            verdict: None,
        };
        probe.try_again(now, limit);
        probe
    }

    fn try_again(&mut self, now: Instant, limit: Duration) {
        self.round += 1;
        self.canary = Canary::Silent;
        self.deadline = Some(now + limit);
        self.again = now + TRY_AGAIN_AFTER.max(2 * limit);
    }

    /// The current round; pings of earlier rounds can no longer show that the ACL is in force.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The last verdict.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// When [`Probe::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let good = self.verdict.is_some_and(Verdict::is_good);
        self.deadline.or((!good).then_some(self.again))
    }

    /// The verdict, if it is new.
    fn decide(&mut self, acl_ok: Option<bool>, command_path_ok: bool) -> Option<Verdict> {
        let verdict = Verdict { acl_ok, wills_open: false, command_path_ok };
        (self.verdict.replace(verdict) != Some(verdict)).then_some(verdict)
    }

    /// What is known of the ACL without the loopback. An unknown result now does not disprove the
    /// result of an earlier round.
    fn acl_ok(&self) -> Option<bool> {
        match self.canary {
            Canary::Arrived => Some(false),
            Canary::Refused => Some(true),
            Canary::Silent => self.verdict.and_then(|verdict| verdict.acl_ok),
        }
    }

    /// One of the pings of this round came back.
    pub fn arrived(&mut self, ping: Ping, round: u64) -> Option<Verdict> {
        self.heard = true;
        let acl_ok = match ping {
            Ping::Canary => {
                if round == self.round {
                    self.canary = Canary::Arrived;
                }
                Some(false)
            }
            Ping::Loopback if round == self.round && self.canary != Canary::Arrived => Some(true),
            Ping::Loopback => self.acl_ok(),
        };
        if round == self.round {
            self.deadline = None;
        } else if self.deadline.is_some() && ping == Ping::Loopback {
            // The current round decides.
            return None;
        }
        self.decide(acl_ok, true)
    }

    /// The broker refused one of the pings of this round.
    pub fn refused(&mut self, ping: Ping, round: u64) -> Option<Verdict> {
        if round != self.round {
            return None;
        }
        match ping {
            Ping::Canary => {
                self.canary = Canary::Refused;
                // After the deadline, but still true.
                let verdict = self.verdict.filter(|_| self.deadline.is_none())?;
                self.decide(Some(true), verdict.command_path_ok)
            }
            Ping::Loopback => {
                self.deadline = None;
                self.decide(self.acl_ok(), self.heard)
            }
        }
    }

    /// Somebody's command has arrived.
    pub fn heard(&mut self) -> Option<Verdict> {
        self.heard = true;
        let verdict = self.verdict?;
        self.decide(verdict.acl_ok, true)
    }

    /// Handles the passing of time; if the pings must be sent again, `limit` is their time.
    pub fn handle_timeout(&mut self, now: Instant, limit: Duration) -> Option<TimeoutResult> {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return None;
        }
        if self.deadline.take().is_none() {
            self.try_again(now, limit);
            return Some(TimeoutResult::TryAgain);
        }
        self.decide(self.acl_ok(), self.heard).map(TimeoutResult::Judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_boot(Duration::from_secs(5));
    const GOOD: Verdict = Verdict { acl_ok: Some(true), wills_open: false, command_path_ok: true };
    const OPEN: Verdict = Verdict { acl_ok: Some(false), wills_open: false, command_path_ok: true };
    const DEAF: Verdict = Verdict { acl_ok: Some(true), wills_open: false, command_path_ok: false };
    const UNKNOWN: Verdict = Verdict { acl_ok: None, wills_open: false, command_path_ok: false };

    fn probe() -> Probe {
        Probe::begin(START, VERDICT_WITHIN)
    }

    fn timeout(probe: &mut Probe) -> Option<TimeoutResult> {
        let at = probe.poll_timeout().unwrap();
        probe.handle_timeout(at, VERDICT_WITHIN)
    }

    #[test]
    fn a_refused_canary_and_a_heard_loopback_are_good() {
        let mut probe = probe();
        assert_eq!(probe.refused(Ping::Canary, 1), None);
        assert_eq!(probe.arrived(Ping::Loopback, 1), Some(GOOD));
        assert_eq!(probe.poll_timeout(), None);
    }

    #[test]
    fn a_loopback_without_the_canary_before_it_is_good() {
        assert_eq!(probe().arrived(Ping::Loopback, 1), Some(GOOD));
    }

    #[test]
    fn a_canary_that_arrives_shows_an_open_acl_also_after_the_verdict() {
        let mut early = probe();
        assert_eq!(early.arrived(Ping::Canary, 1), Some(OPEN));
        assert_eq!(early.arrived(Ping::Loopback, 1), None);

        let mut late = probe();
        late.arrived(Ping::Loopback, 1);
        assert_eq!(late.arrived(Ping::Canary, 1), Some(OPEN));

        let mut deaf = probe();
        deaf.refused(Ping::Loopback, 1);
        assert_eq!(deaf.arrived(Ping::Canary, 1), Some(OPEN), "what arrives was heard");
    }

    #[test]
    fn a_refused_loopback_means_that_commands_do_not_arrive() {
        let mut probe = probe();
        probe.refused(Ping::Canary, 1);
        assert_eq!(probe.refused(Ping::Loopback, 1), Some(DEAF));
    }

    #[test]
    fn without_a_loopback_the_verdict_falls_within_two_seconds() {
        let mut probe = probe();
        let deadline = probe.poll_timeout().unwrap();
        assert!(deadline.since(START) <= Duration::from_secs(2));
        assert_eq!(probe.handle_timeout(START, VERDICT_WITHIN), None);
        assert_eq!(timeout(&mut probe), Some(TimeoutResult::Judged(UNKNOWN)));
    }

    #[test]
    fn a_loopback_that_comes_late_puts_the_verdict_right() {
        let mut probe = probe();
        timeout(&mut probe);
        assert_eq!(probe.arrived(Ping::Loopback, 1), Some(GOOD));
        assert_eq!(probe.poll_timeout(), None);
    }

    #[test]
    fn a_refusal_of_the_canary_that_comes_late_puts_the_verdict_right() {
        let mut probe = probe();
        timeout(&mut probe);
        assert_eq!(probe.refused(Ping::Canary, 1), Some(DEAF));
    }

    #[test]
    fn any_command_shows_that_commands_arrive() {
        let mut late = probe();
        late.refused(Ping::Canary, 1);
        late.refused(Ping::Loopback, 1);
        assert_eq!(late.heard(), Some(GOOD));
        assert_eq!(late.heard(), None);

        let mut early = probe();
        assert_eq!(early.heard(), None, "it says nothing of the ACL");
        early.refused(Ping::Canary, 1);
        assert_eq!(early.refused(Ping::Loopback, 1), Some(GOOD));
    }

    #[test]
    fn a_verdict_that_is_not_good_is_tried_again_after_a_minute() {
        let mut probe = probe();
        probe.refused(Ping::Canary, 1);
        probe.refused(Ping::Loopback, 1);
        assert_eq!(probe.poll_timeout(), Some(START + Duration::from_secs(60)));
        assert_eq!(timeout(&mut probe), Some(TimeoutResult::TryAgain));
        assert_eq!(probe.round(), 2);
        // The ACL was repaired.
        probe.refused(Ping::Canary, 2);
        assert_eq!(probe.arrived(Ping::Loopback, 2), Some(GOOD));
        assert_eq!(probe.poll_timeout(), None);
    }

    #[test]
    fn an_open_acl_stays_open_until_a_later_round_shows_that_it_is_not() {
        let mut probe = probe();
        probe.arrived(Ping::Canary, 1);
        assert_eq!(timeout(&mut probe), Some(TimeoutResult::TryAgain));
        assert_eq!(probe.arrived(Ping::Loopback, 1), None, "its canary had arrived");
        assert_eq!(timeout(&mut probe), None, "silence proves nothing");
        assert_eq!(timeout(&mut probe), Some(TimeoutResult::TryAgain));
        assert_eq!(probe.refused(Ping::Canary, 2), None, "that was the round before");
        assert_eq!(probe.arrived(Ping::Loopback, 3), Some(GOOD));
    }
}
