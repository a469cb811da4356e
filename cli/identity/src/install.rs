//! `request` and `install`: on the machine that an identity is for, while the authority's key is
//! elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use bus::clock::Utc;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::acl;
use crate::authority;
use crate::broker;
use crate::context::Context;
use crate::destination::{Delivery, Destination};
use crate::failure::Failure;
use crate::files::{self, NewFile};
use crate::issue::{headline, lines, server_names};
use crate::name::{self, Kind};
use crate::register::day;
use crate::vault::facts;

/// Makes a key in its place on this machine, and a request for a certificate in `out`.
///
/// # Errors
/// The name is refused, or a file exists.
pub(crate) fn request(
    context: &Context,
    name: &str,
    hosts: &[String],
    login: Option<String>,
    service: Option<&str>,
    out: &Path,
) -> Result<String, Failure> {
    let kind = Kind::of(name, !hosts.is_empty());
    let acl = files::read_if_there(&context.machine.acl())?.unwrap_or_default();
    name::check(name, kind, acl::role(&acl, name), &context.panel_users()?)?;
    let hosts = if kind == Kind::Server { server_names(hosts)? } else { Vec::new() };
    let destination = Destination::of(name, kind, &context.machine, service, || context.told(login))?;
    let path = out.join(format!("{name}.csr"));
    for path in [&path, &destination.key] {
        destination.check_free(path)?;
    }
    let key = authority::new_key()?;
    let request = authority::request(name, &hosts, &key)?;
    destination.deliver_key(&Zeroizing::new(key.serialize_pem()))?;
    files::place(&[NewFile::public(path.clone(), &request)])?;
    Ok(format!(
        "{name}: a request for a {}'s certificate\n{}",
        kind.word(),
        lines([
            format!("{}: the private key, which stays here", destination.key.display()),
            format!("{}: carry it to the authority; there: obsbus identity sign {name}.csr", path.display()),
            format!("carry back the folder {name} that this makes; here: obsbus identity install {name}"),
        ])
    ))
}

/// The files in a folder that `issue`, `sign` or `renew` made.
struct Carried {
    name: String,
    kind: Kind,
    certificate: String,
    key: Option<Zeroizing<String>>,
    authority: String,
    hosts: Vec<String>,
    expires: Utc,
    public: Vec<u8>,
}

/// Puts what is in `folder` into its place on this machine. A renewed certificate replaces the old one
/// of the same key.
///
/// # Errors
/// The folder is not complete, its files do not belong together, or a file exists.
pub(crate) fn install(
    context: &Context,
    folder: &Path,
    login: Option<String>,
    service: Option<&str>,
) -> Result<String, Failure> {
    let carried = Carried::read(folder, context.now)?;
    let Carried { name, kind, certificate, key, authority, .. } = &carried;
    let destination = Destination::of(name, *kind, &context.machine, service, || {
        let carried = folder.join("client.toml");
        if carried.exists() { context.told_by(&carried, login) } else { context.told(login) }
    })?;
    let mut report = headline(name, *kind, &carried.hosts, carried.expires);
    if destination.present()?.is_some() {
        destination.replace(certificate)?;
        report += &lines([destination.certificate.display().to_string()]);
        report += &lines(broker::reload_user_of(&context.machine, name, *kind));
    } else {
        if *kind == Kind::Server {
            broker::check_list(&context.machine, authority)?;
        }
        let there = match key {
            Some(key) => key.clone(),
            None => destination.read_key()?,
        };
        check_key(&there, &carried.public, name)?;
        let key = key.as_ref().map(|key| key.as_str());
        let remarks = destination.deliver(Delivery { certificate, key, authority })?;
        report += &lines(destination.places().into_iter().chain(remarks));
        if *kind == Kind::Server {
            report += &lines([broker::restart(&context.machine)]);
        }
    }
    if key.is_some() {
        report += &lines([format!("now delete {}: it holds the private key", folder.display())]);
    }
    Ok(report)
}

