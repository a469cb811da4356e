//! Why the certificate of a receiver's server is not believed, in words: whose it is, which date, and what to do.
//! Everything else that can go wrong with a connection says itself what it is.

use std::error::Error;
use std::io;
use std::path::Path;

use bus::clock::Utc;
use rustls::CertificateError;
use rustls_pki_types::UnixTime;

/// The words for the error of a connection to `host`, if its certificate is the reason. `ca_file` is the
/// receiver's, if it has one.
pub(super) fn wrong(error: &(dyn Error + 'static), host: &str, ca_file: Option<&Path>) -> Option<String> {
    let rustls::Error::InvalidCertificate(problem) = of_tls(error)? else { return None };
    let authority = match ca_file {
        Some(file) => format!("the authority in ca_file {}", file.display()),
        None => "an authority that this machine knows".to_owned(),
    };
    let self_signed = || {
        format!(
            "is an authority's own, or signed by itself: have one signed for {host}, and name its authority in ca_file"
        )
    };
    let what = match problem {
        CertificateError::Expired => {
            "has expired: have it renewed, if this machine's date is right".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired on {}: have it renewed, if this machine's date is right", date(*not_after))
        }
        CertificateError::NotValidYet => "is not valid yet: is this machine's date right?".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}: is this machine's date right?", date(*not_before))
        }
        CertificateError::NotValidForName => {
            format!("is not for the name {host}: expected one of its own names")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            match names.is_empty() {
                true => format!("is for no name at all, and so not for {host}"),
                false => format!("is not for the name {host}, but for {}: use that one", names.join(", ")),
            }
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!(
                "was not signed by {authority}: is it the right server? If so, ca_file must name its authority"
            )
        }
        CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => self_signed(),
        CertificateError::Revoked => "was revoked".to_owned(),
        other => format!("cannot be accepted: {other}"),
    };
    Some(format!("its certificate {what}"))
}

/// The error of TLS among the causes.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // What it wraps is not among its causes.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => of_tls(wrapped),
        None => of_tls(error.source()?),
    }
}

fn date(time: UnixTime) -> String {
    let milliseconds = i64::try_from(time.as_secs().saturating_mul(1000)).unwrap_or(i64::MAX);
    Utc::from_unix_milliseconds(milliseconds).map_or_else(|| "no date".to_owned(), Utc::in_words)
}

/// `DnsName("a")` as `a`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::OtherError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("CaUsedAsEndEntity")]
    struct OfAuthority;

    /// As a library hands it on: wrapped, and wrapped again.
    fn said(problem: CertificateError, ca_file: Option<&str>) -> String {
        let tls = io::Error::other(rustls::Error::InvalidCertificate(problem));
        let error = io::Error::other(tls);
        wrong(&error, "smtp.example.org", ca_file.map(Path::new)).unwrap()
    }

    #[test]
    fn a_certificate_that_is_not_believed_is_said_in_words_with_what_to_do() {
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expired =
            CertificateError::ExpiredContext { time: time(1_796_000_000), not_after: time(1_793_478_399) };
        assert_eq!(
            said(expired, None),
            "its certificate expired on 2026-10-31 20:26 UTC: have it renewed, if this machine's date is right"
        );
        let name = rustls_pki_types::ServerName::try_from("smtp.example.org").unwrap();
        let other_name = CertificateError::NotValidForNameContext {
            expected: name,
            presented: vec!["DnsName(\"mail.other.org\")".to_owned()],
        };
        let words = said(other_name, None);
        assert!(words.contains("not for the name smtp.example.org, but for mail.other.org"), "{words}");
        let words = said(CertificateError::UnknownIssuer, Some("/etc/obsbus/alert-bridge/mail.pem"));
        assert!(
            words.contains("was not signed by the authority in ca_file /etc/obsbus/alert-bridge/mail.pem"),
            "{words}"
        );
        let words = said(CertificateError::UnknownIssuer, None);
        assert!(words.contains("was not signed by an authority that this machine knows"), "{words}");
        let words = said(CertificateError::Other(OtherError(Arc::new(OfAuthority))), None);
        assert!(words.contains("signed by itself"), "{words}");
    }

    #[test]
    fn what_has_nothing_to_do_with_a_certificate_is_left_as_it_is() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(wrong(&refused, "smtp.example.org", None), None);
    }
}
