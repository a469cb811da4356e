//! A new certificate authority for tests and the demo.
//!
//! Files in its folder: `ca.crt`, `server.crt`, `server.key`, `clients/<identity>.crt` and `.key`.
//! The authority's own key is never written, so nobody can sign with it later.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};

/// A client's files for mutual TLS: three PEM files, and its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The common name of the certificate, which is the client's identity.
    pub identity: String,
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The client's certificate.
    pub cert: PathBuf,
    /// Its private key, PKCS#8.
    pub key: PathBuf,
}

/// A certificate authority and the folder it writes into.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

const HOUR: Duration = Duration::from_secs(3600);
/// Default validity of certificates: far from `certificate_expiring`.
const VALID: Duration = Duration::from_secs(400 * 86_400);

impl Authority {
    /// Makes a new authority and writes `ca.crt` into `dir`, which is created.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn create(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir.join("clients")).with_context(|| format!("create {}", dir.display()))?;
        let issuer = CertifiedIssuer::self_signed(authority("obsbus test authority")?, KeyPair::generate()?)?;
        let authority = Self { issuer, dir: dir.to_owned() };
        fs::write(authority.ca(), authority.issuer.pem()).context("write ca.crt")?;
        Ok(authority)
    }

    /// The authority's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// Makes `server.crt` and `server.key`, for `localhost` and 127.0.0.1; returns their paths.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn server(&self) -> Result<(PathBuf, PathBuf)> {
        self.issue_server(VALID, |_| ())
    }

    /// As [`Self::server`], changed: to test a certificate that is refused.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn server_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Result<(PathBuf, PathBuf)> {
        self.issue_server(VALID, change)
    }

    /// As [`Self::server`], valid for `valid` from now.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn server_valid_for(&self, valid: Duration) -> Result<(PathBuf, PathBuf)> {
        self.issue_server(valid, |_| ())
    }

    fn issue_server(
        &self,
        valid: Duration,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<(PathBuf, PathBuf)> {
        let mut params = params("localhost", vec!["localhost".to_owned(), "127.0.0.1".to_owned()], valid)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        self.sign(&params, self.dir.join("server.crt"), self.dir.join("server.key"))
    }

    /// The files of `identity`: made at the first call, the same ones afterwards.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn client(&self, identity: &str) -> Result<ClientFiles> {
        let files = self.client_files(identity);
        if files.cert.exists() { Ok(files) } else { self.client_valid_for(identity, VALID) }
    }

    /// As [`Self::client`], but always new, and valid for `valid` from now: to test a certificate
    /// that expires, or is replaced under a running daemon.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn client_valid_for(&self, identity: &str, valid: Duration) -> Result<ClientFiles> {
        self.client_with(identity, valid, |_| ())
    }

    /// As [`Self::client_valid_for`], changed.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn client_with(
        &self,
        identity: &str,
        valid: Duration,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<ClientFiles> {
        let files = self.client_files(identity);
        let mut params = params(identity, Vec::new(), valid)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.sign(&params, files.cert.clone(), files.key.clone())?;
        Ok(files)
    }

    /// An authority that this one has signed. It writes into the same folder; what it signs does not
    /// contain its own certificate.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn intermediate(&self, name: &str) -> Result<Self> {
        let issuer = CertifiedIssuer::signed_by(authority(name)?, KeyPair::generate()?, &*self.issuer)?;
        Ok(Self { issuer, dir: self.dir.clone() })
    }

    /// A revocation list (PEM) with the certificates of these serial numbers, which counts from an hour
    /// ago for `valid`.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn revocation_list(&self, serials: &[u64], valid: Duration) -> Result<String> {
        let now = rcgen::date_time_ymd(1970, 1, 1) + since_1970();
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - HOUR,
            next_update: now - HOUR + valid,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&*self.issuer)?.pem()?)
    }

    fn client_files(&self, identity: &str) -> ClientFiles {
        // A test may use an identity that is not a file name, such as `a/b`.
        let name = identity.replace('/', "%2F");
        let clients = self.dir.join("clients");
        ClientFiles {
            identity: identity.to_owned(),
            ca: self.ca(),
            cert: clients.join(format!("{name}.crt")),
            key: clients.join(format!("{name}.key")),
        }
    }

    fn sign(&self, params: &CertificateParams, cert: PathBuf, key: PathBuf) -> Result<(PathBuf, PathBuf)> {
        let pair = KeyPair::generate()?;
        let certificate = params.signed_by(&pair, &*self.issuer)?;
        fs::write(&cert, certificate.pem()).with_context(|| format!("write {}", cert.display()))?;
        write_private(&key, &pair.serialize_pem())?;
        Ok((cert, key))
    }
}

fn authority(name: &str) -> Result<CertificateParams> {
    let mut params = params(name, Vec::new(), VALID)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

#[expect(clippy::disallowed_methods, reason = "a certificate's dates are the machine's own")]
fn since_1970() -> Duration {
    Duration::from_millis(u64::try_from(bus::clock::Now::read().utc.unix_milliseconds()).unwrap_or(0))
}

fn params(common_name: &str, names: Vec<String>, valid: Duration) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_1970();
    // An hour in the past, so that a clock that is set back does not make it "not yet valid".
    params.not_before = now - HOUR;
    params.not_after = now + valid;
    Ok(params)
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("create {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))
}
