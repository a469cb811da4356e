//! The set point: commanded, read back, and watched for changes that nobody commanded. A unit may
//! lose it in a power cut.
//!
//! A different set point is judged after the unit's up time was read: an up time smaller than
//! before means that the unit has restarted. Only then, and only if the settings say so, the
//! commanded set point is set again: once for each restart, and after this was saved to disk.
//!
//! ```text
//!  as meant --other reading--> doubt --up time read--> changed --restarted, restore_setpoint--> restored
//!      ^                                                  |--at the panel: reported, left alone
//!      +----------- setpoint commanded, or read again ----+
//! ```

use bridge::controller::Condition;
use bridge::controller::DeviceRefusal;
use bridge::order::{Late, OrderProgress, Refused};
use bus::clock::{Now, Utc};
use bus::command::{Outcome, Ticket};
use bus::message::{Code, EventBody, EventKind, Severity};
use bus::topic::Identity;
use chiller_device::concern;

use super::Chiller;
use super::memory::{ChangedSetPoint, KnownSetPoint};
use super::work::SetPoint;
use crate::protocol::{Request, Temperature};

/// The unit counts to 999 999 minutes and wraps around: near that a smaller up time is not a
/// restart.
const UPTIME_WRAPS: u32 = 1_000_000;
const NEAR_WRAP: u32 = 7 * 24 * 60;
/// A unit that ran for longer than this after its restart before it was read may have been set at
/// its panel, whose keys work while nobody polls.
const UNATTENDED_MINUTES: u32 = 5;
/// Longest interval between saves of the up time, in minutes.
const UPTIME_SAVED_EVERY: u32 = 60;

/// The open questions about the set point.
#[derive(Debug, Default)]
pub(super) struct SetPointWatch {
    /// A reading that differs from the intended set point, until the up time is read.
    doubt: Option<Temperature>,
    uptime_minutes: Option<u32>,
    /// The unit has restarted since it was last seen with the expected set point; the value is its
    /// up time in minutes when that was noticed.
    restarted: Option<u32>,
    /// It was released to its panel since then.
    panel_was_free: bool,
    /// An order that may have reached the unit, but was not confirmed.
    unconfirmed: Option<(Temperature, Option<Identity>)>,
    /// The set point to restore after this was saved to disk.
    restoring: Option<Temperature>,
}

/// Whether the up times `before` and `now` mean a restart in between.
fn has_fallen(before: u32, now: u32) -> bool {
    now < before && !(before >= UPTIME_WRAPS - NEAR_WRAP && now < NEAR_WRAP)
}

/// Whether to save a new up time: more often soon after a start, so that the next restart is
/// noticed, then every hour.
fn is_worth_saving(saved: Option<u32>, now: u32) -> bool {
    saved.is_none_or(|saved| now >= saved.saturating_add(saved.clamp(1, UPTIME_SAVED_EVERY)))
}

fn is(celsius: f64, temperature: Temperature) -> bool {
    Temperature::from_celsius(celsius) == Some(temperature)
}

impl Chiller {
    /// Begins to execute a command.
    pub(super) fn command_set_point(&mut self, celsius: f64, ticket: Ticket, now: Now) {
        match Temperature::from_celsius(celsius) {
            Some(temperature) => {
                self.work.set_point = Some(SetPoint::new(temperature, Some(ticket), now.instant));
            }
            None => {
                let message = format!("{celsius}°C cannot be said to the unit");
                self.answer(Some(ticket), Outcome::failed(Code::OutsideLimits, message));
            }
        }
    }

    pub(super) fn set_point_read(&mut self, read: Temperature, now: Now) {
        if let Some(work) = self.work.set_point.as_mut() {
            let (meant, agrees) = (work.temperature, work.temperature == read);
            match work.order.take(&Request::ReadSetTemperature, Some(agrees), now.instant) {
                // It is from before the order.
                OrderProgress::Nothing => {}
                OrderProgress::Done(_) => self.set_point_is_set(now),
                OrderProgress::Differs => {
                    let message = format!(
                        "the unit acknowledged {:.1}°C and says {:.1}°C",
                        meant.celsius(),
                        read.celsius()
                    );
                    self.set_point_failed(Outcome::failed(Code::Failed, message));
                }
            }
            return;
        }
        self.compare_set_point(read, now);
    }

