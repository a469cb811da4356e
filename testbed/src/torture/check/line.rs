//! The rules about what reaches the devices: the bytes on the lines, and whose request each order is.

use super::Finding;
use super::facts::{Facts, Frame, Reply, Sent};

/// Steps in a millimetre, as the bridge has it by default.
const STEPS_PER_MM: f64 = 5088.0;
/// A move outwards goes so much further first.
const ANTI_BACKLASH_MM: f64 = 0.5;
/// Two values of requests are 0.001 mm apart; a target near the counter's zero is two steps away.
const SAME_MM: f64 = 0.00049;
const SAME_CELSIUS: f64 = 0.049;
/// A request may lead to orders so long after it expired: it was admitted just before, or the device was
/// slow to take it. What bounds it is its own deadline, which is longer only for motion.
const LATEST: f64 = 30.0;
/// For a stop to reach the line of a device that is there, on a busy machine.
const STOP_LIMIT: f64 = 1.5;
/// A tool has to start and to connect first.
const TOOL_STOP_LIMIT: f64 = 5.0;

/// An order that changes something.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// To a counter.
    GoTo(i32),
    /// Inwards, without a target.
    RunInwards,
    /// A stop.
    Stop,
    /// A set point, degrees Celsius.
    SetPoint(f64),
    /// To run or not.
    Run(bool),
}

fn order(frame: &Frame) -> Option<Order> {
    if !frame.from_host {
        return None;
    }
    let bytes = frame.bytes.trim();
    // A frame may follow pieces of one that was cut off.
    if let Some(at) = bytes.rfind('#') {
        let mut words = bytes.get(at + 1..)?.trim_end_matches('$').split(' ');
        return match (words.next()?, words.next()?, words.next()) {
            ("P092", "F", Some(target)) => Some(Order::GoTo(target.parse().ok()?)),
            ("P103", "F", _) => Some(Order::RunInwards),
            ("P021", "F", _) => Some(Order::Stop),
            _ => None,
        };
    }
    let at = bytes.rfind('.')?;
    let (command, data) = (bytes.get(at + 3..at + 5)?, bytes.get(at + 13..)?);
    match command {
        "17" => Some(Order::SetPoint(data.get(..5)?.parse::<f64>().ok()? / 10.0)),
        "15" => Some(Order::Run(data.starts_with('1'))),
        _ => None,
    }
}

fn orders(facts: &Facts) -> impl Iterator<Item = (&Frame, Order)> {
    facts.frames.iter().filter_map(|frame| Some((frame, order(frame)?)))
}

/// The origins of the focuser that states told around a time: steps.
fn origins(facts: &Facts, t: f64) -> Vec<f64> {
    let told = facts.states.iter().filter_map(|state| Some((state.t, state.number("origin_steps")?)));
    let all: Vec<(f64, f64)> = told.collect();
    let before = all.iter().rev().find(|(at, _)| *at <= t);
    let after = all.iter().find(|(at, _)| *at > t);
    before.into_iter().chain(after).map(|(_, origin)| *origin).collect()
}

/// The requests for which this order may be, of those that have the value: for a move, whether it is the
/// overshoot.
fn claims<'a>(facts: &'a Facts, frame: &Frame, order: Order) -> Vec<(&'a Sent, bool)> {
    let origins = if matches!(order, Order::GoTo(_)) { origins(facts, frame.t) } else { Vec::new() };
    let mut claims = Vec::new();
    for sent in &facts.sent {
        let request = &sent.request;
        let Some(value) = request.value else { continue };
        if request.device != frame.device || sent.t > frame.t {
            continue;
        }
        match (order, request.verb.as_str()) {
            (Order::GoTo(target), "set") => {
                let at = |origin: &f64| (origin - f64::from(target)) / STEPS_PER_MM;
                if origins.iter().any(|origin| (at(origin) - value).abs() < SAME_MM) {
                    claims.push((sent, false));
                } else if origins.iter().any(|origin| (at(origin) - ANTI_BACKLASH_MM - value).abs() < SAME_MM)
                {
                    claims.push((sent, true));
                }
            }
            (Order::SetPoint(celsius), "setpoint") if (celsius - value).abs() < SAME_CELSIUS => {
                claims.push((sent, false));
            }
            (Order::Run(on), "enabled") if on == (value > 0.5) => claims.push((sent, false)),
            _ => {}
        }
    }
    claims
}

