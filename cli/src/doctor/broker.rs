//! The way to the broker: name, port, TLS, login. Each step needs the one before.
#![expect(clippy::disallowed_methods, reason = "reads the clock for how long a step takes")]

use std::time::Duration;

use bus::clock::Now;
use bus::session::client::Client;
use bus::session::connect::ClientId;
use bus::session::peer::{self, Presented};
use bus::settings::BrokerSettings;
use bus::topic::Identity;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::catalogue::Check;
use super::limited::LIMIT;
use super::own::{Own, SOON_S};
use super::report::{Finding, Report, Verdict};
use crate::exit::{EXIT_UNREACHABLE, Failure, with_causes};
use crate::text::age;

/// For a link as slow as a satellite's, and slower: to accept a connection takes one round trip, and the handshake of
/// TLS one or two. What comes later follows the round trip that was measured.
const ACCEPT_LIMIT: Duration = Duration::from_secs(5);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// The steps to it.
const STEPS: [Check; 4] = [Check::Address, Check::Listener, Check::Certificate, Check::Login];
/// What needs a login.
pub(super) const BEHIND: [Check; 8] = [
    Check::Read,
    Check::Names,
    Check::State,
    Check::Wills,
    Check::Claims,
    Check::Expiry,
    Check::Replies,
    Check::Delay,
];

/// Goes as far as it can; the login at the end of it.
///
/// # Errors
/// The reader of the output has gone.
pub(crate) async fn examine(own: Option<&Own>, report: &mut Report) -> Result<Option<Box<Client>>, Failure> {
    let Some(own) = own else {
        report.about("The broker")?;
        report.skip(&STEPS)?;
        report.skip(&BEHIND)?;
        return Ok(None);
    };
    let mut ways = Vec::new();
    for broker in own.settings.broker.each() {
        let (findings, client) = along(&broker, own.identity.as_ref()).await;
        ways.push((broker.address, findings, client));
    }
    let is_reached = ways.iter().any(|(.., client)| client.is_some());
    let mut first = None;
    for (address, findings, client) in ways {
        report.about(format!("The broker {address}"))?;
        let steps = STEPS.get(findings.len()..).unwrap_or_default();
        for finding in findings {
            // While another address serves, this one is missed only when that one fails, too.
            report.add(if is_reached { finding.softened() } else { finding })?;
        }
        report.skip(steps)?;
        match (&first, client) {
            (None, client) => first = client,
            (Some(_), Some(client)) => Box::pin(client.disconnect()).await,
            (Some(_), None) => {}
        }
    }
    if first.is_none() {
        report.skip(&BEHIND)?;
    }
    Ok(first)
}

/// The findings of the steps to one address, until one fails; and the login at their end.
async fn along(broker: &BrokerSettings, identity: Option<&Identity>) -> (Vec<Finding>, Option<Box<Client>>) {
    let (mut findings, stream) = match way(broker).await {
        Ok(reached) => reached,
        Err(findings) => return (findings, None),
    };
    let began = Now::read().instant;
    findings.push(certificate(stream, broker).await);
    let handshake = Now::read().instant.since(began);
    let is_accepted = findings.iter().all(|finding| finding.verdict != Verdict::Failure);
    let Some(identity) = identity.filter(|_| is_accepted) else { return (findings, None) };
    match connect(broker, identity, LIMIT.max(4 * handshake)).await {
        Ok(client) => {
            findings.push(Finding::ok(Check::Login, format!("accepted as {identity}")));
            (findings, Some(client))
        }
        Err(text) => {
            findings.push(Finding::failure(Check::Login, EXIT_UNREACHABLE, text, ""));
            (findings, None)
        }
    }
}

/// From the name to a connection, or to the step that failed.
async fn way(broker: &BrokerSettings) -> Result<(Vec<Finding>, TcpStream), Vec<Finding>> {
    let (host, port) = (broker.address.host.as_str(), broker.address.port);
    let failed = |check, text: String, remedy: &str| Finding::failure(check, EXIT_UNREACHABLE, text, remedy);
    let addresses: Vec<_> = match timeout(LIMIT, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            let text = format!("the name {host:?} cannot be resolved: {error}");
            return Err(vec![failed(
                Check::Address,
                text,
                "correct it in the settings (broker.host or broker.hosts), or DNS",
            )]);
        }
        Err(_) => {
            let text = format!("the name {host:?} was not resolved within {} s", LIMIT.as_secs());
            return Err(vec![failed(
                Check::Address,
                text,
                "check DNS (/etc/resolv.conf), or enter an address",
            )]);
        }
    };
    let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let address = Finding::ok(Check::Address, shown.join(", "));
    let began = Now::read().instant;
    let (text, remedy) = match timeout(ACCEPT_LIMIT, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(stream)) => {
            let took = milliseconds(Now::read().instant.since(began));
            let open = Finding::ok(Check::Listener, format!("port {port} accepts connections ({took})"));
            return Ok((vec![address, open], stream));
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => (
            format!("nothing listens at {}", broker.address),
            "on the broker's machine: systemctl status mosquitto; is port the one of its TLS listener (obsbus.conf)?",
        ),
        Ok(Err(error)) => (
            format!("{} cannot be reached: {error}", broker.address),
            "check the network and the firewalls between here and the broker",
        ),
        Err(_) => (
            format!("{} did not answer within {} s", broker.address, ACCEPT_LIMIT.as_secs()),
            "is the machine up, and does its firewall let the port through?",
        ),
    };
    Err(vec![address, failed(Check::Listener, text, remedy)])
}

async fn certificate(stream: TcpStream, broker: &BrokerSettings) -> Finding {
    let failed =
        |text: String, remedy: &str| Finding::failure(Check::Certificate, EXIT_UNREACHABLE, text, remedy);
    match timeout(HANDSHAKE_LIMIT, peer::examine(stream, broker)).await {
        Ok(Ok(chain)) => valid(&chain, Now::read()),
        Ok(Err(error)) => failed(with_causes(&error), ""),
        Err(_) => failed(
            format!("{} accepts connections and does not answer in TLS", broker.address),
            "the broker hangs, or this is another port: restart it (systemctl restart mosquitto)",
        ),
    }
}

fn valid(chain: &[Presented], now: Now) -> Finding {
    // Whichever of the chain expires first ends it.
    let Some(first) = chain.iter().min_by_key(|certificate| certificate.not_after) else {
        return Finding::ok(Check::Certificate, "accepted");
    };
    let left_s = first.not_after.seconds_since(now.utc);
    let text = format!("{:?} expires on {}, in {}", first.subject, first.not_after.in_words(), age(left_s));
    if left_s < SOON_S {
        let remedy = "renew the broker's certificate, then systemctl reload mosquitto";
        return Finding::warning(Check::Certificate, text, remedy);
    }
    Finding::ok(Check::Certificate, text)
}

/// Logs in, within this time.
///
/// # Errors
/// Why not; one sentence.
pub(crate) async fn connect(
    broker: &BrokerSettings,
    identity: &Identity,
    limit: Duration,
) -> Result<Box<Client>, String> {
    let client_id = ClientId::random(identity).map_err(|error| with_causes(&error))?;
    let connected = Box::pin(Client::connect(broker, &client_id, limit)).await;
    connected.map(Box::new).map_err(|error| with_causes(&error))
}

/// A duration in the unit of round trips.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
