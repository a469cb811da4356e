//! The one motion that was ordered here: from the order until its verdict. Pure.
//!
//! ```text
//! Idle --begin--> Ordered --end: done or refused--> Idle
//!                    \------end: anything else----> Failed --begin, forget--> ...
//! ```

use bus::client::NoVerdict;
use bus::message::{Reply, ReplyStatus};
use bus::topic::Identity;

use crate::trouble::Trouble;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Own {
    /// None is under way.
    #[default]
    Idle,
    /// There is no verdict on it yet.
    Ordered {
        /// Whether it was ended from here.
        halted: bool,
    },
    /// It did not arrive. The standard has the client told when it asks whether it still moves.
    Failed(Trouble),
}

impl Own {
    /// A motion is to be ordered.
    ///
    /// # Errors
    /// Another one has not ended.
    pub(crate) fn begin(&mut self) -> Result<(), Trouble> {
        if matches!(self, Self::Ordered { .. }) {
            return Err(Trouble::invalid_operation("another Move has not ended yet: expected Halt first"));
        }
        *self = Self::Ordered { halted: false };
        Ok(())
    }

    /// It is to be stopped from here.
    pub(crate) fn halt(&mut self) {
        match self {
            Self::Ordered { halted } => *halted = true,
            _ => *self = Self::Idle,
        }
    }

    /// A client begins anew.
    pub(crate) fn forget(&mut self) {
        if matches!(self, Self::Failed(_)) {
            *self = Self::Idle;
        }
    }

    /// There is a verdict, or there will be none.
    pub(crate) fn end(&mut self, verdict: &Result<Reply, NoVerdict>, identity: &Identity) {
        let was_halted = *self == Self::Ordered { halted: true };
        let status = verdict.as_ref().ok().map(|reply| reply.status);
        *self = match Trouble::of(verdict, identity) {
            // Whoever ordered it was told so at once.
            Some(_) if status == Some(ReplyStatus::Rejected) => Self::Idle,
            Some(_) if status == Some(ReplyStatus::Stopped) && was_halted => Self::Idle,
            Some(trouble) => Self::Failed(trouble),
            None => Self::Idle,
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trouble::number;

    fn verdict(status: &str, code: u32, reason: &str) -> Result<Reply, NoVerdict> {
        Ok(serde_json::from_value(json!({
            "id": "a", "verb": "go", "by": "alpaca", "status": status, "code": code, "reason": reason,
            "message": "words", "note": null, "received_at": "2026-11-20T10:32:00.000Z", "deadline": null,
            "finished_at": null, "seq": 1, "duplicate": false
        }))
        .unwrap())
    }

    fn lost() -> Result<Reply, NoVerdict> {
        Err(NoVerdict::Unknown { verb: "go".to_owned(), why: "the bridge is offline".to_owned() })
    }

    fn ordered() -> Own {
        let mut own = Own::default();
        own.begin().unwrap();
        own
    }

    fn after(mut own: Own, verdict: &Result<Reply, NoVerdict>) -> Own {
        own.end(verdict, &Identity::client("alpaca").unwrap());
        own
    }

    #[test]
    fn one_motion_at_a_time() {
        let mut own = ordered();
        assert_eq!(own.begin().unwrap_err().number, number::INVALID_OPERATION);
        own = after(own, &verdict("succeeded", 0, "succeeded"));
        own.begin().unwrap();
    }

    #[test]
    fn a_motion_that_did_not_arrive_is_told_until_the_next_one() {
        for (ended, wanted) in [
            (verdict("failed", 1, "failed"), number::INVALID_OPERATION),
            (verdict("timed_out", 29, "timed_out"), number::INVALID_OPERATION),
            (verdict("failed", 30, "interrupted"), number::INVALID_OPERATION),
            (verdict("failed", 7, "not_connected"), number::NOT_CONNECTED),
            (verdict("stopped", 28, "stopped"), number::CANCELLED),
            (lost(), number::INVALID_OPERATION),
        ] {
            let mut own = after(ordered(), &ended);
            let Own::Failed(trouble) = &own else { panic!("{own:?}") };
            assert_eq!(trouble.number, wanted, "{trouble:?}");
            own.begin().unwrap();
            assert_eq!(own, Own::Ordered { halted: false });
        }
    }

    #[test]
    fn what_was_refused_or_halted_from_here_is_no_failure() {
        assert_eq!(after(ordered(), &verdict("rejected", 2, "blocked")), Own::Idle);
        let mut halted = ordered();
        halted.halt();
        assert_eq!(after(halted.clone(), &verdict("stopped", 28, "stopped")), Own::Idle);
        // The stop came too late, or did not help.
        assert!(matches!(after(halted.clone(), &verdict("timed_out", 29, "timed_out")), Own::Failed(_)));
        assert_eq!(after(halted, &verdict("succeeded", 0, "succeeded")), Own::Idle);
    }

    #[test]
    fn a_client_that_connects_or_halts_begins_anew_and_ends_no_motion() {
        let mut own = after(ordered(), &lost());
        own.forget();
        assert_eq!(own, Own::Idle);
        let mut own = ordered();
        own.forget();
        assert_eq!(own, Own::Ordered { halted: false });
        let mut own = after(ordered(), &lost());
        own.halt();
        assert_eq!(own, Own::Idle);
    }

    #[test]
    fn each_refusal_has_its_number() {
        for (code, reason, wanted) in [
            (3, "not_authorised", number::INVALID_OPERATION),
            (6, "outside_limits", number::INVALID_VALUE),
            (7, "not_connected", number::NOT_CONNECTED),
            (7, "not_homed", number::INVALID_OPERATION),
            (7, "released", number::INVALID_OPERATION),
            (2, "blocked", number::INVALID_OPERATION),
            (31, "acl_open", number::INVALID_OPERATION),
        ] {
            let identity = Identity::client("alpaca").unwrap();
            let trouble = Trouble::of(&verdict("rejected", code, reason), &identity).unwrap();
            assert_eq!(trouble.number, wanted, "{reason}");
            assert!(trouble.message.starts_with("go: rejected: words"), "{trouble:?}");
            assert_eq!(trouble.message.contains("alpaca is not in control_clients"), code == 3);
        }
    }
}
