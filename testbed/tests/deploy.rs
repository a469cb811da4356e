//! The files of `deploy/` and the broker's ACL name the same programs, settings, ports and users.

use std::path::{Path, PathBuf};
use std::{fs, io};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn read(path: &str) -> String {
    fs::read_to_string(deploy().join(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// A file of the folder `deploy` of an instrument.
fn of(device: &str, file: &str) -> String {
    let path = deploy().join(format!("../{device}-bridge/deploy/{file}"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The values of a key in a unit, in their order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value).collect()
}

/// The instruments: each has a folder `<device>-bridge`.
fn devices() -> Vec<String> {
    let root = deploy().join("..");
    let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let folders = fs::read_dir(root).expect("the repository").filter_map(name);
    let mut devices: Vec<_> =
        folders.filter_map(|folder| folder.strip_suffix("-bridge").map(str::to_owned)).collect();
    devices.sort();
    assert!(devices.len() >= 2, "{devices:?}");
    devices
}

fn unit() -> String {
    read("systemd/bridge@.service")
}

/// The lines of a unit or of rules that are no comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

#[test]
fn the_unit_starts_each_bridge_on_the_settings_that_are_shipped_for_it() {
    let unit = unit();
    assert_eq!(values(&unit, "ExecStart"), ["/usr/bin/%p /etc/obsbus/%p/%i.toml"]);
    assert_eq!(values(&unit, "StateDirectory"), ["obsbus/%p/%i"]);
    for device in devices() {
        let bridge = format!("{device}-bridge");
        let settings = of(&device, "clasp.toml");
        assert!(settings.contains(&format!("Installed as /etc/obsbus/{bridge}/clasp.toml")), "{bridge}");
    }
}

#[test]
fn what_is_for_one_instrument_speaks_of_no_other_and_what_is_for_all_of_none() {
    for device in devices() {
        let settings = of(&device, "clasp.toml").to_lowercase();
        for other in devices().iter().filter(|other| **other != device) {
            assert!(!settings.contains(other.as_str()), "the settings of {device} speak of a {other}");
        }
        assert!(!unit().to_lowercase().contains(&device), "the unit speaks of a {device}");
    }
}

#[test]
fn a_reload_checks_the_settings_first_and_then_asks_the_bridge_and_stops_nothing() {
    let check = "/usr/bin/%p --check-config /etc/obsbus/%p/%i.toml";
    assert_eq!(values(&unit(), "ExecReload"), [check, "/bin/sh -c 'kill -HUP $MAINPID'"]);
}

#[test]
fn every_line_of_a_bridge_has_the_identifier_of_its_log_and_the_unit_names_pages_that_are_installed() {
    let unit = unit();
    // The default of log_name.
    assert_eq!(values(&unit, "SyslogIdentifier"), ["%p@%i"]);
    for page in values(&unit, "Documentation")[0].split(' ') {
        let page = page.strip_prefix("file:/usr/share/doc/obsbus/").unwrap();
        assert!(deploy().join("../docs").join(page).is_file(), "docs/{page}");
    }
}

#[test]
fn an_upgrade_costs_a_second_and_failures_are_counted_where_a_restart_keeps_them() {
    let unit = unit();
    assert_eq!((values(&unit, "Restart"), values(&unit, "RestartSec")), (vec!["always"], vec!["1"]));
    assert_eq!(values(&unit, "RuntimeDirectory"), ["obsbus/%p/%i"]);
    assert_eq!(values(&unit, "RuntimeDirectoryPreserve"), ["restart"]);
    // systemd 252 complains of them.
    for newer in ["RestartSteps", "RestartMaxDelaySec"] {
        assert_eq!(values(&unit, newer), [""; 0]);
    }
}

#[test]
fn f18_what_is_installed_says_what_it_is_for_and_bears_no_predecessors_name() {
    let readme = read("README.md");
    let description = unit();
    let description = values(&description, "Description");
    assert!(description[0].contains("%p") && description[0].contains("%i"), "{description:?}");
    for device in ["chiller", "focuser"] {
        // The rule was in the predecessor's repository and in none of its packages.
        for file in [format!("60-obsbus-{device}.rules"), format!("{device}-bridge@.service")] {
            assert!(readme.contains(&file), "deploy/README.md does not install {file}");
        }
    }
    assert!(readme.contains("docs/*.md"), "the pages that the settings name are not installed");
    for name in ["chillerd", "focusd"] {
        let folders = devices().into_iter().map(|device| format!("../{device}-bridge/deploy"));
        for folder in folders.chain(["systemd".to_owned(), "sysusers".to_owned()]) {
            for file in fs::read_dir(deploy().join(&folder)).unwrap() {
                let file = file.unwrap().file_name().into_string().unwrap();
                assert!(!file.contains(name), "{folder}/{file} would stand in the way of {name}'s");
            }
        }
    }
}

#[test]
fn the_user_of_the_unit_is_made_by_the_shipped_sysusers() {
    let sysusers = read("sysusers/obsbus.conf");
    let unit = unit();
    let users = values(&unit, "User");
    assert_eq!(users.len(), 1);
    assert!(sysusers.lines().any(|line| line.split_whitespace().take(2).eq(["u", users[0]])), "{users:?}");
}

#[test]
fn nobody_without_a_login_may_command_by_what_is_shipped() {
    for device in devices() {
        let settings = of(&device, "clasp.toml");
        let lists: Vec<_> = settings.lines().filter(|line| line.contains("_clients = ")).collect();
        assert!(
            !lists.is_empty() && lists.iter().all(|list| !list.contains("alpaca")),
            "{device}: {lists:?}"
        );
    }
    let unit = read("systemd/obsbus-alpaca.service");
    let users = values(&unit, "User");
    assert!(read("sysusers/obsbus-alpaca.conf").contains(&format!("\nu     {} ", users[0])), "{users:?}");
    assert!(read("alpaca.toml").contains("\n# allow = []\n"));
}

/// `(0403:6001)` in the head of a file of rules says which adapter they are for.
fn adapter(rules: &str) -> (&str, &str) {
    let is_id = |id: &str| id.len() == 4 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let head = rules.lines().next().expect("a first line");
    let words = head.split([' ', '(', ')', '.', ',']).filter_map(|word| word.split_once(':'));
    let mut found = words.filter(|(vendor, product)| is_id(vendor) && is_id(product));
    let (Some(adapter), None) = (found.next(), found.next()) else {
        panic!("the first line does not say for which adapter: {head}")
    };
    adapter
}

#[test]
fn the_udev_rules_make_the_names_that_the_settings_use_and_match_no_adapter_by_chance() {
    for device in devices() {
        let rules = of(&device, &format!("60-obsbus-{device}.rules"));
        let settings = of(&device, "clasp.toml");
        assert!(settings.lines().any(|line| line == format!(r#"serial_port = "/dev/{device}""#)), "{device}");
        let (vendor, product) = adapter(&rules);
        assert_as_obsbus_prints_them(&device, &rules, vendor, product);
        if is_generating() {
            continue;
        }
        assert_eq!(rules.matches(&format!(r#"SYMLINK+="{device}""#)).count(), 1);
        let vendor = format!(r#"ATTRS{{idVendor}}=="{vendor}""#);
        let product = format!(r#"ATTRS{{idProduct}}=="{product}""#);
        for rule in lines(&rules) {
            for key in [vendor.as_str(), product.as_str(), r#"ATTRS{serial}=="SERIAL""#] {
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

fn is_generating() -> bool {
    std::env::var("OBSBUS_GENERATE").is_ok_and(|value| value == "1")
}

/// Below its head, a file of rules is what `obsbus ports --rule` prints.
fn assert_as_obsbus_prints_them(device: &str, rules: &str, vendor: &str, product: &str) {
    let (head, _) = rules.split_once("# ModemManager").expect("a rule for ModemManager");
    let adapter = cli::ports::adapter::Adapter {
        vendor: Some(vendor.to_owned()),
        product: Some(product.to_owned()),
        serial: Some("SERIAL".to_owned()),
        driver: (vendor == "0403").then(|| "ftdi_sio".to_owned()),
        ..Default::default()
    };
    let expected = head.to_owned() + &cli::ports::rule::rules(device, &adapter, &[]);
    if is_generating() {
        let path = deploy().join(format!("../{device}-bridge/deploy/60-obsbus-{device}.rules"));
        fs::write(path, expected).expect("the file of rules");
    } else {
        assert!(
            rules == expected,
            "{device}: the rules are not as `obsbus ports` prints them: run `make generated`"
        );
    }
}

#[test]
fn each_rule_is_for_the_adapter_that_its_file_names() {
    assert_eq!(
        adapter("# /dev/x: an adapter (FTDI FT231X, 0403:6015) that the thing is plugged into."),
        ("0403", "6015")
    );
    assert_eq!(adapter("# /dev/x: an adapter (CH340, 1a86:7523)."), ("1a86", "7523"));
}

#[test]
fn the_broker_knows_each_bridge_by_the_name_of_its_shipped_certificate() {
    let acl = testbed::broker::SHIPPED_ACL;
    for device in devices() {
        let bridge = format!("{device}-bridge");
        let settings = of(&device, "clasp.toml");
        assert!(settings.contains(&format!("/etc/obsbus/{bridge}/{bridge}.pem")), "{bridge}");
        let section =
            acl.split("\nuser ").find(|section| section.lines().next() == Some(bridge.as_str())).unwrap();
        for what in ["state", "availability", "health", "meta", "history", "recent", "event", "reply/+/+"] {
            let line = format!("topic write clasp/{device}/{what}");
            assert!(section.lines().any(|it| it == line), "{bridge} may not: {line}");
        }
        assert!(section.lines().any(|it| it == format!("topic read clasp/{device}/command/+/+")));
        assert!(!section.lines().any(|it| it.contains("write") && it.contains("command")), "the canary");
    }
}

#[test]
fn the_services_of_the_firewall_open_the_ports_of_the_brokers_listeners() {
    for (service, conf) in
        [("obsbus.xml", testbed::broker::SHIPPED_CONF), ("obsbus-web.xml", testbed::web::SHIPPED_WEB_CONF)]
    {
        let mut listeners = conf.lines().filter_map(|line| line.strip_prefix("listener "));
        let (Some(port), None) = (listeners.next(), listeners.next()) else {
            panic!("{service}: one listener")
        };
        let line = format!(r#"<port protocol="tcp" port="{port}"/>"#);
        assert!(read(&format!("firewalld/{service}")).contains(&line), "{service} does not open {port}");
    }
}

#[test]
fn who_may_read_a_file_is_said_of_the_paths_that_the_settings_name() {
    let listed = |file: &str| -> Vec<String> {
        let text = read(file);
        lines(&text).map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    let broker = listed("tmpfiles/obsbus-broker.conf");
    let conf = format!("{}{}", testbed::broker::SHIPPED_CONF, testbed::web::SHIPPED_WEB_CONF);
    for key in ["keyfile", "acl_file", "password_file"] {
        let path = conf.lines().find_map(|line| line.strip_prefix(&format!("{key} "))).unwrap();
        assert!(broker.iter().any(|it| it == path), "{key} {path}");
    }
    // Patterns: a folder, a key and a password for each bridge.
    let bridges = listed("tmpfiles/obsbus.conf");
    for device in devices() {
        let settings = of(&device, "clasp.toml");
        let key =
            settings.lines().find_map(|line| line.strip_prefix("key_file = ")).unwrap().trim_matches('"');
        let pattern = key.replace(&format!("/{device}-bridge/"), "/*-bridge/");
        let pattern = pattern.replace(&format!("/{device}-bridge.key"), "/*.key");
        assert!(bridges.contains(&pattern), "{key} is not matched by {bridges:?}");
    }
}

#[test]
fn a_site_lists_the_adapters_of_instruments_that_there_are() {
    let known = devices();
    let mut sites = 0;
    for file in fs::read_dir(deploy().join("sites")).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for line in lines(&text) {
            let words: Vec<&str> = line.split(' ').collect();
            let [device, serial] = words[..] else {
                panic!("{}: {line}: expected INSTRUMENT SERIAL", path.display())
            };
            assert!(known.iter().any(|it| it == device), "{}: no folder {device}-bridge", path.display());
            assert!(serial.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}: {serial}", path.display());
        }
        sites += 1;
    }
    assert!(sites >= 2);
}

#[test]
fn mosquitto_reads_what_the_packages_script_makes_for_it() {
    let unit = read("broker/mosquitto.service.conf");
    let script = "/usr/lib/obsbus/broker-settings";
    assert_eq!(values(&unit, "ExecStartPre"), [format!("+{script} start")]);
    // An empty value first: otherwise the distribution's own command would run, too.
    assert_eq!(values(&unit, "ExecStart"), ["", "/usr/sbin/mosquitto -c /run/obsbus-broker/mosquitto.conf"]);
    assert_eq!(values(&unit, "ExecReload")[..2], ["", &format!("+{script} reload")]);
    assert!(read("broker/broker-settings").contains("run=${3:-/run/obsbus-broker}"));
    assert!(read("packages/obsbus-broker/package").contains(script));
}
