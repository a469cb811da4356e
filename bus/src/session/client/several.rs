//! One connection to whichever of several brokers answers first.
#![expect(clippy::disallowed_methods, reason = "a session is IO: it reads the clock")]

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::connect::{ClientId, unanswered};
use super::{Client, Failed, SessionError};
use crate::clock::Now;
use crate::settings::BrokerSettings;

/// For so long the next of several brokers waits for the one before it, if that neither answers nor
/// refuses.
const HEAD_START: Duration = Duration::from_millis(1500);
/// While one is silent, those that have failed are tried again after this time: one may just be
/// starting.
const AGAIN: Duration = Duration::from_secs(1);

/// Connects within `limit` for each, or says why none of them lets us in.
pub(super) async fn connect(
    broker: &BrokerSettings,
    client_id: &ClientId,
    limit: Duration,
) -> Result<Client, SessionError> {
    let began = Now::read().instant;
    let brokers = broker.each();
    let mut attempts = JoinSet::new();
    let begin = |attempts: &mut JoinSet<_>, number: usize| {
        let Some(broker) = brokers.get(number).cloned() else { return };
        // In a cluster a second connection with the same client id would end the first.
        let client_id = client_id.numbered(number);
        attempts.spawn(async move { (number, Client::connect_to(&broker, &client_id, limit).await) });
    };
    let mut failures = BTreeMap::new();
    let mut under_way = Vec::new();
    let mut begun = 0;
    loop {
        if begun < brokers.len() {
            begin(&mut attempts, begun);
            under_way.push(begun);
            begun += 1;
        }
        let is_last = begun == brokers.len();
        let patience = match (is_last, failures.is_empty()) {
            (false, _) => HEAD_START,
            (true, false) => AGAIN,
            (true, true) => Duration::MAX,
        };
        match timeout(patience, attempts.join_next()).await {
            Ok(Some(Ok((number, Ok(mut client))))) => {
                under_way.retain(|earlier| *earlier < number);
                client.instead_of = told(&brokers, &failures, &under_way);
                return Ok(client);
            }
            // The same files would be read again.
            Ok(Some(Ok((_, Err(Failed { error: error @ SessionError::Settings(_), .. }))))) => {
                return Err(error);
            }
            Ok(Some(Ok((number, Err(failed))))) => {
                under_way.retain(|other| *other != number);
                failures.insert(number, failed);
            }
            Ok(Some(Err(error))) => return Err(SessionError::Unreachable(error.to_string())),
            Ok(None) if is_last => {
                let all: Vec<_> = failures.into_values().map(|failed| failed.error).collect();
                return Err(SessionError::of_all(&all));
            }
            Ok(None) => {}
            Err(_) if is_last && Now::read().instant.since(began) < limit => {
                let may_pass = |failed: &Failed| !matches!(failed.error, SessionError::Refused(_));
                let again: Vec<usize> = failures
                    .iter()
                    .filter(|(number, failed)| may_pass(failed) && !under_way.contains(number))
                    .map(|(number, _)| *number)
                    .collect();
                for number in again {
                    begin(&mut attempts, number);
                    under_way.push(number);
                }
            }
            Err(_) => {}
        }
    }
}

/// What people should know of the brokers that were tried first: which does not let us in, and which
/// is silent. Where simply no broker runs, another one is there for that.
fn told(brokers: &[BrokerSettings], failures: &BTreeMap<usize, Failed>, silent: &[usize]) -> Vec<String> {
    let place = |number: &usize| brokers.get(*number).map(|broker| broker.address.to_string());
    let silent = silent.iter().filter(|number| !failures.contains_key(number)).filter_map(place);
    let answers = failures.values().filter(|failed| failed.is_answer).map(|failed| failed.error.to_string());
    answers.chain(silent.map(|place| unanswered(&place))).collect()
}
