//! Explains TLS refusals: whose certificate, which file, which date, and what to do.
//!
//! For our own files [`check_files`] knows more than any alert says.

use std::net::IpAddr;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use crate::clock::Utc;
use crate::settings::{BrokerSettings, Credentials, FileFinding, check_files};

/// Why our own certificate is refused at date `now`; `None` if no reason is found.
fn wrong_with_ours(broker: &BrokerSettings, now: Utc) -> Option<String> {
    let is_it = |finding: &FileFinding| finding.is_problem && finding.key == "certificate_file";
    let problems = check_files(broker, now).into_iter().filter(is_it);
    let texts: Vec<_> = problems.map(|finding| format!("{} {}", finding.key, finding.message)).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

pub(in crate::session) fn explain(error: &Error, broker: &BrokerSettings, place: &str, now: Utc) -> String {
    match error {
        Error::InvalidCertificate(problem) => {
            format!("the certificate of {place} {}", explain_theirs(problem, broker, now))
        }
        Error::AlertReceived(alert) => explain_alert(*alert, broker, place, now),
        Error::InvalidMessage(_) => {
            format!("what listens at {place} does not speak TLS: is this the port of the TLS listener?")
        }
        Error::PeerIncompatible(reason) => format!(
            "the broker at {place} and this program have no version or kind of TLS in common ({reason:?})"
        ),
        other => format!("TLS with {place} failed: {other}"),
    }
}

/// The text that follows "the certificate of `<place>`".
fn explain_theirs(problem: &CertificateError, broker: &BrokerSettings, now: Utc) -> String {
    let ca = broker.ca_file.display();
    let clock = now.in_words();
    match problem {
        CertificateError::UnknownIssuer => format!(
            "was not signed by the authority in ca_file {ca}: is this the correct broker, and the correct \
             authority?"
        ),
        CertificateError::BadSignature => {
            format!("was signed by another authority of the same name as the one in ca_file {ca}")
        }
        CertificateError::Expired => {
            format!(
                "has expired; this host's clock says {clock}: if the clock is correct, have the certificate renewed"
            )
        }
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "expired on {}; this host's clock says {clock}: if the clock is correct, have the certificate renewed",
            date(*not_after)
        ),
        CertificateError::NotValidYet => {
            format!("is not valid yet; this host's clock says {clock}: is it correct?")
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "is not valid before {}; this host's clock says {clock}: is it correct?",
                date(*not_before)
            )
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => format!(
            "has no subjectAltName, the only place where TLS looks for a name: have it signed again with \
             subjectAltName={}",
            alternative_name(&broker.address.host)
        ),
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "is not valid for the name \"{}\" but for {}: set host to a name in it, or have it signed for this one",
            broker.address.host,
            presented.iter().map(|name| bare_name(name)).collect::<Vec<_>>().join(", ")
        ),
        CertificateError::NotValidForName => {
            format!("is not valid for the name \"{}\": set host to a name in it", broker.address.host)
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for a server (its extended key usage lacks serverAuth): have it signed again with \
             extendedKeyUsage=serverAuth"
                .to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "was signed in a way that cannot be checked here: its authority (ca_file {ca}) needs an RSA key \
             of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519, not P-521, and must not sign with SHA-1"
        ),
        CertificateError::BadEncoding => "is not valid X.509: issue it again".to_owned(),
        CertificateError::UnhandledCriticalExtension => critical(),
        CertificateError::Other(other) => match other.0.to_string().as_str() {
            "UnsupportedCertVersion" => "is an X.509 version 1 certificate, which TLS refuses: have it \
                signed again with extensions (`openssl x509 -req` with -extfile, as in mosquitto/README.md)"
                .to_owned(),
            "CaUsedAsEndEntity" => {
                "is an authority's own (basicConstraints CA:TRUE), which TLS does not take \
                from a broker: sign one for the broker with it, with CA:FALSE"
                    .to_owned()
            }
            "EndEntityUsedAsCa" => format!(
                "was signed by one that is not an authority (CA:FALSE): ca_file {ca}, or what the broker \
                 sends with it, must be an authority's certificate"
            ),
            "UnsupportedCriticalExtension" => critical(),
            other => format!("cannot be accepted ({other})"),
        },
        other => format!("cannot be accepted: {other}"),
    }
}

fn critical() -> String {
    "has a critical extension that is not supported: have it signed again without it".to_owned()
}

fn date(time: UnixTime) -> String {
    let milliseconds = i64::try_from(time.as_secs().saturating_mul(1000)).unwrap_or(i64::MAX);
    let date = Utc::from_unix_milliseconds(milliseconds);
    date.map_or_else(|| "a date beyond the calendar".to_owned(), Utc::in_words)
}

/// In the syntax of an OpenSSL extension file.
fn alternative_name(host: &str) -> String {
    if host.parse::<IpAddr>().is_ok() { format!("IP:{host}") } else { format!("DNS:{host}") }
}

/// `DnsName("a")` as `a`.
fn bare_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

fn explain_alert(alert: AlertDescription, broker: &BrokerSettings, place: &str, now: Utc) -> String {
    let ours = match &broker.credentials {
        Credentials::Certificate { certificate_file, .. } => {
            format!("our certificate {}", certificate_file.display())
        }
        Credentials::Password { .. } => "the connection, for which no certificate was sent".to_owned(),
    };
    let refused = |why: &str| format!("the broker at {place} refused {ours}: {why}");
    // The alert is one word of the broker's library; the file shows what is wrong.
    let found = wrong_with_ours(broker, now);
    if let (true, Some(found)) = (is_about_ours(alert), found) {
        return format!("the broker at {place} refused the connection: {found}");
    }
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            format!("the broker at {place} wants a client certificate: set certificate_file and key_file")
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => refused(
            "it does not know the authority that signed it; have one signed by the authority in the broker's \
             cafile",
        ),
        AlertDescription::CertificateExpired => refused(
            "it says that it has expired, which it has not by this host's clock: is the broker's clock correct, and \
             has its revocation list (crlfile) expired?",
        ),
        AlertDescription::CertificateRevoked => refused("it was revoked: have another one signed"),
        AlertDescription::BadCertificate => {
            refused("it finds it invalid, perhaps not valid yet by its clock; its log says why")
        }
        AlertDescription::UnsupportedCertificate => {
            refused("it does not take it for this use: have one signed with extendedKeyUsage=clientAuth")
        }
        AlertDescription::CertificateUnknown | AlertDescription::AccessDenied => {
            refused(&format!("its log says why ({alert:?})"))
        }
        // Before any certificate was sent.
        AlertDescription::HandshakeFailure => format!(
            "the broker at {place} has no kind of key or cipher in common with this program: its certificate \
             must be for an RSA key of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519, not P-521"
        ),
        AlertDescription::ProtocolVersion => {
            format!("the broker at {place} speaks no TLS 1.2 or 1.3: see tls_version in its configuration")
        }
        other => format!("the broker at {place} ended the TLS handshake ({other:?})"),
    }
}

fn is_about_ours(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied
    )
}

#[cfg(test)]
mod tests;
