//! What the bridge promises everybody, whatever happens, beside keeping cameras cool and pipes whole:
//! what it shows is fresh and was so, its limits hold, and each client is answered once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bus::clock::Instant;
use bus::message::Code;
use chiller_device::Reading;

use crate::site::{MINUTE, SECOND, Site};

/// Every verb ends within its 30 s and what a hung process may add.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);
/// A reading is so old at most when it is shown, and the water was measured in this time.
const FRESH: Duration = Duration::from_secs(30);
/// The unit counts tenths of a degree.
const ROUNDING: f64 = 0.11;

struct Asked {
    by: &'static str,
    what: String,
    at: Instant,
    expected: Option<Code>,
    /// The process was killed, or the broker away: there may be no answer, but never two.
    excused: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Promises {
    open: BTreeMap<String, Asked>,
    /// In tenths of a degree.
    set_points: BTreeSet<i64>,
    water: VecDeque<(Instant, f64)>,
    /// Since when nothing has kept the bridge from publishing.
    well_since: Option<Instant>,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
}

impl Promises {
    /// A client asks for something.
    pub(crate) fn ask(&mut self, site: &mut Site, by: &'static str, verb: &str, argument: &str) {
        let (least, most) = site.settings().setpoint_limits;
        let celsius = argument.parse::<f64>().ok().filter(|_| verb == "setpoint");
        let expected = if by == "visitor" {
            Some(Code::NotAuthorised)
        } else {
            celsius.filter(|celsius| !(least..=most).contains(celsius)).map(|_| Code::OutsideLimits)
        };
        if let Some(celsius) = celsius.filter(|_| expected.is_none()) {
            self.set_points.insert(tenths(celsius));
        }
        let excused = !site.is_heard();
        let at = site.now().instant;
        let id = site.rig.command(by, verb, argument);
        self.open.insert(id, Asked { by, what: format!("{verb} {argument}"), at, expected, excused });
    }

    /// The process was killed, hung, or has lost its broker or its clock.
    pub(crate) fn excuse(&mut self) {
        self.open.values_mut().for_each(|asked| asked.excused = true);
        self.well_since = None;
    }

    /// How the water is now: often enough that no peak is missed, as when a pump stops after 25 s.
    pub(crate) fn note_the_water(&mut self, site: &mut Site) {
        if self.water.is_empty() {
            let set_point = site.model().set_point_celsius();
            self.set_points.insert(tenths(set_point));
        }
        self.water.push_back((site.now().instant, site.model().supply_celsius()));
    }

    /// After every step.
    pub(crate) fn check(&mut self, site: &mut Site, is_well: bool) {
        let now = site.now();
        let set_point = site.model().set_point_celsius();
        assert!(self.set_points.contains(&tenths(set_point)), "nobody asked for {set_point} °C");
        self.well_since = if is_well { self.well_since.or(Some(now.instant)) } else { None };
        let well_for = self.well_since.map_or(Duration::ZERO, |since| now.instant.since(since));
        self.look_at_the_water(site);
        if well_for > MINUTE {
            self.look_at_what_is_published(site);
        }
        self.look_at_the_answers(site);
    }

    /// What it says of the water is what the water was, just now; without the unit it says nothing.
    fn look_at_the_water(&mut self, site: &mut Site) {
        let now = site.now().instant;
        let state = site.view();
        if !state.connected {
            assert_eq!(state.device.reading, Reading::default(), "not connected: {state:#?}");
            assert!(!state.device.cooling_ok, "{state:#?}");
        }
        let is_old = |water: &VecDeque<(Instant, f64)>| {
            water.get(1).is_some_and(|(at, _)| now.since(*at) > FRESH + SECOND * 30)
        };
        while is_old(&self.water) {
            self.water.pop_front();
        }
        let Some(said) = state.device.reading.water_temp else { return };
        let was = self.water.iter().map(|(_, celsius)| *celsius);
        let (least, most) = was.fold((f64::MAX, f64::MIN), |(least, most), it| (least.min(it), most.max(it)));
        let is_so = (least - ROUNDING..=most + ROUNDING).contains(&said);
        assert!(is_so, "it says {said} °C, and the water had {least} to {most}: {state:#?}");
    }

    /// As a subscriber has it: renewed, and no older than it says.
    fn look_at_what_is_published(&self, site: &Site) {
        let now = site.now();
        let newest = site.states().next_back().expect("a state was published");
        let age = now.instant.since(newest.at.instant);
        assert!(age.as_secs_f64() <= newest.what.stamp.stale_after_s / 3.0 + 1.0, "not renewed for {age:?}");
        let state = newest.what;
        if let Some(date) = state.date.filter(|_| state.connected) {
            let age = now.utc.seconds_since(date);
            assert!((-0.001..=FRESH.as_secs_f64()).contains(&age), "a reading {age} s old: {state:#?}");
        }
    }

    fn look_at_the_answers(&mut self, site: &Site) {
        let now = site.now().instant;
        self.open.retain(|id, asked| {
            let number = site.rig.outcomes(id);
            let Asked { by, what, .. } = asked;
            assert!(number <= 1, "{by}'s {what} has {number} verdicts: {:#?}", site.rig.replies(id));
            if let Some(reply) = site.rig.outcome(id) {
                let is_expected = asked.expected.is_none_or(|code| reply.code == Some(code) || asked.excused);
                assert!(is_expected, "{by}'s {what}: {reply:#?}");
                self.answered += 1;
                self.refused += u64::from(asked.expected.is_some());
            }
            let waits = number == 0 && now.since(asked.at) > ANSWERED_WITHIN;
            assert!(!waits || asked.excused, "{by}'s {what} was never answered");
            // A second verdict would come soon.
            now.since(asked.at) <= ANSWERED_WITHIN
        });
    }
}

fn tenths(celsius: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a temperature")]
    let tenths = (celsius * 10.0).round() as i64;
    tenths
}
