//! The settings of the chiller's bridge: keys, defaults, ranges, and what goes with what.
//!
//! Keys that mean the same as the predecessor's keep their names; the others of its keys are
//! refused with what became of them. Figures about the unit are from `T257P` practice: the limits
//! of its set point (-7 to 45 °C) and its reply time (3 s).

mod automatic;
mod renamed;

pub use automatic::AutomaticSettings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::settings::{BrokerSettings, NAME_ALPHABET, Problems, Section, is_name, read};

/// What the variables begin with that change these settings.
pub const PREFIX: &str = "OBSBUS_CHILLER_";

/// The lowest and highest set point the unit is known to take, in degrees Celsius.
const UNIT_CELSIUS: (f64, f64) = (-7.0, 45.0);

/// What fills the eight name characters of a request, which the unit echoes unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameNames {
    /// A counter, so that a late reply is known by its echo.
    Tagged,
    /// The names in the vendor's manual.
    Manual,
}

/// The mode of a bridge that has no saved one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// Automatic.
    Automatic,
    /// Manual.
    Manual,
}

/// The settings of one chiller's bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// First level of every topic.
    pub site: String,
    /// Second level of every topic.
    pub device: String,
    /// Identifier in the journal, and `source` of each event.
    pub log_name: String,
    /// The serial device file.
    pub serial_port: PathBuf,
    /// Baud.
    pub serial_baud: u32,
    /// Without a valid reply for so long the link is lost.
    pub serial_timeout: Duration,
    /// XON/XOFF flow control.
    pub xon_xoff: bool,
    /// From one quick poll set to the next.
    pub query_delay: Duration,
    /// How long one reply may take.
    pub exchange_limit: Duration,
    /// Pause between a reply and the next request.
    pub command_gap: Duration,
    /// How long the unit may take to start.
    pub start_deadline: Duration,
    /// How old a reading may be before it counts for nothing.
    pub stale_after: Duration,
    /// What fills the name field of requests.
    pub frame_names: FrameNames,
    /// Identities that may command.
    pub control_clients: Vec<String>,
    /// Identities that may stop.
    pub stop_clients: Vec<String>,
    /// Lowest and highest set point that may be commanded, in degrees Celsius.
    pub setpoint_limits: (f64, f64),
    /// Flow below which cameras are not cooled, in l/min.
    pub min_flow: f64,
    /// Whether commands are refused while the broker's ACL is open.
    pub require_acl: bool,
    /// A pause of the polling task beyond this poisons what is buffered.
    pub stall_guard: Duration,
    /// Automatic control.
    pub automatic: AutomaticSettings,
    /// The mode without a saved one.
    pub start_mode: StartMode,
    /// The folder for what must survive a restart.
    pub state_directory: PathBuf,
    /// How to reach the broker, and as whom.
    pub broker: BrokerSettings,
}

impl Settings {
    /// Reads and checks a settings file, the environment of this process over it.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::load_with(path, &bus::settings::process_environment())
    }

    /// [`Settings::load`] with a given environment.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load_with(path: &Path, environment: &[(String, String)]) -> Result<Self, Problems> {
        let mut section = read(path, PREFIX, environment)?;
        let settings = Self::read(&mut section, environment);
        section.finish(renamed::RENAMED)?;
        Ok(settings)
    }

    fn read(s: &mut Section, environment: &[(String, String)]) -> Self {
        let site = s.text("site").check(NAME_ALPHABET, |name| is_name(name)).required();
        let device =
            s.text("device").check(NAME_ALPHABET, |name| is_name(name)).default("chiller".to_owned());
        let log_name = s
            .text("log_name")
            .check("1 to 100 printable ASCII characters without a space", |name| {
                (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
            })
            .default(format!("chiller-bridge@{site}"));
        let serial_port = s.path("serial_port").required();
        let serial_baud = s
            .integer("serial_baud")
            .one_of(&[1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200])
            .default(9600);
        let xon_xoff = s.flag("xon_xoff").default(true);
        let frame_names = s
            .choice("frame_names", &[("tagged", FrameNames::Tagged), ("manual", FrameNames::Manual)])
            .default(FrameNames::Tagged);
        let times = Times::read(s);
        let (control_clients, stop_clients) = clients(s);
        let setpoint_limits = setpoint_limits(s);
        let min_flow = s.number("min_flow", "l/min", 0.0..=20.0).default(0.5);
        let require_acl = s.flag("require_acl").default(true);
        let start_mode = s
            .choice("start_mode", &[("automatic", StartMode::Automatic), ("manual", StartMode::Manual)])
            .default(StartMode::Automatic);
        let state_directory = s
            .path("state_directory")
            .optional()
            .unwrap_or_else(|| state_directory_of_systemd(environment, &site));
        let automatic = AutomaticSettings::read(s, &site);
        let mut broker_section = s.section("broker");
        let broker = BrokerSettings::read(&mut broker_section, BrokerSettings::BRIDGE_KEEP_ALIVE);
        s.close(broker_section);
        Self {
            site,
            device,
            log_name,
            serial_port,
            serial_baud: u32::try_from(serial_baud).unwrap_or_default(),
            serial_timeout: times.serial_timeout,
            xon_xoff,
            query_delay: times.query_delay,
            exchange_limit: times.exchange_limit,
            command_gap: times.command_gap,
            start_deadline: times.start_deadline,
            stale_after: times.stale_after,
            frame_names,
            control_clients,
            stop_clients,
            setpoint_limits,
            min_flow,
            require_acl,
            stall_guard: times.stall_guard,
            automatic,
            start_mode,
            state_directory,
            broker,
        }
    }
}

