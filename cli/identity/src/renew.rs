//! `renew`: another certificate for the same key.
//!
//! The key stays: so only one file changes, a program that reads at any moment gets a pair, and nothing
//! secret is carried anywhere. Whose key may be known to others is revoked and issued anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bus::settings::account::Account;
use rustix::process::geteuid;

use crate::authority::Authority;
use crate::broker;
use crate::context::Context;
use crate::destination::{self, Delivery};
use crate::failure::Failure;
use crate::files;
use crate::issue::{handing_over, headline, lines, write_folder};
use crate::machine::Machine;
use crate::name::{self, BROKER, Kind};
use crate::passphrase::Source;
use crate::register::{Entry, day, days_between};
use crate::vault::{Vault, facts};

/// An authority that ends sooner has to be replaced soon.
const AUTHORITY_DAYS: i64 = 2 * 365;

/// Renews these identities; `hosts` are added to a server's names.
///
/// # Errors
/// One was never issued, or is revoked; all of them are checked first.
pub(crate) fn renew(
    context: &Context,
    names: &[String],
    hosts: &[String],
    out: &Path,
) -> Result<String, Failure> {
    let mut vault = Vault::open(&context.ca)?;
    hosts.iter().try_for_each(|host| name::check_host("--server", host))?;
    let entries: Vec<Entry> = names.iter().map(|name| renewable(&vault, name)).collect::<Result<_, _>>()?;
    if let Some(entry) = entries.iter().find(|entry| !hosts.is_empty() && entry.kind != Kind::Server) {
        return Err(Failure::usage(format!("--server: {} is not a server", entry.name)));
    }
    let authority = vault.unlock(&context.passphrase, context.now)?;
    let mut report = String::new();
    for mut entry in entries {
        for host in hosts.iter().map(|host| host.to_ascii_lowercase()) {
            if !entry.hosts.contains(&host) {
                entry.hosts.push(host);
            }
        }
        report += &renew_one(context, &mut vault, &authority, &entry, out)?;
    }
    Ok(report)
}

fn renewable(vault: &Vault, name: &str) -> Result<Entry, Failure> {
    if let Some(entry) = vault.register.current(name) {
        return Ok(entry.clone());
    }
    let revoked =
        vault.register.certificates.iter().rev().find(|entry| entry.name == name && entry.revoked.is_some());
    Err(Failure::new(match revoked.and_then(|entry| entry.revoked) {
        Some(date) => format!(
            "{name} was revoked on {}, and its key stays refused: `obsbus identity issue {name}` makes a new one",
            day(date)
        ),
        None => format!("{name} was not issued yet: `obsbus identity issue {name}`"),
    }))
}

fn renew_one(
    context: &Context,
    vault: &mut Vault,
    authority: &Authority,
    entry: &Entry,
    out: &Path,
) -> Result<String, Failure> {
    let Entry { name, kind, hosts, .. } = entry;
    let old = vault.issued(&entry.serial)?;
    let public = facts(&old)
        .map_err(|error| Failure::new(format!("the copy of {name}'s certificate {error}")))?
        .public;
    let folder = out.join(name);
    let place =
        places(&context.machine, entry).into_iter().find(|file| has_key(&context.machine, file, &public));
    if place.is_none() && files::is_there(&folder) {
        return Err(files::exists(&folder));
    }
    let signed = authority.sign(name, *kind, hosts, &public, context.now)?;
    vault.register.certificates.push(Entry {
        serial: signed.serial.clone(),
        issued: context.now,
        expires: signed.expires,
        handed_out: false,
        installed: None,
        ..entry.clone()
    });
    vault.keep(&signed)?;
    let mut report = headline(name, *kind, hosts, signed.expires);
    if let Some(file) = &place {
        as_owner_of(&context.machine, file, || destination::replace(file, &signed.certificate))?;
        report += &lines([file.display().to_string()]);
        report += &lines(broker::reload_user_of(&context.machine, name, *kind));
    } else {
        let delivery =
            Delivery { certificate: &signed.certificate, key: None, authority: &vault.certificate };
        write_folder(context, vault, &folder, name, *kind, delivery)?;
        report += &lines(handing_over(&folder, name, false));
    }
    vault.handed_out(&signed.serial, place)?;
    Ok(report)
}

/// The files of this machine that may hold an identity's certificate.
fn places(machine: &Machine, entry: &Entry) -> Vec<PathBuf> {
    let usual = match entry.kind {
        Kind::Server if name::is_broker(&entry.name) => Some(machine.broker().certificate),
        Kind::Bridge => Some(machine.bridge(&entry.name).certificate),
        Kind::Server | Kind::Client => None,
    };
    entry.installed.clone().into_iter().chain(usual).collect()
}

/// Whether `file` is a certificate for this public key.
fn has_key(machine: &Machine, file: &Path, public: &[u8]) -> bool {
    let text = as_owner_of(machine, file, || files::read(file));
    text.is_ok_and(|text| facts(&text).is_ok_and(|facts| facts.public == public))
}

/// Runs `work` with the rights of whoever can replace a part of the path of `file`: root must not follow
/// the links in somebody else's folder.
fn as_owner_of<T: Send>(
    machine: &Machine,
    file: &Path,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    match stranger_on(machine, file).filter(|_| geteuid().is_root()) {
        None => work(),
        Some(folder) => {
            let (uid, gid) = (folder.uid(), folder.gid());
            let owner = Account { name: uid.to_string(), uid, gid, groups: Vec::new() };
            owner.run(work).map_err(|error| Failure::new(format!("cannot act as user {uid}: {error}")))?
        }
    }
}

