use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, SigningKey as _,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, ServerConfig, ServerConnection};

use super::*;
use crate::session::connect::{self, ClientId, Peer};
use crate::settings::Address;
use crate::settings::{Expiry, Whose};
use crate::topic::Identity;

const HOST: &str = "broker.example.org";

/// An authority, and a folder with the files of a client.
struct Site {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
    now: Utc,
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2090, 1, 1);
    params
}

impl Site {
    fn new() -> Self {
        let mut authority = params("authority", &[]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.crt"), issuer.pem()).unwrap();
        let site = Self { issuer, dir, now: Utc::parse("2026-11-20T10:32:00Z").unwrap() };
        let mut alice = params("alice", &[]);
        alice.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        site.client(&alice);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The client gets another certificate.
    fn client(&self, params: &CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &*self.issuer).unwrap();
        fs::write(self.path("alice.crt"), certificate.pem()).unwrap();
        fs::write(self.path("alice.key"), key.serialize_pem()).unwrap();
    }

    fn broker(&self) -> BrokerSettings {
        BrokerSettings {
            address: Address { host: HOST.to_owned(), port: 8883 },
            others: Vec::new(),
            ca_file: self.path("ca.crt"),
            credentials: Credentials::Certificate {
                certificate_file: self.path("alice.crt"),
                key_file: self.path("alice.key"),
            },
            keep_alive: Duration::from_secs(10),
        }
    }

    /// What our side says of a broker with this certificate, after a real handshake.
    fn meets(&self, certificate: CertificateDer<'static>, key: &KeyPair) -> String {
        self.shake(certificate, key, &Peer::default()).expect_err("it was accepted")
    }

    fn shake(&self, certificate: CertificateDer<'static>, key: &KeyPair, peer: &Peer) -> Result<(), String> {
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let certified = CertifiedKey::new(vec![certificate], key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shows(Arc::new(certified))));
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let client_config = connect::tls(&self.broker(), peer).unwrap();
        let mut client = ClientConnection::new(client_config, ServerName::try_from(HOST).unwrap()).unwrap();
        for _ in 0..10 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut wire = wire.as_slice();
            while !wire.is_empty() {
                server.read_tls(&mut wire).unwrap();
            }
            server.process_new_packets().unwrap();
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut wire = wire.as_slice();
            while !wire.is_empty() {
                client.read_tls(&mut wire).unwrap();
            }
            if let Err(error) = client.process_new_packets() {
                let place = "broker.example.org:8883";
                return Err(explain(&error, &self.broker(), place, self.now));
            }
        }
        Ok(())
    }

    /// The same, of a certificate signed by this authority.
    fn meets_with(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = params("broker", &[HOST]);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &*self.issuer).unwrap();
        self.meets(certificate.der().clone(), &key)
    }

    /// What the broker's alert means.
    fn alerted(&self, alert: AlertDescription) -> String {
        explain(&Error::AlertReceived(alert), &self.broker(), "broker.example.org:8883", self.now)
    }
}

/// Shows a certificate whatever it is.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..=127 => vec![u8::try_from(short).unwrap()],
        middle @ 128..=255 => vec![0x81, u8::try_from(middle).unwrap()],
        long => [&[0x82], u16::try_from(long).unwrap().to_be_bytes().as_slice()].concat(),
    };
    [&[tag], length.as_slice(), content].concat()
}

/// What a DER value holds, value by value.
fn values(value: &[u8]) -> Vec<&[u8]> {
    fn header_and_length(value: &[u8]) -> (usize, usize) {
        match value[1] {
            short @ 0..=127 => (2, short.into()),
            0x81 => (3, value[2].into()),
            _ => (4, u16::from_be_bytes([value[2], value[3]]).into()),
        }
    }
    let mut rest = &value[header_and_length(value).0..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (header, length) = header_and_length(rest);
        let (next, after) = rest.split_at(header + length);
        found.push(next);
        rest = after;
    }
    found
}

/// A certificate without version and extensions, which makes it one of version 1.
fn version_1(site: &Site, key: &KeyPair) -> CertificateDer<'static> {
    let certificate = params("broker", &[HOST]).signed_by(key, &*site.issuer).unwrap();
    let [tbs, algorithm, _] = values(certificate.der())[..] else { panic!("no certificate") };
    // Between the version, which comes first, and the extensions, which come last.
    let fields = values(tbs);
    let tbs = der(0x30, &fields[1..fields.len() - 1].concat());
    let signature = site.issuer.key().sign(&tbs).unwrap();
    let signature = der(0x03, &[&[0], signature.as_slice()].concat());
    der(0x30, &[tbs.as_slice(), algorithm, signature.as_slice()].concat()).into()
}

