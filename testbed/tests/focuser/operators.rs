//! The real `focus` in several hands: who waits, who does not, who is busy, who stopped what, and
//! the exit code of each.

use serde_json::{Value, json};
use testbed::operator::Operator;
use testbed::process::Output;
use testbed::site::{FocuserSite, LIMIT};
use testbed::wait::wait_for;

use super::{at_rest, homed, nothing_forbidden, targets_sent, wait_under_way};

/// It exited with this, and said this on stdout (0) or stderr.
#[track_caller]
fn exited(output: &Output, code: i32, said: &str) {
    assert_eq!(output.code, code, "{output:?}");
    let (here, other) =
        if code == 0 { (&output.stdout, "") } else { (&output.stderr, output.stdout.as_str()) };
    assert!(here.contains(said) && other.is_empty(), "{output:?}");
}

fn focus(site: &FocuserSite, identity: &str, args: &[&str]) -> Output {
    site.tool(identity, args).unwrap()
}

/// Begins a motion and waits for nothing: its id.
fn begin(site: &FocuserSite, args: &[&str]) -> String {
    let output = focus(site, "alice", &[args, &["--no-wait"]].concat());
    assert_eq!(output.code, 0, "{output:?}");
    output.stdout.strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn init_set_and_offset_exit_0_with_the_focuser_where_it_was_sent() {
    let site = FocuserSite::start().unwrap();
    exited(&focus(&site, "alice", &["set", "1"]), 7, "set 1: refused by the bridge: not_homed (code 7)");
    exited(&focus(&site, "alice", &["init"]), 0, "init: succeeded: homed");
    for (args, said, there) in [
        (["set", "1.25"], "set 1.25: succeeded: at 1.250 mm\n", 1.25),
        (["offset", "-0.05"], "offset -0.05: succeeded: at 1.200 mm\n", 1.2),
        (["set", "1.2"], "set 1.2: succeeded: at 1.200 mm already\n", 1.2),
    ] {
        let output = focus(&site, "alice", &args);
        assert_eq!((output.code, output.stdout.as_str()), (0, said), "{}", output.stderr);
        assert!(!site.port.with(|unit| unit.is_turning()), "it ended before the motor stood");
        assert_eq!(at_rest(&site)["current_mm"], there);
        // Into a file, words and not a bar that is drawn over itself.
        assert!(!output.stderr.contains(['\r', '\u{1b}', '#']), "{:?}", output.stderr);
    }
    exited(&focus(&site, "alice", &["status"]), 0, "Focuser is IDLE (1.200 mm)\n");
    nothing_forbidden(&site);
}

#[test]
fn who_does_not_wait_asks_for_the_outcome_later() {
    let (site, _) = homed();
    let id = begin(&site, &["set", "1.5"]);
    let runs = |state: &Value| state["status"] == "moving" && state["last_command"]["id"] == id;
    site.wait_state(runs, LIMIT).unwrap();
    // While it runs, after it has ended, and from another host, where only the id is known.
    let said = format!("set {id}: succeeded: at 1.500 mm\n");
    exited(&focus(&site, "alice", &["outcome", &id]), 0, &said);
    assert_eq!(at_rest(&site)["current_mm"], 1.5);
    exited(&focus(&site, "alice", &["outcome", &id]), 0, &said);
    let elsewhere = site.launch_tool("focus", "alice", &["outcome", &id]).unwrap();
    let elsewhere = elsewhere.env("XDG_STATE_HOME", site.dir().join("nothing-here"));
    exited(&elsewhere.run(LIMIT).unwrap(), 0, &format!("{id}: Last command: set by alice, "));

    // A later command has taken its place in the state, not in what the bridge remembers.
    let sent = targets_sent(&site);
    exited(&focus(&site, "ops", &["stop"]), 0, "");
    exited(&focus(&site, "alice", &["outcome", &id]), 0, &said);
    exited(&elsewhere.run(LIMIT).unwrap(), 1, &format!("error: nothing is known of {id}"));
    // Another one's id is not known under a name of one's own.
    exited(&focus(&site, "ops", &["outcome", &id]), 1, &format!("error: nothing is known of {id}"));
    exited(&focus(&site, "alice", &["outcome", "nonsense"]), 1, "error: nothing is known of nonsense");
    assert_eq!(targets_sent(&site), sent, "asking moves nothing");
    nothing_forbidden(&site);
}

#[test]
fn the_outcome_of_what_was_stopped_refused_or_failed_has_its_code() {
    let (site, _) = homed();
    let id = begin(&site, &["set", "4"]);
    wait_under_way(&site, 0.0, 0.2);
    exited(&focus(&site, "ops", &["stop"]), 0, "stop: succeeded: standing at ");
    let output = focus(&site, "alice", &["outcome", &id]);
    exited(&output, 28, &format!("error: set {id}: stopped (code 28): ops ended it with stop; standing at "));

    let id = begin(&site, &["init", "--force"]);
    let busy = focus(&site, "alice", &["set", "1", "--no-wait"]);
    exited(&busy, 2, &format!("alice's init (id {id}) is running"));
    exited(&focus(&site, "alice", &["outcome", &id]), 0, &format!("init {id}: succeeded: "));

    let id = begin(&site, &["set", "4"]);
    wait_under_way(&site, 0.0, 0.2);
    site.port.unplug().unwrap();
    exited(&focus(&site, "alice", &["outcome", &id]), 7, &format!("error: set {id}: failed: not_connected"));
    site.port.plug().unwrap();
    at_rest(&site);
    exited(&focus(&site, "alice", &["outcome", &id]), 7, &format!("error: set {id}: failed: not_connected"));
    nothing_forbidden(&site);
}

#[test]
fn who_stops_somebody_elses_move_is_told_that_it_may_go_on_and_what_keeps_it_still() {
    let (site, _) = homed();
    let mut waiting = site.launch_tool("focus", "alice", &["set", "4"]).unwrap().spawn().unwrap();
    wait_under_way(&site, 0.0, 0.2);
    let stop = focus(&site, "ops", &["stop"]);
    assert!(!site.port.with(|unit| unit.is_turning()), "told so before it stood");
    exited(&stop, 0, "stop: succeeded: standing at ");
    for part in ["a scheduler may move it again", "`focus kill` keeps it still until `focus init`"] {
        assert!(stop.stderr.contains(part), "{stop:?}");
    }
    assert_eq!(waiting.wait_exit(LIMIT).unwrap(), 28);
    let said = waiting.stderr();
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("error: set 4: stopped (code 28): ops ended it with stop; standing at "),
        "{said}"
    );

    // And so it is: the next one moves it; after `kill` nobody does.
    exited(&focus(&site, "alice", &["set", "0.5"]), 0, "succeeded");
    exited(&focus(&site, "ops", &["kill"]), 0, "kill: succeeded");
    exited(&focus(&site, "alice", &["set", "1"]), 7, "released (code 7)");
    let stop = focus(&site, "ops", &["stop"]);
    exited(&stop, 0, "stop: succeeded");
    assert!(!stop.stderr.contains("scheduler"), "nobody can move what was killed: {stop:?}");
    let status = focus(&site, "alice", &["status"]);
    assert_eq!(status.code, 4, "{status:?}");
    assert!(status.stdout.contains("RELEASED") && status.stdout.contains("init"), "{status:?}");
    exited(&focus(&site, "alice", &["init"]), 0, "init: succeeded");
    exited(&focus(&site, "alice", &["set", "1"]), 0, "succeeded");
    nothing_forbidden(&site);
}

