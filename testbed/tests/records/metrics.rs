//! `obsbus metrics` over a real broker and a real bridge, read as Prometheus reads it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use testbed::broker::free_port;
use testbed::process::{Launch, Process};
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

/// The exporter, and its address.
struct Exporter {
    process: Process,
    address: String,
}

fn exporter(site: &Site) -> Exporter {
    let launch = site.launch_tool("obsbus", "visitor", &["metrics", "--listen", "127.0.0.1:0"]).unwrap();
    let mut process = launch.spawn().unwrap();
    let line = process.wait_for_line(|line| line.contains("serving http://"), LIMIT).unwrap();
    let address = line.split("http://").nth(1).unwrap().trim_end_matches("/metrics").to_owned();
    Exporter { process, address }
}

impl Exporter {
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn metrics(&self) -> String {
        self.ask("GET /metrics")
    }

    /// The value of a sample of CLASP's chiller, with these further labels.
    fn sample(&self, name: &str, more: &str) -> Option<f64> {
        let start = format!("obsbus_{name}{{site=\"clasp\",device=\"chiller\",kind=\"chiller\"{more}}} ");
        self.metrics().lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
    }

    #[track_caller]
    fn comes(&self, name: &str, more: &str, value: Option<f64>) {
        wait_for(&format!("{name}{more} to be {value:?}"), LIMIT, || {
            (self.sample(name, more) == value).then_some(())
        })
        .unwrap();
    }
}

#[test]
fn prometheus_gets_values_in_base_units_and_nothing_that_is_not_true_now() {
    let mut site = Site::start().unwrap();
    site.wait_state(|state| !state["water_temp"].is_null(), LIMIT).unwrap();
    let exporter = exporter(&site);

    exporter.comes("water_temp_celsius", "", Some(12.0));
    exporter.comes("status", ",value=\"idle\"", Some(1.0));
    assert_eq!(exporter.sample("status", ",value=\"cooling\""), Some(0.0));
    assert_eq!(exporter.sample("pump_on", ""), Some(0.0));
    assert_eq!(exporter.sample("bridge_online", ""), Some(1.0));
    assert_eq!(exporter.sample("bridge_acl_ok", ""), Some(1.0));
    let text = exporter.metrics();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("content-type: application/openmetrics-text"), "{text}");
    assert!(text.trim_end().ends_with("# EOF"), "{text}");
    let exchanges = exporter.sample("link_exchanges_total", "");
    assert!(exchanges.is_some_and(|count| count > 0.0), "{exchanges:?}");
    assert_eq!(exporter.sample("dome_temp_celsius", ""), None, "what nobody has measured has no sample");

    let operator = site.tool("alice", &["setpoint", "14.5"]).unwrap();
    assert_eq!(operator.code, 0, "{operator:?}");
    exporter.comes("commands_total", ",verb=\"setpoint\",outcome=\"succeeded\"", Some(1.0));

    // Nobody renews the values of a bridge that is dead: they end, and its absence is a sample.
    site.bridge.kill9().unwrap();
    exporter.comes("bridge_online", "", Some(0.0));
    exporter.comes("water_temp_celsius", "", None);
    exporter.comes("bridge_acl_ok", "", None);
}

#[test]
fn without_a_broker_the_exporter_says_so_and_shows_no_device() {
    let mut site = Site::start().unwrap();
    let exporter = exporter(&site);
    exporter.comes("bridge_online", "", Some(1.0));
    site.broker.stop().unwrap();
    wait_for("the end of all devices", LIMIT, || {
        let text = exporter.metrics();
        (text.contains("\nobsbus_exporter_connected{} 0") && !text.contains("chiller")).then_some(())
    })
    .unwrap();
    site.broker.restart().unwrap();
    exporter.comes("bridge_online", "", Some(1.0));
}

#[test]
fn the_exporter_answers_nothing_else_and_says_what_is_wrong_with_its_address() {
    let site = Site::start().unwrap();
    let mut exporter = exporter(&site);
    assert!(exporter.ask("GET /").contains("the metrics are at /metrics"));
    assert!(exporter.ask("GET /etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(exporter.ask("POST /metrics").starts_with("HTTP/1.1 405"));
    let taken = ["metrics", "--listen", &exporter.address];
    let second = site.launch_tool("obsbus", "visitor", &taken).unwrap().run(LIMIT).unwrap();
    assert!(second.code != 0 && second.stderr.contains("--listen"), "{second:?}");
    exporter.process.terminate().unwrap();
    assert_eq!(exporter.process.wait_exit(LIMIT).unwrap(), 0);
}

const RULES: &str = include_str!("../../../deploy/records/alerts.yml");

#[test]
fn the_alert_rules_ask_for_metrics_that_there_are() {
    let site = Site::start().unwrap();
    let exporter = exporter(&site);
    exporter.comes("bridge_acl_ok", "", Some(1.0));
    let text = exporter.metrics();
    let rules = RULES.split("expr:").skip(1).filter_map(|rule| rule.lines().next());
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let names: Vec<&str> = rules
        .flat_map(|rule| rule.split(|letter| !is_name(letter)))
        .filter(|word| word.starts_with("obsbus_"))
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    // There is one only while there is an attention.
    for name in names.into_iter().filter(|name| *name != "obsbus_attention") {
        assert!(text.contains(&format!("\n{name}{{")), "{name}");
    }
}

#[test]
#[ignore = "needs Prometheus: make test-metrics"]
fn a_real_prometheus_accepts_and_stores_the_metrics() {
    let site = Site::start().unwrap();
    let exporter = exporter(&site);
    exporter.comes("water_temp_celsius", "", Some(12.0));
    let rules = site.dir().join("alerts.yml");
    fs::write(&rules, RULES).unwrap();
    let config = format!(
        "rule_files: ['{}']\nscrape_configs:\n  - job_name: obsbus\n    scrape_interval: 1s\n    static_configs:\n      \
         - targets: ['{}']\n",
        rules.display(),
        exporter.address
    );
    let file = site.dir().join("prometheus.yml");
    fs::write(&file, config).unwrap();
    let prometheus = format!("127.0.0.1:{}", free_port().unwrap());
    let _process = Launch::machine("prometheus")
        .unwrap()
        .args([
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", site.dir().join("prometheus").display()),
            format!("--web.listen-address={prometheus}"),
        ])
        .spawn()
        .unwrap();
    let asked = |query: &str| {
        let mut stream = TcpStream::connect(&prometheus).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    wait_for("a sample in Prometheus", LIMIT, || {
        asked("obsbus_water_temp_celsius").filter(|answer| answer.contains("\"12\"")).map(drop)
    })
    .unwrap();
    let counter = asked("obsbus_link_exchanges_total").unwrap();
    assert!(counter.contains("\"device\":\"chiller\""), "{counter}");
    // It has taken the rules, and the one on what is lacking is at rest.
    let alerts = asked("absent(ALERTS)").unwrap();
    assert!(alerts.contains("\"result\":[{"), "{alerts}");
    let checked =
        Launch::machine("promtool").unwrap().args(["check", "rules"]).arg(&rules).run(LIMIT).unwrap();
    assert!(checked.code == 0 && checked.stdout.contains("8 rules found"), "{checked:?}");
    let metadata = asked("scrape_samples_scraped").unwrap();
    assert!(metadata.contains("\"success\""), "{metadata}");
}