struct Times {
    serial_timeout: Duration,
    query_delay: Duration,
    exchange_limit: Duration,
    command_gap: Duration,
    start_deadline: Duration,
    stale_after: Duration,
    stall_guard: Duration,
}

impl Times {
    fn read(s: &mut Section) -> Self {
        let stale_origin = s.origin("stale_after");
        let limit_origin = s.origin("exchange_limit");
        let times = Self {
            serial_timeout: s.seconds("serial_timeout", 1.0..=60.0, 5.0),
            query_delay: s.seconds("query_delay", 0.5..=10.0, 5.0),
            exchange_limit: s.seconds("exchange_limit", 0.1..=10.0, 3.0),
            command_gap: s.seconds("command_gap", 0.0..=2.0, 0.0),
            start_deadline: s.seconds("start_deadline", 5.0..=300.0, 30.0),
            stale_after: s.seconds("stale_after", 2.0..=600.0, 30.0),
            stall_guard: s.seconds("stall_guard", 0.1..=10.0, 1.0),
        };
        let least = times.query_delay * 3;
        if s.is_good("query_delay") && s.is_good("stale_after") && times.stale_after < least {
            let (is, least) = (times.stale_after.as_secs_f64(), least.as_secs_f64());
            let message = format!("{is} s is less than three times query_delay");
            s.refuse("stale_after", stale_origin, message, Some(format!("{least} to 600 s")));
        }
        let most = times.serial_timeout;
        if s.is_good("serial_timeout") && s.is_good("exchange_limit") && times.exchange_limit > most {
            let (is, most) = (times.exchange_limit.as_secs_f64(), most.as_secs_f64());
            let message = format!("{is} s is more than serial_timeout");
            s.refuse("exchange_limit", limit_origin, message, Some(format!("0.1 to {most} s")));
        }
        times
    }
}

fn clients(s: &mut Section) -> (Vec<String>, Vec<String>) {
    let allowed = format!("a list of identities, each {NAME_ALPHABET}");
    let control = s
        .texts("control_clients")
        .check(allowed.as_str(), |names| names.iter().all(|name| is_name(name)))
        .required();
    let stop = s
        .texts("stop_clients")
        .check(allowed.as_str(), |names| names.iter().all(|name| is_name(name)))
        .default(control.clone());
    (control, stop)
}

fn setpoint_limits(s: &mut Section) -> (f64, f64) {
    let (lowest, highest) = UNIT_CELSIUS;
    let ascending = |limits: &Vec<f64>| matches!(limits.as_slice(), [min, max] if lowest <= *min && min < max && *max <= highest);
    // Water without glycol is not to be cooled below 5 °C.
    let limits = s
        .numbers("setpoint_limits")
        .check(format!("[lowest, highest] in degrees Celsius within {lowest} to {highest}"), ascending)
        .default(vec![5.0, 30.0]);
    match limits.as_slice() {
        [min, max] => (*min, *max),
        _ => UNIT_CELSIUS,
    }
}

// systemd makes the folder that `StateDirectory=` asks for and names it here; with several, the
// first is ours.
fn state_directory_of_systemd(environment: &[(String, String)], site: &str) -> PathBuf {
    environment
        .iter()
        .find(|(name, _)| name == "STATE_DIRECTORY")
        .and_then(|(_, value)| value.split(':').next())
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| Path::new("/var/lib/obsbus/chiller-bridge").join(site), PathBuf::from)
}

#[cfg(test)]
mod tests;
