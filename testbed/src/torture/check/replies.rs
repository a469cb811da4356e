//! The rules about what clients are told of their requests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Finding;
use super::facts::{Facts, Heard, Reply, Sent};

/// Verbs that do nothing: the next bridge does not know their verdicts.
const QUERIES: [&str; 1] = ["ping"];
/// A stop that has ended runs again when it is sent again.
const STOP: &str = "stop";
/// What a request may be refused with although it was admitted before: rules that come before rule 9, and
/// a request that waits in vain because too many wait already.
const BEFORE_RULE_9: [u64; 7] = [2, 3, 20, 22, 31, 33, 26];
/// Every code, and its reasons.
const REASONS: [(u64, &[&str]); 23] = [
    (0, &["succeeded"]),
    (1, &["failed"]),
    (2, &["blocked"]),
    (3, &["not_authorised"]),
    (6, &["outside_limits"]),
    (7, &["not_connected", "not_homed", "released"]),
    (8, &["already_connected"]),
    (10, &["mode_is_automatic"]),
    (20, &["malformed"]),
    (21, &["unknown_verb"]),
    (22, &["retained"]),
    (23, &["expired"]),
    (24, &["clock_skew"]),
    (25, &["id_required", "ts_required"]),
    (26, &["id_reused"]),
    (28, &["stopped"]),
    (29, &["timed_out"]),
    (30, &["interrupted"]),
    (31, &["acl_open"]),
    (32, &["alarm"]),
    (33, &["not_ready"]),
    (34, &["unsigned"]),
    (35, &["bad_signature", "signature_unchecked"]),
];
/// For a message to arrive, on a busy machine.
const LATE: f64 = 1.5;

/// The replies to each request as its asker saw them: by device, identity and id.
fn by_request(facts: &Facts) -> BTreeMap<(&str, &str, &str), Vec<&Reply>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for reply in &facts.replies {
        all.entry((reply.device.as_str(), reply.named.as_str(), reply.id.as_str())).or_default().push(reply);
    }
    all
}

fn sends<'a>(facts: &'a Facts, device: &str, who: &str, id: &str) -> Vec<&'a Sent> {
    let is = |sent: &&Sent| {
        let request = &sent.request;
        request.device == device && request.who == who && request.id.as_deref() == Some(id)
    };
    facts.sent.iter().filter(is).collect()
}

pub(super) fn one_verdict(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ((device, who, id), replies) in by_request(facts) {
        let acts = |reply: &&&Reply| {
            reply.is_admitted_verdict()
                && !QUERIES.contains(&reply.text("verb"))
                && reply.text("verb") != STOP
        };
        let verdicts: Vec<&&Reply> = replies.iter().filter(acts).collect();
        let Some(first) = verdicts.first() else { continue };
        // Without the journal the next bridge knows nothing of it.
        let forgotten = facts.had(&["full", "read-only"], device, first.t - 5.0, first.t + 1.0);
        let firsts: BTreeSet<String> = verdicts
            .iter()
            .filter(|reply| !reply.is_duplicate())
            .map(|reply| reply.body.to_string())
            .collect();
        if firsts.len() > 1 && !forgotten {
            let text = format!("{who} was told {} verdicts on {device} {id}: {firsts:?}", firsts.len());
            findings.push((first.t, text));
        }
        let outcome = |reply: &Reply| (reply.text("status").to_owned(), reply.code());
        if let Some(other) = verdicts.iter().find(|reply| outcome(reply) != outcome(first))
            && !forgotten
        {
            let text = format!("{who} was told of {device} {id}: {} and then {}", first.body, other.body);
            findings.push((other.t, text));
        }
        let begun = replies.iter().find(|reply| reply.t > first.t && reply.text("status") == "accepted");
        if let Some(begun) = begun.filter(|_| !forgotten) {
            let text = format!("{device} {id} of {who} had a verdict, and is accepted again: {}", begun.body);
            findings.push((begun.t, text));
        }
        let refused = replies.iter().find(|reply| {
            reply.t > first.t
                && reply.text("status") == "rejected"
                && !reply.code().is_some_and(|code| BEFORE_RULE_9.contains(&code))
        });
        if let Some(refused) = refused
            && !forgotten
        {
            let text =
                format!("{device} {id} of {who} had a verdict, and is refused later: {}", refused.body);
            findings.push((refused.t, text));
        }
    }
    findings
}

