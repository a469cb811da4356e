//! The settings that every bridge has, with the predecessors' names if they mean the same.
//!
//! The usual values, which differ between devices, are a [`Usual`]; each device's own keys are its
//! [`DeviceSettings`]. [`DeviceSettings::check`] judges the files that the settings name; errors in
//! them do not prevent a bridge from starting.

mod check;
mod commands;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::clock::Utc;
use bus::device::Verb;
use bus::homeassistant::HomeAssistant;
use bus::reserved::is_reserved;
use bus::settings::{
    BrokerSettings, Findings, IDENTITY_ALPHABET, NAME_ALPHABET, Problems, Section, is_identity, is_name,
};

pub use commands::CommandSettings;

/// A predecessor's key that has another name now, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The predecessor's name.
    pub old: &'static str,
    /// What became of it: `is now ...`.
    pub message: &'static str,
    /// The key that takes its value, with its section: `power.channels`.
    pub now: Option<&'static str>,
    /// The value of that key, in TOML, if the predecessor's file does not have the old one.
    pub without: Option<&'static str>,
}

impl Renamed {
    /// A key whose value does not fit any more.
    #[must_use]
    pub const fn gone(old: &'static str, message: &'static str) -> Self {
        Self { old, message, now: None, without: None }
    }

    /// A key whose value `now` takes.
    #[must_use]
    pub const fn moved(old: &'static str, message: &'static str, now: &'static str) -> Self {
        Self { old, message, now: Some(now), without: None }
    }

    /// And the value if it is missing.
    #[must_use]
    pub const fn or(self, without: &'static str) -> Self {
        Self { without: Some(without), ..self }
    }
}

/// The keys that every predecessor had.
pub(crate) const RENAMED: [Renamed; 2] = [
    Renamed::gone(
        "daemon",
        "is gone: site and device name the topics, and [broker] says where they are; remove it",
    ),
    Renamed::gone(
        "control_machines",
        "is now control_clients: a list of identities (common names of certificates), not of machines",
    ),
];

/// The beginnings of keys that say nothing of the serial line.
const OF_THE_BUS: [&str; 8] = [
    "broker.",
    "commands.",
    "homeassistant.",
    "control_clients",
    "stop_clients",
    "require_acl",
    "state_directory",
    "log_name",
];

/// All settings of a bridge for one kind of device.
pub trait DeviceSettings: Sized {
    /// Prefix of the environment variables that change these settings.
    const PREFIX: &'static str;
    /// The keys that only this device's predecessor had.
    const RENAMED: &'static [Renamed] = &[];
    /// The settings file that is shipped, with a comment on every key.
    const SHIPPED: &'static str;

    /// Reads them; errors are noted in the section.
    fn read(s: &mut Section, environment: &[(String, String)]) -> Self;

    /// What every bridge has.
    fn bridge(&self) -> &BridgeSettings;

    /// The same, for changes while the bridge runs.
    fn bridge_mut(&mut self) -> &mut BridgeSettings;

    /// The new names of the predecessor's keys.
    #[must_use]
    fn renamed() -> Vec<(&'static str, &'static str)> {
        RENAMED.iter().chain(Self::RENAMED).map(|renamed| (renamed.old, renamed.message)).collect()
    }

    /// Reads and checks a settings file; the environment overrides it.
    ///
    /// # Errors
    /// All errors in them.
    fn load(path: &Path, environment: &[(String, String)]) -> Result<Self, Problems> {
        let mut section = bus::settings::read(path, Self::PREFIX, environment)?;
        let settings = Self::read(&mut section, environment);
        section.finish(&Self::renamed())?;
        Ok(settings)
    }

    /// The values in a settings file and its environment that matter for the serial line: for the head of a
    /// transcript, which may be given to others. Nothing of the broker, and of who may command.
    #[must_use]
    fn of_the_line(path: &Path, environment: &[(String, String)]) -> Vec<(String, String)> {
        let read = bus::settings::read(path, Self::PREFIX, environment);
        let values = read.map(|section| section.values()).unwrap_or_default();
        let is_of_bus = |key: &str| OF_THE_BUS.iter().any(|prefix| key.starts_with(prefix));
        values.into_iter().filter(|(key, _)| !is_of_bus(key)).collect()
    }

    /// As [`Self::load`], and checks everything that can be checked without connecting: the files
    /// that the settings name, whether the state directory can be written, and whether the port
    /// exists.
    ///
    /// Checks the files as the user of this thread, for the date `now`.
    #[must_use]
    fn check(path: &Path, environment: &[(String, String)], now: Utc) -> Findings {
        let mut section = match bus::settings::read(path, Self::PREFIX, environment) {
            Ok(section) => section,
            Err(problems) => return problems.into(),
        };
        Self::read(&mut section, environment).bridge().check(&mut section, now);
        section.findings(&Self::renamed()).1
    }
}

