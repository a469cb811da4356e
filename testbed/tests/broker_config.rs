//! The shipped `mosquitto/obsbus.conf` as a text: what it must not say beside the files of the
//! distributions, whose own settings it joins.

use testbed::broker::SHIPPED_CONF;
use testbed::web::SHIPPED_WEB_CONF;

/// Debian 12's /etc/mosquitto/mosquitto.conf (package mosquitto 2.0.11-1.2+deb12u2). The file of
/// Rocky 9 is mosquitto's own commented example: it sets nothing.
const DEBIAN_KEYS: [&str; 5] = ["pid_file", "persistence", "persistence_location", "log_dest", "include_dir"];

fn keys(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()).collect()
}

/// As [`keys`], with those that stand commented out and ready for use.
fn keys_and_offers(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    lines
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn no_key_of_the_distributions_default_file_is_repeated() {
    for key in keys_and_offers(SHIPPED_CONF) {
        assert!(!DEBIAN_KEYS.contains(&key), "{key} is set in Debian's default file");
    }
}

#[test]
fn no_key_of_the_default_file_of_this_machine_is_repeated() {
    // Absent where mosquitto came without the distribution's file; then the list above has to do.
    let installed = std::fs::read_to_string("/etc/mosquitto/mosquitto.conf").unwrap_or_default();
    let shipped = keys_and_offers(SHIPPED_CONF);
    for key in keys(&installed) {
        assert!(!shipped.contains(&key), "{key} is set in /etc/mosquitto/mosquitto.conf");
    }
}

#[test]
fn no_key_stands_twice() {
    let mut shipped = keys(SHIPPED_CONF);
    shipped.sort_unstable();
    let count = shipped.len();
    shipped.dedup();
    assert_eq!(shipped.len(), count);
}

#[test]
fn what_must_not_be_set_is_not_set_not_even_as_an_offer() {
    for key in keys_and_offers(SHIPPED_CONF) {
        assert!(!["per_listener_settings", "log_dest", "autosave_interval"].contains(&key), "{key}");
        assert!(!key.starts_with("persistence"), "{key}");
    }
}

#[test]
fn what_the_contract_relies_on_is_set() {
    for line in [
        "allow_anonymous false",
        "require_certificate true",
        "use_identity_as_username true",
        "tls_version tlsv1.2",
        "set_tcp_nodelay true",
        "acl_file /etc/mosquitto/obsbus.acl",
    ] {
        assert!(SHIPPED_CONF.lines().any(|shipped| shipped == line), "{line}");
    }
}

#[test]
fn the_service_may_open_a_file_for_each_connection() {
    let unit = include_str!("../../deploy/broker/mosquitto.service.conf");
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().parse::<u32>().unwrap()
    };
    let connections = [SHIPPED_CONF, SHIPPED_WEB_CONF].map(|text| value(text, "max_connections "));
    let rest = 100;
    assert!(value(unit, "LimitNOFILE=") >= connections.iter().sum::<u32>() + rest, "{connections:?}");
}

#[test]
fn the_file_for_browsers_adds_one_listener_and_says_nothing_of_the_others() {
    // Those of the whole broker, or of the other file's listener, would hold in both or fight.
    let of_this_listener = ["listener", "protocol", "tls_version", "certfile", "keyfile", "max_connections"];
    for key in keys(SHIPPED_WEB_CONF) {
        assert!(key == "password_file" || of_this_listener.contains(&key), "{key}");
    }
    assert_eq!(keys(SHIPPED_WEB_CONF).iter().filter(|key| **key == "listener").count(), 1);
    // No browser has a certificate, so asking for one would shut all of them out.
    assert!(!keys_and_offers(SHIPPED_WEB_CONF).contains(&"require_certificate"));
    assert!(!keys_and_offers(SHIPPED_WEB_CONF).iter().any(|key| DEBIAN_KEYS.contains(key)));
    // With TLS, browsers are hung up on: see the file.
    assert!(!keys(SHIPPED_WEB_CONF).contains(&"http_dir"));
}

#[test]
fn what_is_offered_for_loopback_listens_there_only() {
    // Websockets listen on every interface without the second line.
    let offer = "\n#listener 9001 127.0.0.1\n#socket_domain ipv4\n#protocol websockets\n";
    assert!(SHIPPED_WEB_CONF.contains(offer));
}
