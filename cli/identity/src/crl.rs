//! Reads a list of revoked certificates, and judges one before the broker gets it: with a bad one the
//! broker admits nobody, or does not start.

use bus::clock::Utc;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::authority::hex;
use crate::register::day;

/// What a list says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) date: Utc,
    /// Serials with their dates.
    pub(crate) revoked: Vec<(String, Utc)>,
}

/// The list `text` (PEM), if the authority with this certificate (PEM) has signed it.
pub(crate) fn of_authority(text: &str, authority: &str) -> Option<List> {
    let der = read(text).ok()?;
    let list = parse(&der).ok()?;
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).ok()?;
    let (_, authority) = X509Certificate::from_der(&authority).ok()?;
    list.verify_signature(authority.public_key()).ok()?;
    let date = |seconds: i64| Utc::from_unix_milliseconds(seconds.saturating_mul(1000));
    let entries = list.iter_revoked_certificates();
    let revoked =
        entries.filter_map(|it| Some((hex(it.raw_serial()), date(it.revocation_date.timestamp())?)));
    Some(List { date: date(list.last_update().timestamp())?, revoked: revoked.collect() })
}

/// Checks `list` (PEM) against the certificate of the authority and the list that is in use. One that
/// this authority has not signed is of no use, and may be replaced.
///
/// # Errors
/// Says what is wrong; the text follows the file's name.
pub(crate) fn check(list: &str, authority_text: &str, in_use: Option<&str>, now: Utc) -> Result<(), String> {
    let der = read(list)?;
    let list = parse(&der)?;
    let authority = CertificateDer::from_pem_slice(authority_text.as_bytes())
        .map_err(|_| "cannot be checked: the broker has no certificate of the authority".to_owned())?;
    let (_, authority) = X509Certificate::from_der(&authority)
        .map_err(|_| "cannot be checked: the broker has no certificate of the authority".to_owned())?;
    list.verify_signature(authority.public_key())
        .map_err(|_| "was not signed by the authority that this broker trusts".to_owned())?;
    let end = list.next_update().map(|end| end.timestamp().saturating_mul(1000));
    match end.and_then(Utc::from_unix_milliseconds) {
        Some(end) if end <= now => {
            return Err(format!("expired on {}, and the broker would admit nobody", day(end)));
        }
        _ => {}
    }
    if list.last_update().timestamp().saturating_mul(1000) > now.unix_milliseconds() {
        return Err(
            "is dated in the future, and the broker would admit nobody: compare the clocks of this machine and of \
             the authority's"
                .to_owned(),
        );
    }
    if let Some(old) = in_use.and_then(|in_use| of_authority(in_use, authority_text)) {
        let is_listed =
            |serial: &str| list.iter_revoked_certificates().any(|it| hex(it.raw_serial()) == serial);
        if !old.revoked.iter().all(|(serial, _)| is_listed(serial)) {
            return Err("is older than the list that the broker has: it lacks certificates that are revoked"
                .to_owned());
        }
    }
    Ok(())
}

fn read(text: &str) -> Result<CertificateRevocationListDer<'static>, String> {
    CertificateRevocationListDer::from_pem_slice(text.as_bytes())
        .map_err(|_| "holds no list of revoked certificates (-----BEGIN X509 CRL-----)".to_owned())
}

fn parse<'a>(der: &'a CertificateRevocationListDer<'_>) -> Result<CertificateRevocationList<'a>, String> {
    let parsed = CertificateRevocationList::from_der(der.as_ref());
    parsed.map(|(_, list)| list).map_err(|_| "holds no valid list of revoked certificates".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::tests::{Fixture, fixture, now};

    impl Fixture {
        fn list(&self, serials: &[&str], date: Utc) -> String {
            let revoked: Vec<_> = serials.iter().map(|serial| ((*serial).to_owned(), now())).collect();
            self.authority.revocation_list(&revoked, 1, date).unwrap()
        }

        fn check(&self, list: &str, in_use: Option<&str>, now: Utc) -> String {
            check(list, &self.certificate, in_use, now).err().unwrap_or_default()
        }
    }

    #[test]
    fn a_list_that_grows_is_good_and_one_that_lacks_somebody_is_old() {
        let own = fixture();
        let (one, two) = (own.list(&["41"], now()), own.list(&["41", "42"], now()));
        assert_eq!(own.check(&two, Some(&one), now()), "");
        assert!(own.check(&one, Some(&two), now()).starts_with("is older than the list"));
        for of_no_use in ["", &fixture().list(&["43"], now())] {
            assert_eq!(own.check(&one, Some(of_no_use), now()), "");
        }
    }

    #[test]
    fn a_list_is_read_as_it_was_made() {
        let own = fixture();
        let list = of_authority(&own.list(&["41", "4200ff"], now()), &own.certificate).unwrap();
        let revoked = ["41", "4200ff"].map(|serial| (serial.to_owned(), now()));
        assert_eq!(list, List { date: now(), revoked: revoked.to_vec() });
        assert_eq!(of_authority(&fixture().list(&["41"], now()), &own.certificate), None);
    }

    #[test]
    fn a_list_with_which_the_broker_would_admit_nobody_is_refused() {
        let own = fixture();
        let list = own.list(&["41"], now());
        assert!(own.check(&list, None, now().shifted(-1)).starts_with("is dated in the future"));
        let late = now().shifted(21 * 365 * 86_400_000);
        assert!(own.check(&list, None, late).starts_with("expired on 2046-11-30"));
        let other = fixture().list(&["41"], now());
        assert!(own.check(&other, None, now()).starts_with("was not signed by the authority"));
        for bad in ["", &own.certificate, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"] {
            assert!(own.check(bad, None, now()).contains("list of revoked certificates"), "{bad}");
        }
    }
}
