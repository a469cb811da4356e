//! The test's control of the connection between bridge and broker.

use std::time::Duration;

use bus::message::Health;

use super::{Rig, Subject};

impl<S: Subject> Rig<S> {
    /// The broker is killed.
    pub fn broker_down(&mut self) {
        self.broker.down(self.now);
        self.turn();
    }

    /// The broker is back, without its retained messages; the bridge finds it at its next attempt.
    pub fn broker_up(&mut self) {
        self.broker.up();
    }

    /// [`Rig::broker_up`], and lets time pass until the bridge is there again.
    pub fn broker_up_and_found(&mut self) {
        self.broker_up();
        let connections = self.broker.connections();
        self.run_until(|rig| rig.broker.connections() > connections, Duration::from_secs(60));
    }

    /// Whether the bridge has published its verdict on the ACL and the command path since its
    /// start.
    pub fn knows_verdict(&self) -> bool {
        let session = format!("session{}", self.starts);
        let health = self.broker.retained.get(&self.base.health());
        let health = health.and_then(|payload| serde_json::from_slice::<Health>(payload).ok());
        health.is_some_and(|health| health.session == session && health.command_path_ok.is_some())
    }

    /// Whether messages that are sent now are received and trusted.
    pub fn is_heard(&self) -> bool {
        self.broker.session.is_serving()
    }

    /// Sets the delay in each direction between bridge and broker.
    pub fn set_latency(&mut self, one_way: Duration) {
        self.broker.latency = one_way;
    }

    /// Sets the Maximum Packet Size in the broker's next CONNACK, bytes.
    pub fn set_largest_packet(&mut self, bytes: Option<u32>) {
        self.broker.largest_packet = bytes;
    }

    /// Sets whether the broker's ACL refuses the bridge's publishes on this topic; all replies
    /// count as one topic, as in `bus::topic::Base::grant`.
    pub fn set_refused(&mut self, topic: &str, refused: bool) {
        let topic = self.base.grant(topic);
        if refused {
            self.broker.refused.insert(topic);
        } else {
            self.broker.refused.remove(&topic);
        }
    }
}