#[test]
fn a_brokers_certificate_that_is_refused_is_described_with_its_date_and_what_to_do() {
    let site = Site::new();
    let ca = site.path("ca.crt").display().to_string();
    let year = rcgen::date_time_ymd;
    type Change = Box<dyn FnOnce(&mut CertificateParams)>;
    let cases: Vec<(Change, &str)> = vec![
        (
            Box::new(move |params| params.not_after = year(2025, 3, 1)),
            "expired on 2025-03-01 00:00 UTC; this host's clock says 2026-11-20 10:32 UTC",
        ),
        (
            Box::new(move |params| params.not_before = year(2080, 3, 1)),
            "is not valid before 2080-03-01 00:00 UTC; this host's clock says 2026-11-20 10:32 UTC",
        ),
        (
            Box::new(|params| params.subject_alt_names.clear()),
            "has no subjectAltName, the only place where TLS looks for a name: have it signed again with \
             subjectAltName=DNS:broker.example.org",
        ),
        (
            Box::new(|params| {
                params.subject_alt_names = self::params("x", &["mqtt.example.org"]).subject_alt_names
            }),
            "is not valid for the name \"broker.example.org\" but for mqtt.example.org: set host",
        ),
        (
            Box::new(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            "have it signed again with extendedKeyUsage=serverAuth",
        ),
        (
            Box::new(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "is an authority's own (basicConstraints CA:TRUE)",
        ),
        (
            Box::new(|params| {
                let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                unknown.set_criticality(true);
                params.custom_extensions.push(unknown);
            }),
            "has a critical extension",
        ),
    ];
    for (change, expected) in cases {
        let sentence = site.meets_with(change);
        assert!(sentence.starts_with("the certificate of broker.example.org:8883 "), "{sentence}");
        assert!(sentence.contains(expected), "{sentence}");
    }

    let key = KeyPair::generate().unwrap();
    let sentence = site.meets(version_1(&site, &key), &key);
    assert!(sentence.contains("is an X.509 version 1 certificate"), "{sentence}");

    let other = Site::new();
    let certificate = params("broker", &[HOST]).signed_by(&key, &*other.issuer).unwrap();
    let sentence = site.meets(certificate.der().clone(), &key);
    let expected = format!("another authority of the same name as the one in ca_file {ca}");
    assert!(sentence.contains(&expected), "{sentence}");
}

#[test]
fn a_signature_that_cannot_be_checked_is_the_authoritys_fault() {
    // As rustls says it of an authority with a key on P-521.
    let problem = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
        signature_algorithm_id: Vec::new(),
        public_key_algorithm_id: Vec::new(),
    };
    let site = Site::new();
    let sentence = explain(&Error::InvalidCertificate(problem), &site.broker(), "b:8883", site.now);
    assert!(sentence.contains("its authority (ca_file ") && sentence.contains("not P-521"), "{sentence}");
}

#[test]
fn when_the_broker_refuses_ours_the_file_says_why() {
    let site = Site::new();
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut alice = params("alice", &[]);
        alice.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut alice);
        site.client(&alice);
    };
    let file = site.path("alice.crt").display().to_string();
    let refused = format!("the broker at broker.example.org:8883 refused our certificate {file}: ");

    // OpenSSL's alerts, as tried with mosquitto 2.0.
    with(&|alice| alice.not_after = rcgen::date_time_ymd(2025, 3, 1));
    let sentence = site.alerted(AlertDescription::CertificateExpired);
    let expected = format!("refused the connection: certificate_file {file} expired on 2025-03-01 00:00 UTC");
    assert!(sentence.contains(&expected), "{sentence}");

    with(&|alice| alice.not_before = rcgen::date_time_ymd(2080, 3, 1));
    let sentence = site.alerted(AlertDescription::BadCertificate);
    assert!(sentence.contains("is not valid before 2080-03-01 00:00 UTC"), "{sentence}");

    with(&|alice| alice.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let sentence = site.alerted(AlertDescription::UnsupportedCertificate);
    assert!(sentence.contains("its extended key usage lacks clientAuth"), "{sentence}");

    with(&|_| {});
    let sentence = site.alerted(AlertDescription::UnknownCA);
    assert!(sentence.starts_with(&refused) && sentence.contains("the broker's cafile"), "{sentence}");
    let sentence = site.alerted(AlertDescription::CertificateExpired);
    assert!(sentence.contains("is the broker's clock correct, and"), "{sentence}");
}

#[test]
fn a_broker_whose_key_is_of_no_use_here_is_not_said_to_have_refused_ours() {
    let sentence = Site::new().alerted(AlertDescription::HandshakeFailure);
    assert!(sentence.contains("not P-521") && !sentence.contains("our certificate"), "{sentence}");
}

fn refusal(broker: &BrokerSettings) -> String {
    let id = ClientId::random(&Identity::new("alice").unwrap()).unwrap();
    connect::options(broker, &id, Duration::from_secs(5)).err().unwrap().to_string()
}

#[test]
fn a_file_that_the_library_does_not_take_is_described_in_our_own_words() {
    let site = Site::new();
    fs::write(site.path("alice.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = refusal(&site.broker());
    let key = site.path("alice.key").display().to_string();
    assert!(error.starts_with(&format!("key_file {key} is not the key of the certificate")), "{error}");
    fs::remove_file(site.path("ca.crt")).unwrap();
    let error = refusal(&site.broker());
    assert!(error.contains("ca.crt does not exist"), "{error}");
}

#[test]
fn the_certificate_of_a_broker_that_was_accepted_tells_its_name_and_its_end() {
    let site = Site::new();
    let key = KeyPair::generate().unwrap();
    let mut good = params("broker", &[HOST]);
    good.not_after = rcgen::date_time_ymd(2030, 5, 6);
    let good = good.signed_by(&key, &*site.issuer).unwrap();
    let peer = Peer::default();
    site.shake(good.der().clone(), &key, &peer).unwrap();
    let expiry = Expiry::of_broker(&site.broker(), peer.certificate().unwrap()).unwrap();
    assert_eq!((expiry.whose, expiry.name.as_deref()), (Whose::Broker, Some("broker")));
    assert_eq!(expiry.expires.to_string(), "2030-05-06T00:00:00.000Z");
    assert!(expiry.place.starts_with(HOST), "{}", expiry.place);

    let other = params("broker", &["another.example.org"]).signed_by(&key, &*site.issuer).unwrap();
    let peer = Peer::default();
    site.shake(other.der().clone(), &key, &peer).unwrap_err();
    assert_eq!(peer.certificate(), None, "it was refused");
}
