//! `init` and `issue`: an authority, and identities of it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bus::clock::Utc;
use bus::settings::Address;
use rcgen::PublicKeyData as _;
use zeroize::Zeroizing;

use crate::acl::{self, Role};
use crate::authority::{self, Asked, Authority};
use crate::broker;
use crate::context::Context;
use crate::control;
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
    /// Let people and services command these bridges of this machine; all of them if it names none.
    pub(crate) control: Option<Vec<String>>,
    /// The folder in which each identity gets one.
    pub(crate) out: PathBuf,
    /// For which user of this machine.
    pub(crate) login: Option<String>,
    /// For which service of this machine.
    pub(crate) service: Option<String>,
}

/// One identity that may be issued.
struct Planned {
    name: String,
    kind: Kind,
    hosts: Vec<String>,
    target: Target,
    was_revoked: bool,
    /// The public key of a request; `None`: a key is made.
    public: Option<Vec<u8>>,
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
    if wanted.names.iter().collect::<BTreeSet<_>>().len() < wanted.names.len() {
        return Err(Failure::usage("a name is given twice: expected different names"));
    }
    let planned = wanted.names.iter().map(|name| plan(context, &vault, wanted, name));
    let planned: Vec<Planned> = planned.collect::<Result<_, _>>()?;
    let bridges =
        wanted.control.as_ref().map(|names| control::settings(&context.machine, names)).transpose()?;
    let authority = vault.unlock(&context.passphrase, context.now)?;
    let mut report = String::new();
    for planned in &planned {
        report += &issue_one(context, &mut vault, &authority, planned)?;
        if planned.kind == Kind::Client {
            report += &lines(match &bridges {
                Some(bridges) => control::allow(&context.machine, bridges, &planned.name)?,
                None => vec![rights(&context.machine, &planned.name)],
            });
        }
    }
    Ok(report)
}

