//! The serial line: what only the bridge can see of it, the doctor passes on.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use testbed::chiller::Fault;

use crate::{Row, Stage, nothing, try_rows};

#[test]
fn what_is_wrong_between_bridge_and_instrument_is_found() {
    try_rows(&mut Stage::start(), &ROWS);
}

impl Stage {
    fn stop_bridge(&mut self) {
        self.site.bridge.stop().unwrap();
    }
}

pub(crate) const ROWS: [Row<Stage>; 5] = [
    Row {
        name: "unit off",
        break_it: |stage| {
            stage.site.port.with(|unit| unit.inject(Fault::Deaf));
            stage.attention("no_answer", "");
            stage.doctor("alice")
        },
        says: &["instrument: no_answer: the device does not answer", "To do: check that the unit is powered"],
        code: 4,
        mend: |stage| {
            stage.site.port.with(|unit| unit.clear_faults());
            stage.well();
        },
    },
    Row {
        name: "port missing",
        break_it: |stage| {
            stage.site.port.unplug().unwrap();
            stage.attention("port_missing", "does not exist");
            stage.doctor("alice")
        },
        says: &["instrument: port_missing: ", "ttyCHILLER", "To do: plug the adapter in"],
        code: 4,
        mend: |stage| {
            stage.site.port.plug().unwrap();
            stage.well();
        },
    },
    Row {
        name: "wrong baud rate",
        break_it: |stage| {
            stage.site.port.set_baud(9600);
            stage.stop_bridge();
            stage.site.bridge.set_env("OBSBUS_CHILLER_SERIAL_BAUD", "4800");
            stage.site.launch_bridge().unwrap();
            stage.attention("no_answer", "serial_baud is 4800");
            stage.doctor("alice")
        },
        says: &[
            "no_answer: ",
            "serial_baud is 4800, the usual speed of this instrument 9600",
            "serial_baud is the unit's",
        ],
        code: 4,
        mend: |stage| {
            stage.stop_bridge();
            stage.site.bridge.set_env("OBSBUS_CHILLER_SERIAL_BAUD", "9600");
            stage.site.start_bridge().unwrap();
            stage.well();
        },
    },
    Row {
        name: "port busy",
        break_it: |stage| {
            stage.stop_bridge();
            let port = File::open(stage.site.port.link()).unwrap();
            rustix::fs::flock(&port, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
            stage.held.push(Box::new(port));
            stage.site.launch_bridge().unwrap();
            stage.attention("port_busy", "busy");
            stage.doctor("alice")
        },
        says: &["instrument: port_busy: ", "another program holds it", "To do: end the program", "fuser -v"],
        code: 4,
        mend: |stage| {
            stage.held.clear();
            stage.well();
        },
    },
    Row {
        name: "wrong group",
        break_it: |stage| {
            stage.stop_bridge();
            let port = stage.site.port.link().canonicalize().unwrap();
            if rustix::process::geteuid().is_root() {
                // Root is denied nothing as long as it has this right.
                let rights = "--bounding-set=-dac_override,-dac_read_search";
                stage
                    .site
                    .bridge
                    .run_under("setpriv", &[rights, "--inh-caps=-dac_override,-dac_read_search"])
                    .unwrap();
                chown(&port, Some(65534), Some(65534)).unwrap();
            }
            let mode = if port.metadata().unwrap().uid() == 65534 { 0o660 } else { 0 };
            std::fs::set_permissions(&port, std::fs::Permissions::from_mode(mode)).unwrap();
            stage.site.launch_bridge().unwrap();
            stage.attention("port_denied", "permission denied");
            stage.doctor("alice")
        },
        says: &["instrument: port_denied: ", "it belongs to", "To do: install the udev rule"],
        code: 4,
        mend: nothing,
    },
];
