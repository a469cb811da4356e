//! Where the files of an identity go on a machine, and how they get there: those of the broker and of
//! the bridges belong to root and a group, those of a person to that person.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use zeroize::Zeroizing;

use bus::settings::Address;

use crate::failure::Failure;
use crate::files::{self, NewFile, Owner};
use crate::machine::Machine;
use crate::name::{BROKER, Kind, is_broker};
use crate::person::{self, Access, Person};
use crate::vault::facts;

/// The places of one identity's files.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Also the authority's certificate is needed there.
    authorities: Vec<PathBuf>,
    owner: Option<Owner>,
    key_mode: u32,
    person: Option<(Person, Settings)>,
}

/// The settings of a person's programs.
#[derive(Debug)]
struct Settings {
    told: Told,
    client: NewFile,
    /// Conveniences: one that exists stays.
    options: Vec<NewFile>,
}

/// What a person's programs are to be told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) login: Option<String>,
    pub(crate) sites: Vec<String>,
    /// At least one.
    pub(crate) brokers: Vec<Address>,
}

impl Told {
    /// Checks that settings can be made of it.
    ///
    /// # Errors
    /// The site is not known.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.sites.is_empty() {
            return Err(Failure::usage(
                "the settings need the name of the site, the first level of its topics: expected --site NAME",
            ));
        }
        Ok(())
    }
}

/// Files that are to be delivered; PEM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) certificate: &'a str,
    /// `None`: it is there already.
    pub(crate) key: Option<&'a str>,
    pub(crate) authority: &'a str,
}

impl Destination {
    /// Where `name` belongs on this machine.
    ///
    /// # Errors
    /// It has no place there.
    pub(crate) fn of(
        name: &str,
        kind: Kind,
        machine: &Machine,
        service: Option<&str>,
        told: impl FnOnce() -> Result<Told, Failure>,
    ) -> Result<Self, Failure> {
        if let (Kind::Server | Kind::Bridge, Some(_)) = (kind, service) {
            return Err(Failure::usage(format!(
                "--service: {name} is a {}'s name, and its files have a place of their own: expected the name of a client",
                kind.word()
            )));
        }
        let (pair, authorities) = match kind {
            Kind::Server if !is_broker(name) => {
                return Err(Failure::usage(format!(
                    "{name}: of the servers only brokers, {BROKER} or {BROKER}-..., have a place on a machine: \
                     `obsbus identity issue` without --install makes a folder with its files"
                )));
            }
            // The second is for the tools.
            Kind::Server => (machine.broker(), vec![machine.broker_authority(), machine.authority()]),
            Kind::Bridge => (machine.bridge(name), vec![machine.authority()]),
            Kind::Client => match service {
                Some(service) => (machine.service(service, name)?, vec![machine.authority()]),
                None => return Self::of_person(name, machine, &told()?),
            },
        };
        let owner = machine.owner_of_key(&pair)?;
        machine.make_folder_of(&pair, owner)?;
        Ok(Self {
            certificate: pair.certificate,
            key: pair.key,
            authorities,
            owner,
            key_mode: 0o640,
            person: None,
        })
    }

    fn of_person(name: &str, machine: &Machine, told: &Told) -> Result<Self, Failure> {
        let person = Person::find(told.login.as_deref())?;
        let known_as = person.folder();
        let folder = machine.at(&known_as);
        let machines = machine.authority();
        // Only root writes below /etc.
        let authority =
            if geteuid().is_root() || machines.exists() { machines } else { folder.join("ca.pem") };
        let own_path = machine.own_path(&authority);
        let access =
            Access { identity: name, sites: &told.sites, brokers: &told.brokers, authority: &own_path };
        let options = person::PROGRAMS.iter().map(|program| {
            let path = machine.at(person.settings.join(program));
            NewFile::secret(path, &person::options(&access, &known_as))
        });
        let settings = Settings {
            told: told.clone(),
            client: NewFile::public(folder.join("client.toml"), &person::client_settings(&access)),
            options: options.collect(),
        };
        Ok(Self {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
            authorities: vec![authority],
            owner: None,
            key_mode: 0o600,
            person: Some((person, settings)),
        })
    }

    /// Refuses if a file that is to be made is there already.
    ///
    /// # Errors
    /// Names it.
    pub(crate) fn check_absent(&self, authority: &str) -> Result<(), Failure> {
        self.check_authority(authority)?;
        self.check_told()?;
        self.as_owner(|| {
            let settings = self.person.iter().map(|(_, settings)| &settings.client.path);
            for path in [&self.key, &self.certificate].into_iter().chain(settings) {
                if files::is_there(path) {
                    return Err(files::exists(path));
                }
            }
            Ok(())
        })
    }

    /// Refuses if there is anything at `path`.
    ///
    /// # Errors
    /// Names it.
    pub(crate) fn check_free(&self, path: &Path) -> Result<(), Failure> {
        self.as_owner(|| if files::is_there(path) { Err(files::exists(path)) } else { Ok(()) })
    }