/// A request that leads to orders without a value of its own is on its way at this time.
fn is_homing(facts: &Facts, t: f64) -> bool {
    facts.sent.iter().any(|sent| {
        let request = &sent.request;
        request.verb == "init" && request.permitted && (sent.t..sent.t + LATEST).contains(&t)
    })
}

fn is_sent_in_time(sent: &Sent, t: f64) -> bool {
    let valid_until = sent.request.dated.unwrap_or(sent.t) + sent.request.ttl;
    t <= valid_until.max(sent.t) + LATEST
}

pub(super) fn asked_for(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (frame, order) in orders(facts) {
        if matches!(order, Order::Stop) || frame.device == "focuser" && is_homing(facts, frame.t) {
            continue;
        }
        let claims = claims(facts, frame, order);
        let good = claims.iter().any(|(sent, _)| {
            let request = &sent.request;
            request.permitted
                && !request.retained
                && request.named == request.who
                && is_sent_in_time(sent, frame.t)
        });
        let text = match claims.first() {
            _ if good => continue,
            None => format!("{}: nobody asked for {}", frame.device, frame.bytes),
            Some((sent, _)) => format!("{}: {} is an order of {:?}", frame.device, frame.bytes, sent.request),
        };
        findings.push((frame.t, text));
    }
    findings
}

/// The orders of each request that has a value of its own.
fn of_each(facts: &Facts) -> Vec<(&Sent, bool, Vec<f64>)> {
    let mut each: Vec<(&Sent, bool, Vec<f64>)> = Vec::new();
    for (frame, order) in orders(facts) {
        if matches!(order, Order::Run(_)) || matches!(order, Order::GoTo(_)) && is_homing(facts, frame.t) {
            continue;
        }
        // The same request may have been sent several times.
        let Some((sent, overshoot)) = claims(facts, frame, order).into_iter().next() else { continue };
        let same = each.iter_mut().find(|(other, of, _)| {
            *of == overshoot
                && other.request.value == sent.request.value
                && other.request.device == sent.request.device
        });
        match same {
            Some((_, _, times)) => times.push(frame.t),
            None => each.push((sent, overshoot, vec![frame.t])),
        }
    }
    each
}

pub(super) fn never_twice(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (sent, overshoot, times) in of_each(facts) {
        let request = &sent.request;
        for pair in times.windows(2) {
            let [before, again] = pair else { continue };
            // An order that changes nothing when it comes twice is repeated when its reply was lost.
            let spoilt =
                ["garbled", "truncated", "silent", "deaf", "slow", "late-by-one", "unplugged", "frozen"];
            let may_repeat =
                request.device == "chiller" && facts.had(&spoilt, &request.device, before - 0.2, *again);
            let forgotten = request.device == "chiller"
                && facts.had(&["full", "read-only"], &request.device, before - 1.0, *again);
            if !may_repeat && !forgotten {
                let leg = if overshoot { " (its first leg)" } else { "" };
                findings.push((
                    *again,
                    format!(
                        "{} {:?} of {} runs twice{leg}: {:?}",
                        request.verb, request.id, request.who, times
                    ),
                ));
            }
        }
    }
    findings
}

pub(super) fn not_after_restart(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut first: Vec<(&Sent, f64)> = Vec::new();
    for (sent, _, times) in of_each(facts) {
        for t in times {
            let request = &sent.request;
            let known = first.iter().find(|(other, _)| {
                other.request.value == request.value && other.request.device == request.device
            });
            let begun = known.map(|(_, begun)| *begun).or_else(|| accepted(facts, sent, t));
            if known.is_none() {
                first.push((sent, begun.unwrap_or(t).min(t)));
            }
            let Some(begun) = begun else { continue };
            let forgotten = request.device == "chiller"
                && facts.had(&["full", "read-only"], &request.device, begun - 1.0, t);
            if begun < t && facts.starts_between(&request.device, begun, t) && !forgotten {
                let text = format!(
                    "{} {:?} of {}, which began {:.3} s before, goes on after a restart of the bridge",
                    request.verb,
                    request.id,
                    request.who,
                    t - begun
                );
                findings.push((t, text));
            }
        }
    }
    // What was sent only to a bridge that was there before.
    for (sent, _, times) in of_each(facts) {
        let request = &sent.request;
        let (Some(id), Some(t)) = (&request.id, times.first()) else { continue };
        let same = facts.sent.iter().filter(|other| other.request.id == request.id && other.t <= *t);
        let last_sent = same.map(|other| other.t).fold(sent.t, f64::max);
        let answer = facts
            .taken
            .iter()
            .rev()
            .find(|(at, who, of, _)| *who == request.who && of == id && *at >= last_sent);
        let Some((taken, _, _, Some(_))) = answer else { continue };
        let connected = 0.3;
        if *taken + connected < *t && facts.starts_between(&request.device, taken + connected, *t) {
            findings.push((
                *t,
                format!(
                    "{} {id} of {}, sent before a restart of the bridge, runs after it",
                    request.verb, request.who
                ),
            ));
        }
    }
    findings
}