    fn set_point_is_set(&mut self, now: Now) {
        let Some(work) = self.work.set_point.take() else { return };
        let celsius = work.temperature.celsius();
        self.set_points.unconfirmed = None;
        match work.order.ticket {
            Some(ticket) => {
                self.mean_set_point(work.temperature, Some(ticket.by.clone()), now.utc);
                self.answer(Some(ticket), Outcome::succeeded(format!("set point {celsius:.1}°C")));
            }
            None => {
                let message =
                    format!("the set point is {celsius:.1}°C again: the unit had restarted with another");
                self.tell_set_point(Severity::Info, "setpoint_restored", message);
                if let Some(known) = &mut self.notes.saved.set_point {
                    known.changed = None;
                }
                self.save();
            }
        }
    }

    fn set_point_failed(&mut self, outcome: Outcome) {
        let Some(work) = self.work.set_point.take() else { return };
        if work.order.is_sent() {
            let by = work.order.ticket.as_ref().map(|ticket| ticket.by.clone());
            self.set_points.unconfirmed = Some((work.temperature, by));
        }
        if work.order.ticket.is_none() {
            let message = format!("the set point could not be restored: {}", outcome.message);
            self.tell_set_point(Severity::Error, "setpoint_not_restored", message);
        }
        self.answer(work.order.ticket, outcome);
    }

    /// The link is lost, or another command came: the order may still have taken effect.
    pub(super) fn set_point_given_up(&mut self) {
        if let Some(work) = self.work.set_point.as_ref().filter(|work| work.order.is_sent()) {
            let by = work.order.ticket.as_ref().map(|ticket| ticket.by.clone());
            self.set_points.unconfirmed = Some((work.temperature, by));
        }
    }

    pub(super) fn set_point_refused(&mut self, refused: Refused, refusal: &DeviceRefusal) {
        let Some(work) = &self.work.set_point else { return };
        let celsius = work.temperature.celsius();
        let message = match refused {
            Refused::Order => format!("the unit refuses {celsius:.1}°C: {refusal}"),
            Refused::ReadBack => format!("the unit does not say its set point: {refusal}"),
        };
        self.set_point_failed(Outcome::failed(Code::Failed, message));
    }

    pub(super) fn set_point_overdue(&mut self, now: Now) {
        let Some(work) = &self.work.set_point else { return };
        let Some(late) = work.order.late(now.instant) else { return };
        let celsius = work.temperature.celsius();
        let message = match late {
            Late::NotSent => {
                format!("the unit could not be told {celsius:.1}°C: other exchanges took too long")
            }
            Late::NotAcknowledged => format!("the unit did not acknowledge {celsius:.1}°C"),
            Late::NotDone => format!("the unit acknowledged {celsius:.1}°C and did not say it back"),
        };
        self.set_point_failed(Outcome::timed_out(message));
    }

    /// From now on this is the intended set point.
    fn mean_set_point(&mut self, temperature: Temperature, by: Option<Identity>, since: Utc) {
        self.set_points.doubt = None;
        self.set_points.restarted = None;
        self.set_points.panel_was_free = false;
        self.set_points.restoring = None;
        self.notes.saved.set_point = Some(KnownSetPoint {
            celsius: temperature.celsius(),
            by,
            since,
            uptime_minutes: self.set_points.uptime_minutes,
            changed: None,
        });
        self.save();
    }

    /// A reading while nothing is ordered.
    fn compare_set_point(&mut self, read: Temperature, now: Now) {
        let Some(known) = self.notes.saved.set_point.clone() else {
            return self.mean_set_point(read, None, now.utc);
        };
        if let Some((_, by)) = self.set_points.unconfirmed.take_if(|(ordered, _)| *ordered == read) {
            if !is(known.celsius, read) {
                let message = format!("the set point is {:.1}°C, as it was commanded before", read.celsius());
                self.tell_set_point(Severity::Info, "setpoint_confirmed", message);
                self.mean_set_point(read, by.or(known.by), now.utc);
            }
            return;
        }
        if is(known.celsius, read) && known.changed.is_some() {
            let message = format!("the set point is {:.1}°C again", read.celsius());
            self.tell_set_point(Severity::Info, "setpoint_changed", message);
            return self.mean_set_point(read, known.by, known.since);
        }
        let expected = known.changed.as_ref().map_or(known.celsius, |changed| changed.celsius);
        if is(expected, read) {
            self.set_points.doubt = None;
            self.set_points.unconfirmed = None;
            self.set_point_as_expected();
        } else if self.set_points.doubt.replace(read) != Some(read) {
            self.contact.read_first(Request::ReadUptime);
        }
    }

