//! Settings as read by a fictitious process, from real files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::log::with_causes;

const CLIENT: &str = r#"
sites = ["clasp"]
[broker]
host = "broker.example.org"
ca_file = "ca.pem"
certificate_file = "/etc/obsbus/alice.pem"
key_file = "alice.key"
"#;

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The problems of a client's file, without the folder's name.
fn problems(name: &str, text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let (folder, path) = file(name, text);
    let problems = ClientSettings::load(&path, &environment(variables)).unwrap_err();
    let folder = format!("{}/", folder.path().display());
    problems.0.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
}

#[test]
fn whatever_somebody_typed_cannot_command_the_terminal_that_shows_the_mistake() {
    let found = problems("client.toml", "\"k\\u001b[31m\" = 1\n", &[]);
    assert!(found.iter().any(|problem| problem.contains("k\\u{1b}[31m: is not a known key")), "{found:?}");
    assert!(!found.iter().any(|problem| problem.contains(char::is_control)), "{found:?}");
}

#[test]
fn a_relative_file_is_relative_to_the_settings_file() {
    let (folder, path) = file("client.toml", CLIENT);
    let settings = ClientSettings::load(&path, &[]).unwrap();
    assert_eq!(settings.broker.ca_file, folder.path().join("ca.pem"));
    assert_eq!(settings.broker.address.port, 8883);
    assert_eq!(settings.broker.keep_alive, Duration::from_secs(10));
    assert_eq!(
        settings.broker.credentials,
        Credentials::Certificate {
            certificate_file: "/etc/obsbus/alice.pem".into(),
            key_file: folder.path().join("alice.key"),
        }
    );
    assert_eq!(settings.site.as_deref(), Some("clasp"));
    assert!(settings.devices.is_empty());
}

#[test]
fn where_there_are_several_sites_none_is_meant_unless_said() {
    let two = CLIENT.replace("[\"clasp\"]", "[\"clasp\", \"other\"]");
    let (_folder, path) = file("client.toml", &two);
    assert_eq!(ClientSettings::load(&path, &[]).unwrap().site, None);
    let chosen = ClientSettings::load(&path, &environment(&[("OBSBUS_CLIENT_SITE", "other")])).unwrap();
    assert_eq!(chosen.site.as_deref(), Some("other"));
}

#[test]
fn a_device_is_called_by_its_topic_by_a_name_of_ones_own_or_with_its_site() {
    let text = format!(
        "{}[devices]\ncold = \"lamp-2\"\nspare = \"other/mount\"\n",
        CLIENT.replace("[\"clasp\"]", "[\"clasp\", \"other\"]")
    );
    let (_folder, path) = file("client.toml", &text);
    let base = |settings: &ClientSettings, site, address| match settings.base_at(site, address) {
        Ok(base) => base.to_string(),
        Err(error) => error.to_string(),
    };
    let settings = ClientSettings::load(&path, &environment(&[("OBSBUS_CLIENT_SITE", "clasp")])).unwrap();
    for (site, address, expected) in [
        (None, "powerbox", "clasp/powerbox"),
        (None, "cold", "clasp/lamp-2"),
        (None, "spare", "other/mount"),
        (None, "other/cold", "other/cold"),
        (Some("other"), "cold", "other/lamp-2"),
        (Some("other"), "spare", "other/mount"),
        (Some("clasp"), "spare", "\"spare\" is at site \"other\", and site \"clasp\" was asked for"),
        (Some("clasp"), "other/x", "\"other/x\" is at site \"other\", and site \"clasp\" was asked for"),
        (None, "third/x", "site \"third\" is not among the sites in the settings (clasp, other)"),
        (
            None,
            "clasp/x/y",
            "\"x/y\" is not a valid name of a device (allowed: 1 to 64 of a-z, 0-9, _ and -)",
        ),
        (None, "Cold", "\"Cold\" is not a valid name of a device (allowed: 1 to 64 of a-z, 0-9, _ and -)"),
    ] {
        assert_eq!(base(&settings, site, address), expected);
    }
    let settings = ClientSettings::load(&path, &[]).unwrap();
    assert_eq!(
        base(&settings, None, "cold"),
        "the settings have several sites: say clasp/lamp-2 or other/lamp-2"
    );
    assert_eq!(base(&settings, None, "spare"), "other/mount");
}

