//! The real `obsbus` with two instruments of which it knows nothing but what their bridges say.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use testbed::focuser::Focuser;
use testbed::process::{Launch, Output};
use testbed::site::{ExtraInstrument, LIMIT, Site};
use testbed::wait::wait_for;

fn start() -> (Site, ExtraInstrument<Focuser>) {
    let site = Site::start().unwrap();
    let focuser = ExtraInstrument::launch(&site, Default::default(), &[]).unwrap();
    wait_for("a focuser that takes commands", LIMIT, || {
        obsbus(&site, "alice", &["focuser", "ping"]).stdout.contains("answered").then_some(())
    })
    .unwrap();
    wait_for("what the focuser is", LIMIT, || focuser.last(&site, "meta")).unwrap();
    (site, focuser)
}

fn obsbus(site: &Site, identity: &str, args: &[&str]) -> Output {
    site.launch_tool("obsbus", identity, args).unwrap().run(LIMIT).unwrap()
}

/// It exited with this, and said this on stdout (0) or stderr.
#[track_caller]
fn exited(output: &Output, code: i32, said: &str) {
    assert_eq!(output.code, code, "{output:?}");
    let here = if code == 0 { &output.stdout } else { &output.stderr };
    assert!(here.contains(said), "{said} is not in {output:?}");
}

#[test]
fn every_device_is_listed_shown_and_explained_by_what_its_bridge_says() {
    let (site, _focuser) = start();
    site.wait_state(|state| !state["water_temp"].is_null(), LIMIT).unwrap();
    let list = obsbus(&site, "visitor", &["list"]);
    exited(&list, 0, "clasp/chiller  water chiller  ThermoTek T257P");
    exited(&list, 0, "clasp/focuser  focuser        ");
    let status = obsbus(&site, "visitor", &["status"]);
    exited(&status, 0, "chiller  water chiller  IDLE       ok    ");
    exited(&status, 0, "focuser  focuser        NOT HOMED  ok    ");
    exited(&status, 0, "    ! not_homed: ");

    for words in [["chiller"].as_slice(), &["chiller", "status"], &["clasp/chiller"], &["device", "chiller"]]
    {
        let status = obsbus(&site, "visitor", words);
        assert!(status.stdout.starts_with("Water chiller is IDLE\n"), "{status:?}");
        exited(&status, 0, "\n   Water: 12.0°C\n");
    }
    let json = obsbus(&site, "visitor", &["chiller", "json"]);
    let payload = json.stdout.strip_suffix('\n').unwrap();
    site.observer.wait_for(|message| message.payload == payload, LIMIT).unwrap();

    let help = obsbus(&site, "visitor", &["focuser", "help", "set"]);
    exited(&help, 0, "Position (0 to 6 mm)");
    exited(&obsbus(&site, "visitor", &["chiller", "help"]), 0, "Set point");
    exited(&obsbus(&site, "visitor", &["nosuch"]), 155, "`obsbus list` shows what is there");
    exited(&obsbus(&site, "visitor", &["focuser", "fly"]), 64, "unrecognized subcommand 'fly'");
    exited(&obsbus(&site, "alice", &["chiller", "health"]), 0, "access rules: in force");
    exited(&obsbus(&site, "alice", &["chiller", "history"]), 0, "5 min means");

    let complete = obsbus(&site, "visitor", &["__complete", "--", "focuser", "s"]);
    assert_eq!(
        complete.stdout,
        "set\tMove to\nstatus\tShow the device's state, and the reason for it\nstop\tStop\n"
    );
}

#[test]
fn commands_are_made_of_what_the_bridge_says_and_end_with_its_codes() {
    let (site, focuser) = start();
    exited(&obsbus(&site, "alice", &["chiller", "setpoint", "14.5"]), 0, "setpoint 14.5: succeeded");
    exited(&obsbus(&site, "alice", &["chiller", "mode", "auto"]), 0, "mode auto: succeeded");
    exited(&obsbus(&site, "alice", &["chiller", "enabled", "on"]), 10, "mode_is_automatic (code 10)");
    exited(&obsbus(&site, "alice", &["chiller", "enabled", "maybe"]), 64, "possible values: on, off");
    for words in [["chiller", "clear-alarms"], ["chiller", "clear_alarms"]] {
        exited(&obsbus(&site, "alice", &words), 0, "clear-alarms: succeeded");
    }

    exited(&obsbus(&site, "alice", &["focuser", "set", "3"]), 7, "not_homed (code 7)");
    exited(&obsbus(&site, "alice", &["focuser", "init"]), 0, "init: succeeded");
    let set = obsbus(&site, "alice", &["focuser", "set", "3"]);
    exited(&set, 0, "set 3: succeeded: at 3.000 mm");
    assert!(
        set.stderr.lines().any(|line| line.starts_with("set 3: moving ") && line.contains(" / 3.000 mm "))
    );
    let state = focuser.last(&site, "state").unwrap().json().unwrap();
    assert_eq!(state["current_mm"], 3.0, "{state}");
    let outside = obsbus(&site, "alice", &["focuser", "set", "7"]);
    exited(&outside, 6, "set 7: outside_limits (code 6): 0 to 6 mm; nothing was sent");
    exited(&obsbus(&site, "bob", &["focuser", "set", "2"]), 3, "not_authorised (code 3)");
    exited(&obsbus(&site, "bob", &["focuser", "stop"]), 3, "NOT STOPPED: THE FOCUSER MAY STILL BE MOVING");

    let begun = obsbus(&site, "alice", &["focuser", "set", "1", "--no-wait"]);
    let id = begun.stdout.trim_end().to_owned();
    assert_eq!((begun.code, id.len()), (0, 16), "{begun:?}");
    exited(&obsbus(&site, "alice", &["focuser", "stop"]), 0, "stop: succeeded: standing at ");
    exited(&obsbus(&site, "alice", &["focuser", "outcome", &id]), 28, "stopped (code 28)");
}