#[test]
fn who_waits_over_a_broker_restart_asks_again_and_exits_with_the_true_outcome() {
    let (mut site, _) = homed();
    let sent = targets_sent(&site);
    let mut waiting = site.launch_tool("focus", "alice", &["set", "2.5"]).unwrap().spawn().unwrap();
    wait_under_way(&site, 0.0, 0.3);
    site.broker.restart().unwrap();
    assert_eq!(waiting.wait_exit(LIMIT).unwrap(), 0, "{}", waiting.stderr());
    assert!(waiting.stderr().contains("asking again with the same id"), "{}", waiting.stderr());
    assert!(waiting.stdout().starts_with("set 2.5: succeeded: at 2.500 mm"), "{}", waiting.stdout());
    assert_eq!(at_rest(&site)["current_mm"], 2.5);
    assert_eq!(targets_sent(&site), sent + 2, "two legs, and nothing for asking again");

    // Another end is told as truly: stopped while nobody could hear of it.
    let mut waiting = site.launch_tool("focus", "alice", &["set", "6"]).unwrap().spawn().unwrap();
    wait_under_way(&site, 2.5, 0.3);
    waiting.freeze().unwrap();
    site.broker.restart().unwrap();
    let ops = Operator::new(&site, "ops").unwrap();
    // The bridge comes back a moment after the broker.
    wait_for("a stop that arrives", LIMIT, || ops.send("stop", json!({})).ok()).unwrap();
    at_rest(&site);
    waiting.thaw().unwrap();
    assert_eq!(waiting.wait_exit(LIMIT).unwrap(), 28, "{}", waiting.stderr());
    assert!(waiting.stderr().contains("ops ended it with stop"), "{}", waiting.stderr());
    nothing_forbidden(&site);
}