#[test]
fn a_file_of_the_first_version_means_the_same_devices() {
    let text = format!("{CLIENT}[devices]\nlamp = \"lamp\"\nmount = \"mount-2\"\n");
    let (_folder, path) = file("client.toml", &text);
    let settings = ClientSettings::load(&path, &[]).unwrap();
    assert_eq!(settings.base("lamp").unwrap().to_string(), "clasp/lamp");
    assert_eq!(settings.base("mount").unwrap().to_string(), "clasp/mount-2");
}

#[test]
fn a_name_for_a_device_is_a_name_and_no_subcommand_and_stands_for_a_known_site() {
    let text = format!("{CLIENT}[devices]\nlist = \"x\"\nCold = \"x\"\na = \"other/x\"\nb = \"x/\"\nc = 1\n");
    let allowed = "(allowed: DEVICE or SITE/DEVICE, as in its topics, with a site of sites)";
    assert_eq!(
        problems("client.toml", &text, &[]),
        [
            "client.toml:9: devices.list: is a subcommand of obsbus, so no device can be called so (allowed: another name)".to_owned(),
            format!("client.toml:10: devices.Cold: cannot be the name of a device (allowed: {NAME_ALPHABET})"),
            format!("client.toml:11: devices.a: \"other/x\" is not allowed {allowed}"),
            format!("client.toml:12: devices.b: \"x/\" is not allowed {allowed}"),
            format!("client.toml:13: devices.c: 1 is not allowed {allowed}"),
        ]
    );
}

#[test]
fn a_host_with_a_port_in_brackets_or_with_a_scheme_is_refused() {
    for host in [
        "broker.example.org:8883",
        "[::1]",
        "mqtts://broker.example.org",
        "127.0.0.1:8883",
        "a b",
        "",
        "broker..org",
        "-x",
        "bröker.example.org",
        "256.1.1.1",
        "fe80::1%eth0",
    ] {
        let text = CLIENT.replace("broker.example.org", host);
        assert_eq!(
            problems("client.toml", &text, &[]),
            [format!(
                "client.toml:4: broker.host: {host:?} is not allowed (allowed: a host name or address alone; no \
                 scheme, no brackets, and the port is a key of its own)"
            )]
        );
    }
    for host in [
        "localhost",
        "127.0.0.1",
        "::1",
        "2001:db8::7",
        "broker",
        "my_broker.example.org",
        "broker.example.org.",
    ] {
        let (_folder, path) = file("client.toml", &CLIENT.replace("broker.example.org", host));
        assert_eq!(ClientSettings::load(&path, &[]).unwrap().broker.address.host, host);
    }
}

#[test]
fn several_brokers_are_tried_in_the_order_of_the_list_and_port_is_that_of_those_without_one() {
    let of = |hosts: &str, variables: &[(&str, &str)]| {
        let text = CLIENT.replace("host = \"broker.example.org\"", hosts);
        let (_folder, path) = file("client.toml", &text);
        ClientSettings::load(&path, &environment(variables)).unwrap().broker
    };
    let several = of("hosts = [\"a\", \"b:1884\", \"[::1]:1\", \"::2\"]\nport = 8884", &[]);
    assert_eq!(several.places(), "a:8884 or b:1884 or [::1]:1 or [::2]:8884");
    let alone: Vec<_> = several.each().iter().map(BrokerSettings::places).collect();
    assert_eq!(alone, ["a:8884", "b:1884", "[::1]:1", "[::2]:8884"]);
    assert_eq!(of("host = \"a\"", &[]).places(), "a:8883");

    let hosts = ("OBSBUS_CLIENT_BROKER__HOSTS", "x, y:1");
    let host = ("OBSBUS_CLIENT_BROKER__HOST", "z");
    assert_eq!(of("host = \"a\"", &[hosts]).places(), "x:8883 or y:1");
    assert_eq!(of("hosts = [\"a\", \"b\"]", &[hosts]).places(), "x:8883 or y:1");
    assert_eq!(of("hosts = [\"a\", \"b\"]", &[host]).places(), "z:8883");
}

