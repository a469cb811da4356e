//! What is completed, by the hidden command that the shells' scripts call.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::home::Home;
use crate::obsbus;

/// A device with a verb of two arguments.
pub(crate) const META: &str = r#"{"schema": 2, "kind": "powerbox", "label": "power box", "model": "", "version": "1",
    "stale_after_s": 10.0, "properties": [], "verbs": [
        {"name": "dew_heater", "label": "Dew heater", "class": "exclusive", "overriding_for": [], "motion": false,
         "needs_id": false, "timeout_s": 5.0, "argument": null, "arguments": [
            {"name": "channel", "label": "Which", "kind": "choice", "unit": null, "minimum": null, "maximum": null,
             "choices": ["left", "right"], "choice_labels": {}, "optional": false},
            {"name": "over_s", "label": "Time", "kind": "number", "unit": "s", "minimum": 0.0, "maximum": 60.0,
             "choices": null, "optional": true}]}]}"#;

/// A home with settings for these sites, in which a device was heard of before.
pub(crate) fn home_with_cache(sites: &str) -> (Home, String) {
    let port = 1;
    let home = obsbus();
    let file = home.settings(sites, port);
    let folder = home.path(&format!(".cache/obsbus/meta/localhost_{port}/clasp"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("powerbox.json"), META).unwrap();
    (home, file)
}

#[test]
fn devices_verbs_and_words_are_completed_from_what_was_heard_before() {
    let (home, file) = home_with_cache("[\"clasp\"]");
    let words = |typed: &[&str]| {
        let (code, stdout, stderr) = home.run(&[&["--config", &file, "__complete", "--"], typed].concat());
        assert_eq!((code, stderr.as_str()), (0, ""));
        stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(words(&["pow"]), ["powerbox"]);
    assert_eq!(words(&["clasp/"]), ["clasp/powerbox"]);
    assert_eq!(words(&["li"]), ["list"]);
    assert_eq!(words(&["powerbox", "de"]), ["dew-heater"]);
    assert_eq!(words(&["powerbox", "dew-heater", ""]), ["left", "right"]);
    assert_eq!(words(&["powerbox", "dew-heater", "left", "--o"]), ["--over-s"]);
    assert_eq!(words(&["--site", "clasp", "powerbox", "watch", "--ti"]), ["--timeout"]);
    assert_eq!(words(&["device", "powerbox"]), ["powerbox"]);
    assert_eq!(words(&["ha", "dashboard", "other", "p"]), ["powerbox"]);
    assert_eq!(words(&["--site", "c"]), ["clasp"]);
    assert_eq!(words(&["powerbox", "watch", "--site", "=", "c"]), ["clasp"], "as bash divides it");
    assert_eq!(words(&["list", "--site", "="]), ["clasp"]);
    assert_eq!(words(&["powerbox", "p"]), ["ping"], "no device stands after a device");
    assert_eq!(words(&["--config", "x"]), [""], "the shell completes files");
    assert_eq!(words(&["--config", "/not/there", "pow"]), [""; 0]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures how long a real program takes")]
fn a_completion_waits_for_no_broker() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = obsbus();
    let file = home.settings("[\"clasp\"]", listener.local_addr().unwrap().port());
    let began = Instant::now();
    let (code, stdout, stderr) = home.run(&["--config", &file, "__complete", "--", ""]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("list\t"), "{stdout}");
    // 100 ms, and what a busy machine takes to start a program.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