pub(super) fn verdict_comes(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ((device, who, id), replies) in by_request(facts) {
        let Some(accepted) = replies.iter().find(|reply| reply.text("status") == "accepted") else {
            continue;
        };
        let verb = accepted.text("verb");
        let verdict = replies.iter().find(|reply| reply.is_terminal() && reply.t >= accepted.t - 0.2);
        let settled = facts.settled.iter().copied().find(|t| *t > accepted.t);
        let lost = QUERIES.contains(&verb)
            || verb == STOP && !facts.is_calm(device, accepted.t, accepted.t + 1.0)
            // A tool that was killed does not ask again.
            || sends(facts, device, who, id).is_empty() && !facts.is_calm(device, accepted.t, accepted.t + 20.0);
        match verdict {
            None if settled.is_some() && !lost => {
                findings.push((accepted.t, format!("{who} never gets a verdict on {device} {verb} {id}")));
            }
            Some(verdict) => {
                let allowed = deadline_after(facts, accepted).unwrap_or(0.0);
                let by = accepted.t + allowed + LATE;
                // One second later the bridge itself answers.
                // A deadline is meaningless where the clock was stepped in between.
                if allowed > 0.0 && verdict.t > by + 1.0 && facts.is_calm(device, accepted.t, by) {
                    let text = format!(
                        "the verdict on {device} {verb} {id} of {who} comes {:.1} s after its deadline",
                        verdict.t - accepted.t - allowed
                    );
                    findings.push((verdict.t, text));
                }
            }
            None => {}
        }
    }
    findings
}

pub(super) fn state_first(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let news = |reply: &&Reply| {
        reply.is_admitted_verdict() && !reply.is_duplicate() && !QUERIES.contains(&reply.text("verb"))
    };
    for reply in facts.replies.iter().filter(news) {
        if !facts.is_calm(&reply.device, reply.t - LATE, reply.t) {
            continue;
        }
        let is_told = |state: &&Heard| {
            state.who == reply.who
                && state.device == reply.device
                && !state.retained
                && (reply.t - facts.stale_after..=reply.t).contains(&state.t)
        };
        let mut told = facts.states.iter().filter(is_told).peekable();
        // Not everybody listens to states.
        let listens = told.peek().is_some();
        // It, or one that was admitted later: of that one the state tells from then on.
        let shows = |state: &Heard| {
            let of = |key| state.body.get("last_command").and_then(|last| last.get(key));
            match of("id") == reply.body.get("id") {
                true => of("code") == reply.body.get("code"),
                false => of("date").and_then(Value::as_str) >= Some(reply.text("received_at")),
            }
        };
        if listens && !told.any(shows) {
            let text = format!("{} is told the verdict on {} before a state shows it", reply.who, reply.id);
            findings.push((reply.t, text));
        }
    }
    findings
}

/// Seconds from the receipt of a request to its deadline, by the bridge's own clock.
fn deadline_after(facts: &Facts, accepted: &Reply) -> Option<f64> {
    Some(facts.time_of(accepted.text("deadline"))? - facts.time_of(accepted.text("received_at"))?)
}

pub(super) fn codes_agree(facts: &Facts) -> Vec<Finding> {
    let wrong = |reply: &&Reply| {
        let (status, code, reason) = (reply.text("status"), reply.code(), reply.text("reason"));
        let has_code = !matches!(status, "accepted" | "in_progress");
        let known = code.and_then(|code| REASONS.iter().find(|(number, _)| *number == code));
        has_code != code.is_some()
            || code.is_some() && !known.is_some_and(|(_, reasons)| reasons.contains(&reason))
            || (status == "succeeded") != (code == Some(0))
            || (status == "stopped") != (code == Some(28))
            || status == "timed_out" && code != Some(29)
    };
    let text = |reply: &Reply| format!("{} was told {}", reply.who, reply.body);
    facts.replies.iter().filter(wrong).map(|reply| (reply.t, text(reply))).collect()
}

pub(super) fn private(facts: &Facts) -> Vec<Finding> {
    let others = facts.replies.iter().filter(|reply| {
        let by = reply.text("by");
        reply.who != reply.named || !by.is_empty() && by != reply.who
    });
    others
        .map(|reply| (reply.t, format!("{} reads a reply to {}: {}", reply.who, reply.named, reply.body)))
        .collect()
}

