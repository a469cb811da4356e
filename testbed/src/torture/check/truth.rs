//! The rules about states: never fresh when the device is silent, never another than what is true.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::facts::{Facts, Heard};
use crate::torture::log::{Life, Truth};

/// For a state to be published and to arrive, on a busy machine.
const LATE: f64 = 2.0;
/// A reply that is read later than this (its own limit, and half a second) is none.
const READ_LATE: f64 = 0.9;
/// A reply is logged a moment after it was handed out.
const LOGGED: f64 = 0.3;
/// A will is published within this time.
const WILL: f64 = 2.0;
/// A position counts for this time around its date: a reply is believed that was read half a second after its
/// limit, and has the date of then.
const AROUND: (f64, f64) = (1.0, 0.15);
/// What rounding to whole steps makes.
const STEPS: i32 = 2;
/// The readings of each device that must be unknown when it does not answer.
const READINGS: [(&str, &[&str]); 2] =
    [("focuser", &["current_mm", "current_steps"]), ("chiller", &["water_temp", "pump_on", "setpoint_temp"])];

fn connected(facts: &Facts) -> impl Iterator<Item = &Heard> {
    facts.states.iter().filter(|state| !state.retained && state.is("connected"))
}

/// The readings that a state has.
fn readings(state: &Heard) -> impl Iterator<Item = &'static str> {
    let of = READINGS.iter().filter(|(device, _)| *device == state.device).flat_map(|(_, keys)| *keys);
    of.copied().filter(|key| state.body.get(*key).is_some_and(|value| !value.is_null()))
}

pub(super) fn never_fresh_when_silent(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for state in connected(facts) {
        let Some(last) = facts.last_valid_reply(&state.device, state.t + LOGGED) else {
            findings.push((state.t, format!("{} is connected before it ever answered", state.device)));
            continue;
        };
        // Time in which the bridge or the broker stood still does not count.
        let stood = facts.frozen(&state.device, last, state.t) + facts.frozen("broker", last, state.t);
        let age = state.t - last - stood;
        if age > facts.serial_timeout + LATE {
            findings.push((state.t, format!("{} is connected, and was silent for {age:.1} s", state.device)));
        }
    }
    for state in facts.states.iter().filter(|state| !state.is("connected")) {
        for key in readings(state) {
            findings
                .push((state.t, format!("{} is not connected, and `{key}` is still there", state.device)));
        }
    }
    findings
}

pub(super) fn dated_by_a_reading(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for state in connected(facts) {
        let Some(date) = facts.time_of(state.text("date")) else {
            // It answers, and nothing that it said is believed yet.
            if readings(state).next().is_some() {
                findings.push((state.t, format!("{} has readings without a date", state.device)));
            }
            continue;
        };
        // A reading keeps the date that the clock had then.
        let aheads = facts.ahead(&state.device, state.t - facts.stale_after, state.t);
        let is_of_a_reply = |ahead: &f64| {
            let at = date - ahead;
            let last = facts.last_valid_reply(&state.device, at + LOGGED);
            last.is_some_and(|last| at - last <= READ_LATE + facts.frozen(&state.device, last, at))
        };
        if !aheads.iter().any(is_of_a_reply) {
            let text = format!("{} is dated {}, and gave no reply then", state.device, state.text("date"));
            findings.push((state.t, text));
        }
    }
    findings
}

pub(super) fn offline_after_death(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (t, device, life) in &facts.lives {
        if *life != Life::Killed || device == "broker" {
            continue;
        }
        let mut before = facts.availabilities.iter().rev().filter(|heard| heard.device == *device);
        let was_online = before.find(|heard| heard.t < *t).is_some_and(|heard| heard.body == "online");
        let broker_is_well = facts.is_calm("broker", t - 1.0, t + WILL);
        // It may have been about to connect again.
        let was_at_rest = !facts.had(&["frozen", "down"], device, t - 4.0, t - 0.001);
        if !was_online || !broker_is_well || !was_at_rest {
            continue;
        }
        let told = facts.availabilities.iter().any(|heard| {
            heard.device == *device && heard.body == "offline" && (*t..=t + WILL).contains(&heard.t)
        });
        if !told {
            findings
                .push((*t, format!("nobody is told within {WILL} s that the bridge of {device} was killed")));
        }
    }
    findings
}

