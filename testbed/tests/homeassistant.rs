//! What Home Assistant gets that is no discovery, and how it is told to forget a device. With a real
//! Home Assistant: `make test-homeassistant`.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bus::device::Class;
use bus::homeassistant::{HomeAssistant, entities};
use bus::topic::{Base, Identity};
use cli::ha::{Device, drawn, printed};
use cli::instrument::Instrument;
use serde_json::Value;
use testbed::process::Output;
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn settings() -> HomeAssistant {
    HomeAssistant {
        identity: Identity::new("homeassistant").unwrap(),
        prefix: "homeassistant".to_owned(),
        link_topic: None,
    }
}

/// An instrument as its description says, and as a change of that text makes it.
fn instrument(kind: &str, change: impl Fn(String) -> String) -> (Base, Instrument) {
    let meta = root().join(contract::device_folder(kind)).join("examples/meta.json");
    let text = change(fs::read_to_string(meta).unwrap());
    (Base::new("clasp", kind).unwrap(), Instrument::read(text.as_bytes()).unwrap())
}

fn device(kind: &str, change: impl Fn(String) -> String) -> Device {
    let (base, instrument) = instrument(kind, change);
    Device::new(base, instrument.meta, &settings())
}

fn values(devices: &[Device]) -> [Value; 2] {
    drawn(devices, None).map(|part| serde_json::to_value(part).unwrap())
}

/// Every text in it, with the key under which it stands.
fn texts(value: &Value, key: &str, all: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => all.push((key.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, all)),
        Value::Object(entries) => entries.iter().for_each(|(key, value)| texts(value, key, all)),
        _ => {}
    }
}

#[test]
fn the_committed_dashboard_and_package_are_what_is_printed() {
    let devices = ["chiller", "focuser"].map(|kind| device(kind, |text| text));
    for (name, text) in ["dashboard.yaml", "package.yaml"].iter().zip(printed(&devices, None).unwrap()) {
        let file = root().join("panels/home-assistant").join(name);
        if std::env::var_os("OBSBUS_GENERATE").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(committed == text, "{} is stale: run `make generated`", file.display());
    }
}

/// The instruments that there are.
fn kinds() -> Vec<String> {
    let folders =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    folders.filter_map(|name| name.strip_suffix("-bridge").map(str::to_owned)).collect()
}

#[test]
fn every_verb_that_acts_can_be_sent_and_asks_where_it_is_dangerous() {
    for kind in &kinds() {
        let (base, instrument) = instrument(kind, |text| text);
        let [dashboard, package] = values(&[device(kind, |text| text)]);
        let told = entities(&instrument.meta, &base, &settings());
        for verb in instrument.meta.verbs.iter().filter(|verb| verb.class != Class::Query) {
            let topic = base.command(&settings().identity, &verb.name);
            let mut in_package = Vec::new();
            texts(&package["script"], "", &mut in_package);
            let is_script = in_package.contains(&("topic".to_owned(), topic.clone()));
            let control = told.iter().find(|entity| {
                entity.config.get("command_topic") == Some(&topic.clone().into())
                    && entity.config.get("enabled_by_default") != Some(&false.into())
            });
            let script = format!("script.clasp_{kind}_{}", verb.name);
            let reached = control.map_or(script.clone(), |entity| entity.entity_id.clone());
            assert_eq!(is_script, control.is_none(), "{topic}");
            let text = dashboard.to_string();
            assert!(text.contains(&format!("{reached:?}")), "{reached} is not on the dashboard");
            if let Some(question) = &verb.question {
                let asks = serde_json::json!({"action": "call-service", "service": script, "confirmation": {"text": question}});
                assert!(text.contains(&asks.to_string()), "{script} does not ask");
            }
        }
    }
}

