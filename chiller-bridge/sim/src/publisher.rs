//! The services whose readings the chiller's bridge uses: camera power (`powerd`) and the dome's
//! temperature (`domealertd`), each a real client under its own certificate and the shipped ACL.
//!
//! They say the same again and again until told otherwise, and can be told to be silent or to say
//! anything, true or not. Whether a word was believed is not their affair.

#![expect(clippy::disallowed_methods, reason = "a publisher dates what it says")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::clock::Now;
use serde_json::{Map, Value, json};

use harness::broker::Broker;
use harness::client::{Connect, Post, TestClient};
use harness::operator::seconds_from_now;

/// Where camera power is published, all channels in one object.
pub const POWER_TOPIC: &str = "clasp/power/state";
/// Where the dome's temperature is.
pub const DOME_TOPIC: &str = "clasp/domealert/state";

/// Between two messages, unless told otherwise: well below the least `max_age` that there can be.
const PERIOD: Duration = Duration::from_millis(400);

/// When a message says that it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dated {
    /// When it is sent.
    Now,
    /// So many seconds after that; negative: before.
    Shifted(f64),
    /// It does not say.
    Never,
}

/// What is said, each time.
#[derive(Clone, Debug)]
struct Speech {
    dated: Dated,
    retained: bool,
    silent: bool,
    words: Words,
}

#[derive(Clone, Debug)]
enum Words {
    /// One object, to which `date` is added.
    Json { topic: &'static str, keys: Map<String, Value> },
    /// Bare values, each on a topic of its own.
    Bare(BTreeMap<String, String>),
}

impl Speech {
    fn posts(&self) -> Vec<Post> {
        let posts = match &self.words {
            Words::Json { topic, keys } => {
                let mut keys = keys.clone();
                let date = match self.dated {
                    Dated::Now => Some(seconds_from_now(0.0)),
                    Dated::Shifted(seconds) => Some(seconds_from_now(seconds)),
                    Dated::Never => None,
                };
                keys.extend(date.map(|date| ("date".to_owned(), date.to_string().into())));
                vec![Post::to(*topic, Value::Object(keys).to_string())]
            }
            Words::Bare(values) => {
                values.iter().map(|(topic, value)| Post::to(topic.clone(), value.clone())).collect()
            }
        };
        posts.into_iter().map(|post| if self.retained { post.retained() } else { post }).collect()
    }
}

/// A service that publishes, on a thread of its own. It comes back by itself when the broker was
/// away. Dropping it is its end: it disconnects, and what it left behind retained stays.
pub struct Publisher {
    said: Arc<Feed>,
    // Dropped, it ends the thread.
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Feed {
    client: TestClient,
    speech: Mutex<Speech>,
}

impl Feed {
    fn speech(&self) -> MutexGuard<'_, Speech> {
        self.speech.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says it once more, unless it is to be silent, and does not wait for the broker.
    fn again(&self) {
        let speech = self.speech();
        if !speech.silent {
            for post in speech.posts() {
                // Without a broker there is nobody to tell.
                drop(self.client.send(post));
            }
        }
    }
}

impl Publisher {
    fn start(broker: &Broker, identity: &str, words: Words) -> Result<Self> {
        let client = Connect::with(broker.port(), broker.client(identity)?).reconnecting().connect()?;
        let speech = Speech { dated: Dated::Now, retained: true, silent: false, words };
        let said = Arc::new(Feed { client, speech: Mutex::new(speech) });
        let (end, ended) = mpsc::channel();
        let speaker = Arc::clone(&said);
        let thread = std::thread::Builder::new().name(identity.to_owned()).spawn(move || {
            while ended.recv_timeout(PERIOD) == Err(mpsc::RecvTimeoutError::Timeout) {
                speaker.again();
            }
        })?;
        Ok(Self { said, end: Some(end), thread: Some(thread) })
    }

    /// Changes what is said, says it, and waits for the broker to have it: when it was sent.
    fn change(&self, change: impl FnOnce(&mut Speech)) -> Result<Now> {
        // Under the lock, so that nothing older can follow.
        let mut speech = self.said.speech();
        change(&mut speech);
        let at = Now::read();
        if !speech.silent {
            for post in speech.posts() {
                let answer = self.said.client.publish(post)?;
                ensure!(
                    answer.is_taken(),
                    "the broker answers {answer:?} to {}",
                    self.said.client.identity()
                );
            }
        }
        Ok(at)
    }

    /// Says nothing any more, and stays connected.
    pub fn silence(&self) {
        self.said.speech().silent = true;
    }

    /// Speaks again, at once.
    ///
    /// # Errors
    /// If the broker does not take it.
    pub fn speak(&self) -> Result<Now> {
        self.change(|speech| speech.silent = false)
    }

