//! What the broker's access list, its users and its configuration allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testbed::broker::SHIPPED_ACL;
use testbed::client::{Post, TestClient};
use testbed::lax::Lax;
use testbed::site::LIMIT;
use testbed::wait::wait_for;

use crate::{Row, Stage, nothing, try_rows};

impl Stage {
    fn acl(&mut self, more: &str) {
        self.site.broker.reload(&format!("{SHIPPED_ACL}\n{more}\n")).unwrap();
    }

    /// Restarts the broker under another configuration, and waits until the bridge is back.
    fn broker_with(&mut self, without: &[&str], extra: &str) {
        let connections = self.connections();
        self.site.broker.restart_with(without, extra).unwrap();
        self.reconnected(connections);
    }

    fn shipped(&mut self) {
        self.site.broker.reload(SHIPPED_ACL).unwrap();
    }
}

/// Somebody who asks a bridge for an answer, again and again.
struct Pinging(Arc<AtomicBool>);

impl Pinging {
    fn by(client: TestClient) -> Self {
        let is_done = Arc::<AtomicBool>::default();
        let ends = Arc::clone(&is_done);
        std::thread::spawn(move || {
            let topic = format!("clasp/chiller/command/{}/ping", client.identity());
            for number in 0.. {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let id = format!("{{\"id\": \"ping-{number}\"}}");
                client.publish(Post::to(topic.as_str(), id)).unwrap();
                // Below the rate at which a bridge stops answering.
                drop(client.wait_after(client.mark(), |_| false, Duration::from_millis(300)));
            }
        });
        Self(is_done)
    }
}

impl Drop for Pinging {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_the_broker_allows_too_much_or_too_little_is_found() {
    let mut stage = Stage::start();
    let healthy = stage.doctor_there().run(LIMIT).unwrap();
    assert_eq!((healthy.code, crate::first_unwell(&healthy)), (0, None), "{healthy:?}");
    try_rows(&mut stage, &ROWS);
}

pub(crate) const ROWS: [Row<Stage>; 11] = [
    Row {
        name: "ACL too wide for an operator: the whole site",
        break_it: |stage| {
            stage.site.observer.stop_judging();
            stage.acl("user alice\ntopic readwrite clasp/#");
            stage.doctor("alice")
        },
        says: &["foreign names: ", "not in force, or much too wide", "To do: name the access list"],
        code: 31,
        mend: Stage::shipped,
    },
    Row {
        name: "ACL too wide for an operator: commands in any name",
        break_it: |stage| {
            stage.acl("user alice\ntopic write clasp/chiller/command/+/+");
            stage.doctor("alice")
        },
        says: &[
            "foreign names: the access list is too wide",
            "clasp/chiller/command/acl-canary/ping",
            "remove what grants more",
        ],
        code: 31,
        mend: Stage::shipped,
    },
    Row {
        name: "ACL too wide for everybody: states",
        break_it: |stage| {
            stage.acl("pattern write +/+/state");
            stage.doctor("alice")
        },
        says: &["states: the access list is too wide", "clasp/acl-canary/state", "To do: only a bridge"],
        code: 1,
        mend: Stage::shipped,
    },
    Row {
        name: "ACL too wide for the bridge",
        break_it: |stage| {
            stage.acl("user chiller-bridge\ntopic readwrite clasp/chiller/#");
            stage.restart_bridge();
            stage.attention("acl_open", "any name");
            stage.doctor("bob")
        },
        says: &[
            "access list: acl_open: ",
            "any client can send commands in any name",
            "To do: name the access list",
        ],
        code: 31,
        mend: |stage| {
            stage.shipped();
            stage.restart_bridge();
            stage.well();
        },
    },
    Row {
        name: "ACL missing",
        break_it: |stage| {
            stage.broker_with(&["acl_file"], "");
            stage.doctor("alice")
        },
        says: &[
            "foreign names: ",
            "commands in another's name",
            "To do: name the access list in the broker's configuration",
        ],
        code: 31,
        mend: nothing,
    },
    Row {
        name: "ACL missing, on the broker's machine",
        break_it: |stage| stage.doctor_there(),
        says: &[
            "broker's files: ",
            "has no line acl_file",
            "To do: add `acl_file /etc/mosquitto/obsbus.acl`",
        ],
        code: 1,
        mend: |stage| {
            stage.broker_with(&[], "");
            stage.well();
        },
    },
    Row {
        name: "a broker that does not check wills",
        break_it: |stage| {
            stage.site.observer.stop_judging();
            stage.site.broker.reload(&Lax::acl().text()).unwrap();
            let lax = Lax::before(&stage.site.broker, "alice").unwrap();
            let doctor = stage.doctor("alice").env("OBSBUS_CLIENT_BROKER__PORT", lax.port().to_string());
            stage.held.push(Box::new(lax));
            doctor
        },
        says: &["wills: the broker does not apply its access list to wills", "as Mosquitto does"],
        code: 31,
        mend: |stage| {
            stage.held.clear();
            stage.shipped();
        },
    },
    Row {
        name: "ACL too wide for everybody: replies",
        break_it: |stage| {
            stage.acl("pattern read +/+/reply/+/+");
            let bob = TestClient::connect(&stage.site.broker, "ops").unwrap();
            stage.held.push(Box::new(Pinging::by(bob)));
            stage.doctor("alice")
        },
        says: &["replies: the broker delivers replies to others to you (clasp/chiller/reply/ops/"],
        code: 1,
        mend: |stage| {
            stage.held.clear();
            stage.shipped();
        },
    },
    Row {
        name: "broker without set_tcp_nodelay",
        break_it: |stage| {
            stage.broker_with(&["set_tcp_nodelay"], "");
            stage.well();
            stage.doctor("alice")
        },
        says: &["warning  delay: ", "set_tcp_nodelay is missing", "To do: add `set_tcp_nodelay true`"],
        code: 0,
        mend: |stage| {
            stage.broker_with(&[], "");
            stage.well();
        },
    },
    Row {
        name: "an operator who may not command",
        break_it: |stage| stage.doctor("bob"),
        says: &["commands: bob may not command clasp/chiller", "obsbus identity allow bob chiller-bridge"],
        code: 0,
        mend: nothing,
    },
    Row {
        name: "retained command, as an operator sees it",
        break_it: |stage| {
            let alice = TestClient::connect(&stage.site.broker, "alice").unwrap();
            alice.publish(Post::to("clasp/chiller/command/alice/mode", "manual").retained()).unwrap();
            wait_for("the refusal", LIMIT, || {
                stage.site.last("recent").filter(|recent| recent.text().contains("\"code\":22"))
            })
            .unwrap();
            stage.doctor("alice")
        },
        says: &[
            "alice",
            "sent mode with the retain flag",
            "mosquitto_pub -r -n -t clasp/chiller/command/alice/mode",
        ],
        code: 0,
        mend: nothing,
    },
];
