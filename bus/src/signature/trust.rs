//! Verifies signatures: by the authority that signs the clients' certificates, and its list of those
//! that are revoked. Time is an argument; only [`TrustFiles::read`] reads files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertRevocationListError, CertificateError, Error, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::algorithm::Algorithm;
use super::jws::{Parts, TYPE};
use crate::clock::Utc;
use crate::message::echo;
use crate::settings::{FileError, read_file};
use crate::topic::Identity;

/// Longest signature, bytes: certificates for one and its intermediate authorities, with RSA keys.
const SIZE_LIMIT: usize = 32 * 1024;
/// Most certificates of a chain.
const CHAIN_LIMIT: usize = 6;

/// Where the authority and its list are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFiles {
    /// The authority that signs the clients' certificates (PEM).
    pub authority: PathBuf,
    /// Its list of revoked certificates (PEM).
    pub revoked: PathBuf,
}

/// Why no signature can be verified.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say what is wrong")]
pub enum TrustError {
    #[error("the authority {} {problem}", path.display())]
    Authority { path: PathBuf, problem: FileError },
    #[error("{} holds no usable certificate of an authority (PEM): {problem}", path.display())]
    NoAuthority { path: PathBuf, problem: String },
    #[error(
        "the list of revoked certificates {} cannot be used: {problem}; expected the list that `obsbus identity crl` \
         makes",
        path.display()
    )]
    UnusableList { path: PathBuf, problem: String },
    #[error(
        "{} holds {number} lists of one authority, and nobody can know which one counts: expected the newest alone",
        path.display()
    )]
    SeveralLists { path: PathBuf, number: usize },
    #[error(
        "the list of revoked certificates {} {problem}; expected the list that `obsbus identity crl` makes",
        path.display()
    )]
    Revoked { path: PathBuf, problem: FileError },
    #[error(
        "{} holds no list of revoked certificates (-----BEGIN X509 CRL-----): expected the list that `obsbus \
         identity crl` makes",
        .0.display()
    )]
    NoList(PathBuf),
    #[error(
        "the list of revoked certificates {} was not signed by the authority {}: expected that authority's own \
         list, which `obsbus identity crl` makes",
        revoked.display(), authority.display()
    )]
    OtherList { authority: PathBuf, revoked: PathBuf },
}

impl TrustFiles {
    /// Reads both as they are now.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn read(&self) -> Result<Trust, TrustError> {
        let Self { authority, revoked } = self;
        let bytes = read_file(authority)
            .map_err(|problem| TrustError::Authority { path: authority.clone(), problem })?;
        let unusable = |problem: String| TrustError::NoAuthority { path: authority.clone(), problem };
        let read = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
        let authorities = read.map_err(|error| unusable(error.to_string()))?;
        if authorities.is_empty() {
            return Err(unusable("there is none in it".to_owned()));
        }
        let bytes =
            read_file(revoked).map_err(|problem| TrustError::Revoked { path: revoked.clone(), problem })?;
        let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&bytes)
            .collect::<Result<_, _>>()
            .map_err(|_| TrustError::NoList(revoked.clone()))?;
        if lists.is_empty() {
            return Err(TrustError::NoList(revoked.clone()));
        }
        for authority_of_list in lists.iter().map(|list| signers(&authorities, list)) {
            let signed = authority_of_list.ok_or_else(|| TrustError::NoList(revoked.clone()))?;
            if signed.is_empty() {
                return Err(TrustError::OtherList { authority: authority.clone(), revoked: revoked.clone() });
            }
        }
        Trust::new(&authorities, &lists).map_err(|wrong| match wrong {
            Unusable::Authority(problem) => unusable(problem),
            Unusable::List(problem) => TrustError::UnusableList { path: revoked.clone(), problem },
            Unusable::Several(number) => TrustError::SeveralLists { path: revoked.clone(), number },
        })
    }
}

/// Those of `authorities`, by number, that have signed `list`; `None` if it cannot be read.
fn signers(
    authorities: &[CertificateDer<'_>],
    list: &CertificateRevocationListDer<'_>,
) -> Option<Vec<usize>> {
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    let has_signed = |der: &CertificateDer<'_>| {
        X509Certificate::from_der(der).is_ok_and(|(_, it)| {
            // The name alone proves nothing: an authority that was made anew has the same.
            let verified = || match list.verify_signature(it.public_key()) {
                // Whoever verifies the certificates decides.
                Err(X509Error::SignatureUnsupportedAlgorithm) => true,
                verified => verified.is_ok(),
            };
            it.subject() == list.issuer() && verified()
        })
    };
    Some(authorities.iter().enumerate().filter_map(|(at, der)| has_signed(der).then_some(at)).collect())
}