pub(super) fn strangers_refused(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for sent in &facts.sent {
        let request = &sent.request;
        let Some(id) = &request.id else { continue };
        if request.named != request.who {
            let taken = facts.taken.iter().find(|(_, who, of, _)| *who == request.who && of == id);
            if let Some((t, _, _, Some(code @ 0..0x80))) = taken {
                let text = format!(
                    "the broker takes a command of {} in the name of {}: {code:#x}",
                    request.who, request.named
                );
                findings.push((*t, text));
            }
        }
        let is_barred = !request.permitted || request.retained;
        let admitted = facts.replies.iter().find(|reply| {
            reply.is_to(&request.device, &request.named, id)
                && reply.who == request.who
                && reply.text("status") != "rejected"
        });
        if let (true, Some(reply)) = (is_barred, admitted) {
            findings.push((reply.t, format!("{} may not command, and is told {}", request.who, reply.body)));
        }
    }
    findings
}

pub(super) fn stop_never_refused(facts: &Facts) -> Vec<Finding> {
    let refused = facts.replies.iter().filter(|reply| {
        let may = facts.sent.iter().any(|sent| {
            let request = &sent.request;
            request.permitted
                && !request.retained
                && request.who == reply.who
                && request.id.as_deref() == Some(&reply.id)
        });
        reply.text("verb") == STOP && reply.text("status") == "rejected" && may
    });
    refused.map(|reply| (reply.t, format!("a stop of {} is refused: {}", reply.who, reply.body))).collect()
}

pub(super) fn in_time(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ((device, who, id), replies) in by_request(facts) {
        let Some(accepted) = replies.iter().find(|reply| reply.text("status") == "accepted") else {
            continue;
        };
        if accepted.text("verb") == STOP {
            continue;
        }
        let before = sends(facts, device, who, id).into_iter().filter(|sent| sent.t <= accepted.t);
        let dated: Vec<(f64, f64)> =
            before.filter_map(|sent| Some((sent.request.dated?, sent.request.ttl))).collect();
        // `accepted` waits for the disk, at most 80 ms.
        let ahead = facts.ahead(device, accepted.t - LATE, accepted.t);
        let is_good = |(dated, ttl): &(f64, f64)| {
            ahead.iter().any(|ahead| (-2.0 - LATE..=ttl + LATE).contains(&(accepted.t + ahead - dated)))
        };
        if !dated.is_empty() && !dated.iter().any(is_good) {
            let ages: Vec<String> =
                dated.iter().map(|(dated, _)| format!("{:.1} s", accepted.t - dated)).collect();
            let text = format!("{device} {id} of {who} is accepted at an age of {}", ages.join(", "));
            findings.push((accepted.t, text));
        }
    }
    findings
}

pub(super) fn one_at_a_time(facts: &Facts) -> Vec<Finding> {
    const EXCLUSIVE: [&str; 4] = ["set", "init", "setpoint", "clear_alarms"];
    // By the bridge's own times: a verdict waits for the disk, and two clients are not told at once.
    const SLACK: f64 = 0.3;
    let mut runs: Vec<(&Reply, f64, f64, f64)> = Vec::new();
    for replies in by_request(facts).values() {
        let accepted = replies.iter().find(|reply| reply.text("status") == "accepted");
        let Some(accepted) = accepted.filter(|reply| EXCLUSIVE.contains(&reply.text("verb"))) else {
            continue;
        };
        let verdict = replies.iter().find(|reply| reply.is_admitted_verdict() && !reply.is_duplicate());
        let times = verdict.and_then(|verdict| {
            let from = facts.time_of(accepted.text("received_at"))?;
            Some((from, facts.time_of(verdict.text("finished_at"))?, verdict.t))
        });
        runs.extend(times.map(|(from, to, told)| (*accepted, from, to, told)));
    }
    let mut findings = Vec::new();
    for (accepted, at, ..) in &runs {
        let other = runs.iter().find(|(begun, from, to, told)| {
            begun.device == accepted.device
                && begun.id != accepted.id
                && from < at
                && at + SLACK < *to
                // It may have waited in a bridge that hung.
                && accepted.t + SLACK < *told
                // The next bridge gives the verdicts that this one owes; a stepped clock tells nothing.
                && !facts.starts_between(&accepted.device, begun.t - LATE, *to)
                && facts.ahead(&accepted.device, *from, *to + LATE).len() == 1
        });
        if let Some((other, ..)) = other {
            let text = format!("{} {} is accepted while {} runs", accepted.device, accepted.id, other.id);
            findings.push((accepted.t, text));
        }
    }
    findings
}