fn accepted(facts: &Facts, sent: &Sent, before: f64) -> Option<f64> {
    let id = sent.request.id.as_deref()?;
    let mut replies = facts.replies.iter().filter(|reply| {
        reply.is_to(&sent.request.device, &sent.request.named, id) && reply.text("status") == "accepted"
    });
    replies.find(|reply| reply.t <= before).map(|reply| reply.t)
}

/// Shortly before the stop was accepted that runs at a time, if one does: another one joins it.
fn running_stop(facts: &Facts, device: &str, t: f64) -> Option<f64> {
    let is_stop = |reply: &&Reply| reply.device == device && reply.text("verb") == "stop";
    let accepted = facts
        .replies
        .iter()
        .filter(is_stop)
        .filter(|reply| reply.text("status") == "accepted" && reply.t <= t + STOP_LIMIT);
    let running = accepted.filter(|accepted| {
        let mut later = facts.replies.iter().filter(|reply| reply.t >= t);
        later.any(|reply| {
            reply.is_admitted_verdict()
                && !reply.is_duplicate()
                && reply.is_to(device, &accepted.named, &accepted.id)
        })
    });
    running.map(|accepted| accepted.t - STOP_LIMIT).reduce(f64::min)
}

pub(super) fn stop_reaches_the_line(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for sent in &facts.sent {
        let request = &sent.request;
        let is_stop =
            request.verb == "stop" && request.permitted && !request.retained && request.named == request.who;
        let limit = if request.id.is_some() { STOP_LIMIT } else { TOOL_STOP_LIMIT };
        let until = sent.t + limit;
        if !is_stop || !facts.is_calm(&request.device, sent.t, until) {
            continue;
        }
        let since = running_stop(facts, &request.device, sent.t).unwrap_or(sent.t);
        let arrives = orders(facts).any(|(frame, order)| {
            order == Order::Stop && frame.device == request.device && (since..=until).contains(&frame.t)
        });
        let is_over = facts.rounds.last().is_some() && facts.settled.iter().all(|t| *t < until);
        if !arrives && !is_over {
            findings.push((
                sent.t,
                format!("a stop of {} does not reach the line within {limit} s", request.who),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &str) -> Frame {
        Frame { t: 1.0, device: "focuser".to_owned(), from_host: true, bytes: bytes.to_owned() }
    }

    #[test]
    fn an_order_is_told_from_a_question() {
        for (bytes, wanted) in [
            ("#P092 F -30528$\\n", Some(Order::GoTo(-30528))),
            ("\\n#P092 F 17$", Some(Order::GoTo(17))),
            ("#P103 F V 21341$", Some(Order::RunInwards)),
            ("#P021 F $", Some(Order::Stop)),
            ("#S001 F$", None),
            ("#P081 F$", None),
            (".0117sCtrlT__+0155C4\\r", Some(Order::SetPoint(15.5))),
            (".0117sCtrlT__-0050C4\\r", Some(Order::SetPoint(-5.0))),
            (".0115000000001A2\\r", Some(Order::Run(true))),
            (".01010000000171\\r", None),
        ] {
            assert_eq!(
                order(&frame(
                    bytes.trim_end_matches("\\n").trim_end_matches("\\r").trim_start_matches("\\n")
                )),
                wanted,
                "{bytes}"
            );
        }
    }
}
