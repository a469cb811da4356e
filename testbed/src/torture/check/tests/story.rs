//! A log in which all is well, and the entries it is made of.

use serde_json::{Value, json};

use crate::torture::log::{Entry, Life, Request, Truth, What};

/// The date at the log's second 0, since 1970.
const UTC: f64 = 1_800_000_000.0;
/// The counter at the inner end.
const ORIGIN: i32 = 40_000;

pub(super) fn entry(t: f64, what: What) -> Entry {
    Entry { t, what }
}

pub(super) fn date(t: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
    let milliseconds = ((UTC + t) * 1000.0) as i64;
    bus::clock::Utc::from_unix_milliseconds(milliseconds).unwrap().to_string()
}

pub(super) fn request(who: &str, device: &str, verb: &str, id: &str, value: Option<f64>, t: f64) -> Request {
    Request {
        who: who.to_owned(),
        named: who.to_owned(),
        device: device.to_owned(),
        verb: verb.to_owned(),
        id: Some(id.to_owned()),
        value,
        dated: Some(t),
        ttl: 3.0,
        retained: false,
        permitted: who == "alice" || who == "ops",
    }
}

pub(super) fn told(t: f64, who: &str, device: &str, about: &str, body: Value) -> Entry {
    let (who, device, about) = (who.to_owned(), device.to_owned(), about.to_owned());
    entry(t, What::Told { who, device, about, retained: false, body })
}

pub(super) fn reply(
    t: f64,
    who: &str,
    device: &str,
    verb: &str,
    id: &str,
    status: &str,
    code: Option<u64>,
) -> Entry {
    let reason = match code {
        None => status,
        Some(0) => "succeeded",
        Some(3) => "not_authorised",
        Some(23) => "expired",
        Some(28) => "stopped",
        Some(33) => "not_ready",
        _ => "failed",
    };
    let body = json!({
        "id": id, "verb": verb, "by": who, "status": status, "code": code, "reason": reason,
        "received_at": date(t - 0.01), "deadline": date(t + 5.0), "duplicate": false, "finished_at": code.map(|_| date(t - 0.01)),
    });
    told(t, who, device, &format!("reply/{who}/{id}"), body)
}

pub(super) fn line(t: f64, device: &str, from_host: bool, bytes: &str) -> Entry {
    entry(t, What::Line { device: device.to_owned(), from_host, bytes: bytes.to_owned() })
}

pub(super) fn process(t: f64, name: &str, life: Life) -> Entry {
    entry(t, What::Process { name: name.to_owned(), life })
}

pub(super) fn truth(t: f64, mm: f64, turning: bool) -> Entry {
    entry(t, What::Truth(Truth::Focuser { steps: steps(mm), place_mm: mm, turning, violations: 0 }))
}

#[expect(clippy::cast_possible_truncation, reason = "some thousands")]
pub(super) fn steps(mm: f64) -> i32 {
    ORIGIN - (mm * 5088.0).round() as i32
}

pub(super) fn state(t: f64, seq: u64, session: &str, status: &str, mm: f64) -> Entry {
    let body = json!({
        "session": session, "started_at": date(0.0), "seq": seq, "published_at": date(t), "date": date(t - 0.05),
        "connected": true, "status": status, "current_steps": steps(mm), "current_mm": mm, "origin_steps": ORIGIN,
    });
    told(t, "alice", "focuser", "state", body)
}

/// The same state, which shows how this command ended.
pub(super) fn with_last_command(mut state: Entry, id: &str, code: u64) -> Entry {
    if let What::Told { body, .. } = &mut state.what {
        body["last_command"] = json!({ "id": id, "code": code });
    }
    state
}

