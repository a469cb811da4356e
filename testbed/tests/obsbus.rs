//! The real `obsbus` with two instruments of which it knows nothing but what their bridges say.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use testbed::cable::Cable;
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
    let json: serde_json::Value =
        serde_json::from_str(&obsbus(&site, "visitor", &["list", "--output", "json"]).stdout).unwrap();
    assert_eq!(
        (&json[0]["device"], &json[0]["kind"]),
        (&"clasp/chiller".into(), &"chiller".into()),
        "{json}"
    );
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
fn status_shows_every_device_and_exits_with_what_is_worst() {
    let (site, mut focuser) = start();
    let status = obsbus(&site, "visitor", &["status", "--json"]);
    exited(&status, 0, "");
    let seen: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let devices = seen.get("devices").and_then(|devices| devices.as_array()).unwrap();
    let words: Vec<_> =
        devices.iter().map(|device| (&device["device"], &device["status"], &device["link"])).collect();
    let expected = [("clasp/chiller", "idle", "ok"), ("clasp/focuser", "not_homed", "ok")];
    assert!(
        words.into_iter().zip(expected).all(|(is, of)| *is.0 == of.0 && *is.1 == of.1 && *is.2 == of.2),
        "{seen}"
    );

    site.port.unplug().unwrap();
    site.wait_state(|state| state["connected"] == false, LIMIT).unwrap();
    let status = obsbus(&site, "visitor", &["status"]);
    assert_eq!(status.code, 4, "{status:?}");
    assert!(status.stdout.contains("water chiller  OFFLINE    no answer"), "{status:?}");
    assert!(status.stdout.contains("    ! port_missing: cannot open serial port"), "{status:?}");
    focuser.bridge.stop().unwrap();
    let status = obsbus(&site, "visitor", &["status"]);
    assert_eq!(status.code, 155, "{status:?}");
    assert!(status.stdout.contains("OFFLINE  no bridge"), "{status:?}");
    assert!(status.stdout.ends_with("2 devices, 2 not well\n"), "{status:?}");
}

#[test]
fn watch_follows_every_device_and_catches_up_after_the_network_was_away() {
    let (site, focuser) = start();
    let cable = Cable::to(site.broker.port());
    let config = site.client_settings("visitor").unwrap();
    let settings = std::fs::read_to_string(&config).unwrap();
    let port = |port: u16| format!("port = {port}\n");
    let behind = settings.replace(&port(site.broker.port()), &port(cable.port()));
    assert_ne!(behind, settings);
    let file = site.dir().join("client-behind.toml");
    std::fs::write(&file, behind).unwrap();
    let launch = |words: &[&str]| {
        Launch::workspace("obsbus")
            .unwrap()
            .arg("--config")
            .arg(&file)
            .arg("watch")
            .args(words)
            .spawn()
            .unwrap()
    };
    let (mut people, mut program) = (launch(&["--states"]), launch(&["--json"]));
    people.wait_for_line(|line| line.contains("  clasp/focuser  NOT HOMED"), LIMIT).unwrap();
    let set =
        |celsius: &str| exited(&obsbus(&site, "alice", &["chiller", "setpoint", celsius]), 0, "succeeded");
    // It says nothing until something happens, so something happens until it has subscribed.
    wait_for("the first event", LIMIT, || {
        set("14");
        program.stdout().contains("\"verb\":\"setpoint\"").then_some(())
    })
    .unwrap();
    people
        .wait_for_line(|line| line.contains(" UTC  clasp/chiller  alice: setpoint 14.0: succeeded"), LIMIT)
        .unwrap();
    exited(&obsbus(&site, "bob", &["focuser", "init"]), 3, "not_authorised");
    people.wait_for_line(|line| line.contains("  clasp/focuser  bob: init: rejected: "), LIMIT).unwrap();
    assert!(focuser.last(&site, "state").is_some());

    cable.pull();
    set("17.5");
    cable.plug();
    for process in [&mut people, &mut program] {
        process.wait_for_line(|line| line.contains(" UTC DISCONNECTED: "), LIMIT).unwrap();
        process.wait_for_line(|line| line.ends_with(" UTC connected again"), LIMIT).unwrap();
    }
    people.wait_for_line(|line| line.contains("alice: setpoint 17.5: succeeded"), LIMIT).unwrap();
    program.wait_for_line(|line| line.contains("17.5"), LIMIT).unwrap();
    set("18.5");
    program.wait_for_line(|line| line.contains("18.5"), LIMIT).unwrap();
    let lines = program.stdout();
    let events = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let missed =
        events.filter(|event| event["event"]["argument"] == 17.5 && event["device"] == "clasp/chiller");
    assert_eq!(missed.count(), 1, "{lines}");
    program.interrupt().unwrap();
    assert_eq!((program.wait_exit(LIMIT).unwrap(), people.stop(LIMIT).unwrap()), (0, 0));
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
