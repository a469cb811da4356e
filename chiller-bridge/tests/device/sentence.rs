//! The sentence for people against what it is made of: what it claims must be so.

use bus::clock::Now;
use chiller_bridge::controller::Chiller;
use chiller_bridge::controller::decision::INPUT_HOLD;
use chiller_bridge::controller::summary::{Situation, summary};
use chiller_device::{ChillerStatus, Mode};

/// Fails if the sentence claims what is not known.
pub(crate) fn check(chiller: &Chiller, now: Now) {
    let situation = chiller.situation(now);
    let sentence = summary(&situation);
    assert!(!sentence.is_empty() && sentence.len() < 600 && !sentence.contains('\n'), "{sentence}");
    if let Some(claim) = false_claim(&sentence, &situation) {
        panic!("it is not so that \"{claim}\": \"{sentence}\" of {situation:#?}");
    }
}

fn false_claim(sentence: &str, now: &Situation<'_>) -> Option<&'static str> {
    let powered = now.cameras.is_some_and(|names| !names.is_empty());
    let held = now.decision.is_some_and(|decision| decision.reason == INPUT_HOLD);
    let is_read = !matches!(now.status, ChillerStatus::Offline | ChillerStatus::Released);
    let claims = [
        ("no camera is powered", now.cameras.is_some_and(<[String]>::is_empty)),
        ("camera cmos is powered", powered),
        ("it may freeze", now.cold.is_some()),
        ("it does not freeze", now.cold.is_none()),
        ("is at", now.cold.is_some_and(|cold| cold.is_now)),
        ("left running", held && now.pump_on == Some(true)),
        ("left off", held && now.pump_on == Some(false)),
        ("kept as it was", false),
        ("camera power is", now.cameras.is_none()),
        ("the unit has an alarm", is_read && now.alarm.is_some()),
        ("manual", now.mode == Mode::Manual),
        ("automatic mode, ", now.mode == Mode::Automatic || sentence.contains("automatic control would not")),
        ("offline", now.status == ChillerStatus::Offline),
        ("the pump is off", now.pump_on == Some(false)),
        ("the pump runs", now.pump_on == Some(true)),
        ("does not answer", now.status == ChillerStatus::Offline),
    ];
    let off = sentence.starts_with("off") && !sentence.starts_with("offline");
    let runs = ["cooling", "heating", "circulating"].iter().any(|word| sentence.starts_with(word));
    let claims = claims.into_iter().filter(|(claim, _)| sentence.contains(claim));
    let mut all = claims.chain([
        ("off", !off || now.pump_on == Some(false)),
        ("it runs", !runs || now.pump_on == Some(true)),
    ]);
    all.find(|(_, is_so)| !is_so).map(|(claim, _)| claim)
}
