//! The real `obsbus`: usage, exit codes, completion, and what it says before it has a broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

mod completion;
#[path = "../home/mod.rs"]
mod home;
mod manual;
mod shells;

use home::Home;

fn obsbus() -> Home {
    Home::of("obsbus", env!("CARGO_BIN_EXE_obsbus"))
}

#[test]
fn wrong_usage_exits_64_and_says_so_on_stderr() {
    let calls: &[&[&str]] = &[
        &[],
        &["--bogus"],
        &["list", "all"],
        &["status", "all"],
        &["watch", "all"],
        &["doctor", "--etc"],
        &["device"],
        &["completions"],
        &["completions", "tcsh"],
        &["schema", "evnet"],
        &["schema", "event", "health"],
        &["schema", "event", "--write", "here"],
        &["schema", "--write"],
        &["ha"],
        &["ha", "remove"],
        &["ha", "remove", "--all", "powerbox"],
        &["ha", "remove", "powerbox", "--prefix", "a/+/b"],
        &["ha", "package", "--notify", "phone"],
        &["ha", "dashboards"],
        &["powerbox", "history", "--hours", "25"],
        &["powerbox", "history", "--json", "--hours", "1"],
        &["powerbox", "outcome"],
        &["powerbox", "outcome", "a/b"],
        &["powerbox", "status", "now"],
        &["powerbox", "status", "--timeout", "0"],
    ];
    obsbus().assert_wrong_usage(calls);
}

#[test]
fn help_and_version_are_no_error() {
    let home = obsbus();
    home.assert_help_and_version(&[
        "list",
        "device",
        "schema",
        "ha ",
        "completions",
        "[SITE/]<DEVICE>",
        "155 broker or bridge not",
        "36 the device",
    ]);
    let (code, stdout, _) = home.run(&["help"]);
    assert!(code == 0 && stdout.contains("Usage: obsbus"), "{stdout}");
}

#[test]
fn the_help_of_a_device_that_is_not_there_is_that_of_any_device() {
    let home = obsbus();
    let (file, _) = home.without_broker();
    for arguments in [["powerbox", "--help"], ["powerbox", "help"]] {
        let (code, stdout, stderr) = home.run(&[&["--config", &file], arguments.as_slice()].concat());
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.contains("Usage: obsbus powerbox") && stdout.contains("watch"), "{stdout}");
    }
}

#[test]
fn a_broker_that_is_not_there_exits_155_for_every_command() {
    let calls: &[&[&str]] = &[
        &["list"],
        &["status"],
        &["status", "--json"],
        &["watch"],
        &["powerbox"],
        &["powerbox", "status"],
        &["clasp/powerbox", "json"],
        &["device", "powerbox", "watch"],
        &["device", "list", "powerbox", "status"],
        &["powerbox", "history"],
        &["powerbox", "log"],
        &["ha", "dashboard"],
        &["ha", "package", "powerbox", "--notify", "notify.phone"],
        &["ha", "remove", "powerbox"],
        &["ha", "remove", "--all"],
        &["powerbox", "health"],
        &["powerbox", "ping"],
        &["powerbox", "outcome", "a1"],
        &["powerbox", "dew", "40"],
        &["powerbox", "--timeout", "2", "dew", "--gently", "40"],
    ];
    obsbus().assert_not_reached(calls);
}

#[test]
fn the_settings_may_be_named_anywhere_on_the_line() {
    let home = obsbus();
    let (file, port) = home.without_broker();
    let equals = format!("--config={file}");
    for words in [
        ["powerbox", "dew", "40", "--config", &file].as_slice(),
        &["powerbox", "dew", "40", &equals],
        &["powerbox", "--config", &file, "dew", "40"],
        &["powerbox", "status", &equals],
        &["powerbox", "stop", "--timeout", "1", &equals],
    ] {
        let (code, _, stderr) = home.run(words);
        assert_eq!(code, 155, "{words:?}: {stderr}");
        assert!(stderr.contains(&port.to_string()), "{words:?}: {stderr}");
    }
    let (code, _, stderr) = home.run(&["powerbox", "dew", "40", "--site", "elsewhere", &equals]);
    assert_eq!((code, stderr.contains("--site elsewhere: ")), (64, true), "{stderr}");
}