pub(super) fn dead_say_nothing(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let down = facts.absences.iter().filter(|span| span.name == "down" && span.device != "broker");
    for span in down {
        let alive = |heard: &&Heard| {
            heard.device == span.device && !heard.retained && (span.from + LATE..span.to).contains(&heard.t)
        };
        let news =
            facts.states.iter().chain(facts.availabilities.iter().filter(|heard| heard.body != "offline"));
        for heard in news.filter(alive) {
            // A broker that hung has it from before.
            if !facts.had(&["frozen", "down"], "broker", span.from - 1.0, heard.t) {
                findings.push((
                    heard.t,
                    format!("the bridge of {} is dead, and says {}", span.device, heard.body),
                ));
            }
        }
    }
    findings
}

/// The counters that the focuser itself told within a time: between two looks at the model it may turn round.
fn steps_told(facts: &Facts, from: f64, to: f64) -> Vec<i32> {
    let of = facts
        .frames
        .iter()
        .filter(|frame| frame.device == "focuser" && !frame.from_host && (from..=to).contains(&frame.t));
    of.filter_map(|frame| frame.bytes.split_once("#P081 F ")?.1.trim_end_matches('$').parse().ok()).collect()
}

/// The counters and whether the motor turns, within a time and just before it.
fn focuser_between(facts: &Facts, from: f64, to: f64) -> Vec<(f64, i32, f64, bool)> {
    let mut last = None;
    let mut found = Vec::new();
    for (t, truth) in &facts.truths {
        let Truth::Focuser { steps, place_mm, turning, .. } = truth else { continue };
        if *t > to {
            // The way to the next one was passed, too.
            found.push((*t, *steps, *place_mm, *turning));
            break;
        }
        let entry = (*t, *steps, *place_mm, *turning);
        if *t >= from { found.push(entry) } else { last = Some(entry) }
    }
    last.into_iter().chain(found).collect()
}

pub(super) fn position_is_true(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for state in connected(facts).filter(|state| state.device == "focuser") {
        let (Some(steps), Some(date)) = (state.number("current_steps"), facts.time_of(state.text("date")))
        else {
            continue;
        };
        let aheads = facts.ahead("focuser", state.t - facts.stale_after, state.t);
        let is_near = |ahead: &f64| {
            let at = date - ahead;
            let truths = focuser_between(facts, at - AROUND.0, at + AROUND.1);
            let told = steps_told(facts, at - AROUND.0, at + AROUND.1);
            let all = || truths.iter().map(|(_, steps, ..)| *steps).chain(told.iter().copied());
            let (least, most) = (all().min().unwrap_or(i32::MIN), all().max().unwrap_or(i32::MAX));
            truths.is_empty() || (f64::from(least - STEPS)..=f64::from(most + STEPS)).contains(&steps)
        };
        // One flipped bit can make another position, since a reply has no checksum.
        let is_spoilt = facts.had(&["garbled", "truncated"], "focuser", state.t - facts.stale_after, state.t);
        if !is_spoilt && !aheads.iter().any(is_near) {
            findings.push((
                state.t,
                format!(
                    "the focuser is said to be at {steps} steps, and was not there at {}",
                    state.text("date")
                ),
            ));
        }
        let still = ["idle", "not_homed"].contains(&state.text("status"));
        let truths = focuser_between(facts, state.t - 0.5, state.t);
        // Through all of that time, and at its beginning already.
        if still && truths.len() > 2 && truths.iter().all(|(.., turning)| *turning) {
            findings
                .push((state.t, format!("the focuser is said to be {}, and turns", state.text("status"))));
        }
    }
    findings
}