/// A duration's allowed seconds, and its default.
pub type Seconds = (RangeInclusive<f64>, f64);

/// The usual values for a kind of device.
#[derive(Clone, Debug)]
pub struct Usual {
    /// One word: the device's level in a topic, and the first half of its bridge's name.
    pub kind: &'static str,
    /// Baud.
    pub serial_baud: u32,
    /// From one poll to the next.
    pub query_delay: Seconds,
    /// For one reply.
    pub exchange_limit: Seconds,
    /// How old a reading may be.
    pub stale_after: Seconds,
    /// Its verbs: with one that stops it, `stop_clients` has a meaning.
    pub verbs: &'static [Verb],
}

/// The settings of any bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct BridgeSettings {
    /// First level of every topic.
    pub site: String,
    /// Second level of every topic.
    pub device: String,
    /// Identifier in the journal, and `source` of each event.
    pub log_name: String,
    /// The serial device file; empty if there is none.
    pub serial_port: PathBuf,
    /// Baud.
    pub serial_baud: u32,
    /// The instrument's usual speed, baud.
    pub usual_baud: u32,
    /// After this time without a valid reply the link is lost.
    pub serial_timeout: Duration,
    /// How long one reply may take.
    pub exchange_limit: Duration,
    /// From one poll to the next.
    pub query_delay: Duration,
    /// The age at which a reading becomes invalid.
    pub stale_after: Duration,
    /// After a longer pause of the polling task, buffered messages are not trusted.
    pub stall_guard: Duration,
    /// Identities that may send commands.
    pub control_clients: Vec<String>,
    /// Identities that may send a stop, if the device has one.
    pub stop_clients: Vec<String>,
    /// Whether commands are refused while the broker's ACL is open.
    pub require_acl: bool,
    /// The folder for data that must survive a restart.
    pub state_directory: PathBuf,
    /// How to reach the broker, and as whom.
    pub broker: BrokerSettings,
    /// What proves who sent a command, beside the broker.
    pub commands: CommandSettings,
    /// Discovery by Home Assistant, if it is enabled.
    pub homeassistant: Option<HomeAssistant>,
}

impl BridgeSettings {
    /// Reads them; errors are noted in the section.
    pub fn read(s: &mut Section, usual: &Usual, environment: &[(String, String)]) -> Self {
        Self::read_all(s, usual, true, environment)
    }

    /// As [`Self::read`], of a device that is not on a serial line: there are no keys about one, and
    /// the usual times are in force.
    pub fn read_without_line(s: &mut Section, usual: &Usual, environment: &[(String, String)]) -> Self {
        Self::read_all(s, usual, false, environment)
    }

    fn read_all(s: &mut Section, usual: &Usual, has_line: bool, environment: &[(String, String)]) -> Self {
        let name = format!("{}-bridge", usual.kind);
        let site = s.text("site").check(NAME_ALPHABET, |name| is_name(name)).required();
        let device = device(s, usual.kind);
        let log_name = s
            .text("log_name")
            .check("1 to 100 printable ASCII characters without a space", |name| {
                (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
            })
            .default(format!("{name}@{site}"));
        let (serial_port, serial_baud) =
            if has_line { port(s, usual) } else { (PathBuf::new(), usual.serial_baud) };
        let times = if has_line { Times::read(s, usual) } else { Times::usual(s, usual) };
        let (control_clients, stop_clients) = clients(s, usual.verbs.iter().any(|verb| verb.stop));
        let require_acl = s.flag("require_acl").default(true);
        let state_directory = s
            .path("state_directory")
            .optional()
            .unwrap_or_else(|| state_directory_of_systemd(environment, &name, &site));
        let mut broker_section = s.section("broker");
        let broker = BrokerSettings::read(&mut broker_section, BrokerSettings::BRIDGE_KEEP_ALIVE);
        s.close(broker_section);
        let mut commands_section = s.section("commands");
        let commands = CommandSettings::read(&mut commands_section, usual.verbs, &broker.ca_file);
        s.close(commands_section);
        let mut homeassistant_section = s.section("homeassistant");
        let homeassistant = HomeAssistant::read(&mut homeassistant_section);
        s.close(homeassistant_section);
        Self {
            site,
            device,
            log_name,
            serial_port,
            serial_baud,
            usual_baud: usual.serial_baud,
            serial_timeout: times.serial_timeout,
            exchange_limit: times.exchange_limit,
            query_delay: times.query_delay,
            stale_after: times.stale_after,
            stall_guard: times.stall_guard,
            control_clients,
            stop_clients,
            require_acl,
            state_directory,
            broker,
            commands,
            homeassistant,
        }
    }
}

fn port(s: &mut Section, usual: &Usual) -> (PathBuf, u32) {
    let path = s.path("serial_port").required();
    let baud = s
        .integer("serial_baud")
        .one_of(&[1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200])
        .default(usual.serial_baud.into());
    (path, u32::try_from(baud).unwrap_or_default())
}

struct Times {
    serial_timeout: Duration,
    exchange_limit: Duration,
    query_delay: Duration,
    stale_after: Duration,
    stall_guard: Duration,
}

impl Times {
    fn usual(s: &mut Section, usual: &Usual) -> Self {
        let duration = |seconds: &Seconds| Duration::try_from_secs_f64(seconds.1).unwrap_or_default();
        Self {
            // Longer than any reply may take, so that only a real silence counts.
            serial_timeout: 2 * duration(&usual.exchange_limit),
            exchange_limit: duration(&usual.exchange_limit),
            query_delay: duration(&usual.query_delay),
            stale_after: s.seconds("stale_after", usual.stale_after.0.clone(), usual.stale_after.1),
            stall_guard: s.seconds("stall_guard", 0.1..=10.0, 1.0),
        }
    }

