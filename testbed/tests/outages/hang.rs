//! A part of the bridge that hangs while the others go on: the watchdog ends the process, so that
//! its last state is not trusted and the service manager starts another.
//!
//! A debugger's means stop single threads, and the bridge knows nothing of them.

use std::fs;
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use testbed::site::{LIMIT, Site};

/// Half of `stale_after`, and the watchdog's own step.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);
/// Exit code of a process that hangs.
const STUCK: i32 = 70;

fn site() -> Site {
    Site::builder().setting("query_delay", "0.5").setting("stale_after", "6").start().unwrap()
}

/// The bridge's threads of this name.
fn threads(site: &mut Site, name: &str) -> Vec<Pid> {
    let process = site.bridge.process().unwrap().pid();
    let folder = format!("/proc/{process}/task");
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = all.filter(|task| fs::read_to_string(task.join("comm")).unwrap().trim_end() == name);
    let number = |task: std::path::PathBuf| task.file_name().unwrap().to_str().unwrap().parse().unwrap();
    named.map(|task| Pid::from_raw(number(task))).collect()
}

fn stop(thread: Pid) {
    ptrace::seize(thread, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(thread).unwrap();
    // Else the harness would take the stop for the end of the process.
    waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
}

/// As [`stop`], and waits for its end in the background: a process does not end before its traced
/// threads were waited for.
fn stop_helper(thread: Pid) {
    stop(thread);
    std::thread::spawn(
        move || while waitpid(thread, Some(WaitPidFlag::__WALL)).is_ok_and(|it| !is_end(it)) {},
    );
}

fn is_end(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..))
}

fn ends(site: &mut Site, words: &str) {
    let bridge = site.bridge.process().unwrap();
    assert_eq!(bridge.wait_exit(NOTICED_WITHIN).unwrap(), STUCK);
    assert!(site.bridge_log().contains(words), "{}", site.bridge_log());
    // The broker says so: the bridge did not.
    site.wait_availability("offline", LIMIT).unwrap();
}

#[test]
fn a_device_loop_that_hangs_ends_the_bridge() {
    let mut site = site();
    let process = site.bridge.process().unwrap().pid();
    stop(Pid::from_raw(i32::try_from(process).unwrap()));
    ends(&mut site, "the device loop makes no progress for 3 s");
}

#[test]
fn a_session_and_a_line_that_hang_end_the_bridge_although_its_loop_goes_on() {
    let mut site = site();
    let workers = threads(&mut site, "tokio-rt-worker");
    assert!(!workers.is_empty());
    workers.into_iter().for_each(stop_helper);
    ends(&mut site, " makes no progress for 3 s");
    assert!(!site.bridge_log().contains("the device loop makes"), "{}", site.bridge_log());
}

#[test]
fn a_store_that_hangs_is_said_and_the_device_is_not_left_alone() {
    let mut site = site();
    let store = threads(&mut site, "store");
    assert_eq!(store.len(), 1);
    stop_helper(store[0]);
    let alice = site.client("alice").unwrap();
    crate::send(&alice, "mode", "mode-1", serde_json::json!({ "mode": "manual" }));
    let failed = |state: &serde_json::Value| {
        state["attention"].as_array().unwrap().iter().any(|held| held["name"] == "journal_failed")
    };
    let state = site.wait_state(failed, LIMIT).unwrap();
    let text = state["attention"].to_string();
    assert!(text.contains("it does not answer"), "{text}");
    // Longer than the watchdog's patience.
    let seen = state["seq"].as_u64().unwrap();
    site.wait_state(|state| state["seq"].as_u64().unwrap() > seen + 12 && state["connected"] == true, LIMIT)
        .unwrap();
    assert!(site.bridge.process().unwrap().is_running());
}