#[test]
fn what_is_refused_has_the_code_of_its_reason_and_moves_nothing() {
    let (mut site, _) = homed();
    let orders = site.orders();
    exited(&focus(&site, "alice", &["set", "7"]), 6, "set 7: refused by the bridge: outside_limits (code 6)");
    exited(&focus(&site, "alice", &["offset", "-0.1"]), 6, "outside_limits (code 6)");
    for command in [["set", "1"].as_slice(), &["init"], &["stop"], &["kill"]] {
        exited(&focus(&site, "bob", command), 3, "not_authorised (code 3)");
    }
    assert_eq!(site.orders(), orders);

    let mut waiting = site.launch_tool("focus", "alice", &["set", "1"]).unwrap().spawn().unwrap();
    wait_under_way(&site, 0.0, 0.1);
    exited(&focus(&site, "ops", &["set", "2"]), 2, "alice's set (id ");
    assert_eq!(waiting.wait_exit(LIMIT).unwrap(), 0, "{}", waiting.stderr());
    assert_eq!(at_rest(&site)["current_mm"], 1.0);

    site.port.unplug().unwrap();
    site.wait_state(|state| state["status"] == "offline", LIMIT).unwrap();
    assert_eq!(focus(&site, "alice", &["status"]).code, 4);
    assert_eq!(focus(&site, "alice", &["json"]).code, 4);
    exited(&focus(&site, "alice", &["set", "1"]), 7, "not_connected (code 7)");
    site.port.plug().unwrap();
    at_rest(&site);

    let sent = targets_sent(&site);
    assert_eq!(site.bridge.stop().unwrap(), 0);
    let status = focus(&site, "alice", &["status"]);
    assert_eq!(status.code, 155, "{status:?}");
    assert!(status.stdout.contains("the bridge of clasp/focuser is OFFLINE"), "{status:?}");
    assert!(status.stdout.contains("\nFocuser was IDLE (1.000 mm)\n"), "{status:?}");
    exited(&focus(&site, "alice", &["set", "2"]), 155, "nothing was done");
    let stop = focus(&site, "alice", &["stop", "--timeout", "1"]);
    exited(&stop, 155, "STOP NOT DELIVERED: THE FOCUSER MAY STILL BE MOVING");
    site.broker.stop().unwrap();
    exited(&focus(&site, "alice", &["status"]), 155, "nothing listens at ");
    exited(&focus(&site, "alice", &["set", "2"]), 155, "nothing listens at ");
    assert_eq!(targets_sent(&site), sent);
}
