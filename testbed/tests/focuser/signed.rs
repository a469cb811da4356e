//! A broker that lets everybody command in any name, and a bridge that believes only signatures.

use std::fs;
use std::time::Duration;

use bus::client::Device;
use bus::message::Code;
use bus::settings::ClientSettings;
use rcgen::SerialNumber;
use serde_json::{Value, json};
use testbed::broker::{AclMode, free_port};
use testbed::client::{Message, Post, TestClient};
use testbed::focuser::Focuser;
use testbed::operator::{Operator, request};
use testbed::process::Launch;
use testbed::site::{Builder, FocuserSite, LIMIT};
use testbed::web;

use super::{at_rest, ended, nothing_forbidden, succeeded, targets_sent, wait_under_way};

const VALID: Duration = Duration::from_secs(400 * 86_400);
const ALICE: u64 = 4711;

/// The focuser with signatures on every verb.
fn signed() -> FocuserSite {
    signed_at(FocuserSite::builder())
}

fn signed_at(builder: Builder<Focuser>) -> FocuserSite {
    let mut site = builder.acl(AclMode::Open).start_without_bridge().unwrap();
    let authority = site.broker.authority();
    authority
        .client_with("alice", VALID, |params| params.serial_number = Some(SerialNumber::from(ALICE)))
        .unwrap();
    revoke(&site, &[]);
    let list = site.dir().join("crl.pem").display().to_string();
    site.bridge.set_env("OBSBUS_FOCUSER_COMMANDS__REQUIRE_SIGNATURE", "all");
    site.bridge.set_env("OBSBUS_FOCUSER_COMMANDS__CRL_FILE", &list);
    site.start_bridge().unwrap();
    site
}

fn revoke(site: &FocuserSite, serials: &[u64]) {
    let (list, new) = (site.dir().join("crl.pem"), site.dir().join("crl.new"));
    fs::write(&new, site.broker.authority().revocation_list(serials, VALID).unwrap()).unwrap();
    fs::rename(new, list).unwrap();
}

fn attention(site: &FocuserSite, name: &str) -> Value {
    let held = |state: &Value| {
        state["attention"].as_array().unwrap().iter().find(|held| held["name"] == name).cloned()
    };
    held(&site.wait_state(|state| held(state).is_some(), LIMIT).unwrap()).unwrap()
}

/// A visitor who sends in alice's name, and hears what she is told.
fn forged(visitor: &TestClient, alice: &Operator, verb: &str, change: impl Fn(Post) -> Post) -> Value {
    let (id, payload) = request(json!({ "mm": 3.0 })).unwrap();
    visitor.publish(change(Post::to(alice.command_topic(verb), payload))).unwrap();
    alice.terminal(&id).unwrap()
}

