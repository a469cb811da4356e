//! `revoke`: a name loses its rights at once, and its certificates open no connection any more.

use std::path::Path;

use crate::authority::{self, Authority};
use crate::broker;
use crate::context::Context;
use crate::control;
use crate::crl;
use crate::failure::Failure;
use crate::files::{self, NewFile};
use crate::issue::lines;
use crate::machine::Machine;
use crate::name::{self, Kind};
use crate::register::{Entry, RevocationList, day};
use crate::vault::Vault;

/// Revokes all certificates of `name`. Doing it again does what an interrupted run has not done.
///
/// # Errors
/// The name was never issued, or a file cannot be written.
pub(crate) fn revoke(context: &Context, name: &str) -> Result<String, Failure> {
    let mut vault = Vault::open(&context.ca)?;
    let entries: Vec<_> = vault.register.certificates.iter().filter(|entry| entry.name == name).collect();
    let Some(kind) = entries.first().map(|entry| entry.kind) else {
        return Err(Failure::new(format!(
            "{name} was not issued by the authority in {}: `obsbus identity list` shows all names",
            context.ca.display()
        )));
    };
    let last = entries.iter().map(|entry| entry.expires).max().unwrap_or(context.now);
    let authority = vault.unlock(&context.passphrase, context.now)?;
    for entry in vault.register.certificates.iter_mut().filter(|entry| entry.name == name) {
        entry.revoked.get_or_insert(context.now);
    }
    let is_here = broker::is_here(&context.machine);
    let is_trusted = is_here && broker::trusts(&context.machine, &vault.certificate);
    let list = make_list(context, &mut vault, &authority)?;
    let path = vault.path("crl.pem");
    let mut report = format!("{name}: revoked\n");
    report += &if is_trusted {
        lines(broker::revoke(&context.machine, name, kind, &list, context.now)?)
    } else {
        lines([
            match is_here {
                false => "the broker is not on this machine, and does not know it yet".to_owned(),
                true => "the broker on this machine trusts another authority; the one that trusts this does not know \
                         it yet"
                    .to_owned(),
            },
            format!("carry {} there; there: obsbus identity revoke {name} --crl crl.pem", path.display()),
        ])
    };
    if is_trusted {
        report += &lines(brokers_elsewhere(&vault, name));
    }
    report += &lines(replace_list_of_bridges(&context.machine, &list)?);
    if kind == Kind::Server {
        report += &lines([format!(
            "clients do not read the list: whoever has the key can pass for the broker until {}, unless a new \
             authority takes the place of this one (docs/identities.md)",
            day(last)
        )]);
    } else {
        report += &forbid(context, name, is_here && !is_trusted);
    }
    Ok(report)
}

/// What is left to do for a spare, or the other nodes of a cluster.
fn brokers_elsewhere(vault: &Vault, name: &str) -> Vec<String> {
    let entries = vault.register.newest().into_iter();
    let brokers = entries.filter(|entry| {
        entry.is_in_use()
            && entry.installed.is_none()
            && entry.kind == Kind::Server
            && name::is_broker(&entry.name)
    });
    let list = vault.path("crl.pem");
    let what = |entry: &Entry| {
        format!(
            "{}, on another machine, does not know it yet: carry {} there; there: obsbus identity revoke {name} \
             --crl crl.pem",
            entry.name,
            list.display()
        )
    };
    brokers.map(what).collect()
}

/// Makes the list of revoked certificates, of those in the register and in earlier lists, and keeps it.
fn make_list(context: &Context, vault: &mut Vault, authority: &Authority) -> Result<String, Failure> {
    let machine = &context.machine;
    let is_trusted = broker::is_here(machine) && broker::trusts(machine, &vault.certificate);
    // What was revoked once stays so, even if the register is an old copy of itself.
    let in_use = if is_trusted { broker::list_in_use(machine) } else { None };
    let of_bridges = files::read_if_there(&machine.revoked())?;
    let lists = [files::read_if_there(&vault.path("crl.pem"))?, in_use, of_bridges].into_iter().flatten();
    let lists: Vec<_> = lists.filter_map(|text| crl::of_authority(&text, &vault.certificate)).collect();
    let mut revoked = vault.register.revoked();
    for (serial, date) in lists.iter().flat_map(|list| &list.revoked) {
        if !revoked.iter().any(|(known, _)| known == serial) {
            revoked.push((serial.clone(), *date));
        }
    }
    let previous = vault.register.revocation_list.as_ref();
    let number = previous.map_or(1, |list| list.number + 1);
    let dates = lists.iter().map(|list| list.date).chain(previous.map(|list| list.date));
    let date = authority::list_date(context.now, dates.max());
    let list = authority.revocation_list(&revoked, number, date)?;
    vault.register.revocation_list = Some(RevocationList { number, date });
    // The register first: a run that is interrupted here can be repeated, and the list is made from it.
    vault.save()?;
    files::put(&NewFile::public(vault.path("crl.pem"), &list))?;
    Ok(list)
}