impl Carried {
    fn read(folder: &Path, now: Utc) -> Result<Self, Failure> {
        let file = Self::certificate_in(folder)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (certificate, authority) = (files::read(&file)?, files::read(&folder.join("ca.pem"))?);
        let wrong = |error: String| Failure::new(format!("{}: {error}", file.display()));
        let Signer { is_server, hosts } = check_signature(&certificate, &authority).map_err(wrong)?;
        let facts = facts(&certificate).map_err(wrong)?;
        if facts.expires <= now {
            return Err(wrong(format!(
                "it expired on {} (is the date of this machine right?): have a new one signed",
                day(facts.expires)
            )));
        }
        let kind = Kind::of(&name, is_server);
        name::check(&name, kind, acl::Role::None, &[])?;
        if kind != Kind::Server && facts.names != [name.clone()] {
            return Err(wrong(format!(
                "it belongs to {}: expected a file of that name, as the authority made it",
                facts.names.join(", ")
            )));
        }
        let key = files::read_if_there(&folder.join(format!("{name}.key")))?.map(Zeroizing::new);
        Ok(Self {
            name,
            kind,
            certificate,
            key,
            authority,
            hosts,
            expires: facts.expires,
            public: facts.public,
        })
    }

    /// The one certificate that is not the authority's.
    fn certificate_in(folder: &Path) -> Result<PathBuf, Failure> {
        let entries = fs::read_dir(folder).map_err(|error| Failure::io("read the folder", folder, &error))?;
        let paths = entries.flatten().map(|entry| entry.path());
        let is_certificate = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".pem") && name != "ca.pem" && !name.starts_with('.')
        };
        let mut found: Vec<PathBuf> = paths.filter(is_certificate).collect();
        match (found.pop(), found.is_empty()) {
            (Some(file), true) => Ok(file),
            (file, _) => Err(Failure::usage(format!(
                "{} holds {} certificates: expected a folder that obsbus identity issue, sign or renew made, with \
                 NAME.pem and ca.pem",
                folder.display(),
                found.len() + usize::from(file.is_some())
            ))),
        }
    }
}

fn check_key(key: &str, public: &[u8], name: &str) -> Result<(), Failure> {
    let pair = KeyPair::from_pem(key)
        .map_err(|error| Failure::new(format!("{name}.key cannot be used: {error}")))?;
    if pair.subject_public_key_info() == public {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{name}.key is not the key of {name}.pem: they belong to different pairs (was the request made on this \
         machine?)"
    )))
}

/// What a certificate is for, after its signature was checked.
struct Signer {
    is_server: bool,
    hosts: Vec<String>,
}

fn check_signature(certificate: &str, authority: &str) -> Result<Signer, String> {
    let der = |text: &str, what: &str| {
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| format!("{what} holds no certificate"))
    };
    let (certificate, authority) = (der(certificate, "it")?, der(authority, "ca.pem")?);
    let parsed = X509Certificate::from_der(&certificate);
    let (_, certificate) = parsed.map_err(|_| "it holds no valid certificate".to_owned())?;
    let parsed = X509Certificate::from_der(&authority);
    let (_, authority) = parsed.map_err(|_| "ca.pem holds no valid certificate".to_owned())?;
    certificate
        .verify_signature(Some(authority.public_key()))
        .map_err(|_| "it was not signed by the authority in ca.pem beside it".to_owned())?;
    let usage = certificate.extended_key_usage().ok().flatten();
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    Ok(Signer {
        is_server: usage.is_some_and(|usage| usage.value.server_auth),
        hosts: names.filter_map(host).collect(),
    })
}

fn host(name: &x509_parser::extensions::GeneralName<'_>) -> Option<String> {
    use x509_parser::extensions::GeneralName;
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(bytes) => Some(std::net::IpAddr::from(bytes).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|it| std::net::IpAddr::from(it).to_string()),
        },
        _ => None,
    }
}
