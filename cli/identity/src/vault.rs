//! The authority's folder: its certificate and key, the register, and a copy of each certificate.
//!
//! ```text
//! ca.pem          the authority's certificate
//! ca.key          its private key, encrypted unless that was declined
//! register.toml   what was issued
//! issued/         each certificate, by its serial number
//! crl.pem         the revoked ones; only after the first revocation
//! ```

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bus::clock::Utc;
use rustix::fs::{FlockOperation, flock};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::authority::{self, Authority, Created};
use crate::failure::Failure;
use crate::files::{self, NewFile};
use crate::passphrase::Source;
use crate::protected::{self, KeyError};
use crate::register::{Register, day};

/// Where it is unless `--ca` says otherwise.
pub(crate) const DEFAULT: &str = "/var/lib/obsbus-ca";

/// An authority's folder, locked.
pub(crate) struct Vault {
    folder: PathBuf,
    pub(crate) certificate: String,
    begins: Utc,
    pub(crate) expires: Utc,
    pub(crate) register: Register,
    _lock: Option<File>,
}

impl Vault {
    /// Writes a new authority's folder.
    ///
    /// # Errors
    /// There is one, or it cannot be written.
    pub(crate) fn create(folder: &Path, created: &Created, passphrase: Option<&str>) -> Result<(), Failure> {
        check_absent(folder)?;
        let key = protected::to_pem(&created.key, passphrase).map_err(Failure::new)?;
        let parent =
            folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        files::make_folder(parent, 0o755, None)?;
        // It becomes the authority's folder when it is complete.
        let word = bus::random::word().map_err(Failure::new)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let new = parent.join(format!(".{name}.{word}.obsbus-new"));
        let result = Self::fill(&new, created, &key)
            .and_then(|()| fs::rename(&new, folder).map_err(|error| Failure::io("create", folder, &error)));
        if result.is_err() {
            let _ = fs::remove_dir_all(&new);
        }
        result?;
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(|error| Failure::io("bring to the disk", parent, &error))
    }

    fn fill(folder: &Path, created: &Created, key: &str) -> Result<(), Failure> {
        files::make_folder(folder, 0o700, None)?;
        files::make_folder(&folder.join("issued"), 0o700, None)?;
        files::place(&[
            NewFile::secret(folder.join("ca.key"), key),
            NewFile::public(folder.join("ca.pem"), &created.certificate),
            NewFile::public(folder.join("register.toml"), &Register::default().text()),
        ])
    }

