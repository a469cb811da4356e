//! Nights of focusing: autofocus runs of a scheduler, corrections of an operator, somebody who may not,
//! and what a season brings: faults of line and motor, power cuts, a cable that comes off, a broker that is
//! away, a clock that is set, a bridge that hangs or is killed. The rules are those of the [`Campaign`], and
//! that nothing turns unless somebody asked for it.
//!
//! `OBSBUS_SEASON_NIGHTS` says how many, `OBSBUS_SEASON_SEED` the first one; each night is its own seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus::message::Code;

use crate::campaign::{Campaign, SLICE};
use crate::rig::{MILLISECOND, SECOND};

/// Nothing needs a closer look while all rests.
const AT_REST: Duration = Duration::from_millis(500);
/// A command, its stop and standstill end within this time.
const MAY_TURN: Duration = Duration::from_secs(200);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

struct Night {
    campaign: Campaign,
    refused: u64,
}

impl Night {
    fn pass(&mut self, time: Duration) {
        let end = self.campaign.rig.now().instant + time;
        while self.campaign.rig.now().instant < end {
            let left = end.since(self.campaign.rig.now().instant);
            let turns = self.campaign.rig.model().is_turning();
            let rests = !turns && self.campaign.open.is_empty();
            self.campaign.rig.run_for(left.min(if rests { AT_REST } else { SLICE }));
            self.campaign.check();
            let now = self.campaign.rig.now().instant;
            let asked = self.campaign.asked_at.is_some_and(|at| now.since(at) < MAY_TURN);
            let turns = self.campaign.rig.model().is_turning();
            assert!(asked || !turns, "seed {}: it turns, and nobody asked", self.campaign.seed);
        }
    }

    /// Until the command has ended, and a short exposure.
    fn expose(&mut self) {
        let limit = self.campaign.rig.now().instant + 30 * SECOND;
        while !self.campaign.open.is_empty() && self.campaign.rig.now().instant < limit {
            self.pass(200 * MILLISECOND);
        }
        self.pass(3 * SECOND);
    }

    fn autofocus(&mut self) {
        if self.campaign.rig.view().current_mm.is_none() {
            self.campaign.ask("scheduler", "init", "");
            self.pass(30 * SECOND);
        }
        let start = 1_000 + self.campaign.chance.below(4_000);
        for step in 0..8 + self.campaign.chance.below(8) {
            let micrometres = start + 50 * step;
            let mm = format!("{}.{:03}", micrometres / 1_000, micrometres % 1_000);
            self.campaign.ask("scheduler", "set", &mm);
            match self.campaign.chance.below(12) {
                0 => self.trouble(),
                1 => {
                    self.pass(300 * MILLISECOND);
                    self.campaign.ask("alice", "stop", "");
                }
                2 => self.somebody_who_may_not(),
                3 => self.campaign.ask("alice", "offset", "-0.05"),
                _ => {}
            }
            self.expose();
        }
    }

    fn somebody_who_may_not(&mut self) {
        let verb = self.campaign.chance.of(&["set", "stop", "kill"]);
        let id = self.campaign.rig.command("visitor", verb, if verb == "set" { "2" } else { "" });
        self.pass(300 * MILLISECOND);
        let reply = self.campaign.rig.outcome(&id);
        let is_refused = reply.as_ref().is_none_or(|reply| reply.code == Some(Code::NotAuthorised));
        assert!(is_refused, "seed {}: {reply:#?}", self.campaign.seed);
        self.refused += u64::from(reply.is_some());
    }

    fn trouble(&mut self) {
        match self.campaign.chance.below(6) {
            0 => {
                self.campaign.restart();
                self.pass(SECOND);
            }
            1 if self.campaign.open.is_empty() => {
                self.campaign.rig.broker_down();
                let away = Duration::from_secs(1 + self.campaign.chance.below(40));
                self.pass(away);
                self.campaign.rig.broker_up_and_found();
            }
            2 => {
                let step = self.campaign.chance.of(&[-3_600_000, -5_000, 2_000, 60_000]);
                self.campaign.set_clock(step);
            }
            _ => {
                self.campaign.trouble();
                self.pass(5 * SECOND);
                self.campaign.rig.model().clear_faults();
                self.campaign.rig.plug();
            }
        }
    }
}

/// One night; how many commands succeeded, and how many were refused to strangers.
fn night(seed: u64) -> (u64, u64) {
    let mut night = Night { campaign: Campaign::new(seed), refused: 0 };
    for _ in 0..6 {
        night.autofocus();
        night.pass(180 * SECOND);
    }
    let refused = night.refused;
    let succeeded = night.campaign.end();
    (succeeded.values().copied().map(u64::from).sum(), refused)
}

/// Nights beside each other, as there are two cores nearly everywhere.
fn season(first: u64, nights: u64) -> (u64, u64) {
    let next = AtomicU64::new(0);
    let work = || {
        let mut sums = (0, 0);
        loop {
            let seed = first + next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + nights {
                return sums;
            }
            let ran = std::panic::catch_unwind(|| night(seed));
            let Ok((succeeded, refused)) = ran else {
                panic!("this night alone: OBSBUS_SEASON_SEED={seed} OBSBUS_SEASON_NIGHTS=1");
            };
            sums = (sums.0 + succeeded, sums.1 + refused);
        }
    };
    std::thread::scope(|scope| {
        let [one, other] =
            [scope.spawn(work), scope.spawn(work)].map(|half| half.join().expect("it says which"));
        (one.0 + other.0, one.1 + other.1)
    })
}

#[test]
fn in_a_few_nights_of_focusing_the_rules_hold() {
    let (succeeded, refused) = season(1, 2);
    assert!(succeeded > 40 && refused > 0, "{succeeded} succeeded, {refused} refused");
}

#[test]
#[ignore = "`make season` runs it, with an optimised build"]
#[expect(clippy::disallowed_methods, reason = "says how long it took")]
fn a_season_of_two_hundred_nights() {
    let (nights, seed) = (setting("OBSBUS_SEASON_NIGHTS", 200), setting("OBSBUS_SEASON_SEED", 1));
    let start = std::time::Instant::now();
    let (succeeded, refused) = season(seed, nights);
    println!(
        "focuser: {nights} nights, seeds from {seed}: {succeeded} commands succeeded, {refused} were refused to \
         strangers, no rule broken; {:.0} s",
        start.elapsed().as_secs_f64()
    );
}
