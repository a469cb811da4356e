//! The bridges: down, frozen, two of one, with another clock.

use std::fs;

use testbed::chiller::{Chiller, Config};
use testbed::port::Port;
use testbed::process::Launch;
use testbed::site::LIMIT;

use crate::{Row, Stage, nothing, try_rows};

#[test]
fn bridges_that_are_not_as_they_should_be_are_found() {
    try_rows(&mut Stage::start(), &ROWS);
}

/// A second bridge with a chiller of its own, as somebody would start it on another host.
fn second(stage: &mut Stage) {
    let dir = stage.site.dir().join("second");
    fs::create_dir_all(&dir).unwrap();
    let model = Config { gap: None, ..Config::default() };
    let port = Port::serve(Chiller::new(model), dir.join("ttyCHILLER")).unwrap();
    let settings = fs::read_to_string(stage.site.dir().join("chiller-bridge.toml")).unwrap();
    let here = |path: &str| format!("{:?}", stage.site.dir().join(path));
    let there = |path: &str| format!("{:?}", dir.join(path));
    let settings = ["ttyCHILLER", "state"]
        .into_iter()
        .fold(settings, |settings, path| settings.replace(&here(path), &there(path)));
    let file = dir.join("chiller-bridge.toml");
    fs::write(&file, settings).unwrap();
    let launch = Launch::workspace("chiller-bridge").unwrap().arg(file).named("second").logs_in(&dir);
    stage.held.push(Box::new((port, launch.spawn().unwrap())));
}

pub(crate) const ROWS: [Row<Stage>; 5] = [
    Row {
        name: "clock off by an hour",
        break_it: |stage| stage.doctor("alice").under("faketime", ["-f", "+1h"]).unwrap(),
        says: &["clock: this machine's clock is 60 min ahead of that of the bridge's machine", "timedatectl"],
        code: 24,
        mend: nothing,
    },
    Row {
        name: "clock off by an hour, seen by one who may not command",
        break_it: |stage| stage.doctor("visitor").under("faketime", ["-f", "+1h"]).unwrap(),
        says: &["clock: this machine's clock is 60 min ahead of that of the bridge's machine", "timedatectl"],
        code: 24,
        mend: nothing,
    },
    Row {
        name: "two bridges",
        break_it: |stage| {
            second(stage);
            stage.attention("second_instance", "process");
            stage.doctor("alice")
        },
        says: &[
            "instances: second_instance: a second bridge tries to use these topics",
            "process",
            "To do: stop the second",
        ],
        code: 1,
        mend: |stage| stage.held.clear(),
    },
    Row {
        name: "bridge frozen",
        break_it: |stage| {
            stage.site.bridge.freeze().unwrap();
            stage.doctor("alice")
        },
        says: &[
            "bridge: the bridge of clasp/chiller is marked online and does not answer",
            "it hangs",
            "systemctl restart",
        ],
        code: 4,
        mend: |stage| stage.site.bridge.thaw().unwrap(),
    },
    Row {
        name: "bridge down",
        break_it: |stage| {
            stage.site.bridge.stop().unwrap();
            stage.site.wait_availability("offline", LIMIT).unwrap();
            stage.doctor("alice")
        },
        says: &[
            "bridge: the bridge of clasp/chiller is OFFLINE",
            "To do: on its machine: systemctl status chiller-bridge@clasp",
        ],
        code: 155,
        mend: nothing,
    },
];
