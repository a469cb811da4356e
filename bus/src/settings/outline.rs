//! What other programs need of a bridge's settings file: the broker, the identity, the topics, the
//! port. Keys that only the bridge knows are ignored.

use std::path::{Path, PathBuf};

use super::{BrokerSettings, NAME_ALPHABET, Problems, is_name, read};

/// The part of a bridge's settings that is the same for every bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeOutline {
    /// First level of its topics.
    pub site: String,
    /// Second level of its topics; `None`: the kind of its instrument.
    pub device: Option<String>,
    /// The serial device file.
    pub serial_port: Option<PathBuf>,
    /// How it reaches the broker, and as whom.
    pub broker: BrokerSettings,
    /// Who may command it or stop it, as the file says.
    pub clients: Vec<String>,
}

impl BridgeOutline {
    /// Reads them.
    ///
    /// # Errors
    /// All errors in these keys.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let mut section = read(path, "", &[])?;
        let site = section.text("site").check(NAME_ALPHABET, |site| is_name(site)).required();
        let device = section.text("device").check(NAME_ALPHABET, |device| is_name(device)).optional();
        let serial_port = section.path("serial_port").optional();
        let mut clients = section.texts("control_clients").default(Vec::new());
        clients.extend(section.texts("stop_clients").default(Vec::new()));
        let mut broker_section = section.section("broker");
        let broker = BrokerSettings::read(&mut broker_section, BrokerSettings::BRIDGE_KEEP_ALIVE);
        broker_section.ignore_rest();
        section.close(broker_section);
        section.ignore_rest();
        section.finish(&[])?;
        Ok(Self { site, device, serial_port, broker, clients })
    }
}
