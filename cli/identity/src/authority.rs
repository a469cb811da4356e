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

pub(crate) fn hex(bytes: &[u8]) -> String {
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

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::process::Command;

    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
    use x509_parser::prelude::{CertificateRevocationList, FromDer as _, ParsedExtension, X509Certificate};

    use super::*;

    pub(crate) fn now() -> Utc {
        Utc::parse("2026-11-30T03:12:00Z").unwrap()
    }

    pub(crate) struct Fixture {
        pub(crate) certificate: String,
        pub(crate) authority: Authority,
    }

    pub(crate) fn fixture() -> Fixture {
        let created = create("obsbus clasp 2026-11-30", now()).unwrap();
        let authority = Authority::new(&created.certificate, created.key, created.expires).unwrap();
        Fixture { certificate: created.certificate, authority }
    }

    impl Fixture {
        fn sign_at(&self, name: &str, hosts: &[&str], now: Utc) -> Signed {
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let key = new_key().unwrap();
            let kind = Kind::of(name, !hosts.is_empty());
            self.authority.sign(name, kind, &hosts, &key.subject_public_key_info(), now).unwrap()
        }

        fn sign(&self, name: &str, hosts: &[&str]) -> Signed {
            self.sign_at(name, hosts, now())
        }
    }

    fn with<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        look(&X509Certificate::from_der(&der).unwrap().1)
    }

    fn days(pem: &str) -> (i64, i64) {
        with(pem, |it| {
            let days =
                |time: x509_parser::time::ASN1Time| time.timestamp() - now().unix_milliseconds() / 1000;
            (days(it.validity().not_before), days(it.validity().not_after) / 86_400)
        })
    }

    /// Subject key identifier and authority key identifier.
    fn identifiers(pem: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        with(pem, |it| {
            let (mut own, mut issuer) = (None, None);
            for extension in it.extensions() {
                match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id.0.to_vec()),
                    ParsedExtension::AuthorityKeyIdentifier(id) => {
                        issuer = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                    }
                    _ => {}
                }
            }
            (own, issuer)
        })
    }

    #[test]
    fn certificates_begin_an_hour_ago_and_live_as_long_as_they_should() {
        let fixture = fixture();
        assert_eq!(days(&fixture.certificate), (-3600, 20 * 365 + 5));
        assert_eq!(days(&fixture.sign("alice", &[]).certificate), (-3600, 5 * 365 + 1));
        assert_eq!(days(&fixture.sign("broker", &["localhost"]).certificate), (-3600, 825));
    }

    #[test]
    fn nothing_outlives_the_authority() {
        let fixture = fixture();
        let late = now().after(AUTHORITY - Duration::from_secs(30 * 86_400));
        let signed = fixture.sign_at("alice", &[], late);
        assert_eq!(signed.expires, now().after(AUTHORITY));
        assert_eq!(days(&signed.certificate).1, 20 * 365 + 5);
    }

    #[test]
    fn a_client_is_a_client_and_a_server_a_server() {
        let fixture = fixture();
        with(&fixture.sign("alice", &[]).certificate, |it| {
            let usage = it.extended_key_usage().unwrap().unwrap().value.clone();
            assert!(usage.client_auth && !usage.server_auth && !usage.any);
            assert!(!it.basic_constraints().unwrap().unwrap().value.ca);
            assert!(it.key_usage().unwrap().unwrap().value.digital_signature());
            assert_eq!(it.subject().to_string(), "CN=alice");
        });
        with(&fixture.sign("broker", &["localhost", "b.example.org", "192.0.2.7"]).certificate, |it| {
            let usage = it.extended_key_usage().unwrap().unwrap().value.clone();
            assert!(usage.server_auth && !usage.client_auth && !usage.any);
            assert_eq!(it.subject().to_string(), "CN=b.example.org");
            let names = it.subject_alternative_name().unwrap().unwrap().value;
            assert_eq!(names.general_names.len(), 3, "{names:?}");
        });
        with(&fixture.certificate, |it| {
            let constraints = it.basic_constraints().unwrap().unwrap().value;
            assert!(constraints.ca && constraints.path_len_constraint == Some(0));
            let usage = it.key_usage().unwrap().unwrap().value;
            assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
        });
    }

    #[test]
    fn each_certificate_names_its_key_and_its_signers_and_has_a_serial_of_its_own() {
        let fixture = fixture();
        let (one, two) = (fixture.sign("alice", &[]), fixture.sign("alice", &[]));
        let (authority, _) = identifiers(&fixture.certificate);
        let (own, issuer) = identifiers(&one.certificate);
        assert!(own.is_some() && own != authority && issuer == authority && issuer.is_some());
        assert_ne!(one.serial, two.serial);
        assert_eq!(one.serial.len(), 32);
        let printed = with(&one.certificate, |it| it.raw_serial_as_string().replace(':', ""));
        assert_eq!(printed, one.serial);
    }

    #[test]
    fn a_renewed_certificate_is_for_the_same_key_and_has_another_serial() {
        let fixture = fixture();
        let public = new_key().unwrap().subject_public_key_info();
        let sign = || fixture.authority.sign("alice", Kind::Client, &[], &public, now()).unwrap();
        let (one, two) = (sign(), sign());
        assert_ne!(one.serial, two.serial);
        let key = |signed: &Signed| with(&signed.certificate, |it| it.public_key().raw.to_vec());
        assert_eq!(key(&one), key(&two));
    }

    #[test]
    fn a_request_is_read_as_it_was_made_and_a_forged_one_is_refused() {
        let key = new_key().unwrap();
        let hosts = ["b.example.org".to_owned(), "192.0.2.7".to_owned()];
        let text = request("broker", &hosts, &key).unwrap();
        let asked = asked(&text).unwrap();
        assert_eq!((asked.name.as_str(), asked.hosts.as_slice()), ("broker", hosts.as_slice()));
        assert_eq!(asked.public, key.subject_public_key_info());
        let mut forged = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(text.as_bytes())
            .unwrap()
            .as_ref()
            .to_vec();
        let at = forged.windows(6).position(|part| part == b"broker").unwrap();
        forged[at] = b'c';
        let forged = rcgen_pem(&forged);
        assert!(super::asked(&forged).err().unwrap().contains("not a request"));
    }

    fn rcgen_pem(der: &[u8]) -> String {
        let label = "CERTIFICATE REQUEST";
        pkcs8::der::pem::encode_string(label, pkcs8::LineEnding::LF, der).unwrap()
    }

    #[test]
    fn the_list_is_valid_as_long_as_the_authority_and_later_lists_have_later_dates() {
        let fixture = fixture();
        let signed = fixture.sign("alice", &[]);
        let list = |number, date| {
            let revoked = [(signed.serial.clone(), now())];
            fixture.authority.revocation_list(&revoked, number, date).unwrap()
        };
        let first = list_date(now(), None);
        assert_eq!(first, now().shifted(-3_600_000));
        assert_eq!(list_date(now(), Some(first)), first.shifted(1000));
        // The clock was set back by a day.
        assert_eq!(list_date(now().shifted(-86_400_000), Some(first)), first.shifted(1000));
        let text = list(7, first);
        let der = CertificateRevocationListDer::from_pem_slice(text.as_bytes()).unwrap();
        let (_, parsed) = CertificateRevocationList::from_der(der.as_ref()).unwrap();
        let end = now().after(AUTHORITY).unix_milliseconds() / 1000;
        assert_eq!(parsed.next_update().unwrap().timestamp(), end);
        assert_eq!(parsed.crl_number().unwrap().to_string(), "7");
        let serials: Vec<_> =
            parsed.iter_revoked_certificates().map(|it| it.raw_serial_as_string().replace(':', "")).collect();
        assert_eq!(serials, [signed.serial.as_str()]);
    }

    /// The program that the broker's library belongs to must agree.
    #[test]
    fn openssl_accepts_what_is_signed_and_refuses_what_is_revoked() {
        let fixture = fixture();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let ca = file("ca.pem", &fixture.certificate);
        let verify = |purpose: &str, certificate: &str, more: &[&str]| {
            let at = now().unix_milliseconds() / 1000;
            let mut command = Command::new("openssl");
            command.args(["verify", "-x509_strict", "-attime", &at.to_string(), "-purpose", purpose]);
            let output = command.args(["-CAfile", &ca]).args(more).arg(certificate).output();
            let output = output.expect("openssl is needed: `apt-get install openssl`");
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (alice, bob) = (fixture.sign("alice", &[]), fixture.sign("bob", &[]));
        let server = file("server.pem", &fixture.sign("broker", &["localhost", "::1"]).certificate);
        let (alice_file, bob_file) =
            (file("alice.pem", &alice.certificate), file("bob.pem", &bob.certificate));
        for (purpose, certificate) in [("sslclient", &alice_file), ("sslserver", &server)] {
            assert_eq!(verify(purpose, certificate, &[]), (true, String::new()), "{certificate}");
        }
        for (purpose, certificate) in [("sslserver", &alice_file), ("sslclient", &server)] {
            let (is_good, said) = verify(purpose, certificate, &[]);
            assert!(!is_good && said.contains("purpose"), "{certificate}: {said}");
        }
        let revoked = [(alice.serial, now())];
        let list = fixture.authority.revocation_list(&revoked, 1, list_date(now(), None)).unwrap();
        let list = file("crl.pem", &list);
        let (is_good, said) = verify("sslclient", &alice_file, &["-crl_check", "-CRLfile", &list]);
        assert!(!is_good && said.contains("revoked"), "{said}");
        assert_eq!(verify("sslclient", &bob_file, &["-crl_check", "-CRLfile", &list]), (true, String::new()));
    }
}
