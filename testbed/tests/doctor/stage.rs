//! A whole site that is well: automatic control with both inputs, and a chiller whose bridge notices
//! quickly.

use std::any::Any;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use testbed::process::Launch;
use testbed::publisher::{Dome, Power};
use testbed::site::{LIMIT, Site};

pub(crate) struct Stage {
    pub(crate) site: Site,
    pub(crate) power: Option<Power>,
    /// What must go on as long as the row.
    pub(crate) held: Vec<Box<dyn Any>>,
    _dome: Dome,
}

impl Stage {
    pub(crate) fn start() -> Self {
        let builder = Site::builder()
            .automatic(&["cmos", "swir"])
            .setting("query_delay", "0.5")
            .setting("stale_after", "4")
            .setting("exchange_limit", "0.3")
            .setting("serial_timeout", "1");
        let mut site = builder.start_without_bridge().unwrap();
        let power = Power::start(&site.broker, &["cmos", "swir"]).unwrap();
        let dome = Dome::start(&site.broker, 12.0).unwrap();
        site.start_bridge().unwrap();
        let stage = Self { site, power: Some(power), held: Vec::new(), _dome: dome };
        stage.well();
        stage
    }

    /// Waits until nothing is to be said of the device.
    pub(crate) fn well(&self) {
        let is_well =
            |state: &Value| state["attention"] == serde_json::json!([]) && state["connected"] == true;
        self.site.wait_state(is_well, LIMIT).unwrap();
    }

    /// Waits for an attention whose text has these words.
    pub(crate) fn attention(&self, name: &str, words: &str) {
        let holds = |state: &Value| {
            let held = state["attention"].as_array().unwrap().iter().find(|held| held["name"] == name);
            held.is_some_and(|held| held["text"].as_str().unwrap().contains(words))
        };
        self.site.wait_state(holds, LIMIT).unwrap();
    }

    /// The doctor as this identity, away from the machine of broker and bridge.
    pub(crate) fn doctor(&self, identity: &str) -> Launch {
        self.site.launch_tool("obsbus", identity, &["doctor", "--etc", "/nowhere"]).unwrap()
    }

    /// The doctor on the machine of broker and bridge.
    pub(crate) fn doctor_there(&self) -> Launch {
        let etc = self.etc();
        self.site.launch_tool("obsbus", "alice", &["doctor", "--etc", etc.to_str().unwrap()]).unwrap()
    }

    /// Where such a machine has its settings.
    pub(crate) fn etc(&self) -> PathBuf {
        let etc = self.site.dir().join("etc");
        let (bridge, broker) = (etc.join("obsbus/chiller-bridge"), etc.join("mosquitto/conf.d"));
        for (folder, file, from) in
            [(bridge, "clasp.toml", "chiller-bridge.toml"), (broker, "obsbus.conf", "broker/mosquitto.conf")]
        {
            fs::create_dir_all(&folder).unwrap();
            if !folder.join(file).exists() {
                std::os::unix::fs::symlink(self.site.dir().join(from), folder.join(file)).unwrap();
            }
        }
        etc
    }

    /// Starts the bridge again, as the row before has left it.
    pub(crate) fn restart_bridge(&mut self) {
        if self.site.bridge.process().is_ok() {
            self.site.bridge.stop().unwrap();
        }
        self.site.start_bridge().unwrap();
    }

    /// Waits until the bridge is connected anew and has judged its rights.
    pub(crate) fn reconnected(&self, connections: u64) {
        let is_new = |health: &Value| {
            health["broker_connections"].as_u64().is_some_and(|count| count > connections)
                && !health["command_path_ok"].is_null()
        };
        self.site.wait_json("health", is_new, LIMIT).unwrap();
    }

    /// How often the bridge has connected.
    pub(crate) fn connections(&self) -> u64 {
        let health = self.site.last("health").unwrap().json().unwrap();
        health["broker_connections"].as_u64().unwrap()
    }
}
