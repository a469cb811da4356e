//! How a session ends: what waits is delivered, `offline` is published, then the connection is closed.

use super::{FAREWELL_LIMIT, Farewell, Machine, Output, Purpose, State};
use crate::clock::Instant;
use crate::message::OFFLINE;
use crate::outbox::Outgoing;

impl Machine {
    /// The bridge is ending: begins to disconnect, unless it has.
    pub(super) fn part(&mut self, say_offline: bool, now: Instant) {
        match &mut self.state {
            State::Subscribing { .. } | State::Serving(_) | State::Draining { .. } => {
                let offline = if say_offline { Farewell::Owed } else { Farewell::NotOurs };
                let until = now + self.round_trip.limit(FAREWELL_LIMIT);
                self.state = State::Parting { until, offline };
            }
            State::Waiting(_) | State::Connecting(_) | State::HangingUp { lost: Some(_), .. } => {
                self.outputs.push_back(Output::Drop);
                self.end();
            }
            State::Parting { .. } | State::HangingUp { .. } | State::Ended => {}
        }
    }

    /// One step of disconnecting; true if there may be more.
    pub(super) fn say_farewell(&mut self, now: Instant) -> bool {
        self.deliver(now);
        let settled = self.outbox.is_settled();
        let State::Parting { until, offline } = &mut self.state else { return true };
        match offline {
            Farewell::NotOurs | Farewell::Heard if settled => {
                self.hang_up(None, self.round_trip.limit(FAREWELL_LIMIT), now);
                true
            }
            Farewell::Owed if settled && now < *until => {
                *offline = Farewell::Sent;
                let outgoing = Outgoing {
                    topic: self.settings.base.availability(),
                    payload: OFFLINE.into(),
                    retain: true,
                    expiry: None,
                    correlation: None,
                };
                self.publish(outgoing, Purpose::Farewell, now);
                false
            }
            _ if now < *until => false,
            // The farewell is done; other messages in flight are not worth more time.
            Farewell::NotOurs | Farewell::Heard => {
                self.hang_up(None, self.round_trip.limit(FAREWELL_LIMIT), now);
                true
            }
            // Without a PUBACK the broker may not have received `offline`: then the will must
            // publish it.
            Farewell::Owed | Farewell::Sent => {
                self.outputs.push_back(Output::Drop);
                self.end();
                true
            }
        }
    }

    pub(super) fn end(&mut self) {
        self.state = State::Ended;
        self.outputs.push_back(Output::End);
    }
}
