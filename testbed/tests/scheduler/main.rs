//! The autofocus client of docs/scheduler.md, run as its reader would, against a real broker, a
//! real bridge and a focuser at the level of bytes. Only its camera is not real: a program that
//! prints a V-curve.
//!
//! Needs `target/python`, which `make test` sets up (`tools/setup python`).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test an error is a failure, in its helpers too"
)]

mod rust;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use testbed::cable::Cable;
use testbed::operator::{Operator, instant_now};
use testbed::process::{Launch, Output, Process};
use testbed::site::{FocuserSite, LIMIT};
use testbed::wait::wait_for;

const PAGE: &str = include_str!("../../../docs/scheduler.md");
const SETUP: &str = include_str!("../../../tools/setup");

/// Where the simulated telescope is in focus.
const BEST: f64 = 1.234;

/// An autofocus run takes some twenty seconds where the machine is busy.
const RUN_LIMIT: Duration = Duration::from_secs(120);

fn python() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    assert!(venv.is_file(), "{} is missing; run: make test, or tools/setup python", venv.display());
    venv
}

/// The one block of Python of the page.
fn block() -> &'static str {
    let (_, rest) = PAGE.split_once("```python\n").unwrap();
    let (block, rest) = rest.split_once("```").unwrap();
    assert!(!rest.contains("```python"), "which block is the client?");
    block
}

/// A site with a focuser that stands at 1.3 mm, the page's client, and `ops`, who may command too.
struct Night {
    site: FocuserSite,
    ops: Operator,
}

impl Night {
    fn begin() -> Self {
        let night = Self::begin_not_homed();
        succeeded(&night.ops.ask("init", json!({})).unwrap());
        succeeded(&night.ops.ask("set", json!({ "mm": 1.3 })).unwrap());
        night
    }

    /// As [`Self::begin`], with a bridge that believes only signed moves.
    fn begin_signed() -> Self {
        let mut night = Self::begin();
        let list = night.file("crl.pem");
        let authority = night.site.broker.authority();
        fs::write(&list, authority.revocation_list(&[], Duration::from_secs(86_400)).unwrap()).unwrap();
        assert_eq!(night.site.bridge.stop().unwrap(), 0);
        night.site.bridge.set_env("OBSBUS_FOCUSER_COMMANDS__REQUIRE_SIGNATURE", "set");
        night.site.bridge.set_env("OBSBUS_FOCUSER_COMMANDS__CRL_FILE", &list.display().to_string());
        night.site.start_bridge().unwrap();
        assert_eq!(night.ops.ask("set", json!({ "mm": 3.0 })).unwrap()["code"], 34);
        night
    }