    /// Dates what it says like this.
    ///
    /// # Errors
    /// If the broker does not take it.
    pub fn dated(&self, dated: Dated) -> Result<Now> {
        self.change(|speech| speech.dated = dated)
    }

    /// Whether what it says is stored by the broker; it is, unless told otherwise.
    ///
    /// # Errors
    /// If the broker does not take it.
    pub fn retained(&self, retained: bool) -> Result<Now> {
        self.change(|speech| speech.retained = retained)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

/// Camera power, as `powerd` publishes it.
pub struct Power(Publisher);

impl std::ops::Deref for Power {
    type Target = Publisher;

    fn deref(&self) -> &Publisher {
        &self.0
    }
}

impl Power {
    /// Publishes these channels, all off, in one object.
    ///
    /// # Errors
    /// If it cannot connect, or the broker refuses.
    pub fn start(broker: &Broker, channels: &[&str]) -> Result<Self> {
        let channels: Map<String, Value> =
            channels.iter().map(|&name| (name.to_owned(), false.into())).collect();
        let keys = Map::from_iter([("channels".to_owned(), Value::Object(channels))]);
        let power = Self(Publisher::start(broker, "powerd", Words::Json { topic: POWER_TOPIC, keys })?);
        power.speak()?;
        Ok(power)
    }

    /// Publishes these channels, all off, each bare on `clasp/power/<channel>`, as real power
    /// switches do.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_bare(broker: &Broker, channels: &[&str]) -> Result<Self> {
        let values = channels.iter().map(|name| (bare_topic(name), "OFF".to_owned())).collect();
        let power = Self(Publisher::start(broker, "powerd", Words::Bare(values))?);
        power.speak()?;
        Ok(power)
    }

    /// Says this of a channel: a bool, or what real switches say when they do not know: `null`, 2.
    ///
    /// # Errors
    /// If the broker does not take it.
    pub fn set(&self, channel: &str, value: impl Into<Value>) -> Result<Now> {
        let value = value.into();
        self.change(|speech| match &mut speech.words {
            Words::Json { keys, .. } => {
                if let Some(Value::Object(channels)) = keys.get_mut("channels") {
                    channels.insert(channel.to_owned(), value);
                }
            }
            Words::Bare(values) => {
                let word = match value {
                    Value::Bool(on) => if on { "ON" } else { "OFF" }.to_owned(),
                    other => other.to_string(),
                };
                values.insert(bare_topic(channel), word);
            }
        })
    }

    /// Gives a channel another name, as somebody once did who tidied up.
    ///
    /// # Errors
    /// If there is no such channel, or the broker does not take it.
    pub fn rename(&self, from: &str, to: &str) -> Result<Now> {
        let mut found = false;
        let at = self.change(|speech| match &mut speech.words {
            Words::Json { keys, .. } => {
                if let Some(Value::Object(channels)) = keys.get_mut("channels")
                    && let Some(value) = channels.remove(from)
                {
                    channels.insert(to.to_owned(), value);
                    found = true;
                }
            }
            Words::Bare(values) => {
                if let Some(value) = values.remove(&bare_topic(from)) {
                    values.insert(bare_topic(to), value);
                    found = true;
                }
            }
        })?;
        found.then_some(at).with_context(|| format!("there is no channel {from}"))
    }
}

fn bare_topic(channel: &str) -> String {
    format!("clasp/power/{channel}")
}

/// The dome's sensor, as `domealertd` publishes it.
pub struct Dome(Publisher);

impl std::ops::Deref for Dome {
    type Target = Publisher;

    fn deref(&self) -> &Publisher {
        &self.0
    }
}

impl Dome {
    /// Publishes this temperature, and that it is valid.
    ///
    /// # Errors
    /// If it cannot connect, or the broker refuses.
    pub fn start(broker: &Broker, celsius: f64) -> Result<Self> {
        let keys = Map::from_iter([
            ("internal_temperature".to_owned(), json!(celsius)),
            ("internal_temperature_valid".to_owned(), true.into()),
        ]);
        let dome = Self(Publisher::start(broker, "domealertd", Words::Json { topic: DOME_TOPIC, keys })?);
        dome.speak()?;
        Ok(dome)
    }

    /// Says this temperature: 255 °C was once said for -1 °C.
    ///
    /// # Errors
    /// If the broker does not take it.
    pub fn set(&self, celsius: f64) -> Result<Now> {
        self.say("internal_temperature", json!(celsius))
    }

    /// Says whether the temperature is valid.
    ///
    /// # Errors
    /// If the broker does not take it.
    pub fn valid(&self, valid: bool) -> Result<Now> {
        self.say("internal_temperature_valid", valid.into())
    }

    fn say(&self, key: &str, value: Value) -> Result<Now> {
        self.change(|speech| {
            if let Words::Json { keys, .. } = &mut speech.words {
                keys.insert(key.to_owned(), value);
            }
        })
    }
}
