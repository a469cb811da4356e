//! What the access rules stand on: a broker that breaks one of these promises keeps an access list in
//! vain. Each is tried with one's own certificate and rights, on topics that no device uses.
#![expect(clippy::disallowed_methods, reason = "reads the clock for how long it listens")]

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::message::Code;
use bus::session::client::{Acknowledged, Client, Properties, SessionError};
use bus::session::connect::ClientId;
use bus::settings::{BrokerSettings, Credentials};
use bus::topic::{Base, CANARY, What};
use bytes::Bytes;

use super::catalogue::Check;
use super::limited::LIMIT;
use super::report::{Finding, Report};
use super::survey::Survey;
use super::{lost, within};
use crate::exit::{EXIT_FAILED, Failure};
use crate::request::new_id;

/// A will comes at once when its connection has broken.
const WILL_LIMIT: Duration = Duration::from_millis(1000);
/// After this time a broker that counts down is a second further.
const COUNTED: Duration = Duration::from_millis(1500);
const LOOKS: u32 = 7;
/// Retained messages come at once.
const STORED_LIMIT: Duration = Duration::from_millis(500);

/// The checks of this module.
pub(super) const PROMISES: [Check; 4] = [Check::Wills, Check::Claims, Check::Expiry, Check::Replies];

/// Whether the broker keeps a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It does; how it showed.
    Yes(&'static str),
    /// It does not; on which topic.
    No(String),
    /// Nothing showed it, for this reason.
    Unknown(String),
}

/// Tries each of them.
///
/// # Errors
/// The reader of the output has gone.
pub(super) async fn examine(
    survey: &mut Survey,
    broker: &BrokerSettings,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(nobody) = survey.sites.first().and_then(|site| Base::nobody(site).ok()) else {
        return report.skip(&PROMISES);
    };
    match within(survey.limit(), survey.will(broker, &nobody)).await {
        Ok(kept) => report.add(kept.wills())?,
        Err(error) => return lost(report, &PROMISES, error),
    }
    match within(survey.limit(), survey.claim(broker, &nobody)).await {
        Ok(kept) => report.add(kept.claims())?,
        Err(error) => return lost(report, PROMISES.get(1..).unwrap_or_default(), error),
    }
    match within(survey.limit(), survey.countdown()).await {
        Ok((expiry, replies)) => report.add_all([expiry.expiry(), replies.replies()]),
        Err(error) => lost(report, PROMISES.get(2..).unwrap_or_default(), error),
    }
}

impl Kept {
    /// If it does not, `broken` says what to say of the topic.
    fn finding(self, check: Check, broken: impl FnOnce(&str) -> Finding) -> Finding {
        match self {
            Self::Yes(how) => Finding::ok(check, how),
            Self::No(topic) => broken(&topic),
            Self::Unknown(why) => Finding::skipped(check, why),
        }
    }

    fn wills(self) -> Finding {
        self.finding(Check::Wills, |topic| {
            let text = format!(
                "the broker does not apply its access list to wills: it has published yours on {topic}; so anybody can \
                 send commands in any name"
            );
            let remedy = "use a broker that applies its access list to wills, too, as Mosquitto does";
            Finding::failure(Check::Wills, Code::AclOpen.number(), text, remedy)
        })
    }

    fn claims(self) -> Finding {
        self.finding(Check::Claims, |topic| {
            let text = format!(
                "the broker knows you by the name that your connection claims, not by your certificate: it took a \
                 command in another's name ({topic})"
            );
            let remedy = "add `use_identity_as_username true` to the listener in the broker's configuration \
                          (obsbus.conf), and restart it";
            Finding::failure(Check::Claims, Code::AclOpen.number(), text, remedy)
        })
    }

    fn expiry(self) -> Finding {
        self.finding(Check::Expiry, |topic| {
            let text = format!(
                "the broker does not count down how long a stored message counts ({topic}): when a bridge is gone, its \
                 last state stays, and whoever trusts the broker alone takes it for new"
            );
            let remedy = "use a broker that counts down; until then trust only what checks the dates, as obsbus does";
            Finding::warning(Check::Expiry, text, remedy)
        })
    }

    fn replies(self) -> Finding {
        self.finding(Check::Replies, |topic| {
            let text = format!("the broker delivers replies to others to you ({topic})");
            let remedy = "only `pattern read +/+/reply/%u/+` may grant replies: remove what grants more from the \
                          access list, then systemctl reload mosquitto";
            Finding::failure(Check::Replies, EXIT_FAILED, text, remedy)
        })
    }
}

/// What is stored on some topics: the payload, and the seconds that the broker says are left.
type Stored = BTreeMap<String, (Bytes, Option<u32>)>;

