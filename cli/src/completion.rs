//! `__complete`: the candidates at the cursor, with the names of devices and sites from the settings,
//! from what was heard before, and, if that is nothing, from the broker.

use std::time::Duration;

use bus::reserved::SERVICES;
use clap::Command;
use tokio::time::timeout;

use crate::cache;
use crate::complete::{Candidate, Names, Place, place};
use crate::list;
use crate::runtime::block_on;
use crate::target::{Access, Common};
use crate::usage;

/// How long a user waits after pressing Tab.
const LIMIT: Duration = Duration::from_millis(100);

/// The completions of a program for one instrument.
pub(crate) fn of_tool(command: &Command, words: &[String], common: Common) -> Vec<Candidate> {
    match place(command, words) {
        Place::Here(candidates, names) => with_names(candidates, names, words, &typed(words, common)),
        Place::External(_) => Vec::new(),
    }
}

/// The completions of `obsbus words ...`.
pub(crate) fn of_obsbus(version: &'static str, words: &[String], common: Common) -> Vec<Candidate> {
    let common = typed(words, common);
    let external = match (service(words), place(&usage::obsbus(version), words)) {
        (Some(index), _) | (None, Place::External(index)) => index,
        (None, Place::Here(candidates, names)) => return with_names(candidates, names, words, &common),
    };
    let (Some(name), Some(rest)) = (words.get(external), words.get(external + 1..)) else {
        return Vec::new();
    };
    let find = || {
        let access = Access::find(&common).ok()?;
        let broker = access.settings.broker.clone();
        let target = access.clone().target(common.site.as_deref(), name).ok()?;
        cache::find(&broker, &target.base).or_else(|| {
            ask_around(&access);
            cache::find(&broker, &target.base)
        })
    };
    let command = match find() {
        Some(instrument) => usage::device(name, &instrument),
        None => usage::any_device(name),
    };
    match place(&command, rest) {
        // A verb stands here, not a device.
        Place::Here(candidates, Some(Names::Devices)) => candidates,
        Place::Here(candidates, names) => with_names(candidates, names, words, &common),
        Place::External(_) => Vec::new(),
    }
}

/// Where a service stands that is a device, too, if more follows: it has the commands of a device.
fn service(words: &[String]) -> Option<usize> {
    let is_option = |word: &str| word.starts_with("--");
    let index = words.iter().position(|word| SERVICES.contains(&word.as_str()))?;
    let before = words.get(..index).unwrap_or_default();
    let is_value =
        |at: usize| at.checked_sub(1).and_then(|at| before.get(at)).is_some_and(|it| is_option(it));
    let is_first = before.iter().enumerate().all(|(at, word)| is_option(word) || is_value(at));
    (is_first && index + 1 < words.len()).then_some(index)
}

/// The common options among the words that were typed. bash makes three words of `--site=clasp`.
fn typed(words: &[String], common: Common) -> Common {
    let words: Vec<String> = words.iter().filter(|word| *word != "=").cloned().collect();
    usage::scanned(&words, common)
}

fn with_names(
    mut candidates: Vec<Candidate>,
    names: Option<Names>,
    words: &[String],
    common: &Common,
) -> Vec<Candidate> {
    let begin = words.last().map(String::as_str).filter(|word| *word != "=").unwrap_or_default();
    match names {
        Some(Names::Devices) => candidates.extend(devices(begin, common)),
        Some(Names::Sites) => {
            let sites = Access::find(common).map(|access| access.settings.sites).unwrap_or_default();
            let sites = sites.into_iter().filter(|site| site.starts_with(begin));
            candidates.extend(sites.map(|site| Candidate::new(site, "")));
        }
        None => {}
    }
    candidates
}

/// The devices whose names begin with `begin`.
fn devices(begin: &str, common: &Common) -> Vec<Candidate> {
    let Ok(access) = Access::find(common) else { return Vec::new() };
    let Ok(sites) = access.sites(common.site.as_deref()) else { return Vec::new() };
    let known = || {
        let all = sites.iter().flat_map(|site| cache::devices(&access.settings.broker, site));
        all.collect::<Vec<_>>()
    };
    let mut bases = known();
    if bases.is_empty() {
        ask_around(&access);
        bases = known();
    }
    let is_clear = access.settings.site.is_some() || common.site.is_some();
    let candidates = bases.into_iter().map(|base| {
        let label = cache::find(&access.settings.broker, &base);
        let label = label.map(|instrument| instrument.label().to_owned()).unwrap_or_default();
        let is_short = is_clear && !begin.contains('/');
        Candidate::new(if is_short { base.device().to_owned() } else { base.to_string() }, label)
    });
    candidates.filter(|candidate| candidate.word.starts_with(begin)).collect()
}

/// Collects the devices for as long as a user waits after pressing Tab.
fn ask_around(access: &Access) {
    let heard = block_on(async {
        // Messages that come in time are cached for the next completion.
        let _ = timeout(LIMIT, list::fetch(access, &access.settings.sites)).await;
        Ok(0)
    });
    // An error has no reader here.
    drop(heard);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_the_commands_of_a_device() {
        let of = |words: &[&str]| service(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["alert", ""]), Some(0));
        assert_eq!(of(&["--site", "clasp", "alert", "a"]), Some(2));
        for other in [&["ale"] as &[&str], &["alert"], &["list", "alert", ""], &["device", "alert", ""]] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }
}
