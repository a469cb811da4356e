//! What Home Assistant gets that is no discovery: the committed copies are what `obsbus ha` prints.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::fs;
use std::path::{Path, PathBuf};

use bus::homeassistant::HomeAssistant;
use bus::topic::{Base, Identity};
use cli::ha::{Device, printed};
use cli::instrument::Instrument;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// An instrument of the demo, as its description says.
fn device(kind: &str, change: impl Fn(String) -> String) -> Device {
    let meta = root().join(format!("{kind}-bridge/device/examples/meta.json"));
    let text = change(fs::read_to_string(meta).unwrap());
    let settings = HomeAssistant {
        identity: Identity::new("homeassistant").unwrap(),
        prefix: "homeassistant".to_owned(),
        link_topic: None,
    };
    let meta = Instrument::read(text.as_bytes()).unwrap().meta;
    Device::new(Base::new("clasp", kind).unwrap(), meta, &settings)
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