    /// A restart, if there was one, changed nothing, or gave the same set point as the previous
    /// restart.
    fn set_point_as_expected(&mut self) {
        let restarted = self.set_points.restarted.take();
        let restores = self.may_restore_after(restarted);
        if restarted.is_none() {
            return;
        }
        if let Some(known) = &mut self.notes.saved.set_point {
            known.uptime_minutes = self.set_points.uptime_minutes;
            if let Some(changed) = known.changed.as_mut().filter(|changed| changed.after_restart) {
                changed.to_restore |= restores && known.by.is_some();
            }
        }
        self.save();
    }

    pub(super) fn uptime_read(&mut self, minutes: u32, now: Now) {
        let on_disk = self.notes.saved.set_point.as_ref().and_then(|known| known.uptime_minutes);
        let before = self.set_points.uptime_minutes.replace(minutes).or(on_disk);
        if before.is_some_and(|before| has_fallen(before, minutes)) {
            self.set_points.restarted = Some(minutes);
            let message = format!("the unit has restarted: it has been up for {minutes} min");
            let body = EventBody::new(EventKind::Transition, Severity::Warning, message);
            self.emit(body.because("unit_restarted").with("uptime_minutes", minutes));
        }
        if let Some(known) =
            self.notes.saved.set_point.as_mut().filter(|_| self.set_points.restarted.is_none())
            && is_worth_saving(known.uptime_minutes, minutes)
        {
            known.uptime_minutes = Some(minutes);
            self.save();
        }
        self.judge_set_point(now);
    }

    /// The unit does not report its up time: no restart was seen.
    pub(super) fn uptime_unknown(&mut self, now: Now) {
        self.judge_set_point(now);
    }

    /// Judges a set point that differs from the intended one: the unit has restarted, or somebody
    /// changed it there.
    fn judge_set_point(&mut self, now: Now) {
        let Some(read) = self.set_points.doubt.take() else { return };
        let Some(known) = self.notes.saved.set_point.clone() else { return };
        let restarted = self.set_points.restarted.take();
        let (after_restart, may_restore) = (restarted.is_some(), self.may_restore_after(restarted));
        let before = known.changed.as_ref().map_or(known.celsius, |changed| changed.celsius);
        let why = if after_restart { "since the unit restarted" } else { "without a command over the bus" };
        let message = format!("the set point went from {before:.1} to {:.1}°C {why}", read.celsius());
        self.tell_set_point(Severity::Warning, "setpoint_changed", message);
        if known.by.is_none() && !after_restart {
            // Nobody had commanded another one over the bus.
            return self.mean_set_point(read, None, now.utc);
        }
        // A choice at the panel is never undone, not even after a restart.
        let is_as_commanded = known.by.is_some() && known.changed.as_ref().is_none_or(|it| it.after_restart);
        let changed = ChangedSetPoint {
            celsius: read.celsius(),
            since: now.utc,
            after_restart,
            to_restore: may_restore && is_as_commanded,
        };
        let uptime_minutes = self.set_points.uptime_minutes;
        self.notes.saved.set_point = Some(KnownSetPoint { changed: Some(changed), uptime_minutes, ..known });
        self.save();
    }

    /// Whether a set point that came with a restart may be undone, because nobody can have chosen
    /// it at the panel.
    fn may_restore_after(&mut self, restarted: Option<u32>) -> bool {
        let panel_was_free = std::mem::take(&mut self.set_points.panel_was_free);
        let is_recent = restarted.is_some_and(|minutes| minutes <= UNATTENDED_MINUTES);
        self.settings.restore_setpoint && is_recent && !panel_was_free
    }

    /// The keys of the panel work from now on.
    pub(super) fn panel_is_free(&mut self) {
        self.set_points.panel_was_free = true;
    }

