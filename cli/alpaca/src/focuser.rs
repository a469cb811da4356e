//! One focuser: what is heard of it, who uses it, and the commands that were sent to it.
#![expect(clippy::disallowed_methods, reason = "the shell: reads the clock for each request")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::client::{Device, NoDevice, NoVerdict};
use bus::clock::Now;
use bus::message::Reply;
use bus::settings::BrokerSettings;
use bus::topic::Base;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::answer::{Answer, Known, answer};
use crate::axis::Axis;
use crate::clients::Clients;
use crate::motion::Own;
use crate::request::Call;
use crate::trouble::{Trouble, number};

/// For how long a motion is tried that the bridge has not begun.
const MOVE_PATIENCE: Duration = Duration::from_secs(3);
/// The same for a stop, which must get through.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// The usual clients wait 5 s for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// The verb of a stop, before the bridge has said what its own is called.
const STOP: &str = "stop";

type Verdict = Result<Reply, NoVerdict>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Focuser {
    base: Base,
    device: Arc<Device>,
    clients: Mutex<Clients>,
    own: Arc<Mutex<Own>>,
}

/// A command that was sent.
struct Sent {
    admitted: oneshot::Receiver<()>,
    verdict: oneshot::Receiver<Option<Trouble>>,
}

impl Focuser {
    /// Connects in the background.
    ///
    /// # Errors
    /// The settings' files are of no use.
    pub(crate) fn open(broker: &BrokerSettings, base: &Base) -> Result<Self, NoDevice> {
        let device = Arc::new(Device::open(broker, base.clone())?);
        Ok(Self { base: base.clone(), device, clients: Mutex::default(), own: Arc::default() })
    }

    /// Site and device.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.base.site(), self.base.device())
    }

    /// The same everywhere and for ever, as long as nobody renames the device.
    pub(crate) fn unique_id(&self) -> String {
        format!("obsbus-{}-{}", self.base.site(), self.base.device())
    }

    /// What it does, in a sentence.
    pub(crate) fn summary(&self) -> String {
        let state = self.device.present_state::<Value, String>();
        state.map_or_else(|why| why.to_string(), |state| state.common.summary)
    }

    /// What a client gets.
    ///
    /// # Errors
    /// One of the standard's.
    pub(crate) async fn call(&self, call: &Call, client: u32) -> Result<Value, Trouble> {
        let meta = self.device.meta();
        let description = match &meta {
            Some(meta) => format!("{} {} ({}), through obsbus", meta.label, meta.model, self.base),
            None => format!("{}, through obsbus", self.base),
        };
        let axis = match &meta {
            Some(meta) => Axis::of(meta).map_err(|error| Trouble::new(number::OTHER, error.to_string())),
            None => {
                let message = format!("the bridge of {} has not published its description", self.base);
                Err(Trouble::new(number::NOT_CONNECTED, message))
            }
        };
        let state = self.device.present_state().map_err(|why| Trouble::unusable(&why));
        let own = lock(&self.own).clone();
        let known = Known { name: &self.name(), description: &description, axis, state, own };
        if let Call::Connect = call {
            lock(&self.own).forget();
        }
        let answer = answer(call, client, &known, &mut lock(&self.clients), Now::read().instant)?;
        match (answer, known.axis) {
            (Answer::Value(value), _) => Ok(value),
            (Answer::Halt, axis) => {
                let stop = axis.map_or_else(|_| STOP.to_owned(), |axis| axis.stop);
                self.halt(stop).await.map(|()| Value::Null)
            }
            (Answer::Move(target), axis) => self.go(axis?, target).await.map(|()| Value::Null),
        }
    }

    /// Returns when the bridge has begun the motion.
    async fn go(&self, axis: Axis, target: f64) -> Result<(), Trouble> {
        lock(&self.own).begin()?;
        let arguments = Map::from_iter([(axis.argument, Value::from(target))]);
        let (own, identity) = (Arc::clone(&self.own), self.device.identity().clone());
        let ended = move |verdict: &Verdict| lock(&own).end(verdict, &identity);
        let Sent { admitted, verdict } = self.send(axis.verb, arguments, MOVE_PATIENCE, ended);
        let began = async {
            tokio::select! {
                Ok(()) = admitted => None,
                Ok(trouble) = verdict => trouble,
                else => Some(Trouble::invalid_operation("whether it moves is not known")),
            }
        };
        match timeout(ANSWER_WITHIN, began).await {
            Ok(None) => Ok(()),
            Ok(Some(trouble)) => Err(trouble),
            Err(_) => Err(Trouble::invalid_operation("no answer: whether it moves is not known yet")),
        }
    }

    /// Returns when it stands, or is on its way to that.
    async fn halt(&self, verb: String) -> Result<(), Trouble> {
        lock(&self.own).halt();
        let Sent { mut admitted, verdict } = self.send(verb, Map::new(), STOP_PATIENCE, |_| {});
        match timeout(ANSWER_WITHIN, verdict).await {
            Ok(Ok(Some(trouble))) => {
                Err(Trouble::new(trouble.number, format!("NOT STOPPED: {}", trouble.message)))
            }
            Ok(_) => Ok(()),
            // IsMoving says when it stands.
            Err(_) if admitted.try_recv().is_ok() => Ok(()),
            Err(_) => Err(Trouble::invalid_operation(format!(
                "NOT STOPPED: no answer ({}). It is tried for {} s more: look at the instrument",
                self.summary(),
                (STOP_PATIENCE - ANSWER_WITHIN).as_secs()
            ))),
        }
    }

    /// Sends a command in a task of its own: a client that hangs up ends nothing.
    fn send(
        &self,
        verb: String,
        arguments: Map<String, Value>,
        patience: Duration,
        ended: impl FnOnce(&Verdict) + Send + 'static,
    ) -> Sent {
        let (admit, admitted) = oneshot::channel();
        let (tell, verdict) = oneshot::channel();
        let (device, base) = (Arc::clone(&self.device), self.base.clone());
        tokio::spawn(async move {
            let mut admit = Some(admit);
            let on_admitted = || {
                if let Some(admit) = admit.take() {
                    // Nobody may wait any more.
                    let _ = admit.send(());
                }
            };
            let came = device.command_within(patience, &verb, &arguments, on_admitted).await;
            ended(&came);
            let trouble = Trouble::of(&came, device.identity());
            match &trouble {
                None => tracing::info!("{verb} of {base} succeeded"),
                Some(trouble) => tracing::warn!("{base}: {}", trouble.message),
            }
            drop(tell.send(trouble));
        });
        Sent { admitted, verdict }
    }
}

/// Nothing that holds a lock can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