/// Home Assistant has no key: what it showed as a control would only be refused (34).
#[test]
fn a_verb_that_needs_a_signature_is_named_with_the_reason_and_cannot_be_sent() {
    for kind in &kinds() {
        let (base, mut instrument) = instrument(kind, |text| text);
        for verb in instrument.meta.verbs.iter_mut().filter(|verb| !verb.stop) {
            verb.needs_signature = true;
        }
        let told = entities(&instrument.meta, &base, &settings());
        let [dashboard, package] = values(&[Device::new(base.clone(), instrument.meta.clone(), &settings())]);
        let mut published = Vec::new();
        texts(&package, "", &mut published);
        let mut shown = Vec::new();
        texts(&dashboard, "", &mut shown);
        for verb in instrument.meta.verbs.iter().filter(|verb| verb.class != Class::Query) {
            let topic = base.command(&settings().identity, &verb.name);
            assert!(
                !published.contains(&("topic".to_owned(), topic.clone())),
                "a script publishes on {topic}"
            );
            let script = format!("script.clasp_{kind}_{}", verb.name);
            assert!(!dashboard.to_string().contains(&script), "{script} is on the dashboard");
            let control =
                told.iter().find(|entity| entity.config.get("command_topic") == Some(&topic.clone().into()));
            let available = control.map(|entity| entity.config["availability"][0]["value_template"].clone());
            if verb.stop {
                assert_ne!(available.expect("a stop is an entity"), "offline", "{topic}");
                continue;
            }
            assert!(available.is_none_or(|template| template == "offline"), "{topic}");
            let named = format!("{} (needs a signature)", verb.label);
            assert!(shown.iter().any(|(_, text)| *text == named), "{named:?} is not on the dashboard");
        }
    }
}