    /// Sets the set point that was commanded before the unit restarted, as soon as nothing prevents
    /// it; this must be saved to disk first, so that it is done only once.
    pub(super) fn restore_set_point(&mut self) {
        if self.set_points.restoring.is_some() || self.notes.is_writing || self.notes.not_saved {
            return;
        }
        let Some(temperature) = self.to_restore().filter(|_| self.restoring_waits_for().is_none()) else {
            return;
        };
        if let Some(changed) = self.notes.saved.set_point.as_mut().and_then(|known| known.changed.as_mut()) {
            changed.to_restore = false;
        }
        self.set_points.restoring = Some(temperature);
        self.save();
    }

    /// The save has ended.
    pub(super) fn restoring_is_saved(&mut self, is_good: bool, now: Now) {
        let Some(temperature) = self.set_points.restoring.take() else { return };
        if is_good && self.restoring_waits_for().is_none() {
            self.work.set_point = Some(SetPoint::new(temperature, None, now.instant));
        } else if let Some(changed) = self.notes.saved.set_point.as_mut().and_then(|it| it.changed.as_mut()) {
            changed.to_restore = true;
        }
    }

    fn to_restore(&self) -> Option<Temperature> {
        let known = self.notes.saved.set_point.as_ref()?;
        let wanted = known.changed.as_ref().is_some_and(|changed| changed.to_restore);
        Temperature::from_celsius(known.celsius).filter(|_| wanted)
    }

    /// What prevents setting it again.
    fn restoring_waits_for(&self) -> Option<&'static str> {
        let known = self.notes.saved.set_point.as_ref()?;
        let changed = known.changed.as_ref()?;
        let (lowest, highest) = self.settings.setpoint_limits;
        let is_as_judged = self.set_points.doubt.is_none()
            && self.unit.reading().setpoint_temp.is_some_and(|read| (read - changed.celsius).abs() < 0.05);
        if !(lowest..=highest).contains(&known.celsius) {
            Some("it is not set again: it is outside setpoint_limits")
        } else if self.has_alarm() {
            Some("it is set again when there is no alarm")
        } else if self.unit.in_test_mode() {
            Some("it is set again when the unit is no longer in its test mode")
        } else if !self.contact.is_connected() || self.contact.is_released() || !is_as_judged {
            Some("it is set again when the unit is read")
        } else {
            self.work.set_point.is_some().then_some("another set point is being set")
        }
    }

    pub(super) fn set_point_concern(&self) -> Option<Condition> {
        let known = self.notes.saved.set_point.as_ref()?;
        let changed = known.changed.as_ref()?;
        let (is, meant) = (changed.celsius, known.celsius);
        let seen = changed.since.in_words();
        let how = if changed.after_restart {
            "after the unit had restarted"
        } else {
            "without a command over the bus"
        };
        let was = match &known.by {
            Some(by) => format!("{by} commanded {meant:.1}°C ({})", known.since.in_words()),
            None => format!("before it was {meant:.1}°C"),
        };
        let next = match self.to_restore() {
            Some(_) => self.restoring_waits_for().unwrap_or("it is set again now"),
            None => "the command setpoint, with the one that is meant, ends this",
        };
        let was_read = if self.unit.reading().setpoint_temp.is_some() { "is" } else { "was last" };
        let text = format!("the set point {was_read} {is:.1}°C, seen first {seen} {how}; {was}; {next}");
        Some(Condition::new(&concern::SETPOINT_CHANGED, text))
    }

    fn tell_set_point(&mut self, severity: Severity, reason: &str, message: String) {
        let read = self.unit.reading().setpoint_temp;
        let known = self.notes.saved.set_point.as_ref().map(|known| known.celsius);
        let body = EventBody::new(EventKind::Transition, severity, message).because(reason);
        self.emit(body.with("setpoint_temp", read).with("meant", known));
    }
}

#[cfg(test)]
mod tests {
    use super::has_fallen;

    #[test]
    fn a_smaller_up_time_is_a_restart_unless_the_counter_began_anew() {
        for (before, now, restarted) in [
            (165_406, 0, true),
            (165_406, 165_405, true),
            (165_406, 165_406, false),
            (5, 900_000, false),
            (0, 0, false),
            (999_999, 0, false),
            (999_000, 60, false),
            (999_000, 500_000, true),
            (980_000, 60, true),
        ] {
            assert_eq!(has_fallen(before, now), restarted, "{before} {now}");
        }
    }
}
