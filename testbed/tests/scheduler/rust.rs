//! The autofocus client of docs/scheduler-rust.md, an example of `bus::client`.
//!
//! It must be built: `cargo build --examples`, which `cargo test --workspace` does by itself.

use testbed::page::quoting;

use super::*;

const PAGE: &str = "docs/scheduler-rust.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn launch(night: &Night, identity: &str, step: &str) -> Launch {
    Launch::workspace("examples/autofocus")
        .unwrap()
        .arg("--config")
        .arg(night.site.client_settings(identity).unwrap())
        .args(["--step", step])
        .arg(night.file("measure-hfd"))
}

/// With steps so large that its first move takes some seconds; that is half done.
fn start_and_wait_half_way(night: &Night) -> Process {
    let process = launch(night, "scheduler", "0.5").spawn().unwrap();
    let half_way = |state: &Value| {
        state["status"] == "moving" && state["current_mm"].as_f64().is_some_and(|mm| mm > 2.0)
    };
    night.site.wait_state(half_way, LIMIT).unwrap();
    process
}

#[test]
fn the_page_quotes_the_example() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let page = read(PAGE);
    let (written, quoted) = quoting(&page, "focuser-bridge/tool/", read);
    assert_eq!(quoted, 1);
    if std::env::var("OBSBUS_GENERATE").is_ok_and(|value| value == "1") {
        fs::write(root().join(PAGE), written).unwrap();
    } else {
        assert!(written == page, "{PAGE} does not quote the example as it is: run `make generated`");
    }
}

#[test]
fn rust_an_autofocus_finds_the_best_focus_with_a_bridge_that_demands_signatures() {
    let night = Night::begin_signed();
    found_best(&night, &launch(&night, "scheduler", "0.05").run(RUN_LIMIT).unwrap());
}

#[test]
fn rust_a_broker_restart_in_the_middle_of_a_move_does_not_matter() {
    let mut night = Night::begin();
    let process = start_and_wait_half_way(&night);
    night.site.broker.restart().unwrap();
    found_best(&night, &end_of(process));
}

#[test]
fn rust_a_bridge_that_is_killed_in_a_move_and_comes_back_brings_it_back() {
    let mut night = Night::begin();
    let process = start_and_wait_half_way(&night);
    night.site.bridge.kill9().unwrap();
    night.site.start_bridge().unwrap();
    ended(&end_of(process), 1, &["move to 3.800 mm failed", "moved back to 1.300 mm"]);
    assert!((night.stands_at() - 1.3).abs() < 1e-9);
}

#[test]
fn rust_ctrl_c_stops_the_focuser_and_somebody_elses_stop_is_left_alone() {
    let night = Night::begin();
    let mut process = start_and_wait_half_way(&night);
    process.interrupt().unwrap();
    ended(&end_of(process), 28, &["stopped: standing at "]);
    let at = night.stands_at();
    assert!((2.0..3.7).contains(&at), "{at}");

    succeeded(&night.ops.ask("set", json!({ "mm": 1.3 })).unwrap());
    let process = start_and_wait_half_way(&night);
    let orders = night.orders_to_move();
    succeeded(&night.ops.ask("stop", json!({})).unwrap());
    ended(&end_of(process), 1, &["move to 3.800 mm stopped", "ops", "left where it is"]);
    assert!(night.stands_at() > 2.0);
    assert_eq!(night.orders_to_move(), orders);
}

#[test]
fn rust_who_may_not_and_what_is_not_there_is_said() {
    let mut night = Night::begin();
    let output = launch(&night, "bob", "0.05").run(RUN_LIMIT).unwrap();
    ended(&output, 1, &["move to 1.550 mm rejected: "]);
    let output = launch(&night, "visitor", "0.05").run(RUN_LIMIT).unwrap();
    ended(&output, 1, &["the broker does not let visitor command"]);
    assert!((night.stands_at() - 1.3).abs() < 1e-9);
    night.site.port.unplug().unwrap();
    night.site.wait_state(|state| state["connected"] == false, LIMIT).unwrap();
    let output = launch(&night, "scheduler", "0.05").run(RUN_LIMIT).unwrap();
    ended(&output, 1, &["clasp/focuser is not connected: "]);
    assert_eq!(night.site.bridge.stop().unwrap(), 0);
    let output = launch(&night, "scheduler", "0.05").run(RUN_LIMIT).unwrap();
    ended(&output, 1, &["the bridge of clasp/focuser is offline"]);
}