    fn begin_not_homed() -> Self {
        let site = FocuserSite::builder()
            .setting("control_clients", r#"["ops", "scheduler"]"#)
            .setting("speed_mm_sec", "1")
            .start()
            .unwrap();
        let ops = Operator::new(&site, "ops").unwrap();
        let night = Self { site, ops };
        fs::write(night.file("autofocus.py"), block()).unwrap();
        night.camera("");
        night
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.dir().join(name)
    }

    /// The camera: a V-curve with its minimum, 2 pixels, at [`BEST`]. `first` is run before the
    /// exposure, with the position in `$1`.
    fn camera(&self, first: &str) {
        self.camera_of(first, &format!("sqrt(4 + (30 * (mm - {BEST})) ^ 2)"));
    }

    /// As [`Self::camera`], with another curve: what awk makes of it.
    fn camera_of(&self, first: &str, curve: &str) {
        let folder = self.site.dir().display();
        let script = format!(
            "#!/bin/sh\nset -e\ncd '{folder}'\n{first}\nexec awk -v mm=\"$1\" 'BEGIN {{ print {curve} }}'\n"
        );
        let path = self.file("measure-hfd");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// As [`Self::camera`], but its exposure at this position waits for [`Self::end_exposure`].
    fn slow_camera_at(&self, position: &str) {
        self.camera(&format!(
            "if [ $1 = {position} ]; then : >exposing; until [ -e exposed ]; do sleep 0.02; done; fi"
        ));
    }

    fn wait_exposing(&self) {
        let exposing = self.file("exposing");
        wait_for("the exposure", LIMIT, || exposing.exists().then_some(())).unwrap();
    }

    fn end_exposure(&self) {
        fs::write(self.file("exposed"), "").unwrap();
    }

    fn launch_as(&self, identity: &str, step: &str) -> Launch {
        self.launch_with(identity, step, &self.site.client_settings(identity).unwrap())
    }

    fn launch_with(&self, identity: &str, step: &str, settings: &Path) -> Launch {
        let python = python();
        Launch::machine(python.to_str().unwrap())
            .unwrap()
            .arg(self.file("autofocus.py"))
            .args(["--identity", identity, "--step", step, "--hfd"])
            .arg(self.file("measure-hfd"))
            .arg("--config")
            .arg(settings)
    }

    fn run(&self) -> Output {
        self.launch_as("scheduler", "0.05").run(RUN_LIMIT).unwrap()
    }

    /// Starts it with steps so large that its first move, of 2.5 mm outwards, takes some seconds,
    /// and waits until that is half done.
    fn start_and_wait_half_way(&self) -> Process {
        let process = self.launch_as("scheduler", "0.5").spawn().unwrap();
        let half_way = |state: &Value| {
            state["status"] == "moving" && state["current_mm"].as_f64().is_some_and(|mm| mm > 2.0)
        };
        self.site.wait_state(half_way, LIMIT).unwrap();
        process
    }

    /// Where it stands, which must be where the mechanics really are, with nothing done to the chip
    /// that it forbids.
    fn stands_at(&self) -> f64 {
        let state = self.site.wait_state(|state| state["status"] == "idle", LIMIT).unwrap();
        let real = self.site.port.with(|unit| unit.place_mm());
        let claimed = state["current_mm"].as_f64().unwrap();
        assert!((claimed - real).abs() < 0.0006, "at {real} mm and claims {state}");
        assert!(!self.site.port.with(|unit| unit.is_turning()));
        let violations = self.site.port.with(|unit| unit.violations().to_vec());
        assert!(violations.is_empty(), "{violations:?}");
        claimed
    }

    fn orders_to_move(&self) -> usize {
        self.site.orders().iter().filter(|(code, _)| code == "P092" || code == "P103").count()
    }
}

#[track_caller]
fn succeeded(reply: &Value) {
    assert_eq!(reply["code"], 0, "{reply}");
}

/// The process's end, with what it wrote.
fn end_of(mut process: Process) -> Output {
    let code = process.wait_exit(RUN_LIMIT).unwrap();
    Output { code, stdout: process.stdout(), stderr: process.stderr() }
}

#[track_caller]
fn ended(output: &Output, code: i32, parts: &[&str]) {
    assert_eq!(output.code, code, "{output:?}");
    for part in parts {
        assert!(output.stderr.contains(part), "no {part:?} in {output:?}");
    }
    assert!(!output.stderr.contains("Traceback"), "{output:?}");
}

/// How often it moved and took an image.
fn samples(output: &Output) -> usize {
    output.stdout.lines().filter(|line| line.contains(" mm: HFD ")).count()
}

/// That it found the minimum of the curve, with as many moves as an autofocus may take.
#[track_caller]
fn found_best(night: &Night, output: &Output) {
    ended(output, 0, &[]);
    assert!(output.stdout.contains("best focus at "), "{output:?}");
    let samples = samples(output);
    assert!((7..=20).contains(&samples), "{samples} moves: {output:?}");
    let at = night.stands_at();
    assert!((at - BEST).abs() < 0.003, "at {at} mm: {output:?}");
}

#[test]
fn the_page_and_the_setup_name_the_same_versions() {
    for (package, variable) in [("paho-mqtt", "PAHO_VERSION"), ("cryptography", "CRYPTOGRAPHY_VERSION")] {
        let (_, version) = PAGE.split_once(&format!("{package}==")).unwrap();
        let (version, _) = version.split_once('\'').unwrap();
        assert!(SETUP.contains(&format!("\n{variable}={version}\n")), "{package} {version}");
    }
}

#[test]
fn an_autofocus_finds_the_best_focus_with_a_bridge_that_demands_signatures() {
    let night = Night::begin_signed();
    let before = night.orders_to_move();
    let output = night.run();
    found_best(&night, &output);
    let samples = samples(&output);
    // Outwards first, and perhaps to the minimum at the end: two legs each.
    let orders = night.orders_to_move() - before;
    assert!((samples + 1..=samples + 2).contains(&orders), "{orders} orders: {output:?}");
}

#[test]
fn a_broker_restart_in_the_middle_of_a_move_does_not_matter() {
    let mut night = Night::begin();
    let process = night.start_and_wait_half_way();
    night.site.broker.restart().unwrap();
    found_best(&night, &end_of(process));
}

#[test]
fn a_broker_restart_in_the_middle_of_an_exposure_does_not_matter() {
    let mut night = Night::begin();
    night.slow_camera_at("1.300");
    let process = night.launch_as("scheduler", "0.05").spawn().unwrap();
    night.wait_exposing();
    night.site.broker.restart().unwrap();
    night.end_exposure();
    found_best(&night, &end_of(process));
}

#[test]
fn a_cable_pulled_for_longer_than_a_command_may_be_old_does_not_matter() {
    let night = Night::begin();
    night.slow_camera_at("1.300");
    let cable = Cable::to(night.site.broker.port());
    let settings = night.site.client_settings("scheduler").unwrap();
    let direct = format!("port = {}\n", night.site.broker.port());
    let text = fs::read_to_string(&settings).unwrap();
    assert!(text.contains(&direct), "{text}");
    fs::write(&settings, text.replace(&direct, &format!("port = {}\n", cable.port()))).unwrap();
    let mut process = night.launch_with("scheduler", "0.05", &settings).spawn().unwrap();
    night.wait_exposing();
    let orders = night.orders_to_move();

    cable.pull();
    night.end_exposure();
    process.wait_for_line(|line| line.starts_with("1.300 mm"), LIMIT).unwrap();
    let sent_by = instant_now();
    // Its next move is sent now, and again by the MQTT library when it is too old to be run.
    let too_old = || (instant_now().since(sent_by) > Duration::from_secs(13)).then_some(());
    wait_for("the move to be too old", LIMIT, too_old).unwrap();
    assert_eq!(night.orders_to_move(), orders);
    cable.plug();

    let output = end_of(process);
    found_best(&night, &output);
    let rest = samples(&output) - 6;
    let orders = night.orders_to_move() - orders;
    assert!((rest..=rest + 1).contains(&orders), "{orders} orders: {output:?}");
    let expired =
        |event: &Value| event["by"] == "scheduler" && event["status"] == "rejected" && event["code"] == 23;
    let events = night.ops.client.messages();
    assert!(events.iter().filter_map(|message| message.json().ok()).any(|event| expired(&event)));
}

#[test]
fn a_state_that_nobody_renews_is_not_believed_until_somebody_does() {
    let mut night = Night::begin();
    night.slow_camera_at("1.300");
    let mut process = night.launch_as("scheduler", "0.05").spawn().unwrap();
    night.wait_exposing();
    night.site.bridge.freeze().unwrap();
    // What it sent before is on its way no longer than this.
    let last = night.site.last("state").unwrap();
    let stale_after = Duration::from_secs_f64(last.json().unwrap()["stale_after_s"].as_f64().unwrap());
    let stale = || (instant_now().since(last.at.instant) > stale_after).then_some(());
    wait_for("the state to be stale", LIMIT, stale).unwrap();
    night.end_exposure();
    let waits = |line: &str| line == "waiting: the focuser's state is stale";
    process.wait_for_line(waits, LIMIT).unwrap();
    night.site.bridge.thaw().unwrap();
    found_best(&night, &end_of(process));
}

#[test]
fn somebody_elses_stop_ends_it_and_nothing_is_moved_after_it() {
    let night = Night::begin();
    let process = night.start_and_wait_half_way();
    let orders = night.orders_to_move();
    succeeded(&night.ops.ask("stop", json!({})).unwrap());
    ended(&end_of(process), 28, &["autofocus failed", "stopped", "ops", "left where it is", "1.300 mm"]);
    assert!(night.stands_at() > 2.0);
    assert_eq!(night.orders_to_move(), orders);
}

#[test]
fn somebody_elses_move_during_an_exposure_is_noticed_and_left_alone() {
    let night = Night::begin();
    night.slow_camera_at("1.300");
    let process = night.launch_as("scheduler", "0.05").spawn().unwrap();
    night.wait_exposing();
    succeeded(&night.ops.ask("set", json!({ "mm": 0.8 })).unwrap());
    night.end_exposure();
    ended(&end_of(process), 2, &["somebody moved the focuser from 1.300 to 0.800 mm", "left where it is"]);
    assert!((night.stands_at() - 0.8).abs() < 1e-9);
}

#[test]
fn a_camera_that_fails_brings_the_focuser_back_to_where_it_was() {
    let night = Night::begin();
    night.camera("[ $1 != 1.350 ] || { echo 'the shutter is stuck' >&2; exit 3; }");
    let output = night.run();
    ended(&output, 1, &["no image at 1.350 mm: the shutter is stuck", "moved back to 1.300 mm"]);
    assert!((night.stands_at() - 1.3).abs() < 1e-9);

    night.camera_of("", "\"clouds\"");
    ended(&night.run(), 1, &["could not convert string to float", "moved back to 1.300 mm"]);
    assert!((night.stands_at() - 1.3).abs() < 1e-9);
}

#[test]
fn a_curve_without_a_minimum_brings_it_back_too() {
    let night = Night::begin();
    for (curve, swept) in [("10 + mm", "1.550 and 0.800"), ("10 - mm", "1.550 and 1.350")] {
        night.camera_of("", curve);
        ended(&night.run(), 1, &[&format!("no minimum between {swept} mm"), "moved back to 1.300 mm"]);
        assert!((night.stands_at() - 1.3).abs() < 1e-9);
    }
    // A minimum, and no V-curve: worse at once, and no worse further away.
    night.camera_of("", "(mm == 1.3) ? 4 : 5");
    ended(&night.run(), 1, &["autofocus failed", "moved back to 1.300 mm"]);
    assert!((night.stands_at() - 1.3).abs() < 1e-9);
}

#[test]
fn a_bridge_that_is_killed_in_a_move_and_comes_back_brings_it_back() {
    let mut night = Night::begin();
    let process = night.start_and_wait_half_way();
    night.site.bridge.kill9().unwrap();
    night.site.start_bridge().unwrap();
    ended(&end_of(process), 30, &["move to 3.800 mm failed", "moved back to 1.300 mm"]);
    assert!((night.stands_at() - 1.3).abs() < 1e-9);
}

#[test]
fn ctrl_c_stops_the_focuser() {
    let night = Night::begin();
    for terminate in [false, true] {
        succeeded(&night.ops.ask("set", json!({ "mm": 1.3 })).unwrap());
        let mut process = night.start_and_wait_half_way();
        if terminate {
            process.terminate().unwrap();
        } else {
            process.interrupt().unwrap();
        }
        ended(&end_of(process), 28, &["stopped: the focuser stands"]);
        let at = night.stands_at();
        assert!((2.0..3.7).contains(&at), "{at}");
    }
}

#[test]
fn a_stop_that_cannot_be_delivered_is_said_in_capitals() {
    let mut night = Night::begin();
    let mut process = night.start_and_wait_half_way();
    night.site.broker.stop().unwrap();
    process.interrupt().unwrap();
    process.wait_for_line(|line| line == "stopping ...", LIMIT).unwrap();
    // A second one does not wait any longer.
    process.interrupt().unwrap();
    ended(&end_of(process), 155, &["NOT STOPPED, THE FOCUSER MAY STILL MOVE"]);
}

#[test]
fn a_focuser_that_is_not_homed_or_was_killed_is_left_alone() {
    let night = Night::begin_not_homed();
    ended(&night.run(), 7, &["the focuser is not homed", "focus init"]);
    assert_eq!(night.site.orders(), []);

    succeeded(&night.ops.ask("init", json!({})).unwrap());
    succeeded(&night.ops.ask("set", json!({ "mm": 1.3 })).unwrap());
    let process = night.start_and_wait_half_way();
    succeeded(&night.ops.ask("kill", json!({})).unwrap());
    ended(&end_of(process), 28, &["autofocus failed", "ops", "left where it is"]);
    let orders = night.site.orders();
    ended(&night.run(), 7, &["the focuser was let go of", "focus init"]);
    assert_eq!(night.site.orders(), orders);
}

#[test]
fn who_may_not_and_what_is_not_there_is_said() {
    let mut night = Night::begin();
    let output = night.launch_as("bob", "0.05").run(RUN_LIMIT).unwrap();
    ended(&output, 3, &["autofocus failed: move to 1.550 mm rejected"]);
    let output = night.launch_as("visitor", "0.05").run(RUN_LIMIT).unwrap();
    ended(&output, 3, &["the broker does not let visitor command"]);
    assert!((night.stands_at() - 1.3).abs() < 1e-9);

    assert_eq!(night.site.bridge.stop().unwrap(), 0);
    night.site.wait_availability("offline", LIMIT).unwrap();
    ended(&night.run(), 155, &["the focuser's bridge is offline"]);
    night.site.broker.stop().unwrap();
    ended(&night.run(), 155, &["cannot reach the broker 127.0.0.1"]);
}
