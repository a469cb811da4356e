//! Which query to the device is due: groups of queries, each with its own frequency. Pure.
//!
//! A cycle begins every period; its queries are sent one by one, as replies arrive. The plan does
//! not know which request is in progress, nor the queries of an order.

use std::collections::VecDeque;
use std::time::Duration;

use bus::clock::Instant;

/// Queries with the same frequency, in this order.
#[derive(Clone, Copy, Debug)]
pub struct Group<R: 'static> {
    /// The queries.
    pub requests: &'static [R],
    /// How often.
    pub often: Often,
}

/// How often a group is queried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Often {
    /// In every cycle.
    EachCycle,
    /// In the first cycle, and then in every nth.
    EachCycles(u32),
    /// In the first cycle only: once for each time the link comes up.
    Once,
}

/// See the module.
#[derive(Debug)]
pub struct PollPlan<R: 'static> {
    groups: &'static [Group<R>],
    period: Duration,
    due: VecDeque<R>,
    next_cycle: Instant,
    cycles: u32,
}

impl<R: Clone + PartialEq> PollPlan<R> {
    /// A plan whose first cycle is due now.
    #[must_use]
    pub fn new(groups: &'static [Group<R>], period: Duration, now: Instant) -> Self {
        Self { groups, period, due: VecDeque::new(), next_cycle: now, cycles: 0 }
    }

    /// Begins again, with all queries: nothing is known of the device any more.
    pub fn restart(&mut self, now: Instant) {
        *self = Self::new(self.groups, self.period, now);
    }

    /// The next cycle is due now.
    pub fn hurry(&mut self, now: Instant) {
        self.next_cycle = self.next_cycle.min(now);
    }

    /// Sends this query first, out of turn; once, however often this is called.
    pub fn ask_first(&mut self, request: R) {
        self.due.retain(|due| *due != request);
        self.due.push_front(request);
    }

    /// The query that is due, if any.
    pub fn poll_request(&mut self, now: Instant) -> Option<R> {
        if self.due.is_empty() && now >= self.next_cycle {
            self.begin_cycle(now);
        }
        self.due.pop_front()
    }

    /// When time alone makes a query due; `None` while one is due already, which is sent as soon as
    /// the previous reply arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.is_empty().then_some(self.next_cycle)
    }

    fn begin_cycle(&mut self, now: Instant) {
        // A cycle that took longer than its period is followed at once; missed cycles are not made
        // up.
        let next = self.next_cycle + self.period;
        self.next_cycle = if next > now { next } else { now + self.period };
        for group in self.groups {
            let is_due = match group.often {
                Often::EachCycle => true,
                Often::EachCycles(number) => self.cycles.is_multiple_of(number),
                Often::Once => self.cycles == 0,
            };
            if is_due {
                self.due.extend(group.requests.iter().cloned());
            }
        }
        self.cycles = self.cycles.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(5);
    /// A sensor with a heater: one reading often, one seldom, one once.
    const GROUPS: &[Group<&str>] = &[
        Group { requests: &["celsius", "heater"], often: Often::EachCycle },
        Group { requests: &["supply voltage"], often: Often::EachCycles(3) },
        Group { requests: &["version"], often: Often::Once },
    ];

    fn at(seconds: u64) -> Instant {
        Instant::from_boot(Duration::from_secs(seconds))
    }

    fn plan() -> PollPlan<&'static str> {
        PollPlan::new(GROUPS, PERIOD, at(100))
    }

    fn cycle(plan: &mut PollPlan<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| plan.poll_request(now)).collect()
    }

    #[test]
    fn the_first_cycle_asks_everything_once() {
        let mut plan = plan();
        assert_eq!(plan.poll_timeout(), Some(at(100)));
        assert_eq!(cycle(&mut plan, at(100)), ["celsius", "heater", "supply voltage", "version"]);
        assert_eq!(cycle(&mut plan, at(104)), [""; 0]);
        assert_eq!(plan.poll_timeout(), Some(at(105)));
    }

    #[test]
    fn each_group_comes_as_often_as_it_should() {
        let mut plan = plan();
        let cycles: Vec<_> = (0..7).map(|number| cycle(&mut plan, at(100 + 5 * number))).collect();
        let with = |what| cycles.iter().map(|asked| asked.contains(&what)).collect::<Vec<_>>();
        assert_eq!(with("celsius"), [true; 7]);
        assert_eq!(with("supply voltage"), [true, false, false, true, false, false, true]);
        assert_eq!(with("version"), [true, false, false, false, false, false, false]);
        plan.restart(at(200));
        assert!(cycle(&mut plan, at(200)).contains(&"version"));
    }

    #[test]
    fn a_late_cycle_is_not_made_up_for() {
        let mut plan = plan();
        cycle(&mut plan, at(100));
        assert_eq!(cycle(&mut plan, at(160)), ["celsius", "heater"]);
        assert_eq!(plan.poll_timeout(), Some(at(165)));
    }

    #[test]
    fn what_is_asked_first_overtakes_and_is_asked_once() {
        let mut plan = plan();
        assert_eq!(plan.poll_request(at(100)), Some("celsius"));
        plan.ask_first("version");
        plan.ask_first("version");
        assert_eq!(plan.poll_timeout(), None);
        assert_eq!(cycle(&mut plan, at(100)), ["version", "heater", "supply voltage"]);
        plan.ask_first("celsius");
        assert_eq!(cycle(&mut plan, at(101)), ["celsius"]);
        plan.hurry(at(102));
        assert_eq!(cycle(&mut plan, at(102)), ["celsius", "heater"]);
    }
}
