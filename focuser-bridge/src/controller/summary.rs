//! One sentence for people: what the focuser does, and why. It contains only measured figures.

use std::fmt;

use bus::topic::Identity;
use focuser_device::FocuserStatus;

use super::failure::Fault;
use super::{AtStandstill, FailedMove, Focuser, Job, Motion};

/// The data for the sentence.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Situation<'a> {
    Offline,
    Released,
    Checking,
    NotHomed {
        why: &'static str,
        last_mm: Option<f64>,
    },
    Homing {
        by: Option<&'a Identity>,
    },
    Moving {
        to_mm: Option<f64>,
        by: Option<&'a Identity>,
        /// From 0 to 1.
        progress: f64,
    },
    Stopping {
        by: Option<&'a Identity>,
    },
    Standing {
        at_mm: Option<f64>,
        slack_open: bool,
        failed: Option<&'a FailedMove>,
    },
    Fault(&'a Fault),
}

impl Focuser {
    pub(super) fn summary(&self) -> String {
        self.situation().to_string()
    }

    fn situation(&self) -> Situation<'_> {
        let mechanics = &self.settings.mechanics;
        let by = self.run.as_ref().map(|run| &run.ticket.by);
        match &self.job {
            Job::Moving(Motion::Home(_)) => return Situation::Homing { by },
            Job::Moving(Motion::Move(moving)) => {
                let origin = self.saved.origin.filter(|_| self.homed());
                let to_mm = origin.map(|origin| mechanics.millimetres(origin, moving.target));
                return Situation::Moving { to_mm, by, progress: moving.progress };
            }
            Job::Halt(halt) => {
                let asked = halt.answers.iter().find(|(_, told)| !matches!(told, AtStandstill::End(_)));
                return Situation::Stopping { by: asked.map(|(ticket, _)| &ticket.by) };
            }
            Job::None | Job::Check { .. } => {}
        }
        match (self.current_status(), &self.fault) {
            (FocuserStatus::Released, _) => Situation::Released,
            (FocuserStatus::Offline, _) => Situation::Offline,
            (FocuserStatus::Fault, Some(fault)) => Situation::Fault(fault),
            (FocuserStatus::Idle, _) => Situation::Standing {
                at_mm: self.current_mm(),
                slack_open: !mechanics.takes_up_slack(self.saved.run_inwards),
                failed: self.saved.failed_move.as_ref(),
            },
            _ if !self.checked => Situation::Checking,
            _ => Situation::NotHomed {
                why: self.saved.unhomed.in_words(),
                last_mm: self.saved.last_known.map(|(mm, _)| mm),
            },
        }
    }
}

impl fmt::Display for Situation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |f: &mut fmt::Formatter<'_>, by: &Option<&Identity>| match by {
            Some(by) => write!(f, " for {by}"),
            None => Ok(()),
        };
        match self {
            Self::Offline => f.write_str("offline: it does not answer"),
            Self::Released => f.write_str("killed: nothing is asked of it until `init`"),
            Self::Checking => f.write_str("checking whether its counter is what it was"),
            Self::NotHomed { why, last_mm } => {
                write!(f, "not homed: {why}; ")?;
                if let Some(mm) = last_mm {
                    write!(f, "it last stood at {mm:.3} mm; ")?;
                }
                f.write_str("`init` drives to the inner end")
            }
            Self::Homing { by } => {
                f.write_str("driving to the inner end")?;
                name(f, by)
            }
            Self::Moving { to_mm, by, progress } => {
                f.write_str("moving")?;
                if let Some(mm) = to_mm {
                    write!(f, " to {mm:.3} mm")?;
                }
                name(f, by)?;
                write!(f, ", {:.0} % done", (progress.clamp(0.0, 1.0) * 100.0).floor())
            }
            Self::Stopping { by } => {
                f.write_str("stopping")?;
                name(f, by)?;
                f.write_str(": it does not stand yet")
            }
            Self::Standing { at_mm, slack_open, failed } => {
                match at_mm {
                    Some(mm) => write!(f, "at {mm:.3} mm")?,
                    None => f.write_str("standing, its position is being read")?,
                }
                if *slack_open {
                    f.write_str(", the slack of its drive not taken up")?;
                }
                match failed {
                    Some(failed) => write!(f, "; the last move failed: {}", failed.why),
                    None => Ok(()),
                }
            }
            Self::Fault(fault) => f.write_str(&fault.in_words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::homing::HomingError;
    use super::super::memory::Unhomed;
    use super::*;

    #[test]
    fn each_situation_is_one_sentence_that_says_what_and_why() {
        let alice = Identity::new("alice").unwrap();
        let (by, nobody) = (Some(&alice), None);
        let failed = FailedMove {
            why: "the motor did not start, 1.500 mm from its target".to_owned(),
            at: bus::clock::Utc::parse("2026-11-20T18:00:00Z").unwrap(),
        };
        let homing = Fault::Homing(HomingError::NoRest.into());
        let standing = |at_mm, slack_open, failed| Situation::Standing { at_mm, slack_open, failed };
        let not_homed = |unhomed: Unhomed, last_mm| Situation::NotHomed { why: unhomed.in_words(), last_mm };
        for (situation, sentence) in [
            (
                not_homed(Unhomed::PowerCycled, None),
                "not homed: the controller was power-cycled; `init` drives to the inner end",
            ),
            (
                not_homed(Unhomed::PowerCycled, Some(2.3)),
                "not homed: the controller was power-cycled; it last stood at 2.300 mm; `init` drives to the \
                 inner end",
            ),
            (not_homed(Unhomed::NeverHomed, None), "not homed: it never was; `init` drives to the inner end"),
            (Situation::Homing { by }, "driving to the inner end for alice"),
            (Situation::Homing { by: nobody }, "driving to the inner end"),
            (
                Situation::Moving { to_mm: Some(3.2), by, progress: 0.409 },
                "moving to 3.200 mm for alice, 40 % done",
            ),
            (Situation::Moving { to_mm: None, by: nobody, progress: 0.0 }, "moving, 0 % done"),
            (Situation::Stopping { by }, "stopping for alice: it does not stand yet"),
            (Situation::Stopping { by: nobody }, "stopping: it does not stand yet"),
            (standing(Some(3.2), false, None), "at 3.200 mm"),
            (standing(Some(3.2), true, None), "at 3.200 mm, the slack of its drive not taken up"),
            (
                standing(Some(1.5), false, Some(&failed)),
                "at 1.500 mm; the last move failed: the motor did not start, 1.500 mm from its target",
            ),
            (standing(None, false, None), "standing, its position is being read"),
            (Situation::Fault(&homing), "homing failed: the motor does not come to rest"),
            (Situation::Fault(&Fault::NoStandstill), "a stop was sent and no standstill was seen"),
            (Situation::Checking, "checking whether its counter is what it was"),
            (Situation::Released, "killed: nothing is asked of it until `init`"),
            (Situation::Offline, "offline: it does not answer"),
        ] {
            assert_eq!(situation.to_string(), sentence);
        }
    }
}