#[test]
fn the_log_tells_who_did_what_without_the_journal() {
    let (site, _focuser) = start();
    exited(&obsbus(&site, "alice", &["chiller", "setpoint", "14.5"]), 0, "succeeded");
    exited(&obsbus(&site, "bob", &["chiller", "mode", "auto"]), 3, "not_authorised");
    let log = wait_for("both commands in the log", LIMIT, || {
        let log = obsbus(&site, "visitor", &["chiller", "log"]);
        let both =
            log.stdout.contains(" UTC  alice: setpoint 14.5: succeeded") && log.stdout.contains("bob: ");
        (log.code == 0 && both).then_some(log.stdout)
    })
    .unwrap();
    let refused = log.lines().find(|line| line.contains("bob: ")).unwrap();
    assert!(refused.contains(" UTC  bob: mode auto: rejected: ") && refused.ends_with(" (code 3)"), "{log}");
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_of_a_command_that_was_carried_out() {
    let (site, _focuser) = start();
    let config = site.client_settings("alice").unwrap();
    let program = std::env::current_exe().unwrap().parent().unwrap().with_file_name("obsbus");
    for words in [["chiller", "setpoint", "14.5"].as_slice(), &["focuser", "stop"], &["focuser", "init"]] {
        let shell = Launch::machine("sh").unwrap().args(["-c", "exec \"$0\" \"$@\" >/dev/full"]);
        let shell = shell.arg(&program).arg("--config").arg(&config).args(words);
        let output = shell.run(LIMIT).unwrap();
        let done = format!("{}: succeeded", words.get(1..).unwrap().join(" "));
        exited(&output, 1, &done);
        exited(&output, 1, "cannot write to standard output: No space left on device");
        exited(&output, 1, "; the command itself was carried out\n");
    }
}

#[test]
fn ctrl_c_stops_what_moves_on_any_device() {
    let (site, focuser) = start();
    exited(&obsbus(&site, "alice", &["focuser", "init"]), 0, "init: succeeded");
    let mut moving = site.launch_tool("obsbus", "alice", &["focuser", "set", "5"]).unwrap().spawn().unwrap();
    let state = || focuser.last(&site, "state")?.json().ok();
    wait_for("a motion", LIMIT, || state().filter(|state| state["status"] == "moving")).unwrap();
    moving.interrupt().unwrap();
    assert_eq!(moving.wait_exit(LIMIT).unwrap(), 28, "{}", moving.stderr());
    assert!(moving.stderr().contains("set 5: stopped by Ctrl-C: standing at "), "{}", moving.stderr());
    assert!(!focuser.port.with(|unit| unit.is_turning()));
}

#[test]
fn a_dangerous_command_is_asked_about_on_a_terminal_and_nowhere_else() {
    let site = Site::start().unwrap();
    site.wait_state(|state| !state["water_temp"].is_null(), LIMIT).unwrap();
    let on_terminal = |args: &[&str], typed: Option<&str>| {
        let launch = site.launch_tool("obsbus", "alice", args).unwrap().on_terminal().unwrap();
        let mut process = launch.spawn().unwrap();
        if let Some(typed) = typed {
            wait_for("the question", LIMIT, || process.stdout().contains("[y/N] ").then_some(())).unwrap();
            process.type_line(typed).unwrap();
        }
        let code = process.wait_exit(LIMIT).unwrap();
        (code, process.stdout())
    };
    let (code, said) = on_terminal(&["chiller", "clear-alarms"], Some("n"));
    assert!(said.contains("clear its alarms? [y/N]"), "{said}");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("clear-alarms: not confirmed; nothing was sent"), "{said}");
    assert!(site.state().unwrap()["last_command"].is_null());

    let (code, said) = on_terminal(&["chiller", "clear-alarms"], Some("y"));
    assert_eq!(code, 0, "{said}");
    let (code, said) = on_terminal(&["chiller", "clear-alarms", "--yes"], None);
    assert_eq!((code, said.contains("[y/N]")), (0, false), "{said}");
    let (code, said) = on_terminal(&["chiller", "setpoint", "12.5"], None);
    assert_eq!((code, said.contains("[y/N]")), (0, false), "{said}");
    // A script has nobody to ask.
    exited(&obsbus(&site, "alice", &["chiller", "clear-alarms"]), 0, "clear-alarms");
    exited(
        &obsbus(&site, "alice", &["chiller", "help", "clear-alarms"]),
        0,
        "Asks first on a terminal: Put the chiller",
    );
}
