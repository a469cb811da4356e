//! Certificates and keys as people bring them, most of them made on the spot.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::*;

/// What OpenSSL made and `rcgen` cannot make. Valid from 2026-11-30 to 2126.
const VERSION_1: &str = include_str!("fixtures/v1.crt");
const P521: &str = include_str!("fixtures/p521.crt");
const P521_AUTHORITY: &str = include_str!("fixtures/p521-ca.crt");
const RSA_1024: &str = include_str!("fixtures/rsa1024.crt");

fn now() -> Utc {
    Utc::parse("2028-02-01T12:00:00Z").unwrap()
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for name in names {
        params.distinguished_name.push(DnType::CommonName, *name);
    }
    params.not_before = date_time_ymd(2027, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params
}

fn authority(change: impl FnOnce(&mut CertificateParams)) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(&["test authority"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The files of one client in a folder of their own; good ones, until a test spoils them.
struct Files {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    broker: BrokerSettings,
}

impl Files {
    fn good() -> Self {
        Self::of(authority(|_| {}))
    }

    fn of(authority: CertifiedIssuer<'static, KeyPair>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let broker = BrokerSettings {
            host: "broker.example.org".to_owned(),
            port: 8883,
            ca_file: at("ca.pem"),
            credentials: Credentials::Certificate {
                certificate_file: at("own.pem"),
                key_file: at("own.key"),
            },
            keep_alive: std::time::Duration::from_secs(10),
        };
        let files = Self { folder, authority, broker };
        files.write("ca.pem", &files.authority.pem());
        files.sign(|_| {});
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        self.set_mode(name, 0o640);
    }

    fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A new certificate, and its key.
    fn sign(&self, change: impl FnOnce(&mut CertificateParams)) {
        self.sign_as(&["alice"], change);
    }

    fn sign_as(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let mut params = params(names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        self.write("own.pem", &params.signed_by(&key, &self.authority).unwrap().pem());
        self.write("own.key", &key.serialize_pem());
    }

    /// What is found, without the folder: `problem ca_file: ca.pem does not exist`.
    fn found(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let shown = |finding: FileFinding| {
            let severity = if finding.is_problem { "problem" } else { "warning" };
            format!("{severity} {}: {}", finding.key, finding.message.replace(&folder, ""))
        };
        check_files(&self.broker, now()).into_iter().map(shown).collect()
    }
}

/// One finding, with this beginning.
fn assert_only(found: &[String], beginning: &str) {
    assert!(found.len() == 1 && found[0].starts_with(beginning), "{found:#?}\nis not: {beginning}");
}

#[test]
fn good_files_have_nothing_wrong_with_them() {
    assert_eq!(Files::good().found(), Vec::<String>::new());
    // Without extensions about its use, and with a chain, it is good as well.
    let files = Files::good();
    files.sign(|params| params.extended_key_usages = Vec::new());
    let own = std::fs::read_to_string(files.path("own.pem")).unwrap();
    files.write("own.pem", &format!("{own}{}", files.authority.pem()));
    assert_eq!(files.found(), Vec::<String>::new());
}

#[test]
fn everything_is_found_at_once() {
    let files = Files::good();
    files.write("ca.pem", "");
    files.sign(|params| params.not_after = date_time_ymd(2028, 1, 1));
    std::fs::remove_file(files.path("own.key")).unwrap();
    assert_eq!(
        files.found(),
        [
            "problem ca_file: ca.pem holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
            "problem certificate_file: own.pem expired on 2028-01-01 00:00 UTC; this host's clock says \
             2028-02-01 12:00 UTC: have it renewed",
            "problem key_file: own.key does not exist",
        ]
    );
}

#[test]
fn what_is_no_file_is_told_from_what_is_missing() {
    let files = Files::good();
    std::fs::remove_file(files.path("ca.pem")).unwrap();
    std::fs::create_dir(files.path("ca.pem")).unwrap();
    assert_only(&files.found(), "problem ca_file: ca.pem is a folder, not a file");
    let mut files = Files::good();
    files.broker.ca_file = "/dev/null".into();
    assert_only(&files.found(), "problem ca_file: /dev/null is not a regular file");
    let files = Files::good();
    std::fs::File::create(files.path("ca.pem")).unwrap().set_len(2 * 1024 * 1024).unwrap();
    assert_only(&files.found(), "problem ca_file: ca.pem is larger than 1 MiB");
}

#[test]
fn a_certificate_must_be_valid_now() {
    let files = Files::good();
    files.sign(|params| params.not_before = date_time_ymd(2028, 3, 1));
    assert_eq!(
        files.found(),
        [
            "problem certificate_file: own.pem is not valid before 2028-03-01 00:00 UTC; this host's clock says \
          2028-02-01 12:00 UTC: is it right?"
        ]
    );
    files.sign(|params| params.not_after = date_time_ymd(2028, 3, 1));
    assert_eq!(
        files.found(),
        ["warning certificate_file: own.pem expires on 2028-03-01 00:00 UTC, in 28 days: have it renewed"]
    );
}

#[test]
fn a_certificate_of_version_1_is_refused_by_tls() {
    let files = Files::good();
    files.write("own.pem", VERSION_1);
    let found = files.found();
    assert!(
        found[0].starts_with("problem certificate_file: own.pem is an X.509 version 1 certificate"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("problem key_file: own.key is not the key of the certificate own.pem"),
        "{found:?}"
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_key_that_tls_cannot_use_is_told_by_its_kind() {
    for (text, kind) in [(P521, "ECDSA P-521"), (RSA_1024, "RSA with 1024 bits")] {
        let files = Files::good();
        files.write("own.pem", text);
        let found = files.found();
        assert_eq!(
            found.first().unwrap(),
            &format!(
                "problem certificate_file: own.pem is for a key that cannot be used, {kind} (can: RSA with 2048 \
                 to 4096 bits, ECDSA P-256 or P-384, or Ed25519): make another key, and have a certificate \
                 signed for it"
            )
        );
    }
    let files = Files::good();
    files.write("ca.pem", P521_AUTHORITY);
    let found = files.found();
    assert_eq!(
        found.first().unwrap(),
        "problem ca_file: ca.pem holds the authority \"other CA\" with a key whose signatures TLS here cannot \
         check, ECDSA P-521"
    );
}

#[test]
fn an_authoritys_certificate_is_nobodys_own() {
    let files = Files::good();
    files.sign(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_only(&files.found(), "problem certificate_file: own.pem is an authority's certificate (basicCon");
    // Also in a chain that begins at the wrong end.
    let files = Files::good();
    let own = std::fs::read_to_string(files.path("own.pem")).unwrap();
    files.write("own.pem", &format!("{}{own}", files.authority.pem()));
    let found = files.found();
    assert!(found[0].contains("own.pem is an authority's certificate"), "{found:?}");
}

#[test]
fn a_certificate_that_is_not_for_clients_is_refused_by_the_broker() {
    let files = Files::good();
    files.sign(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_only(&files.found(), "problem certificate_file: own.pem is not for clients");
    files.sign(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]);
    assert_only(&files.found(), "problem certificate_file: own.pem may not sign");
}

#[test]
fn the_common_name_must_be_an_identity() {
    for (names, message) in [
        (&["Alice B"][..], "has the common name \"Alice B\", and \"Alice B\" is not a valid identity"),
        (&["acl-canary"], "has the common name \"acl-canary\", and the identity \"acl-canary\" is reserved"),
        (&[], "has 0 common names: it must have exactly one"),
    ] {
        let files = Files::good();
        files.sign_as(names, |_| {});
        assert_only(&files.found(), &format!("problem certificate_file: own.pem {message}"));
    }
}

#[test]
fn a_certificate_of_another_authority_may_be_meant_so_it_is_a_warning() {
    let files = Files::good();
    files.write(
        "ca.pem",
        &authority(|params| {
            params.distinguished_name.push(DnType::CommonName, "another authority");
        })
        .pem(),
    );
    assert_only(
        &files.found(),
        "warning certificate_file: own.pem was not signed by the authority in ca_file",
    );
    // The same name and another key: an authority that was made anew.
    files.write("ca.pem", &authority(|_| {}).pem());
    assert_only(
        &files.found(),
        "warning certificate_file: own.pem names the authority in ca_file and was signed by another of the same",
    );
}

#[test]
fn ca_file_must_hold_an_authority_that_is_valid_and_may_sign() {
    let files = Files::good();
    let own = std::fs::read_to_string(files.path("own.pem")).unwrap();
    files.write("ca.pem", &own);
    let found = files.found();
    assert!(
        found[0].starts_with(
            "problem ca_file: ca.pem holds the certificate of \"alice\", which is not an authority"
        ),
        "{found:?}"
    );

    let files = Files::of(authority(|params| params.not_after = date_time_ymd(2028, 1, 1)));
    assert_only(
        &files.found(),
        "problem ca_file: ca.pem holds no authority that is valid now: it expired on 2028-01-01 00:00 UTC",
    );
    // While the next one is there already, the old one is in nobody's way.
    files.write("ca.pem", &format!("{}{}", files.authority.pem(), authority(|_| {}).pem()));
    assert_eq!(files.found(), Vec::<String>::new());

    let files = Files::of(authority(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]));
    assert_only(
        &files.found(),
        "problem ca_file: ca.pem holds the authority \"test authority\", whose key usage",
    );
}

#[test]
fn an_authority_that_is_called_like_the_broker_is_probably_the_brokers_own_certificate() {
    let files = Files::of(authority(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("broker.example.org".try_into().unwrap())];
    }));
    assert_only(
        &files.found(),
        "warning ca_file: ca.pem holds an authority that is called broker.example.org",
    );
}

#[test]
fn a_key_must_be_in_the_clear_and_belong_to_the_certificate() {
    let files = Files::good();
    files.write("own.key", &KeyPair::generate().unwrap().serialize_pem());
    assert_only(&files.found(), "problem key_file: own.key is not the key of the certificate own.pem");
    for text in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBK\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,A5F3\n\nAAAA\n-----END EC PRIVATE KEY-----\n",
    ] {
        files.write("own.key", text);
        assert_only(&files.found(), "problem key_file: own.key is encrypted");
    }
}

#[test]
fn a_file_with_something_else_in_it_is_told_what_it_holds() {
    let files = Files::good();
    let own = std::fs::read_to_string(files.path("own.pem")).unwrap();
    let key = std::fs::read_to_string(files.path("own.key")).unwrap();
    files.write("own.pem", &key);
    files.write("own.key", &own);
    assert_eq!(
        files.found(),
        [
            "problem certificate_file: own.pem holds a private key and no certificate: are certificate and key \
             exchanged?",
            "problem key_file: own.key holds a certificate and no private key: are certificate and key exchanged?",
        ]
    );
    for (text, message) in [
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "holds a request"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "is not valid PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is not valid X.509"),
        ("own", "holds no certificate in PEM form"),
    ] {
        files.write("own.pem", text);
        files.write("own.key", &key);
        assert_only(&files.found(), &format!("problem certificate_file: own.pem {message}"));
    }
    let files = Files::good();
    std::fs::write(files.path("own.pem"), [0x30, 0x82, 0x01, 0x00]).unwrap();
    assert_only(&files.found(), "problem certificate_file: own.pem holds no PEM text");
    let files = Files::good();
    files.write("own.key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    assert_only(&files.found(), "problem key_file: own.key holds a public key");
}

#[test]
fn a_secret_that_everybody_can_read_is_worth_a_warning() {
    let files = Files::good();
    files.set_mode("own.key", 0o644);
    assert_eq!(
        files.found(),
        ["warning key_file: own.key can be read by everybody on this host (mode 0644): chmod o= it"]
    );
}

#[test]
fn a_password_is_the_first_line_of_its_file() {
    let mut files = Files::good();
    let password_file = files.path("password");
    files.broker.credentials = Credentials::Password { username: "alice".to_owned(), password_file };
    assert_only(&files.found(), "problem password_file: password does not exist");
    files.write("password", "\nsecret\n");
    assert_only(&files.found(), "problem password_file: password has nothing in its first line");
    std::fs::write(files.path("password"), [0xFF]).unwrap();
    assert_only(&files.found(), "problem password_file: password is not UTF-8");
    files.write("password", "secret\n");
    assert_eq!(files.found(), Vec::<String>::new());
    // The broker does not look at our certificate then, so its authority's date is its own affair.
    let mut expired = Files::of(authority(|params| params.not_after = date_time_ymd(2028, 1, 1)));
    expired.broker.credentials = files.broker.credentials;
    assert_only(&expired.found(), "warning ca_file: ca.pem holds no authority that is valid now");
}