fn is_named_in(authority: &CertificateDer<'_>, list: &CertificateRevocationListDer<'_>) -> bool {
    let authority = X509Certificate::from_der(authority);
    let list = CertificateRevocationList::from_der(list);
    authority.is_ok_and(|(_, it)| list.is_ok_and(|(_, list)| it.subject() == list.issuer()))
}

/// Why no [`Trust`] can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// One of the authorities cannot be used, for this reason.
    Authority(String),
    /// One of the lists cannot be used, for this reason.
    List(String),
    /// So many lists of one authority.
    Several(usize),
}

/// Why a signature is refused; the text says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongSignature(String);

/// The authority of the clients, and its list of revoked certificates.
#[derive(Clone, Debug)]
pub struct Trust {
    /// One for each authority. Two of them may have the same name, and a list is found by the name of
    /// its authority.
    judges: Vec<Arc<dyn ClientCertVerifier>>,
    /// When the first of the lists runs out.
    ends: Option<Utc>,
}

impl Trust {
    /// With these authorities and their lists.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn new(
        authorities: &[CertificateDer<'_>],
        lists: impl AsRef<[CertificateRevocationListDer<'static>]>,
    ) -> Result<Self, Unusable> {
        let lists = lists.as_ref();
        // Without any list nobody would be looked up.
        if lists.is_empty() || authorities.is_empty() {
            return Err(Unusable::List("there is none".to_owned()));
        }
        let signed_by: Vec<_> =
            lists.iter().map(|list| signers(authorities, list).unwrap_or_default()).collect();
        let ends = lists.iter().filter_map(list_end).min();
        let mut judges = Vec::new();
        for (at, authority) in authorities.iter().enumerate() {
            let own = signed_by.iter().filter(|signed_by| signed_by.contains(&at)).count();
            if own > 1 {
                return Err(Unusable::Several(own));
            }
            // Those of a namesake would hide its own; those of other names are of intermediate authorities.
            let of_it = lists.iter().zip(&signed_by).filter(|(list, signed_by)| {
                own == 0 || signed_by.contains(&at) || !is_named_in(authority, list)
            });
            judges.push(judge(authority, of_it.map(|(list, _)| list.clone()).collect())?);
        }
        Ok(Self { judges, ends })
    }

    /// Why every signature is refused at `now`, if that is so.
    #[must_use]
    pub fn problem(&self, now: Utc) -> Option<String> {
        let ends = self.ends.filter(|ends| *ends <= now)?;
        let (ends, now) = (ends.in_words(), now.in_words());
        Some(format!("the list of revoked certificates expired on {ends}; this host's clock says {now}"))
    }

    /// Verifies that `by` has signed `payload` for `topic`; `signature` is the value of the property.
    /// How old the request may be is not decided here.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn verify(
        &self,
        signature: &str,
        topic: &str,
        by: &Identity,
        payload: &[u8],
        now: Utc,
    ) -> Result<(), WrongSignature> {
        if signature.len() > SIZE_LIMIT {
            let bytes = signature.len();
            return wrong(format!("the signature has {bytes} bytes: expected {SIZE_LIMIT} at most"));
        }
        let (parts, header) = Parts::read(signature).map_err(|problem| {
            WrongSignature(format!(
                "the signature {problem}: expected BASE64URL(header)..BASE64URL(signature), as in docs/signatures.md"
            ))
        })?;
        if header.typ != TYPE {
            return wrong(format!(
                "the signature has the type \"{}\": expected \"{TYPE}\"",
                echo(&header.typ)
            ));
        }
        if header.topic != topic {
            return wrong(format!(
                "the signature is for \"{}\", and the command came on \"{}\": sign the topic that you publish on",
                echo(&header.topic),
                echo(topic)
            ));
        }
        let chain = chain(&header.x5c)?;
        let Some((own, others)) = chain.split_first() else {
            return wrong(
                "the signature has no certificate: expected x5c with the signer's own certificate first",
            );
        };
        let Ok((_, certificate)) = X509Certificate::from_der(own) else {
            return wrong("the first certificate in x5c is not valid X.509: expected the signer's own");
        };
        // First the name: whoever has a certificate at all may learn what is wrong with it.
        is_of(&certificate, by)?;
        let seconds = u64::try_from(now.unix_milliseconds() / 1000).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.verify_chain(own, others, at).map_err(|error| refused(by, &error, now))?;
        if let Ok(Some(usage)) = certificate.key_usage()
            && !usage.value.digital_signature()
        {
            return wrong(format!(
                "the certificate of {by} may not sign: expected the key usage digitalSignature, or none"
            ));
        }
        let key = certificate.public_key();
        let Some(algorithm) = Algorithm::of(key) else {
            return wrong(format!(
                "the certificate of {by} has a key of another kind: expected RSA, ECDSA P-256 or P-384, or Ed25519"
            ));
        };
        if header.alg != algorithm.name() {
            let (is, expected) = (echo(&header.alg), algorithm.name());
            return wrong(format!("the signature is \"{is}\", and a key like that of {by} makes {expected}"));
        }
        if !algorithm.verifies(&key.subject_public_key.data, &parts.message(payload), &parts.signature) {
            return wrong(format!(
                "the signature does not belong to this payload and the key of {by}: sign the bytes that you publish"
            ));
        }
        Ok(())
    }

