//! The completions of `obsbus`: its own words, and what the broker and the cache know of devices.

use std::time::Duration;

use tokio::time::timeout;

use crate::cache;
use crate::complete::{Candidate, Place, place};
use crate::list;
use crate::runtime::block_on;
use crate::target::{Access, Common};
use crate::usage;

/// Longest wait for a completion.
const COMPLETION_LIMIT: Duration = Duration::from_millis(200);

/// The completions of `obsbus words ...`.
pub(crate) fn completions(version: &'static str, words: &[String], common: &Common) -> Vec<Candidate> {
    let external = match place(&usage::obsbus(version), words) {
        Place::External(index) => index,
        Place::Here(mut candidates) => {
            if let (Some(last), true) = (words.last(), is_first(words)) {
                candidates.extend(devices(last, common));
            }
            return candidates;
        }
    };
    let (Some(name), Some(rest)) = (words.get(external), words.get(external + 1..)) else {
        return Vec::new();
    };
    let find = || {
        let access = Access::find(common).ok()?;
        let broker = access.settings.broker.clone();
        let target = access.clone().target(common.site.as_deref(), name).ok()?;
        cache::find(&broker, &target.base).or_else(|| {
            ask_around(&access);
            cache::find(&broker, &target.base)
        })
    };
    let instrument = find();
    let command = match &instrument {
        Some(instrument) => usage::device(name, instrument),
        None => usage::any_device(name),
    };
    match place(&command, rest) {
        Place::Here(candidates) => candidates,
        Place::External(_) => Vec::new(),
    }
}

/// Whether the last of `words` may be a device's name.
fn is_first(words: &[String]) -> bool {
    let mut before = words.iter().rev().skip(1).rev();
    while let Some(word) = before.next() {
        match word.as_str() {
            "--config" | "--site" | "--timeout" => drop(before.next()),
            "device" | "doctor" => return true,
            _ => return false,
        }
    }
    true
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
        let _ = timeout(COMPLETION_LIMIT, list::fetch(access, &access.settings.sites)).await;
        Ok(0)
    });
    // An error has no reader here.
    drop(heard);
}