pub(super) fn success_is_true(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut claims: Vec<(&str, &str, f64, f64, f64)> = Vec::new();
    let mut seen = BTreeSet::new();
    for sent in &facts.sent {
        let request = &sent.request;
        let (Some(value), Some(id)) = (request.value, &request.id) else { continue };
        // What was asked again was done the first time.
        if !seen.insert((&request.device, &request.named, id)) {
            continue;
        }
        let mut replies =
            facts.replies.iter().filter(|reply| reply.is_to(&request.device, &request.named, id));
        if let Some(reply) = replies.find(|reply| reply.text("status") == "succeeded" && reply.t >= sent.t) {
            claims.push((&request.device, &request.verb, value, sent.t, reply.t));
        }
    }
    for tool in facts.tools.iter().filter(|tool| tool.code == 0) {
        let verb = tool.words.split(' ').nth(1).unwrap_or_default();
        if let Some(value) = tool.value {
            claims.push((&tool.device, verb, value, tool.began, tool.t));
        }
    }
    for (device, verb, value, from, to) in claims {
        let is_true = match (device, verb) {
            ("focuser", "set") => focuser_between(facts, from, to + LATE)
                .iter()
                .any(|(_, _, place, turning)| !turning && (place - value).abs() < 0.002),
            ("chiller", "setpoint") => {
                chiller_between(facts, from, to + LATE).iter().any(|celsius| (celsius - value).abs() < 0.05)
            }
            _ => true,
        };
        if !is_true {
            findings
                .push((to, format!("{device}: {verb} {value} succeeded, and the device was never there")));
        }
    }
    findings
}

fn chiller_between(facts: &Facts, from: f64, to: f64) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::new();
    for (t, truth) in &facts.truths {
        if let Truth::Chiller { set_point, .. } = truth
            && *t <= to
        {
            if *t < from {
                found.clear();
            }
            found.push(*set_point);
        }
    }
    found
}

pub(super) fn retained_is_the_last(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stored in facts.states.iter().filter(|state| state.retained) {
        let Some(published) = facts.time_of(stored.text("published_at")) else { continue };
        let aheads = facts.ahead(&stored.device, stored.t - facts.stale_after - 2.0, stored.t);
        if aheads.iter().all(|ahead| stored.t - (published - ahead) > facts.stale_after + LATE) {
            let age = stored.t - published;
            findings.push((stored.t, format!("a stored state of {} is {age:.1} s old", stored.device)));
        }
        // A broker forgets at its end what it stored.
        if facts.had(&["down"], "broker", stored.t - LATE, stored.t) {
            continue;
        }
        let newest = facts
            .states
            .iter()
            .rev()
            .find(|state| state.device == stored.device && !state.retained && state.t < stored.t - 0.5);
        let Some(newest) = newest else { continue };
        let seq = |state: &Heard| state.number("seq").unwrap_or(0.0);
        let is_older = newest.text("session") == stored.text("session") && seq(stored) < seq(newest)
            || newest.text("started_at") > stored.text("started_at")
                && newest.text("session") != stored.text("session")
                && aheads.len() == 1;
        if is_older && !facts.had(&["frozen"], "broker", newest.t - 1.0, stored.t) {
            let text = format!(
                "the broker has stored an older state of {}: {} {}, and {} {} was published before",
                stored.device,
                stored.text("session"),
                seq(stored),
                newest.text("session"),
                seq(newest)
            );
            findings.push((stored.t, text));
        }
    }
    findings
}

pub(super) fn in_order(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut last: BTreeMap<(&str, &str, &str), f64> = BTreeMap::new();
    let mut newest: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for state in facts.states.iter().filter(|state| !state.retained) {
        let seq = state.number("seq").unwrap_or(-1.0);
        let before = newest.insert((&state.who, &state.device), state.text("session"));
        if before.is_some_and(|before| before != state.text("session"))
            && last.contains_key(&(state.who.as_str(), state.device.as_str(), state.text("session")))
            && !facts.had(&["frozen"], "broker", state.t - LATE, state.t)
        {
            let session = state.text("session");
            findings.push((
                state.t,
                format!(
                    "{} is told a state of {} by {session}, after another bridge's",
                    state.who, state.device
                ),
            ));
        }
        let key = (state.who.as_str(), state.device.as_str(), state.text("session"));
        if let Some(before) = last.insert(key, seq)
            && seq <= before
        {
            findings.push((
                state.t,
                format!("{} is told state {seq} of {} after {before}", state.who, state.device),
            ));
        }
    }
    findings
}

pub(super) fn nothing_forbidden(facts: &Facts) -> Vec<Finding> {
    let mut before = 0;
    let mut findings = Vec::new();
    for (t, truth) in &facts.truths {
        if let Truth::Focuser { violations, .. } = truth {
            if *violations > before {
                findings
                    .push((*t, "something was done to the focuser that its motor chip forbids".to_owned()));
            }
            before = *violations;
        }
    }
    findings
}

pub(super) fn as_the_schemas_say(facts: &Facts) -> Vec<Finding> {
    facts.schema.clone()
}
