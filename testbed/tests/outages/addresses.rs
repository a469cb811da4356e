//! Two addresses of a broker, of which the first is of no use: it hangs, shows a certificate that is
//! not the broker's, or lets nobody in. The second serves, and what is wrong with the first is said.
//!
//! How long it takes is measured from outside: a limit is twice what it takes on a quiet machine, or more.

use std::net::TcpListener;
use std::time::Duration;

use testbed::broker::{Broker, HOST};
use testbed::client::TestClient;
use testbed::process::Output;
use testbed::refuser::{NOT_AUTHORISED, QUOTA_EXCEEDED, Refuser, SERVER_BUSY, USE_ANOTHER_SERVER};
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

/// For a bridge that starts, or whose broker is there again, to be online; an attempt alone may take 5 s.
const SOON: Duration = Duration::from_secs(4);

/// A site whose broker is the second address; the bridge is not started.
fn site() -> Site {
    Site::builder().start_without_bridge().unwrap()
}

fn hosts(first: u16, site: &Site) -> String {
    format!("{HOST}:{first},{HOST}:{}", site.broker.port())
}

/// The bridge is soon at the second address and logs `reason` about the first; the tools work there, and say it,
/// too; and so does the doctor, as a warning, in `found`.
fn second_serves(site: &mut Site, first: u16, reason: &str, found: &str) {
    let hosts = hosts(first, site);
    let place = format!("{HOST}:{first}");
    site.bridge.set_env("OBSBUS_CHILLER_BROKER__HOSTS", &hosts);
    let mark = site.bridge_log().len();
    let before = site.observer.mark();
    site.launch_bridge().unwrap();
    let online = site.observer.wait_after(before, |message| message.text() == "online", SOON);
    online.unwrap_or_else(|error| panic!("{error}; {}", site.bridge_log()));
    site.wait_ready().unwrap();
    let log = site.bridge_log().split_off(mark);
    let told = |line: &str| line.contains("WARN") && line.contains(&place) && line.contains(reason);
    assert!(log.lines().any(told), "{log}");
    for (program, args) in [("chiller", vec!["setpoint", "12.5"]), ("obsbus", vec!["status"])] {
        let output = run(site, &hosts, program, &args);
        assert_eq!(output.code, 0, "{output:?}");
        let told = output.stderr.replace('\n', " ");
        assert!(told.contains(&place) && told.contains(reason), "{output:?}");
    }
    let output = run(site, &hosts, "obsbus", &["doctor", "--etc", "/nowhere"]);
    assert_eq!(output.code, 0, "it is served by the other: {output:?}");
    let told = |line: &str| line.contains("warning") && line.contains(&place) && line.contains(found);
    assert!(output.stdout.lines().any(told), "{output:?}");
    assert_eq!(site.bridge.stop().unwrap(), 0);
}

fn run(site: &Site, hosts: &str, program: &str, args: &[&str]) -> Output {
    let launch = site.launch_tool(program, "alice", args).unwrap();
    launch.env("OBSBUS_CLIENT_BROKER__HOSTS", hosts).run(LIMIT).unwrap()
}

