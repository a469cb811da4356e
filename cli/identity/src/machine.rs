//! This machine: where its programs read certificates and keys, who owns them, and its service
//! manager. With `--root DIR` it is the machine whose files are below DIR.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::files::{self, Owner};

/// The group of the bridges' keys.
const BRIDGES: &str = "obsbus";
/// The group of the broker's key.
const MOSQUITTO: &str = "mosquitto";

/// A machine's files.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    root: PathBuf,
}

/// Certificate and key of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    group: Group,
}

/// The group that may read a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Named(&'static str),
    /// That of the folder, which the package of a service has made.
    OfFolder,
}

impl Machine {
    /// The machine whose root folder is `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The file or folder `path` of this machine, an absolute path.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The path by which the machine itself knows `path`.
    pub(crate) fn own_path(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).map_or_else(|_| path.to_owned(), |rest| Path::new("/").join(rest))
    }

    /// The authority's certificate, for bridges and tools.
    pub(crate) fn authority(&self) -> PathBuf {
        self.at("/etc/obsbus/ca.pem")
    }

    /// The list of revoked certificates, for bridges that verify signatures.
    pub(crate) fn revoked(&self) -> PathBuf {
        self.at("/etc/obsbus/crl.pem")
    }

    /// The authority's certificate, for the broker.
    pub(crate) fn broker_authority(&self) -> PathBuf {
        self.at("/etc/mosquitto/ca_certificates/obsbus-ca.pem")
    }

    /// The list of revoked certificates, for the broker.
    pub(crate) fn broker_revoked(&self) -> PathBuf {
        self.at("/etc/mosquitto/ca_certificates/obsbus-crl.pem")
    }

    /// The broker's access rules.
    pub(crate) fn acl(&self) -> PathBuf {
        self.at("/etc/mosquitto/obsbus.acl")
    }

    /// The rules that a revocation adds to them, once more: an upgrade can replace the access rules, and the
    /// package's script then puts these back.
    pub(crate) fn denied(&self) -> PathBuf {
        self.at("/etc/mosquitto/obsbus.revoked")
    }

    /// The broker's settings: the package's, unless a file of that name stands where the distribution's
    /// own settings look.
    pub(crate) fn broker_settings(&self) -> PathBuf {
        let by_hand = self.at("/etc/mosquitto/conf.d/obsbus.conf");
        if by_hand.is_file() { by_hand } else { self.at("/etc/mosquitto/obsbus/obsbus.conf") }
    }

    /// What mosquitto reads of the package's settings; `None` if it reads those of the site itself.
    pub(crate) fn settings_in_use(&self) -> Option<PathBuf> {
        let is_packaged = self.broker_settings().starts_with(self.at("/etc/mosquitto/obsbus"));
        is_packaged.then(|| self.at("/run/obsbus-broker/conf.d/obsbus.conf"))
    }

    /// The broker's certificate and key.
    pub(crate) fn broker(&self) -> Pair {
        Pair {
            certificate: self.at("/etc/mosquitto/certs/obsbus-server.pem"),
            key: self.at("/etc/mosquitto/certs/obsbus-server.key"),
            group: Group::Named(MOSQUITTO),
        }
    }

    /// Certificate and key of the bridge `name`.
    pub(crate) fn bridge(&self, name: &str) -> Pair {
        let folder = self.at("/etc/obsbus").join(name);
        Pair {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
            group: Group::Named(BRIDGES),
        }
    }

    /// As [`files::edit`]: of several who change files of this machine at once none undoes the work of
    /// another.
    ///
    /// # Errors
    /// As [`files::edit`].
    pub(crate) fn edit(
        &self,
        path: &Path,
        change: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<bool, Failure> {
        files::edit(path, &self.at("/run/obsbus-identity.lock"), change)
    }

    /// Certificate and key of the identity `name` that the service `service` uses.
    ///
    /// # Errors
    /// There is no such service on this machine.
    pub(crate) fn service(&self, service: &str, name: &str) -> Result<Pair, Failure> {
        let folder = self.at("/etc/obsbus").join(service);
        if !bus::topic::is_name(service) || !folder.is_dir() {
            return Err(Failure::usage(format!(
                "--service {service:?}: {} is no folder: expected the name of a service that is installed on this \
                 machine, such as obsbus-gateway",
                folder.display()
            )));
        }
        Ok(Pair {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
            group: Group::OfFolder,
        })
    }

    /// Makes the folder of a pair.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn make_folder_of(&self, pair: &Pair, owner: Option<Owner>) -> Result<(), Failure> {
        let folder = pair.key.parent().unwrap_or(&self.root);
        let mode = if pair.group == Group::Named(MOSQUITTO) { 0o755 } else { 0o750 };
        files::make_folder(folder, mode, owner)
    }

    /// Who owns the key of a pair: root, and the group of those who read it. `None` if this is not
    /// run by root: then everything belongs to its user.
    ///
    /// # Errors
    /// There is no such group.
    pub(crate) fn owner_of_key(&self, pair: &Pair) -> Result<Option<Owner>, Failure> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let Group::Named(wanted) = pair.group else { return owner_of_folder(&pair.key) };
        let groups = files::read_if_there(&self.at("/etc/group"))?.unwrap_or_default();
        let fields = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (name == wanted).then(|| fields.nth(1)?.parse().ok())?
        };
        match groups.lines().find_map(fields) {
            Some(gid) => Ok(Some(Owner { uid: 0, gid })),
            None => {
                let package = if wanted == MOSQUITTO { "mosquitto" } else { "obsbus-bridges" };
                Err(Failure::new(format!(
                    "{} has no group {}, which must be able to read {}: install {package} first, or leave out \
                     --install and carry the files to the machine where it is",
                    self.at("/etc/group").display(),
                    wanted,
                    pair.key.display()
                )))
            }
        }
    }

    /// This machine's name, if it is one that a certificate can have.
    pub(crate) fn host() -> Option<String> {
        let name = rustix::system::uname().nodename().to_str().ok()?.to_ascii_lowercase();
        crate::name::check_host("", &name).is_ok().then_some(name)
    }

    /// Whether a service manager runs there that can be told.
    pub(crate) fn has_services(&self) -> bool {
        self.at("/run/systemd/system").is_dir()
    }

    /// Runs `systemctl` with these words; whether it succeeded.
    pub(crate) fn systemctl(&self, words: &[&str]) -> bool {
        let mut command = Command::new("systemctl");
        let quiet = command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.has_services() && quiet.status().is_ok_and(|status| status.success())
    }
}

/// Root, and the group of the folder of `file`.
fn owner_of_folder(file: &Path) -> Result<Option<Owner>, Failure> {
    let folder = file.parent().unwrap_or(file);
    let gid = fs::metadata(folder).map_err(|error| Failure::io("read", folder, &error))?.gid();
    if gid == 0 {
        return Err(Failure::new(format!(
            "{} has the group root, and the service could not read the key: expected the group of the service, which \
             its package makes: install that first",
            folder.display()
        )));
    }
    Ok(Some(Owner { uid: 0, gid }))
}
