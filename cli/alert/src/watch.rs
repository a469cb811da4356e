//! What is the matter at the site now, from what was heard on the bus. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bus::clock::{Instant, Now, Utc};
use bus::message::{Attention, Meta, ONLINE, Severity, Snapshot, echo};
use bus::topic::What;
use serde_json::{Map, Value};

/// The bridge of a device says nothing, or says that it is gone.
pub const BRIDGE_OFFLINE: &str = "bridge_offline";
/// The alerter itself has no connection to the broker.
pub const BROKER_LOST: &str = "broker_lost";
/// The device of that, which has the name of none.
pub const BROKER: &str = "broker";

/// For so long it is not a loss.
const BLINK: Duration = Duration::from_secs(10);

/// Of one device, so many attentions are looked at, the worst first.
const ATTENTIONS: usize = 50;

/// How long ago that was. A date in the future is of a clock that was wrong: long ago.
pub(crate) fn elapsed(then: Utc, now: Utc) -> Duration {
    Duration::try_from_secs_f64(now.seconds_since(then)).unwrap_or(Duration::MAX)
}

/// One thing that is the matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Whose.
    pub device: String,
    /// The attention's name.
    pub name: String,
    /// How bad.
    pub severity: Severity,
    /// Since when.
    pub since: Utc,
    /// For people.
    pub text: String,
}

/// A message as it was heard.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Its payload.
    pub payload: &'a [u8],
    /// Whether the broker had it stored, so that it may be old.
    pub stored: bool,
}

/// What is known of one device.
#[derive(Clone, Debug, Default)]
struct Known {
    kind: String,
    label: String,
    is_online: Option<bool>,
    /// When it was first heard to be offline, or not heard.
    gone: Option<Utc>,
    state: Option<State>,
}

#[derive(Clone, Debug)]
struct State {
    /// On this machine's clock.
    stale_at: Instant,
    published: Utc,
    attention: Vec<Attention>,
}

/// Everything that was heard.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    devices: BTreeMap<String, Known>,
    /// Since when the session with the broker is up.
    connected: Option<Instant>,
    /// Since when it is not.
    lost: Option<Utc>,
}

impl Watch {
    /// As at a start, with the devices that were known before.
    #[must_use]
    pub fn new(known: impl IntoIterator<Item = (String, (String, String))>, now: Now) -> Self {
        let known_of = |(kind, label)| Known { kind, label, ..Known::default() };
        let devices = known.into_iter().map(|(device, of)| (device, known_of(of))).collect();
        Self { devices, connected: None, lost: Some(now.utc) }
    }

    /// The session with the broker is up or lost. Whatever was heard before says nothing of now.
    pub fn broker(&mut self, is_up: bool, now: Now) {
        if !is_up {
            if self.connected.take().is_some() {
                self.lost = Some(now.utc);
                for device in self.devices.values_mut() {
                    (device.is_online, device.state, device.gone) = (None, None, None);
                }
            }
        } else if self.connected.is_none() {
            (self.connected, self.lost) = (Some(now.instant), None);
        }
    }

    /// Whether the session is up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// The devices, with kind and label.
    pub fn devices(&self) -> impl Iterator<Item = (&str, (&str, &str))> {
        self.devices
            .iter()
            .map(|(name, device)| (name.as_str(), (device.kind.as_str(), device.label.as_str())))
    }

    /// The kind of a device; empty if it has not said.
    #[must_use]
    pub fn kind(&self, device: &str) -> &str {
        self.devices.get(device).map_or("", |device| device.kind.as_str())
    }

    /// Nobody expects this device any more.
    pub fn forget(&mut self, device: &str) {
        self.devices.remove(device);
    }

    /// Whether anything was heard of it on this connection.
    #[must_use]
    pub fn is_heard(&self, device: &str) -> bool {
        self.devices.get(device).is_some_and(|it| it.is_online.is_some() || it.state.is_some())
    }