#[test]
fn addresses_that_cannot_be_used_are_refused_and_so_are_two_of_the_same() {
    let allowed = "a list of 1 to 8 different addresses, each HOST or HOST:PORT, an IPv6 address with a port as \
                   [::1]:8883";
    for (hosts, one, other) in [
        ("[\"a\", \"b\", \"a:8883\"]", "a", "a:8883"),
        ("[\"broker\", \"Broker.\"]", "broker", "Broker."),
        ("[\"::1\", \"[0::1]:8883\"]", "::1", "[0::1]:8883"),
    ] {
        let text = CLIENT.replace("host = \"broker.example.org\"", &format!("hosts = {hosts}"));
        assert_eq!(
            problems("client.toml", &text, &[]),
            [format!(
                "client.toml:4: broker.hosts: {one:?} and {other:?} are the same address, for which the port 8883 \
                 counts where none is given (allowed: {allowed})"
            )]
        );
    }
    for hosts in ["[]", "[\"mqtts://a\"]", "[\"a:0\"]", "\"a\""] {
        let text = CLIENT.replace("host = \"broker.example.org\"", &format!("hosts = {hosts}"));
        assert_eq!(
            problems("client.toml", &text, &[]),
            [format!("client.toml:4: broker.hosts: {hosts} is not allowed (allowed: {allowed})")]
        );
    }
    let both = CLIENT.replace("\nca_file", "\nhosts = [\"b\"]\nca_file");
    assert_eq!(
        problems("client.toml", &both, &[]),
        ["client.toml:5: broker.hosts: host and hosts exclude each other (allowed: one of the two)"]
    );
}

#[test]
fn a_check_tells_what_is_wrong_with_keys_and_with_the_files_they_name() {
    let (folder, path) =
        file("client.toml", &CLIENT.replace("sites", "site").replace("/etc/obsbus/alice.pem", "alice.pem"));
    let findings =
        ClientSettings::check(&path, &[], crate::clock::Utc::parse("2028-02-01T12:00:00Z").unwrap());
    assert!(!findings.is_good());
    let folder = format!("{}/", folder.path().display());
    let found: Vec<String> = findings.to_string().lines().map(|line| line.replace(&folder, "")).collect();
    assert_eq!(
        found,
        [
            "client.toml: sites: is missing (allowed: a list of sites, each 1 to 64 of a-z, 0-9, _ and -)",
            "client.toml:2: site: [\"clasp\"] is not allowed (allowed: one of sites: )",
            "client.toml:5: broker.ca_file: ca.pem does not exist",
            "client.toml:6: broker.certificate_file: alice.pem does not exist",
            "client.toml:7: broker.key_file: alice.key does not exist",
        ]
    );
}

const NOBODY: &str = "client.toml: broker.certificate_file: is missing, and so is key_file: these settings are \
                      nobody's (allowed: the files of one identity; `obsbus identity issue NAME --install` makes \
                      them, and settings that name them)";

#[test]
fn every_problem_is_told_at_once_with_line_key_and_range() {
    let text = "sites = [\"CLASP\"]\ncolor = true\n[broker]\nhost = 7\nport = 1883.9\nca_fil = \"ca.pem\"\nkeep_alive_s = 600\n";
    assert_eq!(
        problems("client.toml", text, &[]),
        [
            "client.toml: broker.ca_file: is missing (allowed: a path in quotes)",
            NOBODY,
            "client.toml:1: sites: [\"CLASP\"] is not allowed (allowed: a list of sites, each 1 to 64 of a-z, 0-9, _ and -)",
            "client.toml:2: color: is not a known key",
            "client.toml:4: broker.host: 7 is not allowed (allowed: a host name or address alone; no scheme, no brackets, and the port is a key of its own)",
            "client.toml:5: broker.port: 1883.9 is not allowed (allowed: 1 to 65535)",
            "client.toml:6: broker.ca_fil: is not a known key; is broker.ca_file meant?",
            "client.toml:7: broker.keep_alive_s: 600 is not allowed (allowed: 5 to 60)",
        ]
    );
}

#[test]
fn json_is_read_like_toml_and_has_lines_too() {
    let text = r#"{"sites": ["clasp"],
"broker": {"host": "h", "port": true,
  "ca_file": "a", "certificate_file": "b",
  "key_file": null}}"#;
    assert_eq!(
        problems("client.json", text, &[]),
        [
            "client.json:2: broker.port: true is not allowed (allowed: 1 to 65535)",
            "client.json:4: broker.key_file: null is not allowed (allowed: a path in quotes)",
        ]
    );
    let (_folder, path) = file("client.json", &text.replace("true", "8884").replace("null", "\"c\""));
    assert_eq!(ClientSettings::load(&path, &[]).unwrap().broker.address.port, 8884);
}

