//! `init` and `issue`: an authority, and identities of it.

use std::path::{Path, PathBuf};

use bus::clock::Utc;
use rcgen::PublicKeyData as _;
use zeroize::Zeroizing;

use crate::acl::{self, Role};
use crate::authority::{self, Authority};
use crate::broker;
use crate::context::Context;
use crate::destination::{Delivery, Destination};
use crate::failure::Failure;
use crate::files::{self, NewFile};
use crate::machine::Machine;
use crate::name::{self, BROKER, Kind};
use crate::person::{self, Access};
use crate::register::{Entry, day};
use crate::vault::{self, Vault};

/// Makes an authority.
///
/// # Errors
/// There is one, or it cannot be written.
pub(crate) fn init(context: &Context, is_protected: bool) -> Result<String, Failure> {
    let place = context.site.clone().or_else(Machine::host).unwrap_or_else(|| "observatory".to_owned());
    // Two authorities of the same name would be taken for each other.
    let name = format!("obsbus {place} {}", day(context.now));
    let created = authority::create(&name, context.now)?;
    let folder = &context.ca;
    vault::check_absent(folder)?;
    let passphrase = match is_protected {
        true => Some(context.passphrase.choose()?),
        false => None,
    };
    Vault::create(folder, &created, passphrase.as_ref().map(|it| it.as_str()))?;
    let protection = match passphrase {
        Some(_) => "ca.key is encrypted: nobody can sign without its passphrase, and nobody can recover it",
        None => "ca.key has no passphrase: whoever reads it can be anybody on the bus",
    };
    Ok(format!(
        "{}: the authority \"{name}\", valid until {}\n{protection}\nkeep a copy of the folder elsewhere; next: \
         obsbus identity issue {BROKER} --install\n",
        folder.display(),
        day(created.expires),
    ))
}

/// What is to be issued.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) names: Vec<String>,
    /// The names under which clients reach the server.
    pub(crate) hosts: Vec<String>,
    /// Put the files into their places on this machine.
    pub(crate) install: bool,
    /// The folder in which each identity gets one.
    pub(crate) out: PathBuf,
    /// For which user of this machine.
    pub(crate) login: Option<String>,
}

/// One identity that may be issued.
struct Planned {
    name: String,
    kind: Kind,
    hosts: Vec<String>,
    target: Target,
    was_revoked: bool,
}

enum Target {
    Machine(Box<Destination>),
    Folder(PathBuf),
}

/// Issues identities. All of them are checked before the first is signed.
///
/// # Errors
/// A name is refused, was issued before, or a file exists.
pub(crate) fn issue(context: &Context, wanted: &Wanted) -> Result<String, Failure> {
    let mut vault = Vault::open(&context.ca)?;
    let planned = wanted.names.iter().map(|name| plan(context, &vault, wanted, name));
    let planned: Vec<Planned> = planned.collect::<Result<_, _>>()?;
    if let Some(twice) = wanted.names.iter().enumerate().find(|(at, name)| wanted.names[..*at].contains(name))
    {
        return Err(Failure::usage(format!("{} is named twice", twice.1)));
    }
    let authority = vault.unlock(&context.passphrase, context.now)?;
    let mut report = String::new();
    for planned in &planned {
        report += &issue_one(context, &mut vault, &authority, planned)?;
    }
    Ok(report)
}

fn plan(context: &Context, vault: &Vault, wanted: &Wanted, name: &str) -> Result<Planned, Failure> {
    let is_server = !wanted.hosts.is_empty() && wanted.names.len() == 1;
    if !wanted.hosts.is_empty() && !is_server && !wanted.names.iter().any(|name| name == BROKER) {
        return Err(Failure::usage(format!(
            "--server is for a server's certificate: expected one name, or {BROKER} among the names"
        )));
    }
    let kind = Kind::of(name, is_server);
    let acl = files::read_if_there(&context.machine.acl())?.unwrap_or_default();
    let role = acl::role(&acl, name);
    name::check(name, kind, role, &context.panel_users()?)?;
    if let Some(entry) = vault.register.current(name) {
        return Err(issued_already(entry, context.now));
    }
    if acl::is_denied(&acl::allow_again(&acl, name), name) {
        return Err(Failure::new(format!(
            "{} denies everything to {name}: remove its lines `user {name}` and `topic deny #` first",
            context.machine.acl().display()
        )));
    }
    if wanted.install && kind == Kind::Client && role == Role::Service {
        return Err(Failure::usage(format!(
            "{name} is a service in the broker's access rules, and where its files belong is not known here: leave \
             out --install to get a folder with them"
        )));
    }
    let hosts = match kind {
        Kind::Server => server_names(&wanted.hosts)?,
        Kind::Bridge | Kind::Client => Vec::new(),
    };
    let target = if wanted.install {
        let told = || context.told(wanted.login.clone());
        let destination = Destination::of(name, kind, &context.machine, told)?;
        destination.check_absent(&vault.certificate)?;
        Target::Machine(Box::new(destination))
    } else {
        let folder = wanted.out.join(name);
        if files::is_there(&folder) {
            return Err(files::exists(&folder));
        }
        Target::Folder(folder)
    };
    let was_revoked = acl::is_denied(&acl, name);
    Ok(Planned { name: name.to_owned(), kind, hosts, target, was_revoked })
}

