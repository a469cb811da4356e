//! Judges certificates by the rules of rustls with its `ring` provider, and of OpenSSL in the
//! broker.
//!
//! Each rule was tried against both: rustls refuses version 1 at the parser and knows no P-521;
//! OpenSSL refuses a client's certificate for its dates, a weak key, an extended key usage without
//! `clientAuth` and a key usage without a signature (`openssl verify -purpose sslclient`).

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED448, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::At;
use crate::clock::Utc;
use crate::settings::certificate::{common_names, utc, x509_error};
use crate::settings::{BrokerSettings, SOON_DAYS};
use crate::topic::Identity;

/// Keys that TLS here can sign with.
pub(super) const KEYS: &str = "RSA with 2048 to 4096 bits, ECDSA P-256 or P-384, or Ed25519";
/// Bits of an RSA key that we can sign with, and of one whose signatures we can check.
const OWN_RSA: RangeInclusive<usize> = 2048..=4096;
const OTHERS_RSA: RangeInclusive<usize> = 2048..=8192;
/// A certificate that expires sooner causes a warning.
const DAY_S: i64 = 86_400;

/// The public key that the private key must match.
pub(super) struct Own {
    /// The public key, as DER.
    pub(super) public_key: Vec<u8>,
    /// Whether its kind can be used; if not, that was reported.
    pub(super) is_usable: bool,
}

/// Judges the certificates in `ca_file`; `signs_us` if one must also have signed our own
/// certificate.
pub(super) fn judge_authorities(
    authorities: &[CertificateDer<'_>],
    broker: &BrokerSettings,
    now: Utc,
    signs_us: bool,
    at: &mut At<'_>,
) {
    let mut dated = Vec::new();
    for der in authorities {
        let certificate = match X509Certificate::from_der(der) {
            Ok((_, certificate)) => certificate,
            Err(error) => {
                at.problem(&format!("holds a certificate that is not valid X.509: {}", x509_error(error)));
                continue;
            }
        };
        let name = shown_name(&certificate);
        let is_own_issuer = certificate.subject().as_raw() == certificate.issuer().as_raw();
        if !certificate.is_ca() && !is_own_issuer {
            at.problem(&format!(
                "holds the certificate of {name}, which is not an authority: put in the certificate of the \
                 authority that signed the broker's"
            ));
        }
        if let Ok(Some(usage)) = certificate.key_usage()
            && certificate.is_ca()
            && !usage.value.key_cert_sign()
        {
            at.problem(&format!(
                "holds the authority {name}, whose key usage does not let it sign certificates"
            ));
        }
        let (kind, is_usable) = key_kind(certificate.public_key(), &OTHERS_RSA);
        if !is_usable {
            at.problem(&format!(
                "holds the authority {name} with a key whose signatures TLS here cannot check, {kind}"
            ));
        }
        let mut hosts = broker.addresses().map(|address| address.host.as_str());
        if let Some(host) = hosts.find(|host| certificate.is_ca() && is_for_host(&certificate, host)) {
            at.warning(&format!(
                "holds an authority that is called {host} like the broker: if the broker shows this very \
                 certificate, TLS refuses it; sign one for the broker with it"
            ));
        }
        dated.push(Validity::of(&certificate, now));
    }
    // Several may be there while one replaces another.
    let valid: Vec<_> = dated.iter().filter(|validity| validity.is_valid()).collect();
    if let Some(first) = valid.first()
        && valid.iter().all(|validity| matches!(validity, Validity::EndsSoon { .. }))
    {
        at.warning(&format!(
            "holds an authority that {first}, and with it every certificate that it has signed"
        ));
    }
    if let Some(first) = dated.first()
        && !dated.iter().any(Validity::is_valid)
    {
        let message = format!("holds no authority that is valid now: it {first}");
        if signs_us { at.problem(&message) } else { at.warning(&message) }
    }
}

/// Judges our own certificate, the first of `chain`.
pub(super) fn judge_own(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    now: Utc,
    at: &mut At<'_>,
) -> Option<Own> {
    let (first, others) = chain.split_first()?;
    let certificate = match X509Certificate::from_der(first) {
        Ok((_, certificate)) => certificate,
        Err(error) => {
            at.problem(&format!("is not valid X.509: {}", x509_error(error)));
            return None;
        }
    };
    let before = at.findings.0.len();
    if certificate.version() == X509Version::V3 {
        judge_use(&certificate, at);
    } else {
        at.problem(
            "is an X.509 version 1 certificate, which TLS refuses: have it signed again with extensions \
             (`openssl x509 -req` with -extfile, as in mosquitto/README.md)",
        );
    }
    judge_name(&certificate, at);
    let (kind, is_usable) = key_kind(certificate.public_key(), &OWN_RSA);
    if !is_usable {
        at.problem(&format!(
            "is for a key that cannot be used, {kind} (can: {KEYS}): make another key, and have a \
             certificate signed for it"
        ));
    }
    let validity = Validity::of(&certificate, now);
    match validity {
        Validity::Good => {}
        Validity::EndsSoon { .. } => at.warning(&validity.to_string()),
        Validity::NotYet { .. } | Validity::Over { .. } => at.problem(&validity.to_string()),
    }
    let was_good = !at.findings.0.iter().skip(before).any(|finding| finding.is_problem);
    if was_good && !authorities.is_empty() {
        judge_signature(first, others, authorities, now, at);
    }
    Some(Own { public_key: certificate.public_key().raw.to_owned(), is_usable })
}

fn judge_use(certificate: &X509Certificate<'_>, at: &mut At<'_>) {
    if certificate.is_ca() {
        at.problem(
            "is an authority's certificate (basicConstraints CA:TRUE): have one signed for this identity \
             with CA:FALSE; if there are several in the file, one's own must be the first",
        );
    }
    if let Ok(Some(usage)) = certificate.extended_key_usage()
        && !(usage.value.client_auth || usage.value.any)
    {
        at.problem(
            "is not for clients (its extended key usage lacks clientAuth), so that the broker refuses it: \
             have one signed with extendedKeyUsage=clientAuth",
        );
    }
    if let Ok(Some(usage)) = certificate.key_usage()
        && !usage.value.digital_signature()
    {
        at.problem(
            "may not sign (its key usage lacks digitalSignature), so that the broker refuses it: have one \
             signed with that, or without keyUsage",
        );
    }
}

fn judge_name(certificate: &X509Certificate<'_>, at: &mut At<'_>) {
    let names = common_names(certificate);
    match names.as_slice() {
        [name] => {
            if let Err(error) = Identity::client(name) {
                at.problem(&format!("has the common name {name:?}, and {error}"));
            }
        }
        names => at.problem(&format!(
            "has {} common names: it must have exactly one, which is the identity",
            names.len()
        )),
    }
}

/// Only a warning: the broker may trust another authority for its clients.
fn judge_signature(
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    now: Utc,
    at: &mut At<'_>,
) {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        // A certificate that is not an authority's was reported already.
        let _ = roots.add(authority.clone().into_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let Ok(verifier) = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build() else {
        return;
    };
    let seconds = u64::try_from(now.unix_milliseconds() / 1000).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let only_if = "it is right only if the broker knows another authority for its clients than for itself";
    match verifier.verify_client_cert(own, others, now) {
        Ok(_) => {}
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            at.warning(&format!(
                "was not signed by the authority in ca_file: if an intermediate authority signed it, append its \
                 certificate to this file; otherwise put the authority that signed it in ca_file: {only_if}"
            ));
        }
        Err(Error::InvalidCertificate(CertificateError::BadSignature)) => at.warning(&format!(
            "names the authority in ca_file and was signed by another of the same name: put that one in ca_file: \
             {only_if}"
        )),
        Err(error) => at.warning(&format!("may be refused by the broker: {error}")),
    }
}

/// A certificate's dates compared with this host's.
enum Validity {
    Good,
    EndsSoon { end: String, days: i64 },
    NotYet { begin: String, now: Utc },
    Over { end: String, now: Utc },
}

impl Validity {
    const fn is_valid(&self) -> bool {
        matches!(self, Self::Good | Self::EndsSoon { .. })
    }

    fn of(certificate: &X509Certificate<'_>, now: Utc) -> Self {
        let now_s = now.unix_milliseconds().div_euclid(1000);
        // The last second counts as over.
        let validity = certificate.validity();
        let (begin, end) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let days = (end - now_s) / DAY_S;
        if now_s < begin {
            Self::NotYet { begin: shown_date(begin), now }
        } else if now_s >= end {
            Self::Over { end: shown_date(end), now }
        } else if days < SOON_DAYS {
            Self::EndsSoon { end: shown_date(end), days }
        } else {
            Self::Good
        }
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("is valid"),
            Self::EndsSoon { end, days } => write!(f, "expires on {end}, in {days} days: have it renewed"),
            Self::NotYet { begin, now } => {
                write!(
                    f,
                    "is not valid before {begin}; this host's clock says {}: is it right?",
                    now.in_words()
                )
            }
            Self::Over { end, now } => {
                write!(f, "expired on {end}; this host's clock says {}: have it renewed", now.in_words())
            }
        }
    }
}

