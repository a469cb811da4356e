//! From the parsed command line to the report.

use std::path::PathBuf;

use bus::topic::{NAME_ALPHABET, is_name};
use clap::ArgMatches;

use crate::context::Context;
use crate::control;
use crate::failure::Failure;
use crate::install;
use crate::issue::{self, Wanted};
use crate::list;
use crate::machine::Machine;
use crate::name::check_host;
use crate::passphrase::Source;
use crate::renew;
use crate::revoke;
use crate::vault;

/// Runs `obsbus identity ...`; returns the text for standard output, and the exit code. `site` is the one of the common
/// options.
///
/// # Errors
/// What stood in the way, and what to do.
pub fn run(matches: &ArgMatches, site: Option<String>) -> Result<(String, u8), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Failure::usage("no such command"));
    };
    let context = context(matches, site)?;
    let hosts = || texts(matches, "server");
    let login = || text(matches, "user");
    let service = text(matches, "service");
    let out = || path(matches, "out").unwrap_or_else(|| PathBuf::from("."));
    let file = |name| path(matches, name).unwrap_or_default();
    let name_of = || text(matches, "name").unwrap_or_default();
    let report = match name {
        "init" => issue::init(&context, !matches.get_flag("no-passphrase")),
        "issue" => issue::issue(&context, &wanted(matches)),
        "request" => install::request(&context, &name_of(), &hosts(), login(), service.as_deref(), &out()),
        "sign" => issue::sign(&context, &file("file"), &out()),
        "allow" => control::allow_by_name(&context.machine, &name_of(), &texts(matches, "bridges")),
        "install" => install::install(&context, &file("folder"), login(), service.as_deref()),
        "renew" if matches.get_flag("due") => {
            let within = matches.get_one::<i64>("within").copied().unwrap_or_default();
            return renew::renew_due(&context, within);
        }
        "renew" => renew::renew(&context, &texts(matches, "names"), &hosts(), &out()),
        "revoke" => match path(matches, "crl") {
            Some(list) => revoke::revoke_here(&context, &name_of(), &list),
            None => revoke::revoke(&context, &name_of()),
        },
        "crl" => revoke::list(&context),
        "list" => list::list(&context, matches.get_flag("json")),
        _ => Err(Failure::usage("no such command")),
    };
    report.map(|text| (text, 0))
}

#[expect(clippy::disallowed_methods, reason = "certificates begin today")]
fn context(matches: &ArgMatches, site: Option<String>) -> Result<Context, Failure> {
    if let Some(site) = site.as_deref().filter(|site| !is_name(site)) {
        return Err(Failure::usage(format!("--site {site:?}: expected {NAME_ALPHABET}")));
    }
    let root = path(matches, "root").unwrap_or_else(|| PathBuf::from("/"));
    let root = std::path::absolute(&root).map_err(|error| Failure::io("find", &root, &error))?;
    let machine = Machine::new(&root);
    let broker = text(matches, "broker");
    broker.iter().try_for_each(|host| check_host("--broker", host))?;
    Ok(Context {
        ca: path(matches, "ca").unwrap_or_else(|| machine.at(vault::DEFAULT)),
        passphrase: path(matches, "passphrase-file").map_or(Source::Terminal, Source::File),
        machine,
        site,
        broker,
        now: bus::clock::Now::read().utc,
    })
}

fn wanted(matches: &ArgMatches) -> Wanted {
    Wanted {
        names: texts(matches, "names"),
        hosts: texts(matches, "server"),
        install: matches.get_flag("install"),
        control: matches.contains_id("control").then(|| texts(matches, "control")),
        out: path(matches, "out").unwrap_or_else(|| PathBuf::from(".")),
        login: text(matches, "user"),
        service: text(matches, "service"),
    }
}

fn path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    matches.try_get_one::<PathBuf>(name).ok().flatten().cloned()
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

fn texts(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.try_get_many::<String>(name).ok().flatten().into_iter().flatten().cloned().collect()
}