/// Two moves, a stop, a set point, somebody who may not command, and a bridge that is killed in the second
/// move; everything as it should be.
pub(super) fn story() -> Vec<Entry> {
    let mut log = vec![
        entry(
            0.0,
            What::Begin { seed: 1, utc: UTC, serial_timeout: 1.0, stale_after: 5.0, left_out: vec![] },
        ),
        process(0.1, "focuser", Life::Started),
        process(0.1, "chiller", Life::Started),
        entry(0.2, What::Round { number: 1, plan: vec![] }),
        entry(0.2, What::Truth(Truth::Chiller { set_point: 10.0, pump_on: false })),
        truth(0.2, 0.0, false),
        told(0.3, "alice", "focuser", "availability", "online".into()),
        // A move to 0.3 mm, first half a millimetre further.
        entry(10.0, What::Sent(request("alice", "focuser", "set", "m1", Some(0.3), 10.0))),
        entry(
            10.01,
            What::Taken {
                who: "alice".to_owned(),
                device: "focuser".to_owned(),
                id: "m1".to_owned(),
                code: Some(0),
            },
        ),
        reply(10.02, "alice", "focuser", "set", "m1", "accepted", None),
        line(10.03, "focuser", true, &format!("#P092 F {}$", steps(0.8))),
        truth(10.05, 0.1, true),
        truth(10.2, 0.8, true),
        line(10.25, "focuser", true, &format!("#P092 F {}$", steps(0.3))),
        truth(10.5, 0.3, false),
        reply(10.6, "alice", "focuser", "set", "m1", "succeeded", Some(0)),
        // A set point.
        entry(10.0, What::Sent(request("ops", "chiller", "setpoint", "c1", Some(12.5), 10.0))),
        reply(10.02, "ops", "chiller", "setpoint", "c1", "accepted", None),
        line(10.03, "chiller", true, ".0117sCtrlT__+0125C4"),
        entry(10.04, What::Truth(Truth::Chiller { set_point: 12.5, pump_on: false })),
        reply(10.1, "ops", "chiller", "setpoint", "c1", "succeeded", Some(0)),
        // Somebody else.
        entry(10.7, What::Sent(request("bob", "focuser", "set", "b1", Some(0.31), 10.7))),
        reply(10.72, "bob", "focuser", "set", "b1", "rejected", Some(3)),
        entry(
            10.7,
            What::Sent(Request {
                named: "alice".to_owned(),
                ..request("bob", "focuser", "set", "f1", Some(0.32), 10.7)
            }),
        ),
        entry(
            10.71,
            What::Taken {
                who: "bob".to_owned(),
                device: "focuser".to_owned(),
                id: "f1".to_owned(),
                code: Some(0x87),
            },
        ),
        // A stop of nothing.
        entry(11.0, What::Sent(request("alice", "focuser", "stop", "s1", None, 11.0))),
        line(11.02, "focuser", true, "#P021 F $"),
        reply(11.02, "alice", "focuser", "stop", "s1", "accepted", None),
        reply(11.1, "alice", "focuser", "stop", "s1", "succeeded", Some(0)),
        // A second move, in which the bridge is killed.
        entry(13.0, What::Sent(request("alice", "focuser", "set", "m2", Some(0.4), 13.0))),
        reply(13.02, "alice", "focuser", "set", "m2", "accepted", None),
        line(13.03, "focuser", true, &format!("#P092 F {}$", steps(0.9))),
        truth(13.05, 0.35, true),
        process(13.2, "focuser", Life::Killed),
        told(13.21, "alice", "focuser", "availability", "offline".into()),
        truth(13.4, 0.9, false),
        process(13.5, "focuser", Life::Started),
        told(13.9, "alice", "focuser", "availability", "online".into()),
        reply(14.0, "alice", "focuser", "set", "m2", "failed", Some(30)),
        entry(20.0, What::Settled { number: 1 }),
    ];
    // `interrupted` goes with 30.
    for entry in &mut log {
        if let What::Told { body, .. } = &mut entry.what
            && body["code"] == 30
        {
            body["reason"] = "interrupted".into();
        }
    }
    for tenth in 3..200_u32 {
        let t = f64::from(tenth) / 10.0;
        if !(13.2..13.8).contains(&t) {
            log.push(line(t - 0.06, "focuser", false, "#P081 F 1$"));
            log.push(line(t - 0.06, "chiller", false, "#01010000000001100057"));
        }
    }
    for (t, id) in [(10.59, "m1"), (11.09, "s1")] {
        let seq = if id == "m1" { 3 } else { 4 };
        log.push(with_last_command(state(t, seq, "one", "idle", 0.3), id, 0));
    }
    for (t, seq, session, status, mm) in [
        (5.0, 1, "one", "idle", 0.0),
        (10.15, 2, "one", "moving", 0.4),
        (12.0, 5, "one", "idle", 0.3),
        (14.0, 1, "two", "idle", 0.9),
        (16.0, 2, "two", "idle", 0.9),
    ] {
        log.push(state(t, seq, session, status, mm));
    }
    log
}