#[test]
fn where_the_broker_proves_nothing_only_signed_commands_move_the_focuser() {
    let site = signed();
    let (visitor, alice) = (site.client("bob").unwrap(), Operator::new(&site, "alice").unwrap());
    visitor.subscribe("clasp/focuser/command/alice/+").unwrap();
    assert!(
        attention(&site, "acl_open")["text"].as_str().unwrap().contains("commands that need no signature")
    );
    let meta = site.wait_json("meta", |meta| meta["verbs"].is_array(), LIMIT).unwrap();
    for verb in meta["verbs"].as_array().unwrap() {
        assert_eq!(verb["needs_signature"], verb["name"] != "stop", "{verb}");
    }

    ended(&forged(&visitor, &alice, "set", |post| post), "rejected", 34, "unsigned");
    let output = site.tool("alice", &["init"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    let output = site.tool("alice", &["set", "1.5"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(at_rest(&site)["current_mm"], 1.5);
    let sent = targets_sent(&site);

    // What he has caught of hers, as it was, and with a wish of his own.
    let is_hers = |message: &Message| message.topic.ends_with("/set") && !message.user_properties.is_empty();
    let caught = visitor.wait_for(is_hers, LIMIT).unwrap();
    let (name, signature) = caught.user_properties[0].clone();
    let with_hers = |post: Post| post.user_property(&name, signature.clone());
    ended(&forged(&visitor, &alice, "set", with_hers), "rejected", 35, "bad_signature");
    let id = caught.json().unwrap()["id"].as_str().unwrap().to_owned();
    let again = with_hers(Post::to(caught.topic, caught.payload));
    let verdict = alice.ask_raw(again, &id).unwrap();
    assert_eq!((&verdict["code"], &verdict["duplicate"]), (&json!(0), &json!(true)), "{verdict}");
    assert_eq!(targets_sent(&site), sent);

    // A stop needs no signature, whoever sends it.
    let mut moving = site.launch_own_tool("alice", &["set", "4"]).unwrap().spawn().unwrap();
    wait_under_way(&site, 1.5, 0.3);
    succeeded(&alice.ask("stop", json!({})).unwrap());
    assert_eq!(moving.wait_exit(LIMIT).unwrap(), 28, "{}", moving.stderr());
    nothing_forbidden(&site);
}

#[test]
fn who_was_revoked_signs_for_nothing_and_without_the_list_nobody_does() {
    let site = signed();
    let alice = Operator::new(&site, "alice").unwrap();
    let ping = || site.tool("alice", &["ping"]).unwrap();
    assert_eq!(ping().code, 0);
    // The doctor's ping is signed, too. (It has much to say of the open access list.)
    let doctor = site.launch_tool("obsbus", "alice", &["doctor", "--etc", "/nowhere", "focuser"]).unwrap();
    let doctor = doctor.run(LIMIT).unwrap().stdout;
    assert!(doctor.contains("  ok       commands: alice may command\n"), "{doctor}");
    revoke(&site, &[ALICE]);
    let refused = |words: &str| {
        testbed::wait::wait_for(words, LIMIT, || {
            let output = ping();
            (output.code == 35 && output.stderr.contains(words)).then_some(())
        })
        .unwrap();
    };
    refused("the certificate of alice was revoked");
    fs::remove_file(site.dir().join("crl.pem")).unwrap();
    let held = attention(&site, "signatures_unchecked");
    assert!(held["text"].as_str().unwrap().contains("crl.pem does not exist"), "{held}");
    refused("the bridge cannot verify signatures");
    succeeded(&alice.ask("stop", json!({})).unwrap());
    revoke(&site, &[]);
    testbed::wait::wait_for("the list to be back", LIMIT, || (ping().code == 0).then_some(())).unwrap();
}

#[test]
fn who_has_a_password_and_no_key_is_told_so_and_nothing_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let passwords = web::password_file(dir.path()).unwrap();
    web::add_user(&passwords, "web-alice", "secret").unwrap();
    let port = free_port().unwrap();
    let listener = web::tls_listener(&dir.path().join("broker/certs"), port, &passwords).unwrap();
    // As it is shipped, but for a program that speaks no WebSockets.
    let listener = listener.replace("\nprotocol websockets\n", "\nprotocol mqtt\n");
    let site = signed_at(FocuserSite::builder().in_dir(dir.path()).broker_config(&listener));
    let bystander = site.client("bob").unwrap();
    bystander.subscribe("clasp/focuser/command/web-alice/+").unwrap();

    fs::write(dir.path().join("word"), "secret\n").unwrap();
    let settings = dir.path().join("client-web-alice.toml");
    let ca = site.broker.authority().ca();
    let text = format!(
        "sites = [\"clasp\"]\n[broker]\nhost = \"127.0.0.1\"\nport = {port}\nca_file = {ca:?}\n\
         username = \"web-alice\"\npassword_file = \"word\"\n"
    );
    fs::write(&settings, text).unwrap();
    let focus = |words: &[&str]| {
        let program = Launch::workspace("obsbus").unwrap().env("XDG_CACHE_HOME", dir.path().join("cache"));
        program.arg("--config").arg(&settings).arg("focuser").args(words).run(LIMIT).unwrap()
    };
    for words in [&["set", "3"][..], &["init"], &["kill", "--yes"]] {
        let output = focus(words);
        assert_eq!((output.code, output.stdout.as_str()), (34, ""), "{output:?}");
        for said in ["needs a signature, and web-alice has a password and no key", "nothing was sent"] {
            assert!(output.stderr.contains(said), "{output:?}");
        }
    }
    let program = Launch::workspace("obsbus").unwrap().arg("--config").arg(&settings);
    let doctor = program.args(["doctor", "--etc", "/nowhere", "focuser"]).run(LIMIT).unwrap().stdout;
    let said =
        "  warning  commands: web-alice has a password and no key to sign with: refused are ping, init, set,";
    assert!(doctor.contains(said), "{doctor}");
    // A stop is sent, and that of somebody else is refused by the bridge.
    let output = focus(&["stop"]);
    assert_eq!(output.code, 3, "{output:?}");
    bystander.wait_for(|message| message.topic.ends_with("/stop"), LIMIT).unwrap();
    let sent: Vec<String> = bystander.messages().into_iter().map(|message| message.topic).collect();
    // The doctor's ping says what it says here.
    assert!(sent.iter().all(|topic| topic.ends_with("/stop") || topic.ends_with("/ping")), "{sent:?}");
}

#[test]
fn whatever_a_command_has_in_place_of_a_signature_moves_nothing_and_hinders_no_stop() {
    let site = signed();
    let (visitor, alice) = (site.client("bob").unwrap(), Operator::new(&site, "alice").unwrap());
    let output = site.tool("alice", &["init"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    let sent = targets_sent(&site);
    let many = |name: &'static str, count: usize| {
        move |post: Post| (0..count).fold(post, |post, _| post.user_property(name, "e30..AAAA"))
    };
    let long = |post: Post| post.user_property("signature", "A".repeat(40_000));
    ended(&forged(&visitor, &alice, "set", many("Signature", 300)), "rejected", 34, "unsigned");
    for property in [&many("signature", 1) as &dyn Fn(Post) -> Post, &many("signature", 300), &long] {
        ended(&forged(&visitor, &alice, "set", property), "rejected", 35, "bad_signature");
        let (id, payload) = request(json!({})).unwrap();
        visitor.publish(property(Post::to(alice.command_topic("stop"), payload))).unwrap();
        succeeded(&alice.terminal(&id).unwrap());
    }
    assert_eq!(targets_sent(&site), sent);
    nothing_forbidden(&site);
}

/// Schedulers and `obsbus alpaca` keep a connection for longer than a certificate lives.
#[test]
fn who_gets_a_new_certificate_signs_with_it_on_the_connection_that_stands() {
    let site = signed();
    let settings = ClientSettings::load(&site.client_settings("alice").unwrap(), &[]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let focuser = settings.base("focuser").unwrap();
    let alice = runtime.block_on(async { Device::open(&settings.broker, focuser).unwrap() });
    let told = |code: Code| {
        let told = async {
            let mut beat = tokio::time::interval(Duration::from_millis(300));
            loop {
                beat.tick().await;
                let reply = alice.command("ping", &json!({})).await.unwrap();
                if reply.code == Some(code) {
                    return reply;
                }
            }
        };
        runtime.block_on(async { tokio::time::timeout(LIMIT, told).await.unwrap() })
    };
    told(Code::Succeeded);
    revoke(&site, &[ALICE]);
    let reply = told(Code::BadSignature);
    assert!(reply.message.contains("was revoked"), "{}", reply.message);
    let authority = site.broker.authority();
    authority
        .client_with("alice", VALID, |params| params.serial_number = Some(SerialNumber::from(ALICE + 1)))
        .unwrap();
    told(Code::Succeeded);
    let log = site.broker.log();
    assert_eq!(log.matches("as alice-").count(), 1, "{log}");
}