    /// Opens and locks the folder.
    ///
    /// # Errors
    /// There is no authority, or another command works with it.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let vault = Self::look(folder)?;
        let lock = File::open(folder).map_err(|error| Failure::io("open", folder, &error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Failure::new(format!(
                "another obsbus identity works with {}: wait for its end (is it waiting for a passphrase?)",
                folder.display()
            ))
        })?;
        // What was read before may be old.
        Ok(Self { _lock: Some(lock), ..Self::look(&vault.folder)? })
    }

    /// Reads the folder, whoever else works with it.
    ///
    /// # Errors
    /// There is no authority.
    pub(crate) fn look(folder: &Path) -> Result<Self, Failure> {
        if !folder.join("ca.pem").exists() {
            return Err(match fs::symlink_metadata(folder.join("ca.pem")) {
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    Failure::io("enter", folder, &error)
                }
                _ => Failure::new(format!(
                    "there is no authority in {}: make one with `obsbus identity init`, or say with --ca where \
                     it is",
                    folder.display()
                )),
            });
        }
        let certificate = files::read(&folder.join("ca.pem"))?;
        let Facts { begins, expires, .. } = facts(&certificate)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.join("ca.pem").display())))?;
        let path = folder.join("register.toml");
        let text = files::read(&path)?;
        // Each that was written begins with a comment. An empty one would let every name be issued again.
        if text.trim().is_empty() {
            return Err(Failure::new(format!(
                "{} is empty: expected what this authority has issued: put your copy of it back",
                path.display()
            )));
        }
        let register = Register::parse(&text)
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
        Ok(Self { folder: folder.to_owned(), certificate, begins, expires, register, _lock: None })
    }

    /// A file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The authority with its key, for which a passphrase may be needed.
    ///
    /// # Errors
    /// The passphrase is wrong or missing, the key is another's, or the authority has expired.
    pub(crate) fn unlock(&self, source: &Source, now: Utc) -> Result<Authority, Failure> {
        if now < self.begins {
            return Err(Failure::new(format!(
                "the date of this machine is {}, and the authority was made on {}: set the clock first",
                day(now),
                day(self.begins)
            )));
        }
        if self.expires <= now {
            return Err(Failure::new(format!(
                "the authority in {} expired on {} (is the date of this machine right?): nothing can be signed \
                 with it; docs/identities.md says how to begin anew",
                self.folder.display(),
                day(self.expires)
            )));
        }
        let path = self.path("ca.key");
        let text = zeroize::Zeroizing::new(files::read(&path).map_err(|failure| {
            if path.exists() {
                return failure;
            }
            Failure::new(format!(
                "{} is not there: if the key is kept off-line, sign where it is (obsbus identity sign), or put \
                 it back",
                path.display()
            ))
        })?);
        self.check_hidden(&path)?;
        let passphrase = match protected::is_encrypted(&text) {
            true => Some(source.get(&path)?),
            false => None,
        };
        let key = protected::from_pem(&text, passphrase.as_ref().map(|it| it.as_str())).map_err(|error| {
            let remedy = match error {
                KeyError::Passphrase => "; nothing was changed",
                _ => "",
            };
            Failure::new(format!("{} {error}{remedy}", path.display()))
        })?;
        let authority = Authority::new(&self.certificate, key, self.expires)?;
        if authority.public() != facts(&self.certificate).map_err(Failure::new)?.public {
            return Err(Failure::new(format!(
                "{} is not the key of {}: they belong to different authorities",
                path.display(),
                self.path("ca.pem").display()
            )));
        }
        Ok(authority)
    }

    /// Refuses a key that others of this machine can read, because both modes let them.
    fn check_hidden(&self, key: &Path) -> Result<(), Failure> {
        let is_open = |path: &Path| fs::metadata(path).is_ok_and(|it| it.mode() & 0o077 != 0);
        if is_open(key) && is_open(&self.folder) {
            return Err(Failure::new(format!(
                "{0} can be read by others, and whoever has it can be anybody on the bus: chmod 700 {1}; chmod 600 {0}",
                key.display(),
                self.folder.display()
            )));
        }
        Ok(())
    }

    /// Whether a passphrase is needed to sign.
    pub(crate) fn is_protected(&self) -> bool {
        fs::read_to_string(self.path("ca.key")).is_ok_and(|text| protected::is_encrypted(&text))
    }

    /// Keeps a certificate and the register on the disk.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn keep(&self, signed: &authority::Signed) -> Result<(), Failure> {
        let path = self.folder.join("issued").join(format!("{}.pem", signed.serial));
        files::put(&NewFile::public(path, &signed.certificate))?;
        self.save()
    }

    /// Notes that the certificate with this serial has left this program, and where on this machine it
    /// is read.
    ///
    /// # Errors
    /// The register cannot be written.
    pub(crate) fn handed_out(&mut self, serial: &str, installed: Option<PathBuf>) -> Result<(), Failure> {
        if let Some(entry) = self.register.entry_mut(serial) {
            entry.handed_out = true;
            entry.installed = installed;
        }
        self.save()
    }

    /// Writes the register.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        files::put(&NewFile::public(self.path("register.toml"), &self.register.text()))
    }

    /// The copy of the certificate with this serial.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn issued(&self, serial: &str) -> Result<String, Failure> {
        files::read(&self.folder.join("issued").join(format!("{serial}.pem")))
    }
}

/// Refuses a folder that has anything in it.
pub(crate) fn check_absent(folder: &Path) -> Result<(), Failure> {
    if !files::is_there(folder) {
        return Ok(());
    }
    if let Ok(text) = fs::read_to_string(folder.join("ca.pem")) {
        let until = facts(&text).map(|facts| format!(", valid until {}", day(facts.expires)));
        return Err(Failure::new(format!(
            "{} holds an authority already{}: `obsbus identity issue NAME` works with it; --ca DIR names another \
             folder",
            folder.display(),
            until.unwrap_or_default()
        )));
    }
    let mut entries = fs::read_dir(folder).map_err(|error| Failure::io("read", folder, &error))?;
    if entries.next().is_some() {
        return Err(Failure::new(format!(
            "{} exists and is not empty: expected a folder that does not exist yet",
            folder.display()
        )));
    }
    Ok(())
}

