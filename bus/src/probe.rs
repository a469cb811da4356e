//! The canary and the loopback: whether the broker's ACL is in force, and whether commands arrive.
//!
//! After each connect the bridge publishes a ping where it must not be allowed to, then one where
//! it is. The broker keeps the order, so that the loopback's arrival without the canary's shows
//! that the canary was refused. Pure; the session publishes and listens.
//!
//! ```text
//!  sent --canary arrives--------------------> Open
//!    |---canary refused, loopback arrives---> Closed, heard
//!    |---loopback arrives first-------------> Closed, heard
//!    +---loopback refused, or 2 s-----------> Closed or unknown, not heard
//! ```

use std::time::Duration;

use crate::clock::Instant;

const VERDICT_WITHIN: Duration = Duration::from_millis(1800);

/// What the probe found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the ACL is in force; `None` if that could not be found out.
    pub acl_ok: Option<bool>,
    /// Whether the bridge hears what it is sent.
    pub command_path_ok: bool,
}

/// Which of the two pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ping {
    /// Where the bridge must not be allowed to publish.
    Canary,
    /// Where it is.
    Loopback,
}

/// One connection's probe.
#[derive(Debug)]
pub struct Probe {
    deadline: Instant,
    canary_refused: bool,
    verdict: Option<Verdict>,
}

impl Probe {
    /// Begins with the connection.
    #[must_use]
    pub fn new(connected: Instant) -> Self {
        Self { deadline: connected + VERDICT_WITHIN, canary_refused: false, verdict: None }
    }

    /// When it must be asked again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.verdict.is_none().then_some(self.deadline)
    }

    fn decide(&mut self, acl_ok: Option<bool>, command_path_ok: bool) -> Option<Verdict> {
        if self.verdict.is_some() {
            return None;
        }
        self.verdict = Some(Verdict { acl_ok, command_path_ok });
        self.verdict
    }

    /// One of the pings came back. A canary that arrives after the verdict overturns it.
    pub fn arrived(&mut self, ping: Ping) -> Option<Verdict> {
        match ping {
            Ping::Canary => {
                let heard = self.verdict.is_none_or(|verdict| verdict.command_path_ok);
                if self.verdict.is_some_and(|verdict| verdict.acl_ok == Some(false)) {
                    return None;
                }
                self.verdict = None;
                self.decide(Some(false), heard)
            }
            Ping::Loopback => self.decide(Some(true), true),
        }
    }

    /// The broker refused one of the pings.
    pub fn refused(&mut self, ping: Ping) -> Option<Verdict> {
        match ping {
            Ping::Canary => {
                self.canary_refused = true;
                None
            }
            Ping::Loopback => self.decide(self.canary_refused.then_some(true), false),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Verdict> {
        if now < self.deadline {
            return None;
        }
        self.decide(self.canary_refused.then_some(true), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_boot(Duration::from_secs(5));

    #[test]
    fn a_refused_canary_and_a_heard_loopback_are_good() {
        let mut probe = Probe::new(START);
        assert_eq!(probe.refused(Ping::Canary), None);
        let good = Verdict { acl_ok: Some(true), command_path_ok: true };
        assert_eq!(probe.arrived(Ping::Loopback), Some(good));
        assert_eq!(probe.poll_timeout(), None);
    }

    #[test]
    fn a_loopback_without_the_canary_before_it_is_good() {
        let mut probe = Probe::new(START);
        assert!(probe.arrived(Ping::Loopback).unwrap().acl_ok.unwrap());
    }

    #[test]
    fn a_canary_that_arrives_shows_an_open_acl_also_after_the_verdict() {
        let open = Verdict { acl_ok: Some(false), command_path_ok: true };
        let mut probe = Probe::new(START);
        assert_eq!(probe.arrived(Ping::Canary), Some(open));
        assert_eq!(probe.arrived(Ping::Loopback), None);

        let mut probe = Probe::new(START);
        probe.arrived(Ping::Loopback);
        assert_eq!(probe.arrived(Ping::Canary), Some(open));
    }

    #[test]
    fn a_refused_loopback_means_that_commands_do_not_arrive() {
        let mut probe = Probe::new(START);
        probe.refused(Ping::Canary);
        let deaf = Verdict { acl_ok: Some(true), command_path_ok: false };
        assert_eq!(probe.refused(Ping::Loopback), Some(deaf));
    }

    #[test]
    fn without_a_loopback_the_verdict_falls_within_two_seconds() {
        let mut probe = Probe::new(START);
        let deadline = probe.poll_timeout().unwrap();
        assert!(deadline.since(START) <= Duration::from_secs(2));
        assert_eq!(probe.handle_timeout(START), None);
        let deaf = Verdict { acl_ok: None, command_path_ok: false };
        assert_eq!(probe.handle_timeout(deadline), Some(deaf));
    }
}