#[test]
fn a_stop_that_cannot_be_delivered_says_so_in_capitals_and_exits_155() {
    let home = obsbus();
    let (file, port) = home.without_broker();
    for words in [
        ["--timeout", "1", "cover", "stop"],
        ["clasp/cover", "--timeout", "1", "stop"],
        ["cover", "stop", "--timeout", "1"],
    ] {
        let (code, stdout, stderr) = home.run(&[&["--config", &file], words.as_slice()].concat());
        assert_eq!((code, stdout.as_str()), (155, ""), "{stderr}");
        let [first, last] = stderr.lines().collect::<Vec<_>>().try_into().unwrap();
        let not_yet =
            "STOP NOT DELIVERED YET: THE DEVICE MAY STILL BE MOVING; trying for 1 s: nothing listens";
        assert!(first.starts_with(not_yet), "{stderr}");
        let expected = "error: STOP NOT DELIVERED: THE DEVICE MAY STILL BE MOVING: ";
        assert!(last.starts_with(expected) && last.contains(&port.to_string()), "{stderr}");
    }
}

#[test]
fn a_stop_says_that_the_broker_is_silent_and_ctrl_c_that_nothing_was_stopped() {
    let home = obsbus();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = home.settings("[\"clasp\"]", listener.local_addr().unwrap().port());
    let mut child = Command::new(env!("CARGO_BIN_EXE_obsbus"))
        .args(["--config", &file, "cover", "stop"])
        .env_clear()
        .env("HOME", home.path("."))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = lines.next().unwrap().unwrap();
    let not_yet = "STOP NOT DELIVERED YET: THE DEVICE MAY STILL BE MOVING; trying for 38 s: the broker at ";
    assert!(said.starts_with(not_yet) && said.ends_with("does not answer"), "{said}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let said = lines.next().unwrap().unwrap();
    let expected = "error: STOP NOT DELIVERED: THE DEVICE MAY STILL BE MOVING: you did not wait for it to get \
                    through; nothing was stopped";
    assert_eq!(said, expected);
    assert_eq!(child.wait().unwrap().code(), Some(155));
}

#[test]
fn a_verb_of_an_unknown_device_is_not_called_wrong_where_the_broker_is() {
    let home = obsbus();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = home.settings("[\"clasp\"]", listener.local_addr().unwrap().port());
    let (code, _, stderr) = home.run(&["--config", &file, "--timeout", "1", "powerbox", "heater", "on"]);
    assert_eq!(code, 155, "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains("did not answer in time"), "{stderr}");
    assert!(!stderr.contains("unrecognized"), "{stderr}");
}

#[test]
fn without_settings_every_place_that_was_looked_at_is_named() {
    let home = obsbus();
    let missing = home.path("missing.toml").display().to_string();
    let (code, _, stderr) = home.run(&["--config", &missing, "powerbox", "status"]);
    assert_eq!((code, stderr), (64, format!("error: --config names {missing}, which is not a file\n")));
    if Path::new("/etc/obsbus/client.toml").exists() {
        // This host is an operator's, and has settings after all.
        return;
    }
    let (code, _, stderr) = home.run(&["powerbox", "status"]);
    assert_eq!(code, 64);
    for place in ["--config", "OBSBUS_CONFIG", ".config/obsbus/client.toml", "/etc/obsbus/client.toml"] {
        assert!(stderr.contains(place), "{stderr}");
    }
}

#[test]
fn a_bridge_is_removed_by_its_own_settings_whatever_else_stands_there() {
    let home = obsbus();
    let (_, port) = home.without_broker();
    let text = format!(
        "site = \"clasp\"\nserial_port = \"/dev/x\"\n[broker]\nhost = \"localhost\"\nport = {port}\n\
         ca_file = \"ca.pem\"\nusername = \"powerbox-bridge\"\npassword_file = \"password\"\n"
    );
    let file = home.write("bridge.toml", &text);
    let (code, _, stderr) = home.run(&["ha", "remove", "--bridge", &file, "powerbox"]);
    assert_eq!(code, 155, "{stderr}");
    assert!(stderr.contains(&port.to_string()), "{stderr}");
    let file = home.write("bridge.toml", "[broker]\nhost = \"localhost\"\n");
    let (code, _, stderr) = home.run(&["ha", "remove", "--bridge", &file, "powerbox"]);
    assert_eq!(code, 64);
    for missing in ["site", "broker.ca_file"] {
        assert!(stderr.contains(missing), "{stderr}");
    }
}

#[test]
fn every_error_of_the_settings_is_reported_with_its_line() {
    let home = obsbus();
    let file = home.write("client.toml", "sites = [\"clasp\"]\nhots = 1\n[broker]\nport = 70000\n");
    let (code, _, stderr) = home.run(&["--config", &file, "powerbox", "status"]);
    assert_eq!(code, 64);
    for expected in ["client.toml:2", "hots", "client.toml:4", "broker.port", "broker.host"] {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
}

#[test]
fn one_of_several_sites_must_be_named_and_known() {
    let home = obsbus();
    let file = home.settings("[\"clasp\", \"warwick\"]", 8883);
    let (code, _, stderr) = home.run(&["--config", &file, "powerbox", "status"]);
    let expected =
        "error: the settings have several sites: say clasp/powerbox or warwick/powerbox; or which --site\n";
    assert_eq!((code, stderr.as_str()), (64, expected));
    let (code, _, stderr) = home.run(&["--config", &file, "--site", "elsewhere", "powerbox", "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("knows only clasp, warwick"), "{stderr}");
    let (code, _, stderr) = home.run(&["--config", &file, "clasp/Powerbox", "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("is not a valid name of a device"), "{stderr}");
    let (code, _, stderr) = home.run(&["--config", &file, "--site", "clasp", "warwick/powerbox"]);
    assert!(code == 64 && stderr.contains("warwick"), "{stderr}");
}

#[test]
fn what_does_not_answer_is_given_up_on_in_the_time_allowed() {
    let home = obsbus();
    // Takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = home.settings("[\"clasp\"]", listener.local_addr().unwrap().port());
    let (code, _, stderr) = home.run(&["--config", &file, "--timeout", "1", "powerbox", "status"]);
    assert_eq!(code, 155);
    assert!(stderr.contains("did not answer in time"), "{stderr}");
}

#[test]
fn a_tls_file_that_is_missing_is_named() {
    let home = obsbus();
    let (file, _) = home.without_broker();
    std::fs::remove_file(home.path("ca.pem")).unwrap();
    let (code, _, stderr) = home.run(&["--config", &file, "powerbox", "status"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("ca_file ") && stderr.contains("ca.pem does not exist"), "{stderr}");
}

/// `obsbus arguments`, with stdout where it was sent.
fn written_to(stdout: Stdio, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_obsbus"))
        .args(arguments)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    // Closed at once: nobody reads what is written.
    drop(child.stdout.take());
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn what_cannot_be_written_is_an_error_and_what_nobody_reads_is_none() {
    for arguments in [["--help"].as_slice(), &["completions", "bash"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = written_to(full.into(), arguments);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with("error: cannot write to standard output: No space left"), "{said}");
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        assert_eq!(written_to(write.into(), arguments), (Some(141), String::new()));
    }
}

#[test]
fn schemas_are_listed_printed_and_written_without_settings_or_a_broker() {
    let home = obsbus();
    let (code, list, stderr) = home.run(&["schema"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let names: Vec<_> = list.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"event") && names.contains(&"asyncapi"), "{list}");
    let folder = home.path("files").display().to_string();
    let (code, said, stderr) = home.run(&["schema", "--write", &folder]);
    assert_eq!((code, said), (0, format!("{} files in {folder}\n", names.len())), "{stderr}");
    for name in names {
        let (code, text, stderr) = home.run(&["schema", name]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{name}");
        let ending = if name == "asyncapi" { "yaml" } else { "json" };
        assert_eq!(text, std::fs::read_to_string(home.path(&format!("files/{name}.{ending}"))).unwrap());
    }
    let (code, stdout, stderr) = home.run(&["schema", "evnet"]);
    assert_eq!((code, stdout.as_str()), (64, ""));
    assert!(stderr.contains("tip: a similar value exists: 'event'"), "{stderr}");
    let (_, completed, _) = home.run(&["__complete", "--", "schema", "hea"]);
    assert_eq!(completed, "health\t<base>/health: how the bridge itself is\n");
}

#[test]
fn every_subcommand_is_a_reserved_word() {
    for name in cli::usage::COMMANDS.iter().chain(&cli::usage::DEVICE_COMMANDS) {
        // Every device has that one; and the services are devices.
        let is_device = *name == "ping" || bus::reserved::SERVICES.contains(name);
        assert!(is_device || bus::reserved::is_reserved(name), "{name}");
    }
    for arguments in [&["help"], &["--help"]] {
        let (_, stdout, _) = obsbus().run(arguments);
        let commands = stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in commands.take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap();
            assert!(cli::usage::COMMANDS.contains(&name), "{name} is not in the list");
        }
    }
}