    /// Whether one of the authorities vouches for it.
    fn verify_chain(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> Result<(), Error> {
        let is_elsewhere = |error: &Error| {
            matches!(
                error,
                Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
            )
        };
        let mut wrong = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        for judge in &self.judges {
            match judge.verify_client_cert(own, others, at) {
                Ok(_) => return Ok(()),
                // What its own authority says is more than that it is not another's.
                Err(error) if is_elsewhere(&wrong) => wrong = error,
                Err(_) => {}
            }
        }
        Err(wrong)
    }
}

/// Judges the clients of one authority. Who is neither on a list nor known to be on none is refused, and
/// so is everybody when the list has run out.
fn judge(
    authority: &CertificateDer<'_>,
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Arc<dyn ClientCertVerifier>, Unusable> {
    let mut roots = RootCertStore::empty();
    let added = roots.add(authority.clone().into_owned());
    added.map_err(|error| Unusable::Authority(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| match error {
            VerifierBuilderError::InvalidCrl(error) => Unusable::List(format!("{error:?}")),
            other => Unusable::Authority(other.to_string()),
        })
}

fn list_end(list: &CertificateRevocationListDer<'static>) -> Option<Utc> {
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    Utc::from_unix_milliseconds(list.next_update()?.timestamp().saturating_mul(1000))
}

fn wrong<T>(words: impl Into<String>) -> Result<T, WrongSignature> {
    Err(WrongSignature(words.into()))
}

fn chain(x5c: &[String]) -> Result<Vec<CertificateDer<'static>>, WrongSignature> {
    if x5c.len() > CHAIN_LIMIT {
        let count = x5c.len();
        return wrong(format!("x5c has {count} certificates: expected {CHAIN_LIMIT} at most"));
    }
    let decoded = x5c.iter().map(|text| STANDARD.decode(text).map(CertificateDer::from));
    decoded.collect::<Result<_, _>>().map_err(|error| {
        WrongSignature(format!("x5c has a certificate that is not base64 (with padding) of DER: {error}"))
    })
}

fn is_of(certificate: &X509Certificate<'_>, by: &Identity) -> Result<(), WrongSignature> {
    let names: Vec<_> = certificate.subject().iter_common_name().map(|name| name.as_slice()).collect();
    match names.as_slice() {
        [name] if *name == by.as_str().as_bytes() => Ok(()),
        [name] => wrong(format!(
            "the certificate is that of \"{}\", and the command came as {by}: sign with the key of {by}",
            echo(&String::from_utf8_lossy(name))
        )),
        names => wrong(format!("the certificate has {} common names: expected one, \"{by}\"", names.len())),
    }
}

fn no_list(whose: &str) -> String {
    format!(
        "whether {whose} was revoked is not known: the bridge has no list of the authority that signed it"
    )
}

/// Why a chain is not accepted.
fn refused(by: &Identity, error: &Error, now: Utc) -> WrongSignature {
    let whose = format!("the certificate of {by}");
    if matches!(error, Error::InvalidCertRevocationList(CertRevocationListError::BadSignature)) {
        return WrongSignature(no_list(&whose));
    }
    let Error::InvalidCertificate(error) = error else {
        return WrongSignature(format!("{whose} is refused: {error}"));
    };
    WrongSignature(match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "{whose} was not signed by the authority of this bridge's clients: expected a chain up to that one"
        ),
        CertificateError::Revoked => format!("{whose} was revoked: expected one that was issued since"),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("{whose} has expired; the bridge's clock says {now}: have it renewed")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("{whose} is not valid yet; the bridge's clock says {now}: is it right?")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("{whose} is not for clients: expected the extended key usage clientAuth")
        }
        CertificateError::UnknownRevocationStatus => no_list(&whose),
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            format!(
                "the bridge's list of revoked certificates has expired (its clock says {now}): it needs a new one"
            )
        }
        other => format!("{whose} is refused: {other:?}"),
    })
}