#[test]
fn the_dashboard_names_no_entity_that_discovery_does_not_make() {
    for kind in &kinds() {
        let (base, instrument) = instrument(kind, |text| text);
        let [dashboard, package] = values(&[device(kind, |text| text)]);
        let told: BTreeSet<String> = entities(&instrument.meta, &base, &settings())
            .into_iter()
            .filter(|entity| entity.config.get("enabled_by_default") != Some(&false.into()))
            .map(|entity| entity.entity_id)
            .collect();
        let helpers: BTreeSet<String> = ["input_boolean", "input_number", "input_select", "input_text"]
            .into_iter()
            .flat_map(|domain| {
                let helpers = package.get(domain).and_then(Value::as_object).into_iter().flatten();
                helpers.map(move |(name, _)| format!("{domain}.{name}"))
            })
            .collect();
        let mut named = Vec::new();
        texts(&dashboard, "", &mut named);
        let named: Vec<_> = named.into_iter().filter(|(key, _)| key.starts_with("entit")).collect();
        assert!(named.len() > 10, "{named:?}");
        let unknown: Vec<_> =
            named.iter().filter(|(_, name)| !told.contains(name) && !helpers.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

/// What a bridge says of itself was written by another program.
#[test]
fn a_hostile_label_is_no_template_and_breaks_no_file() {
    let hostile = r#"\n- x: {{ 7 * 7 }}' ~ states('sun.sun') ~ '{% raw %} # \"#;
    let written = serde_json::to_string(hostile).unwrap();
    let change = |text: String| {
        let lines = text.lines().map(|line| match line.split_once(": ") {
            Some((key, value))
                if key.trim() == "\"label\"" || key.trim() == "\"question\"" && value != "null," =>
            {
                format!("{key}: {written}{}", if value.ends_with(',') { "," } else { "" })
            }
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let (_, instrument) = instrument("chiller", change);
    let label = instrument.label().to_owned();
    assert!(label.contains("7 * 7"), "{label}");
    for part in values(&[device("chiller", change)]) {
        let mut all = Vec::new();
        texts(&part, "", &mut all);
        let templates = ["content", "payload", "value_template", "title", "message", "texts", "device"];
        for (key, text) in all.iter().filter(|(_, text)| text.contains("7 * 7")) {
            let quoted = label.replace('\\', "\\\\").replace('\'', "\\'");
            let is_template = templates.contains(&key.as_str()) && text.contains("{{ {");
            let rest = text.replace(&quoted, "");
            assert!(!is_template || !rest.contains("7 * 7"), "{key}: {text}");
        }
    }
}

fn obsbus(site: &Site, identity: &str, args: &[&str]) -> Output {
    site.launch_tool("obsbus", identity, args).unwrap().run(LIMIT).unwrap()
}

#[test]
fn home_assistant_forgets_a_device_if_its_bridge_says_so_and_nobody_else() {
    let mut site = Site::builder().setting_in("homeassistant", "enabled", "true").start().unwrap();
    let home = site.client("homeassistant").unwrap();
    home.subscribe("homeassistant/#").unwrap();
    let is_told = |payload: bool| {
        move |message: &testbed::client::Message| {
            message.topic == "homeassistant/sensor/clasp_chiller/water_temp/config"
                && message.payload.is_empty() != payload
        }
    };
    home.wait_for(is_told(true), LIMIT).unwrap();
    site.bridge.stop().unwrap();
    for identity in ["visitor", "alice", "focuser-bridge"] {
        let refused = obsbus(&site, identity, &["ha", "remove", "chiller"]);
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(
            refused.stderr.contains(&format!("does not permit {identity} to remove clasp/chiller")),
            "{refused:?}"
        );
        let nothing = obsbus(&site, identity, &["ha", "remove", "--all"]);
        assert_eq!(nothing.code, 0, "{nothing:?}");
        assert!(nothing.stdout.contains(&format!("that {identity} may read")), "{nothing:?}");
    }
    // As docs/home-assistant.md says, with this site's file.
    let page = fs::read_to_string(root().join("docs/home-assistant.md")).unwrap();
    let shown = page.lines().find_map(|line| line.strip_prefix("obsbus ha remove ")).unwrap();
    let settings = site.dir().join("chiller-bridge.toml").display().to_string();
    let words: Vec<&str> =
        shown.split(' ').map(|word| if word.ends_with(".toml") { &settings } else { word }).collect();
    let removed = obsbus(&site, "visitor", &[&["ha", "remove"], words.as_slice()].concat());
    assert_eq!(removed.code, 0, "{removed:?}");
    assert!(removed.stdout.starts_with("clasp/chiller: removed "), "{removed:?}");
    home.wait_for(is_told(false), LIMIT).unwrap();
    let all = obsbus(&site, "chiller-bridge", &["ha", "remove", "--all"]);
    assert!(all.stdout.contains("that chiller-bridge may read"), "{all:?}");
    let again = obsbus(&site, "chiller-bridge", &["ha", "remove", "chiller"]);
    assert_eq!(again.stdout, "clasp/chiller: Home Assistant has no entities of it\n", "{again:?}");
}

#[test]
fn a_dashboard_is_made_of_the_devices_that_were_named_and_speaks_for_who_was_named() {
    let site = Site::start().unwrap();
    wait_for("meta", LIMIT, || site.last("meta")).unwrap();
    let dashboard = obsbus(&site, "visitor", &["ha", "dashboard", "chiller"]);
    assert!(dashboard.stdout.contains("\n  path: clasp_chiller\n"), "{dashboard:?}");
    let package =
        obsbus(&site, "visitor", &["ha", "package", "--identity", "home", "--notify", "notify.phone"]);
    assert!(package.stdout.contains("clasp/chiller/command/home/release"), "{package:?}");
    assert!(package.stdout.contains("clasp/chiller/reply/home/+"), "{package:?}");
    assert!(package.stdout.contains("\n  - service: notify.phone\n"), "{package:?}");
    let unknown = obsbus(&site, "visitor", &["ha", "dashboard", "chiller", "nosuch"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (155, ""), "{unknown:?}");
    assert!(unknown.stderr.contains("nothing is known of clasp/nosuch"), "{unknown:?}");
    let wrong = obsbus(&site, "visitor", &["ha", "package", "--identity", "acl-canary"]);
    assert_eq!(wrong.code, 64, "{wrong:?}");
}

/// The automation of docs/alerts.md, which people copy.
#[test]
fn the_page_about_alerts_names_entities_that_discovery_makes() {
    let page = fs::read_to_string(root().join("docs/alerts.md")).unwrap();
    let recipe = testbed::page::blocks(&page, "<!-- for Home Assistant -->")[0];
    let value: Value = serde_saphyr::from_str(recipe).unwrap();
    assert_eq!(value["automation"].as_array().map(Vec::len), Some(2), "{value}");
    let (base, instrument) = instrument("alert", |text| text);
    let told: BTreeSet<String> = entities(&instrument.meta, &base, &settings())
        .into_iter()
        .filter(|entity| entity.config.get("enabled_by_default") != Some(&false.into()))
        .map(|entity| entity.entity_id)
        .collect();
    let mut named = Vec::new();
    texts(&value, "", &mut named);
    let words = named.iter().flat_map(|(_, text)| text.split(['\'', ' ']));
    let entities: Vec<&str> = words.filter(|word| word.contains(".clasp_")).collect();
    assert!(entities.len() >= 5, "{entities:?}");
    let unknown: Vec<_> = entities.iter().filter(|name| !told.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not among {told:?}");
}
