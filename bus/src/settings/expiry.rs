//! The certificates on which a connection depends, and what to do when one of them expires soon.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::certificate::{CertificateError, common_names, earliest_expiry, utc};
use super::{BrokerSettings, Credentials, certificate_expiry, identity_of_certificate};
use crate::clock::Utc;

/// Everybody warns this long before.
pub const SOON_DAYS: i64 = 60;
const DAY_S: f64 = 86_400.0;

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The program's own.
    Own,
    /// The authority's that signed the broker's.
    Authority,
    /// The broker's, as it was shown at the last connect.
    Broker,
}

/// When a certificate expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Whose it is.
    pub whose: Whose,
    /// Its file; the broker's address.
    pub place: String,
    /// Its common name, by which it is renewed.
    pub name: Option<String>,
    /// The date.
    pub expires: Utc,
}

impl Expiry {
    /// Of our own certificate, if we have one.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate.
    pub fn of_own(broker: &BrokerSettings) -> Result<Option<Self>, CertificateError> {
        let Credentials::Certificate { certificate_file, .. } = &broker.credentials else { return Ok(None) };
        let expires = certificate_expiry(certificate_file)?;
        let name = identity_of_certificate(certificate_file).ok().map(|name| name.to_string());
        Ok(Some(Self { whose: Whose::Own, place: shown(certificate_file), name, expires }))
    }

    /// Of the authority's certificate; if there are several, of the first that expires.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate.
    pub fn of_authority(broker: &BrokerSettings) -> Result<Self, CertificateError> {
        let expires = earliest_expiry(&broker.ca_file)?;
        Ok(Self { whose: Whose::Authority, place: shown(&broker.ca_file), name: None, expires })
    }

    /// Of the certificate that the broker has shown; `None` if it does not tell.
    #[must_use]
    pub fn of_broker(broker: &BrokerSettings, shown: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(shown).ok()?;
        Some(Self {
            whose: Whose::Broker,
            place: broker.address.to_string(),
            name: common_names(&certificate).into_iter().next(),
            expires: utc(certificate.validity().not_after.timestamp())?,
        })
    }

    /// Whether it has expired.
    #[must_use]
    pub fn is_over(&self, now: Utc) -> bool {
        self.expires.seconds_since(now) <= 0.0
    }

    /// Which certificate, when it expires, and what to do, if it has expired or does so within
    /// [`SOON_DAYS`].
    #[must_use]
    pub fn warning(&self, now: Utc) -> Option<String> {
        let left_s = self.expires.seconds_since(now);
        #[expect(clippy::cast_precision_loss, reason = "a small number of days")]
        let soon_s = SOON_DAYS as f64 * DAY_S;
        if left_s >= soon_s {
            return None;
        }
        let (place, date) = (&self.place, self.expires.in_words());
        let expires = if self.is_over(now) { "expired" } else { "expires" };
        let name = self.name.as_deref().unwrap_or("NAME");
        Some(match self.whose {
            Whose::Own => {
                format!(
                    "the certificate {place} {expires} on {date}: renew it (obsbus identity renew {name})"
                )
            }
            Whose::Authority => format!(
                "the authority's certificate {place} {expires} on {date}, and with it every certificate that it \
                 signed: make a new authority (obsbus identity init), and issue all certificates again"
            ),
            Whose::Broker => format!(
                "the certificate of the broker at {place} {expires} on {date}: renew it (obsbus identity renew \
                 {name}), and reload the broker"
            ),
        })
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Utc {
        Utc::parse(text).unwrap()
    }

    fn expiry(whose: Whose, name: Option<&str>) -> Expiry {
        Expiry {
            whose,
            place: "/etc/obsbus/x.pem".to_owned(),
            name: name.map(str::to_owned),
            expires: at("2027-03-01T12:00:00Z"),
        }
    }

    #[test]
    fn sixty_days_ahead_it_says_which_certificate_when_and_what_to_type() {
        let own = expiry(Whose::Own, Some("alice"));
        assert_eq!(own.warning(at("2026-12-31T12:00:00Z")), None);
        assert_eq!(
            own.warning(at("2026-12-31T12:00:01Z")).unwrap(),
            "the certificate /etc/obsbus/x.pem expires on 2027-03-01 12:00 UTC: renew it (obsbus identity \
             renew alice)"
        );
        assert_eq!(
            own.warning(at("2027-03-01T12:00:00Z")).unwrap(),
            "the certificate /etc/obsbus/x.pem expired on 2027-03-01 12:00 UTC: renew it (obsbus identity \
             renew alice)"
        );
        let broker = expiry(Whose::Broker, None).warning(at("2027-02-01T12:00:00Z")).unwrap();
        assert!(broker.contains("renew it (obsbus identity renew NAME), and reload the broker"), "{broker}");
        let authority = expiry(Whose::Authority, None).warning(at("2027-02-01T12:00:00Z")).unwrap();
        assert!(authority.contains("every certificate that it signed"), "{authority}");
    }
}