/// Gives the bridges of this machine the list, if they have one of this authority: they read it by themselves.
fn replace_list_of_bridges(machine: &Machine, list: &str) -> Result<Vec<String>, Failure> {
    let (path, authority) = (machine.revoked(), files::read_if_there(&machine.authority())?);
    let is_its = |authority: &String| crl::of_authority(list, authority).is_some();
    if !files::is_there(&path) || !authority.as_ref().is_some_and(is_its) {
        return Ok(Vec::new());
    }
    files::put(&NewFile::public(path.clone(), list))?;
    let path = path.display();
    Ok(vec![format!(
        "{path}: the bridges of this machine read it by themselves; carry it to the other machines"
    )])
}

/// `crl`: the list of revoked certificates as it is, also if it is empty, for bridges that verify signatures.
///
/// # Errors
/// There is no authority, or a file cannot be written.
pub(crate) fn list(context: &Context) -> Result<String, Failure> {
    let mut vault = Vault::open(&context.ca)?;
    let authority = vault.unlock(&context.passphrase, context.now)?;
    let list = make_list(context, &mut vault, &authority)?;
    let (path, machine) = (vault.path("crl.pem"), &context.machine);
    let mut report =
        format!("{}: {} certificates are revoked\n", path.display(), vault.register.revoked().len());
    let there = files::read_if_there(&machine.authority())?;
    let place = machine.revoked();
    if there.is_some_and(|there| there.trim() == vault.certificate.trim()) {
        files::put(&NewFile::public(place.clone(), &list))?;
        report += &lines([format!("{}: for crl_file of this machine's bridges", place.display())]);
    }
    let place = machine.own_path(&place);
    report += &lines([format!("for bridges of other machines, carry it there, as {}", place.display())]);
    Ok(report)
}

/// Takes `name` out of the lists of the bridges: it may be issued again, to somebody else. `is_other`: this
/// machine belongs to another authority.
fn forbid(context: &Context, name: &str, is_other: bool) -> String {
    let here = if is_other { Vec::new() } else { control::forbid(&context.machine, name) };
    let elsewhere = format!(
        "on other machines with bridges, take {name} out of control_clients and stop_clients, then reload the bridges"
    );
    lines(here.into_iter().chain([elsewhere]))
}

/// The broker's part of a revocation, with the list that the authority has made elsewhere.
///
/// # Errors
/// The list is not the authority's, is older than the one in use, or there is no broker here.
pub(crate) fn revoke_here(context: &Context, name: &str, list: &Path) -> Result<String, Failure> {
    let machine = &context.machine;
    if !broker::is_here(machine) {
        return Err(Failure::new(format!(
            "{} does not exist: run this on the broker's machine",
            machine.acl().display()
        )));
    }
    if !bus::topic::is_name(name) {
        return Err(Failure::usage(format!("{name:?}: expected {}", bus::topic::NAME_ALPHABET)));
    }
    let text = files::read(list)?;
    let authority = files::read(&machine.broker_authority())?;
    let in_use = broker::list_in_use(machine);
    crl::check(&text, &authority, in_use.as_deref(), context.now)
        .map_err(|error| Failure::new(format!("{} {error}", list.display())))?;
    let kind = Kind::of(name, false);
    let mut report = format!("{name}: revoked\n");
    report += &lines(broker::revoke(machine, name, kind, &text, context.now)?);
    report += &lines(replace_list_of_bridges(machine, &text)?);
    if kind != Kind::Server {
        report += &forbid(context, name, false);
    }
    if in_use.is_some_and(|in_use| in_use.trim() == text.trim()) {
        report += &lines([format!(
            "the broker had this list already: if {name} was revoked after it was made, the certificate of {name} \
             still connects, without rights: carry the newest crl.pem here"
        )]);
    }
    Ok(report)
}