    fn read(s: &mut Section, usual: &Usual) -> Self {
        let stale_origin = s.origin("stale_after");
        let limit_origin = s.origin("exchange_limit");
        let mut seconds = |key, (range, default): &Seconds| s.seconds(key, range.clone(), *default);
        let times = Self {
            serial_timeout: seconds("serial_timeout", &(1.0..=60.0, 5.0)),
            exchange_limit: seconds("exchange_limit", &usual.exchange_limit),
            query_delay: seconds("query_delay", &usual.query_delay),
            stale_after: seconds("stale_after", &usual.stale_after),
            stall_guard: seconds("stall_guard", &(0.1..=10.0, 1.0)),
        };
        let least = times.query_delay * 3;
        if s.is_good("query_delay") && s.is_good("stale_after") && times.stale_after < least {
            let (is, least) = (times.stale_after.as_secs_f64(), least.as_secs_f64());
            let message = format!("{is} s is less than three times query_delay");
            let allowed = format!("{least} to {} s", usual.stale_after.0.end());
            s.refuse("stale_after", stale_origin, message, Some(allowed));
        }
        let most = times.serial_timeout;
        if s.is_good("serial_timeout") && s.is_good("exchange_limit") && times.exchange_limit > most {
            let (is, most) = (times.exchange_limit.as_secs_f64(), most.as_secs_f64());
            let message = format!("{is} s is more than serial_timeout");
            let allowed = format!("{} to {most} s", usual.exchange_limit.0.start());
            s.refuse("exchange_limit", limit_origin, message, Some(allowed));
        }
        times
    }
}

// Also checks whether the default is reserved: then the kind has an unusable name.
fn device(s: &mut Section, kind: &str) -> String {
    let device = s.text("device").check(NAME_ALPHABET, |name| is_name(name)).default(kind.to_owned());
    if is_reserved(&device) {
        let message = format!("{device:?} is a subcommand of obsbus, so no device can be called so");
        s.refuse("device", s.origin("device"), message, Some("another name".to_owned()));
    }
    device
}

fn clients(s: &mut Section, has_stop: bool) -> (Vec<String>, Vec<String>) {
    let allowed = format!("a list of identities, each {IDENTITY_ALPHABET}");
    let is_list = |names: &Vec<String>| names.iter().all(|name| is_identity(name));
    let control = s.texts("control_clients").check(allowed.as_str(), is_list).required();
    // A device without a stop does not have this key; an older file with it is still valid.
    if !has_stop && !s.contains("stop_clients") {
        return (control.clone(), control);
    }
    let stop = s.texts("stop_clients").check(allowed.as_str(), is_list).default(control.clone());
    if !has_stop {
        s.warn("stop_clients", "means nothing: this device has no stop; remove it".to_owned());
    }
    let cannot: Vec<_> = control.iter().filter(|name| !stop.contains(name)).cloned().collect();
    if has_stop && !cannot.is_empty() {
        let message = format!("{} may move it and may not stop it: is that meant?", cannot.join(", "));
        s.warn("stop_clients", message);
    }
    (control, stop)
}

// systemd creates the folder of `StateDirectory=` and names it here; with several, the first is
// ours.
fn state_directory_of_systemd(environment: &[(String, String)], name: &str, site: &str) -> PathBuf {
    environment
        .iter()
        .find(|(variable, _)| variable == "STATE_DIRECTORY")
        .and_then(|(_, value)| value.split(':').next())
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| Path::new("/var/lib/obsbus").join(name).join(site), PathBuf::from)
}