fn shown_date(unix_seconds: i64) -> String {
    utc(unix_seconds).map_or_else(|| "a date beyond the calendar".to_owned(), Utc::in_words)
}

fn shown_name(certificate: &X509Certificate<'_>) -> String {
    match common_names(certificate).first() {
        Some(name) => format!("{name:?}"),
        None => format!("{:?}", certificate.subject().to_string()),
    }
}

fn is_for_host(certificate: &X509Certificate<'_>, host: &str) -> bool {
    let is_host = |name: &str| name.eq_ignore_ascii_case(host);
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let in_alternative = alternative.is_some_and(|names| {
        names
            .value
            .general_names
            .iter()
            .any(|name| matches!(name, GeneralName::DNSName(name) if is_host(name)))
    });
    in_alternative || common_names(certificate).iter().any(|name| is_host(name))
}

/// The kind of a public key in words, and whether TLS here can use it.
fn key_kind(key: &SubjectPublicKeyInfo<'_>, rsa: &RangeInclusive<usize>) -> (String, bool) {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return ("Ed25519".to_owned(), true);
    }
    if *algorithm == OID_SIG_ED448 {
        return ("Ed448".to_owned(), false);
    }
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        let bits = match key.parsed() {
            Ok(PublicKey::RSA(key)) => key.modulus.iter().skip_while(|byte| **byte == 0).count() * 8,
            _ => 0,
        };
        return (format!("RSA with {bits} bits"), rsa.contains(&bits));
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
        let known = [
            (OID_EC_P256, "P-256", true),
            (OID_NIST_EC_P384, "P-384", true),
            (OID_NIST_EC_P521, "P-521", false),
        ];
        return match known.into_iter().find(|(oid, ..)| curve.as_ref() == Some(oid)) {
            Some((_, name, is_usable)) => (format!("ECDSA {name}"), is_usable),
            None => ("ECDSA with another curve".to_owned(), false),
        };
    }
    (format!("algorithm {algorithm}"), false)
}
