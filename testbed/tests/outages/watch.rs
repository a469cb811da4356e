//! `chiller watch` through everything that can go away: it never shows an old state as current.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testbed::process::Process;
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

struct Watcher {
    process: Process,
    seen: testbed::process::Mark,
}

impl Watcher {
    /// Waits for a line with these words that came after the one waited for last.
    fn sees(&mut self, words: &str, limit: Duration) {
        let before = self.seen;
        self.process
            .wait_for_line_after(before, |line| line.contains(words), limit)
            .unwrap_or_else(|error| panic!("{words}: {error}"));
        self.seen = self.process.mark();
    }
}

#[test]
fn a_watcher_is_told_of_the_device_the_bridge_and_the_broker_going_and_coming_back() {
    let mut site = Site::builder().setting("query_delay", "0.5").setting("stale_after", "3").start().unwrap();
    let process = site.launch_own_tool("ops", &["watch"]).unwrap().spawn().unwrap();
    let mut watcher = Watcher { process, seen: testbed::process::Mark::default() };
    watcher.sees("water 12", LIMIT);

    site.port.unplug().unwrap();
    watcher.sees("OFFLINE (link_lost)", LIMIT);
    site.port.plug().unwrap();
    watcher.sees("water 12", LIMIT);

    // Nobody tells a subscriber that what it holds has expired.
    site.bridge.freeze().unwrap();
    watcher.sees("STALE", Duration::from_secs(10));
    watcher.sees("OFFLINE the bridge is not there", Duration::from_secs(20));
    site.bridge.thaw().unwrap();
    watcher.sees("water 12", LIMIT);

    site.broker.kill9().unwrap();
    watcher.sees("DISCONNECTED", LIMIT);
    site.broker.restart().unwrap();
    watcher.sees("water 12", LIMIT);

    site.bridge.kill9().unwrap();
    watcher.sees("OFFLINE the bridge is not there", LIMIT);
    assert_eq!(watcher.process.stop(LIMIT).unwrap(), 0);
}

/// The program inside the one that gives it a terminal.
fn innermost(pid: u32) -> Pid {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    match children.split_whitespace().next() {
        Some(child) => innermost(child.parse().unwrap()),
        None => Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
    }
}

#[test]
fn the_screen_is_given_back_whatever_signal_ends_it() {
    let site = Site::start().unwrap();
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT, Signal::INT] {
        let launch = site.launch_own_tool("ops", &["watch"]).unwrap().on_terminal().unwrap();
        let mut watch = launch.spawn().unwrap();
        wait_for("the screen", LIMIT, || watch.stdout().contains("q quits").then_some(())).unwrap();
        kill_process(innermost(watch.pid()), signal).unwrap();
        assert_eq!(watch.wait_exit(LIMIT).unwrap(), 0, "{signal:?}");
        let said = watch.stdout();
        assert!(said.contains("\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"), "{signal:?}: {said:?}");
    }
}