#[test]
fn the_environment_stands_over_the_file_and_is_named_when_it_is_wrong() {
    let (_folder, path) = file("client.toml", CLIENT);
    let variables = environment(&[
        ("OBSBUS_CLIENT_BROKER__PORT", "18883"),
        ("OBSBUS_CLIENT_SITES", "clasp, other"),
        ("OBSBUS_CLIENT_BROKER__CA_FILE", "0123"),
        ("OBSBUS_CONFIG", "elsewhere"),
        ("OBSBUS_LOG", "debug"),
    ]);
    let settings = ClientSettings::load(&path, &variables).unwrap();
    assert_eq!((settings.broker.address.port, settings.sites.len()), (18883, 2));
    assert_eq!(settings.broker.ca_file, Path::new("0123"), "a text stays as it was written");
    assert_eq!(
        problems("client.toml", CLIENT, &[("OBSBUS_CLIENT_BROKER__PORT", "0"), ("OBSBUS_CLIENT_SIT", "x")]),
        [
            "environment OBSBUS_CLIENT_BROKER__PORT: broker.port: \"0\" is not allowed (allowed: 1 to 65535)",
            "environment OBSBUS_CLIENT_SIT: sit: is not a known key; is site meant?",
        ]
    );
}

#[test]
fn all_syntax_errors_have_their_line() {
    let found = problems("client.toml", "sites = [\"clasp\"]\nsite = \n[broker]\nport = 1\nport = 2\n", &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("client.toml:2: "), "{found:?}");
    assert!(found[1].starts_with("client.toml:5: "), "{found:?}");
    let found = problems("client.toml", "sites = 99999999999999999999", &[]);
    assert_eq!(found, ["client.toml:1: sites: 99999999999999999999 is not a number that can be used"]);
}

#[test]
fn what_stands_twice_is_named_and_where_it_belongs() {
    let text = format!("{CLIENT}\n[devices]\nport = \"x\"\n\n[broker] # once more\nport = 3\n");
    assert_eq!(
        problems("client.toml", &text, &[]),
        ["client.toml:12: the section [broker] stands a second time: its keys belong below line 3"]
    );
    let found = problems("client.toml", "sites = [\"clasp\"]\n[broker]\nport = 1\nport = 2\n", &[]);
    assert_eq!(found, ["client.toml:4: port stands a second time in its section"]);
}

#[test]
fn a_key_below_the_wrong_heading_is_told_where_it_belongs() {
    let text = format!("{CLIENT}site = \"clasp\"\n");
    assert_eq!(
        problems("client.toml", &text, &[]),
        ["client.toml:8: broker.site: is not a known key; is site meant?"]
    );
}

#[test]
fn a_section_that_is_a_value_and_one_that_is_unknown_are_refused() {
    let text = format!("devices = 3\n{CLIENT}[brokers]\nx = 1\n");
    assert_eq!(
        problems("client.toml", &text, &[]),
        [
            "client.toml:1: devices: 3 is not a section (allowed: [devices] and its keys)",
            "client.toml:10: brokers: is not a known key",
        ]
    );
}

#[test]
fn a_certificate_and_a_password_exclude_each_other() {
    let text = format!("{CLIENT}username = \"ops\"\n");
    assert_eq!(
        problems("client.toml", &text, &[]),
        ["client.toml:8: broker.username: a certificate and a password exclude each other \
          (allowed: certificate_file and key_file, or username and password_file)"]
    );
    let by_password = CLIENT
        .replace("certificate_file = \"/etc/obsbus/alice.pem\"", "username = \"ops\"")
        .replace("key_file = \"alice.key\"", "password_file = \"secret\"");
    let (_folder, path) = file("client.toml", &by_password);
    let settings = ClientSettings::load(&path, &[]).unwrap();
    assert_eq!(settings.broker.identity().unwrap().as_str(), "ops");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = ClientSettings::load(Path::new("/nowhere/client.toml"), &[]).unwrap_err();
    assert!(
        error.to_string().starts_with("/nowhere/client.toml: the settings file does not exist"),
        "{error}"
    );
}

