//! The settings of a made-up bridge: what is the same for all.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use std::path::Path;

use bridge::service_user::as_service;
use bridge::settings::{BridgeSettings, CommandSettings, DeviceSettings, Usual};
use bus::clock::Utc;
use bus::device::{Class, Verb};
use bus::settings::Section;

const LEAST: &str = r#"site = "clasp"
serial_port = "/nowhere/tty"
control_clients = ["ops"]
state_directory = "state"
[broker]
host = "h"
ca_file = "ca.pem"
username = "barometer-bridge"
password_file = "password"
"#;

const GAIN: Verb = Verb::new("gain", "Gain", Class::Exclusive);
const NO_STOP: &[Verb] = &[Verb::PING, GAIN];
const VERBS: &[Verb] =
    &[Verb::PING, GAIN, Verb { stop: true, ..Verb::new("halt", "Halt", Class::Overriding) }];

#[derive(Debug)]
struct Barometer<const HAS_STOP: bool>(BridgeSettings);

fn usual(kind: &'static str, has_stop: bool) -> Usual {
    Usual {
        kind,
        serial_baud: 9600,
        query_delay: (0.5..=10.0, 5.0),
        exchange_limit: (0.1..=10.0, 3.0),
        stale_after: (2.0..=600.0, 30.0),
        verbs: if has_stop { VERBS } else { NO_STOP },
    }
}

impl<const HAS_STOP: bool> DeviceSettings for Barometer<HAS_STOP> {
    const PREFIX: &'static str = "OBSBUS_BAROMETER_";
    const SHIPPED: &'static str = "";

    fn bridge(&self) -> &BridgeSettings {
        &self.0
    }

    fn bridge_mut(&mut self) -> &mut BridgeSettings {
        &mut self.0
    }

    fn read(s: &mut Section, environment: &[(String, String)]) -> Self {
        Self(BridgeSettings::read(s, &usual("barometer", HAS_STOP), environment))
    }
}

/// What is found, a line each, without the folder.
fn found<S: DeviceSettings>(folder: &Path, text: &str) -> Vec<String> {
    std::fs::write(folder.join("clasp.toml"), text).expect("a file");
    check::<S>(folder)
}

fn check<S: DeviceSettings>(folder: &Path) -> Vec<String> {
    let now = Utc::parse("2028-02-01T12:00:00Z").expect("a date");
    let findings = S::check(&folder.join("clasp.toml"), &[], now).to_string();
    findings.lines().map(|line| line.replace(&format!("{}/", folder.display()), "")).collect()
}

#[test]
fn a_check_tells_of_files_directory_and_port_and_a_start_does_not_wait_for_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("state"), "").unwrap();
    assert_eq!(
        found::<Barometer<true>>(folder.path(), LEAST),
        [
            "clasp.toml:4: state_directory: user root cannot write state: not a directory".replace("root", &me()),
            "clasp.toml:7: broker.ca_file: ca.pem does not exist".to_owned(),
            "clasp.toml:9: broker.password_file: password does not exist".to_owned(),
            "warning: clasp.toml:2: serial_port: /nowhere/tty does not exist: is the adapter plugged in, and \
             does the udev rule name it so?"
                .to_owned(),
        ]
    );
    let loaded = Barometer::<true>::load(&folder.path().join("clasp.toml"), &[]).unwrap();
    assert_eq!(loaded.0.device, "barometer");
}

fn me() -> String {
    bus::settings::account::user_name(rustix::process::geteuid().as_raw())
}

#[test]
fn a_folder_that_can_be_made_or_that_systemd_makes_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let line = |found: Vec<String>| found.into_iter().find(|line| line.contains("state_directory"));
    assert_eq!(line(found::<Barometer<true>>(folder.path(), LEAST)), None);
    let systemds = LEAST.replace("\"state\"", "\"/var/lib/obsbus/barometer-bridge/clasp\"");
    assert_eq!(line(found::<Barometer<true>>(folder.path(), &systemds)), None);
    let impossible = LEAST.replace("\"state\"", "\"/proc/state\"");
    let wrong = line(found::<Barometer<true>>(folder.path(), &impossible));
    // Whoever asks: as far as `access` knows, root may write anywhere.
    assert!(wrong.as_ref().is_some_and(|line| line.contains("the kernel's")), "{wrong:?}");
}

#[test]
fn what_the_service_cannot_read_is_found_although_root_can() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str, mode| {
        std::fs::set_permissions(folder.path().join(name), Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o755);
    std::fs::create_dir(folder.path().join("state")).unwrap();
    std::fs::write(folder.path().join("password"), "secret\n").unwrap();
    mode("password", 0o600);
    std::fs::write(folder.path().join("clasp.toml"), LEAST).unwrap();
    mode("clasp.toml", 0o644);
    let (found, user) = as_service("nobody", || check::<Barometer<true>>(folder.path())).unwrap();
    let has = |beginning: &str| found.iter().any(|line| line.starts_with(beginning));
    let is_other = rustix::process::geteuid().is_root();
    assert_eq!(
        has(
            "clasp.toml:9: broker.password_file: password cannot be read by user nobody: it belongs to user root"
        ),
        is_other,
        "as {user}: {found:#?}"
    );
    assert_eq!(
        has("clasp.toml:4: state_directory: user nobody cannot write state: "),
        is_other,
        "{found:#?}"
    );
}

