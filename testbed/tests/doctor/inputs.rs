//! The services whose readings the bridge uses.

use testbed::client::{Post, TestClient};
use testbed::publisher::{POWER_TOPIC, Power};

use crate::{Row, Stage, try_rows};

#[test]
fn inputs_that_the_bridge_cannot_use_are_found() {
    try_rows(&mut Stage::start(), &ROWS);
}

pub(crate) const ROWS: [Row<Stage>; 3] = [
    Row {
        name: "renamed channel",
        break_it: |stage| {
            stage.power.as_ref().unwrap().rename("swir", "camera2").unwrap();
            stage.attention("input_stale", "does not publish");
            stage.doctor("alice")
        },
        says: &[
            "clasp/power/state does not publish \"swir\"",
            "channels and keys in the bridge's settings must be",
        ],
        code: 0,
        mend: |stage| {
            stage.power.as_ref().unwrap().rename("camera2", "swir").unwrap();
            stage.well();
        },
    },
    Row {
        name: "stale input",
        break_it: |stage| {
            stage.power.as_ref().unwrap().silence();
            stage.attention("input_stale", "s old");
            stage.doctor("alice")
        },
        says: &[
            "input_stale: clasp/power/state",
            "s old",
            "To do: check that the service which publishes it runs",
        ],
        code: 0,
        mend: |stage| {
            stage.power.as_ref().unwrap().speak().unwrap();
            stage.well();
        },
    },
    Row {
        name: "input from a wrong identity",
        break_it: |stage| {
            stage.power = None;
            let ops = TestClient::connect(&stage.site.broker, "ops").unwrap();
            let answer =
                ops.publish(Post::to(POWER_TOPIC, r#"{"channels":{"cmos":true,"swir":true}}"#)).unwrap();
            assert!(!answer.is_taken(), "{answer:?}");
            stage.restart_bridge();
            stage.attention("input_stale", "clasp/power/state");
            stage.doctor("alice")
        },
        says: &[
            "input_stale: clasp/power/state",
            "under the identity to which the access list grants this topic",
        ],
        code: 0,
        mend: |stage| stage.power = Some(Power::start(&stage.site.broker, &["cmos", "swir"]).unwrap()),
    },
];

#[test]
fn nothing_else_is_said_of_a_site_that_is_well() {
    let stage = Stage::start();
    let well = stage.doctor("alice").run(testbed::site::LIMIT).unwrap();
    assert_eq!((well.code, crate::first_unwell(&well)), (0, None), "{well:?}");
    let json = stage.doctor("alice").arg("--json").run(testbed::site::LIMIT).unwrap();
    let findings: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(findings["exit_code"], 0, "{findings}");
    let checks = findings["checks"].as_array().unwrap();
    assert!(checks.iter().all(|finding| finding["verdict"] == "ok"), "{findings}");
    let of_device = checks.iter().filter(|finding| finding["subject"] == "clasp/chiller");
    assert_eq!(of_device.count(), 11);
}