impl Survey {
    /// Leaves a will that the broker must refuse: on the state of a device that does not exist.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn will(
        &mut self,
        broker: &BrokerSettings,
        nobody: &Base,
    ) -> Result<Kept, SessionError> {
        let topic = nobody.state();
        self.client.subscribe(std::slice::from_ref(&topic)).await?;
        let id = new_id().map(|id| id.to_string()).unwrap_or_default();
        let limit = self.limit();
        let left = match ClientId::random(&self.identity) {
            Ok(other) => self.beside(Client::connect_with_will(broker, &other, limit, &topic, &id)).await?,
            Err(error) => Err(error.into()),
        };
        match left {
            // It goes without a DISCONNECT, so that the broker publishes the will.
            Ok(leaving) => drop(leaving),
            Err(SessionError::Refused(_)) => return Ok(Kept::Yes("refused")),
            Err(error) => return Ok(Kept::Unknown(error.to_string())),
        }
        let until = Now::read().instant + self.client.limit(WILL_LIMIT);
        while let Some(message) = self.client.next_message(until.since(Now::read().instant)).await? {
            if message.topic == topic && message.payload == id.as_bytes() {
                return Ok(Kept::No(topic));
            }
            self.hear(&message);
        }
        Ok(Kept::Yes("refused"))
    }

    /// Connects with another's name in the CONNECT, beside one's own certificate, and sends a command
    /// in that name.
    ///
    /// # Errors
    /// The connection broke, or the random numbers ran out.
    pub(crate) async fn claim(
        &mut self,
        broker: &BrokerSettings,
        nobody: &Base,
    ) -> Result<Kept, SessionError> {
        if let Credentials::Password { .. } = broker.credentials {
            return Ok(Kept::Unknown("a password user is known by the name in its CONNECT".to_owned()));
        }
        let other = ClientId::random(&self.identity)?;
        let (limit, response_topic) = (self.limit(), nobody.reply(&self.identity, None));
        let work = claimed(broker, &other, limit, nobody, response_topic);
        Box::pin(self.beside(work)).await
    }

    /// Does this, which needs other connections, and serves the survey's own meanwhile: on a slow link it
    /// takes so long that the own one would count as dead.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<T, SessionError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                message = self.client.next_message(LIMIT) => {
                    if let Some(message) = message? {
                        self.hear(&message);
                    }
                }
            }
        }
    }

    /// Reads what is stored twice: the time that is left must have become less. Meanwhile it listens
    /// for replies to others. The first result is about the expiry, the second about the replies.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn countdown(&mut self) -> Result<(Kept, Kept), SessionError> {
        let everybodys: Vec<String> =
            self.sites.iter().map(|site| Base::replies_of_everybody(site)).collect();
        let refused = match self.client.subscribe(&everybodys).await {
            Ok(()) => false,
            Err(SessionError::Subscription { .. }) => true,
            Err(error) => return Err(error),
        };
        let known = self.devices.values().filter(|(_, device)| device.instrument.is_some());
        let topics: Vec<String> = known.flat_map(|(base, _)| [base.state(), base.availability()]).collect();
        let mut foreign = None;
        let began = Now::read().instant;
        let before = self.stored(&topics, &mut foreign).await?;
        let mut after = Stored::new();
        // What has expired, as a bridge's that hangs, is not waited for each time.
        let there: Vec<String> = before.keys().cloned().collect();
        // A state that is renewed all the time is seldom a second old.
        for look in 1..=LOOKS {
            self.listen(began + COUNTED * look / LOOKS, &mut foreign).await?;
            if !matches!(counted(&before, &after), Kept::Yes(_)) {
                after = self.stored(&there, &mut foreign).await?;
            }
        }
        let replies = match foreign {
            Some(topic) => Kept::No(topic),
            None if refused => Kept::Yes("the subscription to others' is refused"),
            None => Kept::Yes("none to another came while this listened"),
        };
        Ok((counted(&before, &after), replies))
    }

    async fn stored(
        &mut self,
        topics: &[String],
        foreign: &mut Option<String>,
    ) -> Result<Stored, SessionError> {
        let mut stored = Stored::new();
        if topics.is_empty() {
            return Ok(stored);
        }
        self.client.subscribe(topics).await?;
        let until = Now::read().instant + self.client.limit(STORED_LIMIT);
        while stored.len() < topics.len() {
            let Some(message) = self.client.next_message(until.since(Now::read().instant)).await? else {
                break;
            };
            if message.stored && topics.contains(&message.topic) {
                stored.insert(message.topic.clone(), (message.payload.clone(), message.expires_in_s));
            }
            self.notice(&message.topic, foreign);
            self.hear(&message);
        }
        Ok(stored)
    }

    async fn listen(&mut self, until: Instant, foreign: &mut Option<String>) -> Result<(), SessionError> {
        while let Some(message) = self.client.next_message(until.since(Now::read().instant)).await? {
            self.notice(&message.topic, foreign);
            self.hear(&message);
        }
        Ok(())
    }

    fn notice(&self, topic: &str, foreign: &mut Option<String>) {
        let Some(base) = Base::of_reply(topic) else { return };
        if !base.may_reply_on(topic, &self.identity) {
            foreign.get_or_insert_with(|| topic.to_owned());
        }
    }
}

