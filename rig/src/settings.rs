//! A bridge's settings in tests: loads them from real files, and checks what must hold for every
//! bridge.

use std::fmt::Debug;

use bridge::settings::DeviceSettings;
use bus::homeassistant::HomeAssistant;
use bus::topic::Identity;

const HOME_ASSISTANT: &str = "homeassistant";

/// Loads settings; errors are as printed, without the folder of the file.
///
/// # Errors
/// All errors in them.
///
/// # Panics
/// The file cannot be written.
pub fn load<S: DeviceSettings>(name: &str, text: &str, variables: &[(&str, &str)]) -> Result<S, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file");
    let environment: Vec<_> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let folder = format!("{}/", folder.path().display());
    S::load(&path, &environment)
        .map_err(|problems| problems.0.iter().map(|p| p.to_string().replace(&folder, "")).collect())
}

/// The settings of a minimal file, with an unreachable broker; alice, ops and scheduler may send
/// commands.
///
/// # Panics
/// The instrument has settings without a default: [`load`] its shipped file instead.
#[must_use]
pub fn least<S: DeviceSettings>(site: &str) -> S {
    let text = format!(
        r#"site = "{site}"
serial_port = "/dev/instrument"
control_clients = ["alice", "ops", "scheduler"]
[broker]
host = "localhost"
ca_file = "ca.pem"
certificate_file = "own.pem"
key_file = "own.key"
"#
    );
    load("least.toml", &text, &[])
        .expect("an instrument without settings of its own that must be given: load its shipped file")
}

/// The same, with discovery by a Home Assistant that may send commands.
///
/// # Panics
/// As [`least`].
#[must_use]
pub fn with_home_assistant<S: DeviceSettings>(site: &str) -> S {
    let mut settings = least::<S>(site);
    let bridge = settings.bridge_mut();
    bridge.control_clients.push(HOME_ASSISTANT.to_owned());
    bridge.stop_clients.push(HOME_ASSISTANT.to_owned());
    bridge.homeassistant = Some(HomeAssistant {
        identity: Identity::new(HOME_ASSISTANT).expect("an identity"),
        prefix: HOME_ASSISTANT.to_owned(),
        link_topic: None,
    });
    settings
}

/// A predecessor's file gets a message with the new name of each key.
///
/// # Panics
/// It does not, or has other errors than missing keys.
pub fn assert_predecessor_is_told<S: DeviceSettings + Debug>(name: &str, text: &str) {
    let found = load::<S>(name, text, &[]).expect_err("a predecessor's file");
    let renamed = S::renamed();
    for (old, message) in &renamed {
        let line = text.lines().position(|line| line.contains(&format!("\"{old}\""))).expect(old) + 1;
        let expected = format!("{name}:{line}: {old}: {message}");
        assert_eq!(found.iter().filter(|problem| **problem == expected).count(), 1, "{found:#?}");
    }
    let missing = found.iter().filter(|problem| problem.contains("is missing")).count();
    assert_eq!(found.len(), renamed.len() + missing, "nothing else is wrong with it: {found:#?}");
}

/// A shipped file names every key, shows the defaults, and says where the keys of every bridge are
/// explained.
///
/// # Panics
/// It does not.
pub fn assert_shows_the_defaults<S: DeviceSettings + Debug + PartialEq>() {
    let shipped = S::SHIPPED;
    assert!(shipped.contains("docs/settings.md"), "the page about the keys of every bridge is not named");
    let text: String = shipped.lines().map(|line| format!("{}\n", uncommented(line))).collect();
    assert_eq!(
        load::<S>("clasp.toml", &text, &[]).expect("right settings"),
        load::<S>("clasp.toml", shipped, &[]).expect("right settings"),
        "a comment shows another value than the default"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clasp.toml");
    std::fs::write(&path, &text).expect("a file");
    let mut section = bus::settings::read(&path, S::PREFIX, &[]).expect("TOML");
    S::read(&mut section, &[]);
    let is_written = |key: &str| {
        let last = key.rsplit('.').next().expect("a name");
        text.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{last} =")))
    };
    let known = section.finish(&S::renamed()).expect("right settings");
    let missing: Vec<_> = known.into_iter().map(|known| known.key).filter(|key| !is_written(key)).collect();
    assert!(missing.is_empty(), "not in the file, not even as a comment: {missing:?}");
}

/// The line with its key enabled, if it is commented out (`# key = …`).
fn uncommented(line: &str) -> &str {
    let is_key = |key: &str| key.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    match line.strip_prefix("# ").map(|rest| (rest, rest.split_once(" = "))) {
        Some((rest, Some((key, _)))) if is_key(key) => rest,
        _ => line,
    }
}