/// What a certificate says.
pub(crate) struct Facts {
    pub(crate) names: Vec<String>,
    pub(crate) begins: Utc,
    pub(crate) expires: Utc,
    /// SubjectPublicKeyInfo.
    pub(crate) public: Vec<u8>,
}

/// Reads the first certificate in `text` (PEM).
///
/// # Errors
/// There is none.
pub(crate) fn facts(text: &str) -> Result<Facts, String> {
    let none = || "holds no certificate in PEM form".to_owned();
    let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| none())?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| none())?;
    let names = certificate.subject().iter_common_name();
    let date = |time: x509_parser::time::ASN1Time| {
        Utc::from_unix_milliseconds(time.timestamp().saturating_mul(1000)).ok_or_else(none)
    };
    Ok(Facts {
        names: names.map(|name| String::from_utf8_lossy(name.as_slice()).into_owned()).collect(),
        begins: date(certificate.validity().not_before)?,
        expires: date(certificate.validity().not_after)?,
        public: certificate.public_key().raw.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn now() -> Utc {
        Utc::parse("2026-11-30T03:12:00Z").unwrap()
    }

    fn days_later(days: i64) -> Utc {
        now().shifted(days * 86_400_000)
    }

    fn made() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca");
        Vault::create(&ca, &authority::create("obsbus clasp", now()).unwrap(), None).unwrap();
        (folder, ca)
    }

    fn refused(vault: &Vault, now: Utc) -> String {
        vault.unlock(&Source::Terminal, now).err().unwrap().to_string()
    }

    #[test]
    fn an_authority_is_made_whole_or_not_at_all() {
        let (folder, ca) = made();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["ca"]);
        let again = Vault::create(&ca, &authority::create("other", now()).unwrap(), None).unwrap_err();
        assert!(again.to_string().contains("holds an authority already, valid until 2046-11-30"), "{again}");
        fs::create_dir(folder.path().join("empty")).unwrap();
        check_absent(&folder.path().join("empty")).unwrap();
        fs::write(folder.path().join("empty/file"), "").unwrap();
        let error = check_absent(&folder.path().join("empty")).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
    }

    #[test]
    fn nothing_is_signed_with_a_wrong_clock_or_an_expired_authority() {
        let (_folder, ca) = made();
        let vault = Vault::open(&ca).unwrap();
        vault.unlock(&Source::Terminal, days_later(20 * 365)).unwrap();
        let error = refused(&vault, days_later(-20_000));
        assert!(
            error.contains("the date of this machine is 1972-") && error.contains("set the clock"),
            "{error}"
        );
        let error = refused(&vault, days_later(20 * 365 + 6));
        assert!(error.contains("expired on 2046-11-30 (is the date of this machine right?)"), "{error}");
    }

    #[test]
    fn the_key_of_another_authority_signs_nothing() {
        let ((_one, ca), (_two, other)) = (made(), made());
        fs::copy(other.join("ca.key"), ca.join("ca.key")).unwrap();
        let error = refused(&Vault::open(&ca).unwrap(), now());
        assert!(
            error.contains("ca.key is not the key of ") && error.contains("different authorities"),
            "{error}"
        );
        fs::remove_file(ca.join("ca.key")).unwrap();
        let error = refused(&Vault::open(&ca).unwrap(), now());
        assert!(error.contains("sign where it is (obsbus identity sign)"), "{error}");
    }

    #[test]
    fn a_key_that_others_can_read_signs_nothing() {
        let (_folder, ca) = made();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(&ca.join("ca.key"), 0o644);
        // The folder hides it.
        Vault::open(&ca).unwrap().unlock(&Source::Terminal, now()).unwrap();
        mode(&ca, 0o755);
        let error = refused(&Vault::open(&ca).unwrap(), now());
        assert!(error.contains("can be read by others") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_register_that_cannot_be_read_is_an_error_with_its_line() {
        let (_folder, ca) = made();
        fs::write(ca.join("register.toml"), "[[certificate]]\nname = 1\n").unwrap();
        let error = Vault::open(&ca).err().unwrap().to_string();
        assert!(error.contains("register.toml cannot be read: TOML parse error at line 2"), "{error}");
        fs::write(ca.join("register.toml"), "").unwrap();
        let error = Vault::open(&ca).err().unwrap().to_string();
        assert!(
            error.contains("register.toml is empty") && error.contains("put your copy of it back"),
            "{error}"
        );
    }
}