#[test]
fn a_device_cannot_have_the_name_of_a_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    let found = found::<Barometer<true>>(folder.path(), &format!("device = \"list\"\n{LEAST}"));
    assert_eq!(
        found[0],
        "clasp.toml:1: device: \"list\" is a subcommand of obsbus, so no device can be called so (allowed: another name)"
    );
    // The kind is the default.
    std::fs::write(folder.path().join("clasp.toml"), LEAST).unwrap();
    let mut section = bus::settings::read(&folder.path().join("clasp.toml"), "X_", &[]).unwrap();
    BridgeSettings::read(&mut section, &usual("doctor", true), &[]);
    let error = section.finish(&[]).unwrap_err().to_string();
    assert!(error.contains("device: \"doctor\" is a subcommand of obsbus"), "{error}");
}

#[test]
fn nobody_is_called_like_the_canary() {
    let folder = tempfile::tempdir().unwrap();
    let text = LEAST.replace("\"ops\"", "\"acl-canary\"").replace("barometer-bridge", "acl-canary");
    let found = found::<Barometer<true>>(folder.path(), &text);
    assert_eq!(
        found[0],
        "clasp.toml:3: control_clients: [\"acl-canary\"] is not allowed (allowed: a list of identities, each 1 to 64 \
         of a-z, 0-9, _ and -, not acl-canary)"
    );
    assert!(found.iter().any(|line| line.starts_with("clasp.toml:8: broker.username: ")), "{found:#?}");
}

#[test]
fn who_may_stop_what_has_no_stop_is_said_to_mean_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("stop_clients = [\"ops\"]\n{LEAST}");
    let line = "warning: clasp.toml:1: stop_clients: means nothing: this device has no stop; remove it";
    assert!(found::<Barometer<false>>(folder.path(), &text).contains(&line.to_owned()));
    assert!(!found::<Barometer<true>>(folder.path(), &text).contains(&line.to_owned()));
    assert!(!found::<Barometer<false>>(folder.path(), LEAST).contains(&line.to_owned()));
    // A bridge that had it starts all the same.
    assert!(Barometer::<false>::load(&folder.path().join("clasp.toml"), &[]).is_ok());
}

#[test]
fn a_home_assistant_that_is_told_of_the_device_and_may_not_command_is_no_surprise() {
    let folder = tempfile::tempdir().unwrap();
    let told = format!("{LEAST}[homeassistant]\nenabled = true\nidentity = \"hass\"\n");
    let line = "warning: clasp.toml:3: control_clients: does not contain \"hass\": Home Assistant can display the \
                device, and its commands are refused";
    assert!(found::<Barometer<true>>(folder.path(), &told).contains(&line.to_owned()));
    let may = told.replace("[\"ops\"]", "[\"ops\", \"hass\"]");
    let off = told.replace("enabled = true", "enabled = false");
    for text in [&may, &off] {
        let found = found::<Barometer<true>>(folder.path(), text);
        assert!(!found.iter().any(|line| line.contains("Home Assistant")), "{found:#?}");
    }
}

#[test]
fn discovery_is_off_unless_it_is_asked_for_and_its_keys_are_checked_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clasp.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Barometer::<true>::load(&path, &[]).map(|settings| settings.0.homeassistant)
    };
    assert_eq!(load(LEAST).unwrap(), None);
    let told = load(&format!("{LEAST}[homeassistant]\nenabled = true\n")).unwrap().unwrap();
    assert_eq!((told.identity.as_str(), told.prefix.as_str()), ("homeassistant", "homeassistant"));
    assert_eq!(told.link_topic, None);
    let text =
        "[homeassistant]\nidentity = \"Hass\"\nprefix = \"a//b\"\nlink_topic = \"link/#\"\nprefixes = 1\n";
    let found =
        load(&format!("{LEAST}{text}")).unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "");
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        [
            "/clasp.toml:11: homeassistant.identity: \"Hass\" is not allowed (allowed: 1 to 64 of a-z, 0-9, _ and -, \
             not acl-canary)",
            "/clasp.toml:12: homeassistant.prefix: \"a//b\" is not allowed (allowed: 1 to 100 of a-z, A-Z, 0-9, _ and \
             -, with a / between levels)",
            "/clasp.toml:13: homeassistant.link_topic: \"link/#\" is not allowed (allowed: 1 to 200 printable ASCII \
             characters without a space, + and #)",
            "/clasp.toml:14: homeassistant.prefixes: is not a known key; is homeassistant.prefix meant?",
        ]
    );
}