/// Signs a request that was made on another machine.
///
/// # Errors
/// The request is not valid; and as [`issue`].
pub(crate) fn sign(context: &Context, request: &Path, out: &Path) -> Result<String, Failure> {
    let mut vault = Vault::open(&context.ca)?;
    let Asked { name, hosts, public } = authority::asked(&files::read(request)?)
        .map_err(|error| Failure::new(format!("{} {error}", request.display())))?;
    let kind = Kind::of(&name, !hosts.is_empty());
    // Whoever signs has read the name of the file. Another name in it may be one that may command.
    if request.file_stem() != Some(name.as_ref()) {
        return Err(Failure::new(format!(
            "{} asks to be {name:?}: expected the name of its file; whoever sent it may not be {name:?}. If that is \
             right, name the file {name}.csr",
            request.display()
        )));
    }
    hosts.iter().try_for_each(|host| name::check_host("--server", host))?;
    let was_revoked = check(context, &vault, &name, kind)?.is_denied;
    let target = folder(out, &name)?;
    let planned = Planned { name, kind, hosts, target, was_revoked, public: Some(public) };
    let authority = vault.unlock(&context.passphrase, context.now)?;
    let mut report = issue_one(context, &mut vault, &authority, &planned)?;
    if planned.kind == Kind::Client {
        report += &lines([rights(&context.machine, &planned.name)]);
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
    let Known { role, is_denied } = check(context, vault, name, kind)?;
    if wanted.control.is_some() && kind == Kind::Client {
        let rules = files::read_if_there(&context.machine.acl())?.unwrap_or_default();
        control::check_may_command(&rules, name)?;
    }
    if wanted.install && kind == Kind::Client && role == Role::Service && wanted.service.is_none() {
        return Err(Failure::usage(format!(
            "{name} is a service in the broker's access rules, and where its files belong is not known here: expected \
             --service NAME, or no --install to get a folder with them"
        )));
    }
    let hosts = match kind {
        Kind::Server => server_names(&wanted.hosts)?,
        Kind::Bridge | Kind::Client => Vec::new(),
    };
    let target = if wanted.install {
        let destination = Destination::of(name, kind, &context.machine, wanted.service.as_deref(), || {
            context.told(wanted.login.clone())
        })?;
        destination.check_absent(&vault.certificate)?;
        if kind == Kind::Server {
            broker::check_list(&context.machine, &vault.certificate)?;
        }
        Target::Machine(Box::new(destination))
    } else {
        if kind == Kind::Client {
            context.told(None)?.check()?;
        }
        folder(&wanted.out, name)?
    };
    Ok(Planned { name: name.to_owned(), kind, hosts, target, was_revoked: is_denied, public: None })
}

fn folder(out: &Path, name: &str) -> Result<Target, Failure> {
    let folder = out.join(name);
    if files::is_there(&folder) { Err(files::exists(&folder)) } else { Ok(Target::Folder(folder)) }
}

/// What the broker's access rules have for a name that may be issued.
struct Known {
    role: Role,
    /// Because it was revoked.
    is_denied: bool,
}

fn check(context: &Context, vault: &Vault, name: &str, kind: Kind) -> Result<Known, Failure> {
    let acl = files::read_if_there(&context.machine.acl())?.unwrap_or_default();
    let role = acl::role(&acl, name);
    name::check(name, kind, role, &context.panel_users()?)?;
    if let Some(entry) = vault.register.current(name) {
        return Err(issued_already(entry, context.now));
    }
    if !broker::trusts(&context.machine, &vault.certificate) {
        // Its rules are about the identities of another authority.
        return Ok(Known { role, is_denied: false });
    }
    if acl::is_denied(&acl::allow_again(&acl, name), name) {
        return Err(Failure::new(format!(
            "{} denies everything to {name}: remove its lines `user {name}` and `topic deny #` first",
            context.machine.acl().display()
        )));
    }
    Ok(Known { role, is_denied: acl::is_denied(&acl, name) })
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
pub(crate) fn server_names(wanted: &[String]) -> Result<Vec<String>, Failure> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut names: Vec<String> = wanted.iter().map(|host| host.to_ascii_lowercase()).collect();
    for host in own.into_iter().chain(Machine::host()) {
        if !names.contains(&host) {
            names.push(host);
        }
    }
    names.iter().try_for_each(|host| name::check_host("--server", host))?;
    Ok(names)
}

fn issue_one(
    context: &Context,
    vault: &mut Vault,
    authority: &Authority,
    planned: &Planned,
) -> Result<String, Failure> {
    let Planned { name, kind, hosts, target, was_revoked, .. } = planned;
    let key = Key::new(planned)?;
    let signed = authority.sign(name, *kind, hosts, &key.public, context.now)?;
    vault.register.certificates.push(Entry {
        name: name.clone(),
        kind: *kind,
        serial: signed.serial.clone(),
        issued: context.now,
        expires: signed.expires,
        hosts: hosts.clone(),
        handed_out: false,
        installed: None,
        revoked: None,
    });
    // Nothing is handed out that is not in the register: nobody could revoke it.
    vault.keep(&signed)?;
    let private = key.private.as_ref().map(|text| text.as_str());
    let delivery = Delivery { certificate: &signed.certificate, key: private, authority: &vault.certificate };
    let mut report = headline(name, *kind, hosts, signed.expires);
    let installed = match target {
        Target::Machine(destination) => {
            let remarks = destination.deliver(delivery)?;
            report += &lines(destination.places().into_iter().chain(remarks));
            Some(destination.certificate.clone())
        }
        Target::Folder(folder) => {
            write_folder(context, vault, folder, name, *kind, delivery)?;
            report += &lines(handing_over(folder, name, private.is_some()));
            None
        }
    };
    vault.handed_out(&signed.serial, installed)?;
    if *was_revoked {
        report += &lines(broker::allow_again(&context.machine, name)?);
    } else if vault.register.has_revoked(name) && !broker::is_here(&context.machine) {
        report += &lines([format!(
            "{name} was revoked before: on the broker's machine, remove `user {name}` and `topic deny #` from \
             /etc/mosquitto/obsbus.acl, then systemctl restart mosquitto (a reload is not enough)"
        )]);
    }
    if let (Kind::Server, Target::Machine(_)) = (kind, target) {
        report += &lines([broker::restart(&context.machine)]);
    }
    Ok(report)
}

/// The key of a certificate that is to be signed.
struct Key {
    /// DER, SubjectPublicKeyInfo.
    public: Vec<u8>,
    /// PEM; `None`: it stays where the request was made.
    private: Option<Zeroizing<String>>,
}

impl Key {
    fn new(planned: &Planned) -> Result<Self, Failure> {
        if let Some(public) = &planned.public {
            return Ok(Self { public: public.clone(), private: None });
        }
        let key = authority::new_key()?;
        let private = Some(Zeroizing::new(key.serialize_pem()));
        Ok(Self { public: key.subject_public_key_info(), private })
    }
}

/// What was signed, in one line.
pub(crate) fn headline(name: &str, kind: Kind, hosts: &[String], expires: Utc) -> String {
    let of = if hosts.is_empty() { String::new() } else { format!(", for {}", hosts.join(", ")) };
    format!("{name}: a {}'s certificate, valid until {}{of}\n", kind.word(), day(expires))
}

fn rights(machine: &Machine, name: &str) -> String {
    if let Some(file) = control::listing(machine, name).first() {
        return format!("{name} may command already: the name stands in {}", file.display());
    }
    let rules = files::read_if_there(&machine.acl()).ok().flatten().unwrap_or_default();
    if acl::role(&rules, name) == Role::Service {
        return format!("{name} may read everything, and publish what the broker's access rules grant it");
    }
    format!(
        "{name} may read everything; to let {name} command, on the bridge's machine: obsbus identity allow {name}"
    )
}

/// A folder with everything that another machine needs.
pub(crate) fn write_folder(
    context: &Context,
    vault: &Vault,
    folder: &Path,
    name: &str,
    kind: Kind,
    delivery: Delivery<'_>,
) -> Result<(), Failure> {
    let mut files = vec![NewFile::public(folder.join("ca.pem"), delivery.authority)];
    if let (Kind::Client, Some(_)) = (kind, delivery.key) {
        let told = context.told(None)?;
        let mut brokers: Vec<Address> = Vec::new();
        for here in told.brokers {
            let Address { host, port } = here;
            let address = Address { host: broker_of_others(context, vault, host), port };
            if !brokers.contains(&address) {
                brokers.push(address);
            }
        }
        let authority = Path::new("ca.pem");
        let access = Access { identity: name, sites: &told.sites, brokers: &brokers, authority };
        files.push(NewFile::public(folder.join("client.toml"), &person::client_settings(&access)));
    }
    if let Some(key) = delivery.key {
        files.push(NewFile::secret(folder.join(format!("{name}.key")), key));
    }
    files.push(NewFile::public(folder.join(format!("{name}.pem")), delivery.certificate));
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        files::make_folder(parent, 0o755, None)?;
    }
    // Somebody else may have made it meanwhile, to own what is in it.
    files::make_new_folder(folder, 0o700, None)?;
    files::place(&files)
}

/// The broker's host as other machines know it; `here` is how this one does.
fn broker_of_others(context: &Context, vault: &Vault, here: String) -> String {
    if context.broker.is_some() || !is_loopback(&here) {
        return here;
    }
    let hosts = vault.register.current(BROKER).map(|entry| entry.hosts.as_slice()).unwrap_or_default();
    hosts.iter().find(|host| !is_loopback(host)).cloned().or_else(Machine::host).unwrap_or(here)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What to do with a folder.
pub(crate) fn handing_over(folder: &Path, name: &str, has_key: bool) -> [String; 2] {
    let what = if has_key { "; it holds the private key: delete it afterwards" } else { "" };
    [
        format!("{}: carry this folder to the machine of {name}{what}", folder.display()),
        format!("there, as root or as the person it is for: obsbus identity install {name}"),
    ]
}

/// Lines that belong to the line above.
pub(crate) fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("  {line}\n")).collect()
}