/// What became of a command in a claimed name.
async fn claimed(
    broker: &BrokerSettings,
    other: &ClientId,
    limit: Duration,
    nobody: &Base,
    response_topic: String,
) -> Kept {
    let mut claiming = match Client::connect_claiming(broker, other, limit, CANARY).await {
        Ok(client) => client,
        Err(SessionError::Refused(_)) => return Kept::Yes("such a connection is refused"),
        Err(error) => return Kept::Unknown(error.to_string()),
    };
    let properties = Properties { expiry_s: 2, response_topic, correlation: Bytes::new() };
    let answer = claiming.publish(&nobody.canary(), Bytes::new(), properties).await;
    Box::pin(claiming.disconnect()).await;
    match answer {
        Ok(Acknowledged::Taken | Acknowledged::NobodyListens) => Kept::No(nobody.canary()),
        Ok(_) => Kept::Yes("ignored"),
        Err(error) => Kept::Unknown(error.to_string()),
    }
}

/// Whether a state that stayed the same has less time left than before, or something less than its
/// bridge gave it.
fn counted(before: &Stored, after: &Stored) -> Kept {
    let given = |stored: &Stored, topic: &str| {
        let (payload, _) = stored.get(&What::on(topic)?.0.state())?;
        let state: serde_json::Value = serde_json::from_slice(payload).ok()?;
        state.get("stale_after_s")?.as_f64()
    };
    let is_less = |stored: &Stored| {
        let mut times = stored.iter().filter_map(|(topic, (_, left))| given(stored, topic).zip(*left));
        times.any(|(given, left)| f64::from(left) + 1.0 <= given)
    };
    let mut stuck = None;
    let mut counts = is_less(before) || is_less(after);
    for (topic, (payload, left)) in before {
        // An `online` that is new looks like the old one.
        let is_state = What::on(topic).is_some_and(|(_, what)| what == What::State);
        let Some((_, left_now)) = after.get(topic).filter(|(now, _)| is_state && now == payload) else {
            continue;
        };
        match (left, left_now) {
            (Some(left), Some(left_now)) if left_now < left => counts = true,
            _ => stuck = Some(topic.clone()),
        }
    }
    match stuck {
        Some(topic) => Kept::No(topic),
        None if counts => Kept::Yes("counted down"),
        None => Kept::Unknown("no state was old enough to tell".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(payload: &'static str, left: Option<u32>) -> Stored {
        Stored::from([("clasp/dome/state".to_owned(), (Bytes::from_static(payload.as_bytes()), left))])
    }

    #[test]
    fn a_broker_that_counts_down_has_less_time_left_for_what_has_not_changed() {
        let (old, new) = (r#"{"seq": 1, "stale_after_s": 30}"#, r#"{"seq": 2, "stale_after_s": 30}"#);
        let before = stored(old, Some(30));
        assert_eq!(counted(&before, &stored(old, Some(29))), Kept::Yes("counted down"));
        assert_eq!(counted(&before, &stored(new, Some(28))), Kept::Yes("counted down"));
        for stuck in [Some(30), Some(u32::MAX), None] {
            let stays = stored(old, stuck);
            assert_eq!(counted(&stays, &stays), Kept::No("clasp/dome/state".to_owned()), "{stuck:?}");
        }
        assert!(matches!(counted(&before, &stored(new, Some(30))), Kept::Unknown(_)));
        assert!(matches!(counted(&before, &Stored::new()), Kept::Unknown(_)));
        // What is renewed less often than the state shows it, too, but not the contrary.
        let online = |left| {
            let mut both = stored(new, Some(30));
            both.insert("clasp/dome/availability".to_owned(), (Bytes::from_static(b"online"), Some(left)));
            both
        };
        assert_eq!(counted(&before, &online(29)), Kept::Yes("counted down"));
        assert!(matches!(counted(&before, &online(30)), Kept::Unknown(_)));
    }
}
