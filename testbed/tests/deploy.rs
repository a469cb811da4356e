//! The files of `deploy/` and the broker's ACL name the same programs, settings, ports and users.

use std::fs;
use std::path::{Path, PathBuf};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn read(path: &str) -> String {
    fs::read_to_string(deploy().join(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// The values of a key in a unit, in their order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value).collect()
}

const DEVICES: [&str; 2] = ["chiller", "focuser"];
const MODELS: [&str; 2] = ["T257P", "OK3Z"];

#[test]
fn each_unit_starts_its_bridge_on_the_settings_that_are_shipped_for_it() {
    for device in DEVICES {
        let bridge = format!("{device}-bridge");
        let unit = read(&format!("systemd/{bridge}@.service"));
        let start = format!("/usr/bin/{bridge} /etc/obsbus/{bridge}/%i.toml");
        assert_eq!(values(&unit, "ExecStart"), [start.as_str()]);
        assert_eq!(values(&unit, "ExecReload"), ["/bin/kill -HUP $MAINPID"]);
        assert_eq!(values(&unit, "StateDirectory"), [format!("obsbus/{bridge}/%i").as_str()]);
        let settings = read(&format!("{bridge}/clasp.toml"));
        assert!(settings.contains(&format!("Installed as /etc/obsbus/{bridge}/clasp.toml")), "{bridge}");
        let other = DEVICES.iter().find(|name| **name != device).unwrap();
        for (name, text) in [("unit", &unit), ("settings", &settings)] {
            assert!(!text.to_lowercase().contains(other), "the {name} of {bridge} speak of a {other}");
        }
    }
}

#[test]
fn the_units_differ_in_nothing_but_the_device() {
    let directives = |device: &str| -> Vec<String> {
        let unit = read(&format!("systemd/{device}-bridge@.service"));
        let lines = unit.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let line = |line: &str| {
            MODELS.iter().fold(line.replace(device, "DEVICE"), |line, model| line.replace(model, "MODEL"))
        };
        lines.map(line).collect()
    };
    assert_eq!(directives("chiller"), directives("focuser"));
    assert!(directives("focuser").len() > 30);
}

#[test]
fn f18_what_is_installed_says_what_it_is_for_and_bears_no_predecessors_name() {
    let readme = read("README.md");
    for (device, model) in DEVICES.into_iter().zip(MODELS) {
        let unit = read(&format!("systemd/{device}-bridge@.service"));
        assert!(
            values(&unit, "Description")[0].contains(model),
            "{device}: {:?}",
            values(&unit, "Description")
        );
        // The rule was in the predecessor's repository and in none of its packages.
        for file in [format!("60-obsbus-{device}.rules"), format!("{device}-bridge@.service")] {
            assert!(readme.contains(&file), "deploy/README.md does not install {file}");
        }
    }
    for name in ["chillerd", "focusd"] {
        for folder in ["systemd", "udev", "sysusers"] {
            for file in fs::read_dir(deploy().join(folder)).unwrap() {
                let file = file.unwrap().file_name().into_string().unwrap();
                assert!(!file.contains(name), "{folder}/{file} would stand in the way of {name}'s");
            }
        }
    }
}

#[test]
fn each_user_of_a_unit_is_made_by_the_shipped_sysusers() {
    let sysusers = read("sysusers/obsbus.conf");
    for device in DEVICES {
        let unit = read(&format!("systemd/{device}-bridge@.service"));
        for user in values(&unit, "User") {
            let made = |line: &str| line.split_whitespace().take(2).eq(["u", user]);
            assert!(sysusers.lines().any(made), "{user}");
        }
        assert_eq!(values(&unit, "User").len(), 1);
    }
}

#[test]
fn the_udev_rules_make_the_names_that_the_settings_use_and_match_no_adapter_by_chance() {
    for device in DEVICES {
        let rules = read(&format!("udev/60-obsbus-{device}.rules"));
        let settings = read(&format!("{device}-bridge/clasp.toml"));
        assert!(settings.lines().any(|line| line == format!(r#"serial_port = "/dev/{device}""#)), "{device}");
        assert_eq!(rules.matches(&format!(r#"SYMLINK+="{device}""#)).count(), 1);
        for rule in rules.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            for key in
                [r#"ATTRS{idVendor}=="0403""#, r#"ATTRS{idProduct}=="6001""#, r#"ATTRS{serial}=="SERIAL""#]
            {
                assert!(rule.contains(key), "{rule} lacks {key}");
            }
            // A match with `=` would be an assignment, and the rule would hold for every adapter.
            for term in rule.split(", ") {
                let (name, value) = term.split_once('"').unwrap();
                assert!(value.ends_with('"') && !name.contains(' '), "{term}");
            }
        }
    }
}

#[test]
fn the_broker_knows_each_bridge_by_the_name_of_its_shipped_certificate() {
    let acl = testbed::broker::SHIPPED_ACL;
    for device in DEVICES {
        let bridge = format!("{device}-bridge");
        let settings = read(&format!("{bridge}/clasp.toml"));
        assert!(settings.contains(&format!("/etc/obsbus/{bridge}/{bridge}.pem")), "{bridge}");
        let section =
            acl.split("\nuser ").find(|section| section.lines().next() == Some(bridge.as_str())).unwrap();
        for what in ["state", "availability", "health", "meta", "history", "event", "reply/+/+"] {
            let line = format!("topic write clasp/{device}/{what}");
            assert!(section.lines().any(|it| it == line), "{bridge} may not: {line}");
        }
        assert!(section.lines().any(|it| it == format!("topic read clasp/{device}/command/+/+")));
        assert!(!section.lines().any(|it| it.contains("write") && it.contains("command")), "the canary");
    }
}