fn signed(list: &str) -> String {
    format!("{LEAST}[commands]\nrequire_signature = {list}\ncrl_file = \"crl.pem\"\n")
}

#[test]
fn no_verb_needs_a_signature_unless_it_is_listed_and_a_stop_never_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clasp.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let loaded = Barometer::<true>::load(&path, &[]).map(|settings| settings.0.commands);
        loaded.map_err(|problems| problems.to_string().replace(folder.path().to_str().unwrap(), ""))
    };
    assert_eq!(load(LEAST).unwrap(), CommandSettings::default());
    let commands = load(&signed(r#"["gain"]"#)).unwrap();
    assert_eq!(commands.require_signature, ["gain"].into());
    let files = commands.trust.unwrap();
    assert_eq!(
        (files.authority, files.revoked),
        (folder.path().join("ca.pem"), folder.path().join("crl.pem"))
    );
    let other = signed(r#"["gain"]"#) + "client_ca_file = \"clients.pem\"\n";
    assert_eq!(load(&other).unwrap().trust.unwrap().authority, folder.path().join("clients.pem"));
    assert_eq!(load(&signed(r#"["all"]"#)).unwrap().require_signature, ["gain", "ping"].into());
    assert_eq!(load(&signed("[]")).unwrap(), CommandSettings::default());

    let allowed = "(allowed: a list of any of ping, gain; or [\"all\"], for all of these)";
    for list in [r#"["gian"]"#, r#"["all", "gain"]"#, r#"["ALL"]"#] {
        let expected = format!("/clasp.toml:11: commands.require_signature: {list} is not allowed {allowed}");
        assert_eq!(load(&signed(list)).unwrap_err(), expected);
    }
    let expected = format!(
        "/clasp.toml:11: commands.require_signature: halt never needs a signature, because a stop must get through: \
         leave it out {allowed}"
    );
    assert_eq!(load(&signed(r#"["gain", "halt"]"#)).unwrap_err(), expected);
    let without = format!("{LEAST}[commands]\nrequire_signature = [\"gain\"]\n");
    assert!(load(&without).unwrap_err().contains("commands.crl_file: is missing"));
}

#[test]
fn a_check_says_who_cannot_sign_and_that_a_list_that_is_missing_refuses_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let clients = r#"["ops", "web-anna", "hass", "nodered", "homeassistant"]"#;
    let text = signed(r#"["all"]"#).replace(r#"["ops"]"#, clients)
        + "[homeassistant]\nenabled = true\nidentity = \"hass\"\n";
    let said = found::<Barometer<true>>(folder.path(), &text);
    let about = |words: &str| said.iter().filter(|line| line.contains(words)).cloned().collect::<Vec<_>>();
    let cannot = "cannot sign, and these are refused: gain, ping";
    assert_eq!(
        about("cannot sign"),
        [
            format!("\"hass\" {cannot} (Home Assistant, which signs nothing)"),
            format!("\"homeassistant\" {cannot} (the usual name of Home Assistant, which signs nothing)"),
            format!("\"nodered\" {cannot} (the usual name of Node-RED, which signs nothing)"),
            format!("\"web-anna\" {cannot} (a user of the web panel, who has a password and no key)"),
        ]
        .map(|words| format!("warning: clasp.toml:3: control_clients: {words}"))
    );
    assert_eq!(about("; without it, the bridge refuses gain, ping").len(), 1, "{said:#?}");
    let plain = text.replace(r#"["all"]"#, "[]");
    assert!(!found::<Barometer<true>>(folder.path(), &plain).iter().any(|line| line.contains("sign")));
}

/// Value and range of these are the instrument's.
const BY_INSTRUMENT: [&str; 4] =
    ["commands.require_signature", "exchange_limit", "query_delay", "stale_after"];

#[test]
fn the_page_names_every_key_that_every_bridge_has_and_what_is_allowed_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clasp.toml");
    std::fs::write(&path, LEAST).unwrap();
    let mut section = bus::settings::read(&path, "X_", &[]).unwrap();
    Barometer::<true>::read(&mut section, &[]);
    let mut expected: Vec<_> = section
        .finish(&[])
        .unwrap()
        .into_iter()
        .map(|known| match BY_INSTRUMENT.contains(&known.key.as_str()) {
            true => (known.key, "by instrument".to_owned()),
            false => (known.key, known.allowed),
        })
        .collect();

    let page = include_str!("../../docs/settings.md");
    let (_, table) = page.split_once("\n## Keys of every bridge\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let mut written: Vec<_> = rows
        .map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            let key = cells.next().unwrap().trim_matches('`').to_owned();
            (key, cells.next().unwrap().to_owned())
        })
        .collect();
    expected.sort();
    written.sort();
    assert_eq!(written, expected);
}
