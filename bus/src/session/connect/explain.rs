//! Explains rumqttc's errors to people; one sentence each.
#![expect(clippy::disallowed_methods, reason = "whether a certificate is valid depends on the date")]

use std::error::Error;
use std::io;

use rumqttc::v5::mqttbytes;
use rumqttc::v5::mqttbytes::v5::ConnectReturnCode;
use rumqttc::v5::{ConnectionError, StateError};

use super::tls;
use crate::clock::Now;
use crate::settings::{BrokerSettings, Credentials};

/// What is said of an address that does not answer.
pub(crate) fn unanswered(place: &str) -> String {
    format!(
        "{place} did not answer in time: is a broker listening there, does it hang, do the firewalls let it through?"
    )
}

/// Why a connection to `broker` failed or ended, and what to check; one sentence.
pub(crate) fn explain(error: &ConnectionError, broker: &BrokerSettings) -> String {
    let place = broker.address.to_string();
    match error {
        ConnectionError::Timeout(_) => unanswered(&place),
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => {
            format!("the broker at {place} refused the connection: {}", connack(*code, broker))
        }
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            format!("the broker at {place} ended the connection: {reason_code:?}")
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            format!("the broker at {place} no longer answers")
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            format!("the broker at {place} closed the connection")
        }
        ConnectionError::NotConnAck(_) => format!("what listens at {place} does not speak MQTT 5"),
        _ => match (tls_error(error), io_error(error)) {
            (Some(error), _) => tls::explain(error, broker, &place, Now::read().utc),
            (None, Some(error)) => explain_io(error, &place),
            (None, None) => format!("the connection to {place} failed: {error}"),
        },
    }
}

/// Whether somebody answered there, and let us not in.
pub(crate) fn is_answer(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::Timeout(_) => false,
        _ => tls_error(error).is_some() || io_error(error).is_none_or(is_ended),
    }
}

fn is_ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
    )
}

fn explain_io(error: &io::Error, place: &str) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at {place}: is the broker running, and is the port correct?")
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => format!(
            "{place} closed the connection: is the broker going down or full, is this the port of its TLS \
             listener, does it accept our certificate?"
        ),
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("{place} cannot be reached: {error}")
        }
        // The resolver's errors have no separate kind.
        _ if error.to_string().contains("lookup address") => {
            format!(
                "the name in {place} cannot be resolved ({error}): is host spelled correctly, and does DNS work?"
            )
        }
        _ => format!("the connection to {place} failed: {error}"),
    }
}

fn connack(code: ConnectReturnCode, broker: &BrokerSettings) -> String {
    match (code, &broker.credentials) {
        (
            ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword,
            Credentials::Password { username, password_file },
        ) => {
            format!("it does not accept user \"{username}\" with the password in {}", password_file.display())
        }
        (
            ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword,
            Credentials::Certificate { certificate_file, .. },
        ) => format!("it does not accept the certificate {}", certificate_file.display()),
        (ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion, _) => {
            "it does not speak MQTT 5".to_owned()
        }
        (ConnectReturnCode::ServerBusy | ConnectReturnCode::ServerUnavailable, _) => {
            "it is too busy now".to_owned()
        }
        (ConnectReturnCode::QuotaExceeded | ConnectReturnCode::ConnectionRateExceeded, _) => {
            "it has too many connections".to_owned()
        }
        (ConnectReturnCode::UseAnotherServer | ConnectReturnCode::ServerMoved, _) => {
            "it says that another broker is to be used".to_owned()
        }
        (ConnectReturnCode::Banned, _) => "it has banned this client".to_owned(),
        (other, _) => format!("{other:?}"),
    }
}

/// rumqttc wraps a TLS error in up to four layers, not all of which name their source.
fn tls_error(error: &ConnectionError) -> Option<&rustls::Error> {
    if let ConnectionError::Tls(rumqttc::v5::TlsError::TLS(error)) = error {
        return Some(error);
    }
    let inner: &(dyn Error + 'static) = io_error(error)?.get_ref()?;
    inner.downcast_ref()
}

fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::Tls(rumqttc::v5::TlsError::Io(error))
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rustls::{AlertDescription, CertificateError};

    use super::super::tests::{broker, by_certificate};
    use super::*;

    #[test]
    fn errors_of_tls_and_of_the_network_become_sentences() {
        let from_tls = |error: rustls::Error| {
            ConnectionError::Tls(rumqttc::v5::TlsError::Io(io::Error::new(io::ErrorKind::InvalidData, error)))
        };
        // With TLS 1.3 the broker's verdict on our certificate comes after the handshake.
        let late = |alert| {
            let error = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
            ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(error)))
        };
        let io = |kind: io::ErrorKind| ConnectionError::Io(io::Error::from(kind));
        for (error, expected) in [
            (
                from_tls(CertificateError::UnknownIssuer.into()),
                "not signed by the authority in ca_file /nowhere/ca.pem",
            ),
            (from_tls(CertificateError::Expired.into()), "has expired; this host's clock says 2"),
            (
                from_tls(CertificateError::NotValidForName.into()),
                "is not valid for the name \"broker.example.org\"",
            ),
            (late(AlertDescription::CertificateRequired), "set certificate_file and key_file"),
            (
                from_tls(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)),
                "does not speak TLS",
            ),
            (io(io::ErrorKind::ConnectionRefused), "nothing listens at broker.example.org:8883"),
            (io(io::ErrorKind::ConnectionReset), "is this the port of its TLS listener"),
            (
                ConnectionError::Io(io::Error::other("failed to lookup address information: no name")),
                "the name in broker.example.org:8883 cannot be resolved",
            ),
            (
                ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized),
                "it does not accept the certificate /nowhere/alice.pem",
            ),
        ] {
            let sentence = explain(&error, &by_certificate());
            assert!(sentence.contains(expected), "{sentence}");
        }
        let by_password = broker(Credentials::Password {
            username: "alice".to_owned(),
            password_file: PathBuf::from("/nowhere/password"),
        });
        let refused = ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword);
        assert!(
            explain(&refused, &by_password).contains("user \"alice\" with the password in /nowhere/password")
        );
    }
}