/// The first part of the path of `file` that is not root's, links not followed.
fn stranger_on(machine: &Machine, file: &Path) -> Option<fs::Metadata> {
    let root = machine.at("/");
    let parts: Vec<&Path> = file.ancestors().take_while(|part| part.starts_with(&root)).collect();
    parts.into_iter().rev().filter_map(|part| fs::symlink_metadata(part).ok()).find(|part| part.uid() != 0)
}

/// A certificate of this machine that ends soon.
struct Due {
    name: String,
    file: PathBuf,
    days: i64,
    is_registered: bool,
}

/// Renews what this machine uses and what ends within `within` days. Without a way to sign, it says what
/// to type, and with what is left to do the exit code is 1.
///
/// # Errors
/// A file cannot be read or written.
pub(crate) fn renew_due(context: &Context, within: i64) -> Result<(String, u8), Failure> {
    let vault = match context.ca.join("ca.pem").exists() {
        true => Some(Vault::open(&context.ca)?),
        false => None,
    };
    let mut due = due_here(context, vault.as_ref(), within);
    let mut warnings = Vec::new();
    let mut report = String::new();
    if let Some(mut vault) = vault {
        warnings.extend(authority_ends(&vault, context));
        warnings.extend(due_elsewhere(&vault, context, within, &due));
        let nobody_types = context.passphrase == Source::Terminal && !io::stdin().is_terminal();
        let can_sign = !(vault.is_protected() && nobody_types);
        let names: BTreeSet<String> =
            due.iter().filter(|due| due.is_registered).map(|due| due.name.clone()).collect();
        if can_sign && !names.is_empty() {
            let authority = vault.unlock(&context.passphrase, context.now)?;
            for name in &names {
                let entry = renewable(&vault, name)?;
                report += &renew_one(context, &mut vault, &authority, &entry, Path::new("."))?;
            }
            due.retain(|due| !due.is_registered);
        }
    }
    warnings.extend(due.iter().map(Due::warning));
    let code = u8::from(!warnings.is_empty());
    if report.is_empty() && warnings.is_empty() {
        report = format!("nothing that this machine uses ends within {within} days\n");
    }
    Ok((report + &warnings.iter().map(|warning| format!("{warning}\n")).collect::<String>(), code))
}

impl Due {
    fn warning(&self) -> String {
        let Self { name, file, days, is_registered } = self;
        let ends = ends(*days);
        let file = file.display();
        match is_registered {
            true => format!("{name}: {file} {ends}: obsbus identity renew {name}"),
            false => {
                // The certificate does not say under which name of a broker it was issued.
                let note =
                    if name == BROKER { " (a further broker: its own name, such as broker-b)" } else { "" };
                format!(
                    "{name}: {file} {ends}: on the machine with the authority, obsbus identity renew {name}; then here \
                     obsbus identity install {name}{note}"
                )
            }
        }
    }
}

fn ends(days: i64) -> String {
    if days < 0 { format!("expired {} days ago", -days) } else { format!("expires in {days} days") }
}

/// What programs of this machine use.
fn due_here(context: &Context, vault: Option<&Vault>, within: i64) -> Vec<Due> {
    let machine = &context.machine;
    let mut found = BTreeSet::from([(BROKER.to_owned(), machine.broker().certificate)]);
    for folder in fs::read_dir(machine.at("/etc/obsbus")).into_iter().flatten().flatten() {
        // A service may have several: its own, and those of its callers.
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if let Some(name) = file.file_name().to_string_lossy().strip_suffix(".pem") {
                found.insert((name.to_owned(), file.path()));
            }
        }
    }
    let registered = vault.into_iter().flat_map(|vault| vault.register.newest());
    let installed = registered.filter(|entry| entry.revoked.is_none());
    found.extend(installed.filter_map(|entry| Some((entry.name.clone(), entry.installed.clone()?))));
    let due = found.into_iter().filter_map(|(name, file)| {
        let facts = facts(&as_owner_of(machine, &file, || files::read(&file)).ok()?).ok()?;
        if vault.is_some_and(|vault| vault.register.is_revoked(&name)) {
            return None;
        }
        let days = days_between(context.now, facts.expires);
        let is_registered = vault.is_some_and(|vault| {
            let copy = vault.register.current(&name).and_then(|entry| vault.issued(&entry.serial).ok());
            copy.and_then(|copy| crate::vault::facts(&copy).ok())
                .is_some_and(|own| own.public == facts.public)
        });
        (days <= within).then_some(Due { name, file, days, is_registered })
    });
    due.collect()
}

/// What other machines use.
fn due_elsewhere(vault: &Vault, context: &Context, within: i64, here: &[Due]) -> Vec<String> {
    let entries = vault.register.newest().into_iter();
    let due = entries.filter(|entry| entry.is_in_use() && entry.days_left(context.now) <= within);
    let due = due.filter(|entry| !here.iter().any(|due| due.name == entry.name));
    due.map(|entry| {
        let ends = ends(entry.days_left(context.now));
        format!("{0}, used on another machine, {ends}: obsbus identity renew {0}", entry.name)
    })
    .collect()
}

fn authority_ends(vault: &Vault, context: &Context) -> Option<String> {
    let days = days_between(context.now, vault.expires);
    (days <= AUTHORITY_DAYS).then(|| {
        format!(
            "the authority itself expires on {}, and nothing that it signs is valid for longer: begin anew in good \
             time (docs/identities.md)",
            day(vault.expires)
        )
    })
}