/// Takes connections, which the system does for it, and is silent.
fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind((HOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn an_address_that_hangs_costs_one_and_a_half_seconds_and_is_named() {
    let mut site = site();
    let (_listener, port) = silent();
    second_serves(&mut site, port, "did not answer in time", "does not answer in TLS");
}

#[test]
fn a_broker_that_comes_back_while_the_first_address_hangs_is_found_at_once() {
    let mut site = site();
    let (_listener, port) = silent();
    site.bridge.set_env("OBSBUS_CHILLER_BROKER__HOSTS", &hosts(port, &site));
    site.start_bridge().unwrap();
    let tried = |site: &Site| site.bridge_log().matches("nothing listens at").count();
    let connected = |site: &Site| site.broker.log().matches(" as chiller-bridge-").count();
    let (refused, connections) = (tried(&site), connected(&site));
    site.broker.kill9().unwrap();
    // By now the bridge waits for the address that hangs.
    wait_for("the bridge to find nothing", LIMIT, || (tried(&site) > refused).then_some(())).unwrap();
    site.broker.restart().unwrap();
    wait_for("the bridge to be back", SOON, || (connected(&site) > connections).then_some(()))
        .unwrap_or_else(|error| panic!("{error}; {}", site.bridge_log()));
    site.wait_availability("online", LIMIT).unwrap();
}

#[test]
fn a_first_address_with_a_certificate_of_another_authority_is_left_and_named() {
    let mut site = site();
    let stranger = Broker::start().unwrap();
    let reason = "was signed by another authority of the same name";
    second_serves(&mut site, stranger.port(), reason, reason);
}

#[test]
fn a_first_address_whose_certificate_has_another_name_is_left_and_named() {
    let mut site = site();
    let other_name = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names.retain(|name| !matches!(name, rcgen::SanType::IpAddress(_)));
    };
    site.broker.authority().server_with(other_name).unwrap();
    let misnamed = site.broker.another().unwrap();
    // Mosquitto listens before it reads its certificate.
    wait_for("the broker to have read it", LIMIT, || misnamed.log().contains(" running").then_some(()))
        .unwrap();
    site.broker.authority().server().unwrap();
    let reason = "is not valid for the name \"127.0.0.1\"";
    second_serves(&mut site, misnamed.port(), reason, reason);
}

#[test]
fn a_first_address_that_refuses_is_left_and_its_reason_is_told() {
    let mut site = site();
    for (code, reason) in [
        (SERVER_BUSY, "it is too busy now"),
        (QUOTA_EXCEEDED, "it has too many connections"),
        (NOT_AUTHORISED, "it does not accept the certificate"),
        (USE_ANOTHER_SERVER, "another broker is to be used"),
    ] {
        let first = Refuser::beside(&site.broker, code).unwrap();
        second_serves(&mut site, first.port(), reason, reason);
        assert!(first.refused() >= 4, "bridge, tools and doctor have asked");
    }
}

#[test]
fn a_first_broker_that_is_full_or_knows_nobody_is_left_and_named() {
    let mut site = site();
    let mut first = site.broker.another().unwrap();
    // It has no names from certificates, and anonymous clients are not allowed.
    first.restart_with(&["use_identity_as_username"], "").unwrap();
    let reason = "it does not accept the certificate";
    second_serves(&mut site, first.port(), reason, reason);
    first.restart_with(&["max_connections"], "max_connections 1").unwrap();
    let _the_only_one = TestClient::connect(&first, "ops").unwrap();
    second_serves(&mut site, first.port(), "closed the connection", "closed the connection");
}

/// A name may have several addresses, and one of them nobody who listens; and an address may be one of
/// IPv6, in brackets.
#[test]
fn addresses_of_ipv6_serve_as_well() {
    let localhost = std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST);
    if TcpListener::bind((localhost, 0)).is_err() {
        // A machine without IPv6.
        assert!(!std::path::Path::new("/proc/net/if_inet6").exists());
        return;
    }
    let mut site = site();
    let by_ipv6 = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names.push(rcgen::SanType::IpAddress(localhost));
    };
    site.broker.authority().server_with(by_ipv6).unwrap();
    let port = site.broker.port();
    let more = format!("listener {port} ::1\n{}", listener_keys(&site.broker));
    site.broker.restart_with(&[], &more).unwrap();
    for hosts in [format!("[::1]:1,[::1]:{port}"), format!("[::1]:{port},[::1]:1")] {
        site.bridge.set_env("OBSBUS_CHILLER_BROKER__HOSTS", &hosts);
        site.start_bridge().unwrap();
        assert!(site.bridge_log().contains(&format!("connected to the broker at [::1]:{port}")));
        let output = run(&site, &hosts, "chiller", &["setpoint", "12.5"]);
        assert_eq!(output.code, 0, "{output:?}");
        let output = run(&site, &hosts, "obsbus", &["doctor", "--etc", "/nowhere"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stdout.contains("nothing listens at [::1]:1"), "{output:?}");
        assert_eq!(site.bridge.stop().unwrap(), 0);
    }
}

/// What the shipped configuration says of its listener, for another one.
fn listener_keys(broker: &Broker) -> String {
    let conf = std::fs::read_to_string(broker.dir().join("mosquitto.conf")).unwrap();
    let keys =
        ["cafile", "certfile", "keyfile", "require_certificate", "use_identity_as_username", "tls_version"];
    let is_one = |line: &&str| keys.iter().any(|key| line.split_whitespace().next() == Some(*key));
    conf.lines().filter(is_one).map(|line| format!("{line}\n")).collect()
}
