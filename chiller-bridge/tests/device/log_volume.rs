//! How many lines an hour a bridge writes to its log, whatever fails.
//!
//! Counted before the limit of `bus::log`, which lets through 200 whatever comes: what fails by
//! itself stays far below, so that the limit leaves out nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testbed::chiller::Fault;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::rig::{Rig, assert_succeeded};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

type Happens = fn(&mut Rig);

struct Count(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() <= Level::INFO {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The lines of an hour in which this happens to a bridge that ran well.
fn lines(happens: impl FnOnce(&mut Rig)) -> usize {
    let mut rig = Rig::running();
    assert_succeeded(&rig.command_and_wait("alice", "mode", "manual"));
    rig.run_for(60 * SECOND);
    let count = Arc::new(AtomicUsize::new(0));
    let log = tracing_subscriber::registry().with(Count(Arc::clone(&count)));
    tracing::subscriber::with_default(log, || {
        let end = rig.now().instant + HOUR;
        happens(&mut rig);
        let rest = end.since(rig.now().instant);
        rig.run_for(rest);
    });
    count.load(Ordering::Relaxed)
}

/// What is done once in each of these times, for an hour.
fn again_and_again(rig: &mut Rig, every: Duration, mut what: impl FnMut(&mut Rig, bool)) {
    let end = rig.now().instant + HOUR;
    let mut flip = true;
    while rig.now().instant < end {
        what(rig, flip);
        rig.run_for(every);
        flip = !flip;
    }
}

#[test]
fn what_fails_by_itself_writes_a_few_lines_an_hour() {
    let hours: [(&str, usize, Happens); 6] = [
        ("quiet", 0, |_| {}),
        ("the broker is gone", 5, |rig| rig.broker_down()),
        ("the adapter is unplugged", 10, |rig| rig.unplug()),
        ("the unit is silent", 10, |rig| rig.model().inject(Fault::Silent)),
        ("the disk is full", 10, |rig| rig.set_disk_full(true)),
        ("the clock is set every second", 70, |rig| {
            again_and_again(rig, SECOND, |rig, _| {
                let set_back = rig.now().utc.shifted(-2000);
                rig.set_date(set_back);
            });
        }),
    ];
    for (what, limit, happens) in hours {
        let lines = lines(happens);
        println!("{what}: {lines}");
        assert!(lines <= limit, "{what}: {lines} lines in an hour");
    }
}

#[test]
fn what_comes_and_goes_all_night_stays_below_the_limit() {
    let hours: [(&str, Happens); 3] = [
        ("the broker comes and goes every minute", |rig| {
            again_and_again(
                rig,
                30 * SECOND,
                |rig, down| if down { rig.broker_down() } else { rig.broker_up() },
            );
        }),
        ("the adapter comes and goes every four minutes", |rig| {
            again_and_again(rig, 120 * SECOND, |rig, out| if out { rig.unplug() } else { rig.plug() });
        }),
        ("the disk comes and goes every two minutes", |rig| {
            again_and_again(rig, 60 * SECOND, |rig, full| rig.set_disk_full(full));
        }),
    ];
    for (what, happens) in hours {
        let lines = lines(happens);
        println!("{what}: {lines}");
        assert!(lines <= 200, "{what}: {lines} lines in an hour");
    }
}