    /// A message of `device`. Whatever it says may be said again in a mail, so none of it is long, or misleads.
    pub fn hear(&mut self, device: &str, what: What, heard: &Heard<'_>, now: Now) {
        let payload = heard.payload;
        match what {
            What::Availability if payload.is_empty() => self.forget(device),
            What::Availability => {
                let device = self.devices.entry(device.to_owned()).or_default();
                device.is_online = Some(payload == ONLINE.as_bytes());
            }
            What::Meta => {
                if let Ok(meta) = serde_json::from_slice::<Meta>(payload) {
                    let device = self.devices.entry(device.to_owned()).or_default();
                    (device.kind, device.label) = (echo(&meta.kind), echo(&meta.label));
                }
            }
            What::State => {
                // What other services publish under this name is no device's.
                let Ok(state) = serde_json::from_slice::<Snapshot<Map<String, Value>>>(payload) else {
                    return;
                };
                let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
                // What the broker had stored is as old as it says, if the clocks agree. A live one is new,
                // whatever the clocks say.
                let age = if heard.stored { now.utc.seconds_since(state.stamp.published_at) } else { 0.0 };
                let lasts = seconds(state.stamp.stale_after_s);
                let device = self.devices.entry(device.to_owned()).or_default();
                device.state = Some(State {
                    stale_at: now.instant + lasts.saturating_sub(seconds(age.max(0.0))),
                    published: state.stamp.published_at,
                    attention: worst(state.common.attention),
                });
            }
            _ => {}
        }
    }

    /// What is the matter. Of a device whose bridge says nothing, no more than that.
    pub fn conditions(&mut self, now: Now) -> Vec<Condition> {
        if let Some(lost) = self.lost {
            // A start, and a broker that restarts, are no loss.
            if elapsed(lost, now.utc) < BLINK {
                return Vec::new();
            }
            let text =
                "the alerter has no connection to the broker, and learns nothing of any device".to_owned();
            let (device, name) = (BROKER.to_owned(), BROKER_LOST.to_owned());
            return vec![Condition { device, name, severity: Severity::Error, since: lost, text }];
        }
        let mut conditions = Vec::new();
        for (name, device) in &mut self.devices {
            let stale = device.state.as_ref().filter(|state| state.stale_at <= now.instant);
            let text = match (device.is_online, &device.state, stale) {
                (Some(false), ..) => "its bridge is not connected to the broker".to_owned(),
                (_, _, Some(state)) => {
                    format!("its bridge has published no state since {}", state.published.in_words())
                }
                (None, None, _) => "the broker knows nothing of it any more".to_owned(),
                (_, state, None) => {
                    device.gone = None;
                    let attentions = state.iter().flat_map(|state| &state.attention);
                    conditions.extend(attentions.map(|attention| Condition {
                        device: name.clone(),
                        name: attention.name.clone(),
                        severity: attention.severity,
                        since: attention.since,
                        text: attention.text.clone(),
                    }));
                    continue;
                }
            };
            let since = *device.gone.get_or_insert(now.utc);
            let severity = Severity::Error;
            let (device, name) = (name.clone(), BRIDGE_OFFLINE.to_owned());
            conditions.push(Condition { device, name, severity, since, text });
        }
        conditions
    }

    /// The devices of which nothing is known now but that their bridge is gone.
    #[must_use]
    pub fn unknown(&self, conditions: &[Condition]) -> BTreeSet<String> {
        if self.lost.is_some() {
            return self.devices.keys().cloned().collect();
        }
        let gone = conditions.iter().filter(|condition| condition.name == BRIDGE_OFFLINE);
        gone.map(|condition| condition.device.clone()).collect()
    }

    /// When the next state gets stale.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let states = self.devices.values().filter_map(|device| device.state.as_ref());
        states.map(|state| state.stale_at).filter(|at| *at > now).min()
    }
}

fn worst(mut attention: Vec<Attention>) -> Vec<Attention> {
    attention.sort_by_key(|attention| std::cmp::Reverse(attention.severity));
    attention.truncate(ATTENTIONS);
    for attention in &mut attention {
        attention.name = echo(&attention.name);
        attention.text = echo(&attention.text);
    }
    attention
}