fn issued_already(entry: &Entry, now: Utc) -> Failure {
    let Entry { name, issued, expires, .. } = entry;
    let ends = if *expires <= now { "expired" } else { "is valid until" };
    Failure::new(format!(
        "{name} was issued already on {} and {ends} {}: `obsbus identity renew {name}` prolongs it; if it is lost \
         or somebody else may have it, `obsbus identity revoke {name}` first",
        day(*issued),
        day(*expires)
    ))
}

/// The names that were asked for, and those by which this machine knows itself.
fn server_names(wanted: &[String]) -> Result<Vec<String>, Failure> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut names: Vec<String> = wanted.iter().map(|host| host.to_ascii_lowercase()).collect();
    for host in own.into_iter().chain(Machine::host()) {
        if !names.contains(&host) {
            names.push(host);
        }
    }
    names.iter().try_for_each(|host| name::check_host(host))?;
    Ok(names)
}

fn issue_one(
    context: &Context,
    vault: &mut Vault,
    authority: &Authority,
    planned: &Planned,
) -> Result<String, Failure> {
    let Planned { name, kind, hosts, target, was_revoked } = planned;
    let key = authority::new_key()?;
    let signed = authority.sign(name, *kind, hosts, &key.subject_public_key_info(), context.now)?;
    vault.register.certificates.push(Entry {
        name: name.clone(),
        kind: *kind,
        serial: signed.serial.clone(),
        issued: context.now,
        expires: signed.expires,
        hosts: hosts.clone(),
        file: String::new(),
        revoked: None,
    });
    // Nothing is handed out that is not in the register: nobody could revoke it.
    vault.keep(&signed)?;
    let key: Zeroizing<String> = Zeroizing::new(key.serialize_pem());
    let delivery =
        Delivery { certificate: &signed.certificate, key: Some(&key), authority: &vault.certificate };
    let until = day(signed.expires);
    let mut report = format!("{name}: a {}'s certificate, valid until {until}", kind.word());
    if *kind == Kind::Server {
        report += &format!(", for {}", hosts.join(", "));
    }
    report += "\n";
    let file = match target {
        Target::Machine(destination) => {
            let remarks = destination.deliver(delivery)?;
            report += &lines(destination.places().into_iter().chain(remarks));
            destination.certificate.clone()
        }
        Target::Folder(folder) => {
            write_folder(context, folder, name, *kind, delivery)?;
            report += &lines(handing_over(folder, name));
            folder.join(format!("{name}.pem"))
        }
    };
    if let Some(entry) = vault.register.entry_mut(&signed.serial) {
        entry.file = std::path::absolute(&file).unwrap_or(file).display().to_string();
    }
    vault.save()?;
    if *was_revoked {
        report += &lines(broker::allow_again(&context.machine, name)?);
    }
    if let (Kind::Server, Target::Machine(_)) = (kind, target) {
        report += &lines([broker::restart(&context.machine)]);
    }
    Ok(report)
}

/// A folder with everything that another machine needs.
fn write_folder(
    context: &Context,
    folder: &Path,
    name: &str,
    kind: Kind,
    delivery: Delivery<'_>,
) -> Result<(), Failure> {
    files::make_folder(folder, 0o700, None)?;
    let mut files = vec![NewFile::public(folder.join("ca.pem"), delivery.authority)];
    if kind == Kind::Client {
        let told = context.told(None)?;
        let authority = Path::new("ca.pem");
        let access = Access { identity: name, sites: &told.sites, broker: &told.broker, authority };
        files.push(NewFile::public(folder.join("client.toml"), &person::client_settings(&access)));
    }
    if let Some(key) = delivery.key {
        files.push(NewFile::secret(folder.join(format!("{name}.key")), key));
    }
    files.push(NewFile::public(folder.join(format!("{name}.pem")), delivery.certificate));
    files::place(&files)
}

fn handing_over(folder: &Path, name: &str) -> [String; 2] {
    [
        format!("{}: carry this folder to the machine of {name}; it holds the private key", folder.display()),
        format!(
            "there: obsbus identity install {name}   (as root for a bridge or the broker), then delete it"
        ),
    ]
}

pub(crate) fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("  {line}\n")).collect()
}