#[test]
fn the_client_file_is_searched_in_order_and_a_named_one_must_exist() {
    let (folder, path) = file("here.toml", "");
    std::fs::create_dir(folder.path().join("obsbus")).unwrap();
    let in_home = folder.path().join("obsbus/client.toml");
    std::fs::write(&in_home, "").unwrap();
    let here = path.to_str().unwrap();
    let home = folder.path().to_str().unwrap();

    let both = environment(&[("OBSBUS_CONFIG", here), ("XDG_CONFIG_HOME", home)]);
    assert_eq!(find_client_file(Some(&in_home), &both), Ok(in_home.clone()));
    assert_eq!(find_client_file(None, &both), Ok(path.clone()));
    assert_eq!(find_client_file(None, &environment(&[("XDG_CONFIG_HOME", home)])), Ok(in_home));

    let missing = find_client_file(None, &environment(&[("OBSBUS_CONFIG", "/nowhere"), ("HOME", home)]));
    assert_eq!(missing.unwrap_err().to_string(), "$OBSBUS_CONFIG names /nowhere, which is not a file");
    if !Path::new("/etc/obsbus/client.toml").exists() {
        let nothing = find_client_file(None, &environment(&[("HOME", "/nowhere")]));
        let nothing = nothing.unwrap_err().to_string();
        for place in
            ["--config", "OBSBUS_CONFIG", "/nowhere/.config/obsbus/client.toml", "/etc/obsbus/client.toml"]
        {
            assert!(nothing.contains(place), "{nothing}");
        }
    }
}

fn certificate(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    for name in names {
        parameters.distinguished_name.push(rcgen::DnType::CommonName, *name);
    }
    parameters.not_after = rcgen::date_time_ymd(2031, 2, 3);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    // The key first: some tools write both into one file in this order.
    file("own.pem", &format!("{}{}", key.serialize_pem(), certificate.pem()))
}

#[test]
fn the_identity_is_the_certificates_common_name() {
    let (_folder, path) = certificate(&["lamp-bridge"]);
    assert_eq!(identity_of_certificate(&path).unwrap().as_str(), "lamp-bridge");
    assert_eq!(certificate_expiry(&path).unwrap().to_string(), "2031-02-03T00:00:00.000Z");
}

#[test]
fn a_certificate_without_a_usable_name_is_refused() {
    for (names, expected) in [
        (&[][..], "has 0 common names: the identity must be its only one"),
        (
            &["Alice"],
            "has a common name that cannot be used: \"Alice\" is not a valid identity (allowed: 1 to 64",
        ),
        (&["a/b"], "has a common name that cannot be used: \"a/b\" is not a valid identity"),
        (&[""], "has a common name that cannot be used: \"\" is not a valid identity"),
        (&["acl-canary"], "has a common name that cannot be used: the identity \"acl-canary\" is reserved"),
    ] {
        let (_folder, path) = certificate(names);
        let error = with_causes(&identity_of_certificate(&path).unwrap_err());
        assert!(error.starts_with(&format!("the certificate {} {expected}", path.display())), "{error}");
    }
    let (_folder, path) = file("own.pem", "not PEM");
    let error = identity_of_certificate(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("there is no certificate in {}", path.display()));
    let error = certificate_expiry(Path::new("/nowhere.pem")).unwrap_err();
    assert_eq!(with_causes(&error), "cannot read the certificate /nowhere.pem: does not exist");
}

/// The users of a machine share it: it can name nobody's certificate.
#[test]
fn the_client_file_that_is_shipped_names_every_key_and_lacks_only_an_identity() {
    let shipped = include_str!("../../../deploy/client.toml");
    assert_eq!(problems("client.toml", shipped, &[]), [NOBODY]);
    let shipped = &shipped.replace("#certificate_file", "certificate_file").replace("#key_file", "key_file");
    let (_folder, path) = file("client.toml", shipped);
    ClientSettings::load(&path, &[]).unwrap();
    let (_folder, path) = file("client.toml", &uncommented(shipped));
    let mut section = read(&path, CLIENT_PREFIX, &[]).unwrap();
    let text = uncommented(shipped);
    ClientSettings::read(&mut section);
    let known = section.finish(&[]).unwrap();
    let others = ["broker.hosts", "broker.username", "broker.password_file"];
    for key in known.iter().map(|known| known.key.as_str()).filter(|key| !others.contains(key)) {
        let last = key.rsplit('.').next().unwrap();
        assert!(text.lines().any(|line| line.starts_with(&format!("{last} ="))), "{key} is not in the file");
    }
    assert!(
        shipped.contains("#hosts =")
            && shipped.contains("#username =")
            && shipped.contains("#password_file =")
    );
}

/// The file with every commented-out key (`# key = …`) enabled.
fn uncommented(text: &str) -> String {
    text.lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_assignment(rest) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| key.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()))
}