    fn check_told(&self) -> Result<(), Failure> {
        self.person.as_ref().map_or(Ok(()), |(_, settings)| settings.told.check())
    }

    fn check_authority(&self, authority: &str) -> Result<(), Failure> {
        for path in &self.authorities {
            if files::read_if_there(path)?.is_some_and(|there| there.trim() != authority.trim()) {
                return Err(Failure::new(format!(
                    "{} is the certificate of another authority, which the programs of this machine trust: if \
                     that one is no longer in use, move the file away first",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// Runs `work` as the owner of the files.
    fn as_owner<T: Send>(&self, work: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
        match &self.person {
            Some((person, _)) => person.run(work),
            None => work(),
        }
    }

    /// Puts new files into their places; returns remarks for people.
    ///
    /// # Errors
    /// A file exists, or cannot be written.
    pub(crate) fn deliver(&self, delivery: Delivery<'_>) -> Result<Vec<String>, Failure> {
        self.check_authority(delivery.authority)?;
        self.check_told()?;
        let folder = self.key.parent().unwrap_or(Path::new("/"));
        let (own, machines): (Vec<_>, Vec<_>) =
            self.authorities.iter().partition(|authority| authority.starts_with(folder));
        for path in machines {
            deliver_authority(path, delivery.authority)?;
        }
        self.as_owner(|| {
            let mut remarks = Vec::new();
            let mut files = Vec::new();
            if let Some((person, settings)) = &self.person {
                files::make_folder(&person_root(folder), 0o700, None)?;
                files::make_folder(folder, 0o700, None)?;
                for path in own {
                    deliver_authority(path, delivery.authority)?;
                }
                files.push(settings.client.clone());
                for file in &settings.options {
                    match files::is_there(&file.path) {
                        false => files.push(file.clone()),
                        true => remarks.push(format!(
                            "{} of {} exists and stays as it is: look whether its options are those of this identity",
                            file.path.display(),
                            person.login
                        )),
                    }
                }
            }
            if let Some(key) = delivery.key {
                files.push(NewFile::new(self.key.clone(), key, self.key_mode).owned(self.owner));
            }
            // Last: where it is, everything is.
            files.push(NewFile::public(self.certificate.clone(), delivery.certificate));
            files::place(&files)?;
            Ok(remarks)
        })
    }

    /// Puts a new key into its place, before there is a certificate.
    ///
    /// # Errors
    /// It exists, or cannot be written.
    pub(crate) fn deliver_key(&self, key: &str) -> Result<(), Failure> {
        self.as_owner(|| {
            let folder = self.key.parent().unwrap_or(Path::new("/"));
            if self.person.is_some() {
                files::make_folder(&person_root(folder), 0o700, None)?;
                files::make_folder(folder, 0o700, None)?;
            }
            files::place(&[NewFile::new(self.key.clone(), key, self.key_mode).owned(self.owner)])
        })
    }

    /// The key that is there.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read_key(&self) -> Result<Zeroizing<String>, Failure> {
        self.as_owner(|| files::read(&self.key).map(Zeroizing::new))
    }

    /// The certificate that is there, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn present(&self) -> Result<Option<String>, Failure> {
        self.as_owner(|| files::read_if_there(&self.certificate))
    }

    /// Puts a renewed certificate for the same key into the place of the old one.
    ///
    /// # Errors
    /// The one that is there has another key, or it cannot be written.
    pub(crate) fn replace(&self, certificate: &str) -> Result<(), Failure> {
        self.as_owner(|| replace(&self.certificate, certificate))
    }

    /// The lines that say where everything is.
    pub(crate) fn places(&self) -> Vec<String> {
        let settings = self.person.iter().flat_map(|(_, settings)| {
            std::iter::once(&settings.client.path).chain(settings.options.iter().map(|file| &file.path))
        });
        let own = [&self.certificate, &self.key].into_iter().chain(settings);
        own.map(|path| path.display().to_string()).collect()
    }
}

fn deliver_authority(path: &Path, authority: &str) -> Result<(), Failure> {
    if files::is_there(path) {
        return Ok(());
    }
    files::make_folder(path.parent().unwrap_or(Path::new("/")), 0o755, None)?;
    files::place(&[NewFile::public(path.to_owned(), authority)])
}

/// Puts a certificate for the same key into the place of the one in the file `path`.
///
/// # Errors
/// The one that is there has another key, or it cannot be written.
pub(crate) fn replace(path: &Path, certificate: &str) -> Result<(), Failure> {
    let public = |text: &str| facts(text).map(|facts| facts.public);
    let there = public(&files::read(path)?)
        .map_err(|error| Failure::new(format!("{} {error}, and is not replaced", path.display())))?;
    if Ok(there) != public(certificate) {
        return Err(Failure::new(format!(
            "{} is the certificate of another key, and is not replaced, because the new certificate would not fit the \
             key beside it: move both away first",
            path.display()
        )));
    }
    files::replace(path, certificate)
}

/// The folder above a person's folder.
fn person_root(folder: &Path) -> PathBuf {
    folder.parent().unwrap_or(folder).to_owned()
}
