//! What an authority signs: its own certificate, those of the identities, and the list of those that
//! are revoked. Time is an argument; nothing here touches a file.

use std::net::IpAddr;
use std::time::Duration;

use bus::clock::Utc;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData, RevokedCertParams, SanType, SerialNumber, SubjectPublicKeyInfo,
};

use crate::failure::Failure;
use crate::name::Kind;

/// The authority's own certificate: 20 years.
const AUTHORITY: Duration = Duration::from_secs(20 * 365 * 86_400 + 5 * 86_400);
/// An identity's: 5 years.
const CLIENT: Duration = Duration::from_secs(5 * 365 * 86_400 + 86_400);
/// A server's: some clients refuse one that is valid for longer.
const SERVER: Duration = Duration::from_secs(825 * 86_400);

/// A new authority.
pub(crate) struct Created {
    pub(crate) key: KeyPair,
    /// PEM.
    pub(crate) certificate: String,
    pub(crate) expires: Utc,
}

/// A certificate that was signed.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// PEM.
    pub(crate) certificate: String,
    /// Hexadecimal.
    pub(crate) serial: String,
    pub(crate) expires: Utc,
}

/// An authority that can sign.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    expires: Utc,
}

/// Makes an authority called `name`.
///
/// # Errors
/// There are no random numbers.
pub(crate) fn create(name: &str, now: Utc) -> Result<Created, Failure> {
    let key = KeyPair::generate().map_err(failed)?;
    let expires = now.after(AUTHORITY);
    let mut params = params(name, now, expires)?;
    // It signs leaves and no further authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(failed)?.pem();
    Ok(Created { key, certificate, expires })
}

impl Authority {
    /// The authority with this certificate (PEM) and key.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub(crate) fn new(certificate: &str, key: KeyPair, expires: Utc) -> Result<Self, Failure> {
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(failed)?;
        Ok(Self { issuer, expires })
    }

    /// Signs a certificate for `name`, whose public key is `public` (DER, SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// A host's name is not valid, or the key is of another kind.
    pub(crate) fn sign(
        &self,
        name: &str,
        kind: Kind,
        hosts: &[String],
        public: &[u8],
        now: Utc,
    ) -> Result<Signed, Failure> {
        let public = SubjectPublicKeyInfo::from_der(public).map_err(failed)?;
        let (lifetime, usage) = match kind {
            Kind::Server => (SERVER, ExtendedKeyUsagePurpose::ServerAuth),
            Kind::Bridge | Kind::Client => (CLIENT, ExtendedKeyUsagePurpose::ClientAuth),
        };
        // A certificate that outlives its authority promises what nobody keeps.
        let expires = now.after(lifetime).min(self.expires);
        let mut params = params(common_name(name, kind, hosts), now, expires)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.subject_alt_names = hosts.iter().map(|host| alternative(host)).collect::<Result<_, _>>()?;
        let serial = hex(params.serial_number.as_ref().map(SerialNumber::as_ref).unwrap_or_default());
        let certificate = params.signed_by(&public, &self.issuer).map_err(failed)?.pem();
        Ok(Signed { certificate, serial, expires })
    }

    /// The list of revoked certificates: serials with their dates. It is valid as long as the
    /// authority, because a list that has run out locks everybody out.
    ///
    /// `number` counts the lists; for `date` see [`list_date`].
    ///
    /// # Errors
    /// A serial is not valid.
    pub(crate) fn revocation_list(
        &self,
        revoked: &[(String, Utc)],
        number: u64,
        date: Utc,
    ) -> Result<String, Failure> {
        let entries = revoked.iter().map(|(serial, date)| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from(unhex(serial)?),
                revocation_time: offset(*date),
                reason_code: None,
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: offset(date),
            next_update: offset(self.expires),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: entries.collect::<Result<_, Failure>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(failed)
    }

    /// Its public key, SubjectPublicKeyInfo.
    pub(crate) fn public(&self) -> Vec<u8> {
        self.issuer.key().subject_public_key_info()
    }
}

/// The date of a new list of revoked certificates; `previous` is the date of the list before.
///
/// Mosquitto keeps the old list beside the new one, and OpenSSL uses the one with the later date:
/// two lists must not have the same date.
pub(crate) fn list_date(now: Utc, previous: Option<Utc>) -> Utc {
    let now = earlier(now);
    previous.map_or(now, |previous| now.max(previous.shifted(1000)))
}

/// A clock that is an hour slow must not find something new not yet valid.
fn earlier(now: Utc) -> Utc {
    now.shifted(-3_600_000)
}

/// A new key for an identity.
pub(crate) fn new_key() -> Result<KeyPair, Failure> {
    KeyPair::generate().map_err(failed)
}

/// What a request asks for.
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) hosts: Vec<String>,
    /// DER, SubjectPublicKeyInfo.
    pub(crate) public: Vec<u8>,
}

/// Reads a request (PEM), and checks that whoever made it has the key.
///
/// # Errors
/// It is none, or asks for something else than [`request`] does.
pub(crate) fn asked(text: &str) -> Result<Asked, String> {
    let read = CertificateSigningRequestParams::from_pem(text);
    let request =
        read.map_err(|error| format!("is not a request that `obsbus identity request` made: {error}"))?;
    let Some(DnValue::Utf8String(name)) = request.params.distinguished_name.get(&DnType::CommonName) else {
        return Err("names nobody: expected a common name".to_owned());
    };
    let host = |name: &SanType| match name {
        SanType::DnsName(name) => Ok(name.as_str().to_owned()),
        SanType::IpAddress(address) => Ok(address.to_string()),
        _ => Err("asks for names that are neither hosts nor addresses".to_owned()),
    };
    Ok(Asked {
        name: name.clone(),
        hosts: request.params.subject_alt_names.iter().map(host).collect::<Result<_, _>>()?,
        public: request.public_key.subject_public_key_info(),
    })
}

/// A request (PEM) that names an identity and the server's names; `key` signs it.
pub(crate) fn request(name: &str, hosts: &[String], key: &KeyPair) -> Result<String, Failure> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = hosts.iter().map(|host| alternative(host)).collect::<Result<_, _>>()?;
    params.serialize_request(key).and_then(|request| request.pem()).map_err(failed)
}

/// The identity is a client's common name; a server is known by its names.
fn common_name<'a>(name: &'a str, kind: Kind, hosts: &'a [String]) -> &'a str {
    let own = hosts.iter().find(|host| host.parse::<IpAddr>().is_err() && *host != "localhost");
    match (kind, own) {
        (Kind::Server, Some(host)) if host.len() <= 64 => host,
        _ => name,
    }
}

fn params(common_name: &str, now: Utc, expires: Utc) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = offset(earlier(now));
    params.not_after = offset(expires);
    let mut serial = [0; 16];
    getrandom::fill(&mut serial)
        .map_err(|error| Failure::new(format!("cannot get random numbers: {error}")))?;
    // Positive, and without a leading zero, so that every program prints the same digits.
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// A date as the library has it; whole seconds.
fn offset(date: Utc) -> time::OffsetDateTime {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let seconds = date.unix_milliseconds().div_euclid(1000);
    epoch + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn alternative(host: &str) -> Result<SanType, Failure> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => host.try_into().map(SanType::DnsName).map_err(failed),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let digit = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
    bytes
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| Failure::new(format!("{text:?} is not a serial number: expected hexadecimal digits")))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: rcgen::Error) -> Failure {
    Failure::new(format!("cannot make a certificate: {error}"))
}
