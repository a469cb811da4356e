//! On the machine of the bridge and the broker: files, services and ports that the bus cannot show.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use testbed::broker::free_port;
use testbed::client::{Post, TestClient};
use testbed::process::Launch;
use testbed::web;

use crate::{Row, Stage, nothing, try_rows};

#[test]
fn what_only_the_machine_itself_shows_is_found_there() {
    try_rows(&mut Stage::start(), &ROWS);
}

impl Stage {
    /// The bridge's settings as somebody has changed them, beside those that the running one has read.
    fn edited(&self, edit: impl FnOnce(String) -> String) -> Launch {
        let launch = self.doctor_there();
        let file = self.settings_there();
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, edit(text)).unwrap();
        launch
    }

    fn unedited(&mut self) {
        fs::remove_file(self.settings_there()).unwrap();
    }

    fn settings_there(&self) -> PathBuf {
        self.etc().join("obsbus/chiller-bridge/clasp.toml")
    }
}

pub(crate) const ROWS: [Row<Stage>; 9] = [
    Row {
        name: "wrong key in the bridge's settings",
        break_it: |stage| stage.edited(|text| format!("qeury_delay = 1\n{text}")),
        says: &["bridge's settings: ", "clasp.toml:1: qeury_delay", "To do: correct it"],
        code: 64,
        mend: Stage::unedited,
    },
    Row {
        name: "a revoked name in control_clients",
        break_it: |stage| {
            let launch = stage.doctor_there();
            let rules = "user bob\ntopic read x\n\nuser alice\ntopic deny #\n";
            fs::write(stage.etc().join("mosquitto/obsbus.acl"), rules).unwrap();
            launch
        },
        says: &[
            "warning",
            "bridge's settings: ",
            "clasp.toml lists alice, who was revoked",
            "To do: take alice out",
        ],
        code: 0,
        mend: |stage| fs::remove_file(stage.etc().join("mosquitto/obsbus.acl")).unwrap(),
    },
    Row {
        name: "revoked certificates are let in",
        break_it: |stage| {
            let launch = stage.doctor_there();
            let list = stage.etc().join("mosquitto/ca_certificates/obsbus-crl.pem");
            fs::create_dir_all(list.parent().unwrap()).unwrap();
            fs::write(list, "").unwrap();
            launch
        },
        says: &[
            "broker's files: the broker does not read ",
            "revoked certificates are let in",
            "To do: add `crlfile ",
        ],
        code: 1,
        mend: |stage| {
            fs::remove_file(stage.etc().join("mosquitto/ca_certificates/obsbus-crl.pem")).unwrap();
        },
    },
    Row {
        name: "the bridge's certificate expired",
        break_it: |stage| {
            let authority = stage.site.broker.authority();
            authority.client_valid_for("chiller-bridge", Duration::ZERO).unwrap();
            stage.doctor_there()
        },
        says: &["bridge's settings: ", "broker.certificate_file", "expired on ", "have it renewed"],
        code: 64,
        mend: |stage| {
            let authority = stage.site.broker.authority();
            authority.client_valid_for("chiller-bridge", Duration::from_secs(400 * 86_400)).unwrap();
        },
    },
    Row {
        name: "retained command",
        break_it: |stage| {
            let alice = TestClient::connect(&stage.site.broker, "alice").unwrap();
            alice.publish(Post::to("clasp/chiller/command/alice/mode", "manual").retained()).unwrap();
            stage.doctor_there()
        },
        says: &[
            "retained commands: the broker stores a command",
            "clasp/chiller/command/alice/mode",
            "To do: clear it as alice: mosquitto_pub -r -n -t clasp/chiller/command/alice/mode",
        ],
        code: 1,
        mend: |stage| {
            let alice = TestClient::connect(&stage.site.broker, "alice").unwrap();
            alice.publish(Post::to("clasp/chiller/command/alice/mode", "").retained()).unwrap();
        },
    },
    Row {
        name: "port held by another program",
        break_it: |stage| {
            let script = "exec 3<>\"$0\" && echo open && exec sleep 1000";
            let other = Launch::machine("sh").unwrap().args(["-c", script]).arg(stage.site.port.link());
            let mut other = other.spawn().unwrap();
            other.wait_for_line(|line| line == "open", testbed::site::LIMIT).unwrap();
            stage.held.push(Box::new(other));
            stage.doctor_there()
        },
        says: &["serial port: ", "ttyCHILLER is held by s", "(process ", "To do: end that program"],
        code: 4,
        mend: |stage| stage.held.clear(),
    },
    Row {
        name: "service failed",
        break_it: |stage| {
            let folder = stage.site.dir().join("bin");
            fs::create_dir_all(&folder).unwrap();
            let systemctl = folder.join("systemctl");
            // The broker's is well.
            let failed =
                "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=0";
            let well = "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=0";
            let script = format!("case \"$*\" in *-bridge*) echo '{failed}' ;; *) echo '{well}' ;; esac");
            fs::write(&systemctl, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
            let path = std::env::var("PATH").unwrap();
            stage.doctor_there().env("PATH", format!("{}:{path}", folder.display()))
        },
        says: &[
            "service: chiller-bridge@clasp is failed (failed, exit-code)",
            "To do: systemctl enable --now chiller-bridge@clasp",
        ],
        code: 155,
        mend: nothing,
    },
    Row {
        name: "password user with a bridge's name",
        break_it: |stage| {
            let passwords = web::password_file(stage.site.dir()).unwrap();
            web::add_user(&passwords, "web-alice", "secret").unwrap();
            web::add_user(&passwords, "chiller-bridge", "secret").unwrap();
            let listener = web::loopback_listener(free_port().unwrap(), &passwords, None).unwrap();
            let connections = stage.connections();
            stage.site.broker.restart_with(&[], &listener).unwrap();
            stage.reconnected(connections);
            stage.doctor_there()
        },
        says: &[
            "password users: ",
            "has a user \"chiller-bridge\"",
            "To do: obsbus-web-user remove chiller-bridge",
        ],
        code: 1,
        mend: |stage| {
            let connections = stage.connections();
            stage.site.broker.restart_with(&[], "").unwrap();
            stage.reconnected(connections);
        },
    },
    Row {
        name: "port missing, on the bridge's machine",
        break_it: |stage| {
            stage.site.port.unplug().unwrap();
            stage.attention("port_missing", "does not exist");
            stage.doctor_there()
        },
        says: &["warning", "serial_port: ", "does not exist: is the adapter plugged in"],
        code: 4,
        mend: nothing,
    },
];
