//! The site on which a campaign takes place: broker, both instruments with their bridges, and clients
//! that log all that they are told.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::clock::{Instant, Now};
use harness::fault::Fault as _;
use serde_json::Value;

use super::log::{Life, Truth, What, Writer};
use super::plan::{Device, Means};
use crate::chiller;
use crate::client::{Connect, Message, Pending, TestClient};
use crate::focuser::{self, Focuser};
use crate::port::Direction;
use crate::process::{Launch, Process};
use crate::site::{Bridge, ExtraInstrument, Instrument as _, Site};

/// The clients; the first two may command.
pub(super) const CLIENTS: [&str; 4] = ["alice", "ops", "bob", "visitor"];
/// As short as a setting can be, so that a silent device is noticed within a round.
pub(super) const SERIAL_TIMEOUT: f64 = 1.0;
/// Long enough for a busy machine: a bridge that does not run for half of it ends itself.
pub(super) const STALE_AFTER: f64 = 5.0;
/// Where Debian and its relatives have libfaketime.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];
const MOUNT_LIMIT: Duration = Duration::from_secs(10);

/// A tool that runs.
pub(super) struct RunningTool {
    pub(super) process: Process,
    pub(super) who: String,
    pub(super) words: String,
    pub(super) device: Device,
    pub(super) value: Option<f64>,
    pub(super) began: f64,
}

/// See the module. Dropping it ends everything.
pub(super) struct Ground {
    pub(super) clients: Vec<(TestClient, usize)>,
    /// Somebody who came in the middle of a round.
    late: Option<(TestClient, usize)>,
    /// The settings of the tools.
    settings: PathBuf,
    pub(super) pending: Vec<(Pending, String, Device, String)>,
    pub(super) tools: Vec<RunningTool>,
    pub(super) site: Site,
    focuser: ExtraInstrument<Focuser>,
    /// Bridges that are down on purpose.
    down: Vec<Device>,
    truths: [Option<Truth>; 2],
    clock: PathBuf,
    log: Writer,
    /// Unmounts the disks before the folder goes.
    _disks: Disks,
}

impl Ground {
    /// Starts everything, and waits until both bridges admit commands.
    pub(super) fn start(log: Writer, means: Means) -> Result<Self> {
        let timeout = format!("{SERIAL_TIMEOUT}");
        let stale = format!("{STALE_AFTER}");
        let mut site = Site::builder()
            .setting("query_delay", "0.5")
            .setting("serial_timeout", &timeout)
            .setting("exchange_limit", "0.5")
            .setting("stale_after", &stale)
            .start_without_bridge()?;
        let disks = Disks::make(site.dir(), means)?;
        site.launch_bridge()?;
        let model = focuser::Config { place_mm: 0.3, ..Focuser::usual() };
        let settings = [
            ("query_delay", "0.2"),
            ("serial_timeout", timeout.as_str()),
            ("stale_after", stale.as_str()),
            ("speed_mm_sec", "2.0"),
            ("acceleration_mm_sec_sec", "20"),
        ];
        let mut focuser = ExtraInstrument::launch(&site, model, &settings)?;
        let clock = site.dir().join("clock");
        if means.clock {
            set_clock(&clock, 0)?;
            let library = faketime().context("libfaketime is not installed")?;
            for (key, value) in [
                ("LD_PRELOAD", library),
                ("FAKETIME_TIMESTAMP_FILE", &clock.to_string_lossy()),
                ("FAKETIME_NO_CACHE", "1"),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ] {
                focuser.bridge.set_env(key, value);
            }
            focuser.bridge.kill9()?;
            focuser.bridge.launch()?;
        }
        let mut clients = Vec::new();
        for name in CLIENTS {
            let client =
                Connect::with(site.broker.port(), site.broker.client(name)?).reconnecting().connect()?;
            client.subscribe(&format!("clasp/+/reply/{name}/+"))?;
            if name == "alice" || name == "ops" {
                for about in ["state", "availability"] {
                    client.subscribe(&format!("clasp/+/{about}"))?;
                }
            }
            clients.push((client, 0));
        }
        let mut ground = Self {
            clients,
            late: None,
            settings: site.client_settings("alice")?,
            pending: Vec::new(),
            tools: Vec::new(),
            site,
            focuser,
            down: Vec::new(),
            truths: [None, None],
            clock,
            log,
            _disks: disks,
        };
        for device in [Device::Chiller, Device::Focuser] {
            ground.note(What::Process { name: device.name().to_owned(), life: Life::Started })?;
        }
        Ok(ground)
    }

    pub(super) fn note(&mut self, what: What) -> Result<()> {
        self.log.add(seconds(now()), what)
    }

    pub(super) fn note_at(&mut self, t: f64, what: What) -> Result<()> {
        self.log.add(t, what)
    }

    /// Logs all that has happened since the last look, and starts a bridge that ended by itself, as a
    /// service manager does.
    pub(super) fn look(&mut self) -> Result<()> {
        self.look_at_devices()?;
        for client in self.clients.iter_mut().chain(&mut self.late) {
            listen(client, &mut self.log)?;
        }
        self.look_at_acknowledgements()?;
        self.look_at_tools()?;
        for device in [Device::Chiller, Device::Focuser] {
            if self.down.contains(&device) || self.bridge(device).process()?.is_running() {
                continue;
            }
            let code = self.bridge(device).process()?.wait_exit(Duration::ZERO)?;
            let name = device.name().to_owned();
            self.note(What::Process { name, life: Life::Ended(code) })?;
            self.start_bridge(device)?;
        }
        Ok(())
    }

    /// Somebody comes who has seen nothing yet.
    pub(super) fn arrive(&mut self) -> Result<()> {
        self.part()?;
        let client = TestClient::connect(&self.site.broker, "late")?;
        for about in ["state", "availability"] {
            client.subscribe(&format!("clasp/+/{about}"))?;
        }
        self.late = Some((client, 0));
        Ok(())
    }

    /// He goes.
    pub(super) fn part(&mut self) -> Result<()> {
        if let Some(late) = &mut self.late {
            listen(late, &mut self.log)?;
            self.late = None;
        }
        Ok(())
    }

    /// A tool of alice's.
    pub(super) fn tool(&self, program: &str, words: &[String]) -> Result<Launch> {
        let notes = |name: &str| self.site.dir().join(name);
        let launch = Launch::workspace(program)?
            .env("XDG_STATE_HOME", notes("notes"))
            .env("XDG_CACHE_HOME", notes("cache"));
        Ok(launch.arg("--config").arg(&self.settings).args(words))
    }

    fn look_at_devices(&mut self) -> Result<()> {
        let lines =
            [(Device::Chiller, self.site.port.take_log()), (Device::Focuser, self.focuser.port.take_log())];
        for (device, passed) in lines {
            for passed in passed {
                let from_host = passed.direction == Direction::Request;
                let bytes = passed.bytes.escape_ascii().to_string();
                let device = device.name().to_owned();
                self.note_at(seconds(passed.at), What::Line { device, from_host, bytes })?;
            }
        }
        let chiller = self
            .site
            .port
            .with(|unit| Truth::Chiller { set_point: unit.set_point_celsius(), pump_on: unit.pump_on() });
        let focuser = self.focuser.port.with(|unit| Truth::Focuser {
            steps: unit.position(),
            place_mm: (unit.place_mm() * 1e5).round() / 1e5,
            turning: unit.is_turning(),
            violations: unit.violations().len(),
        });
        for (place, truth) in [chiller, focuser].into_iter().enumerate() {
            let Some(last) = self.truths.get_mut(place) else { continue };
            if last.as_ref() != Some(&truth) {
                *last = Some(truth.clone());
                self.note(What::Truth(truth))?;
            }
        }
        Ok(())
    }

    fn look_at_acknowledgements(&mut self) -> Result<()> {
        for (pending, who, device, id) in std::mem::take(&mut self.pending) {
            let Some(answer) = pending.result() else {
                self.pending.push((pending, who, device, id));
                continue;
            };
            let code = answer.ok().map(|puback| puback.0);
            self.note(What::Taken { who, device: device.name().to_owned(), id, code })?;
        }
        Ok(())
    }

    fn look_at_tools(&mut self) -> Result<()> {
        let ended: Vec<RunningTool> = self.tools.extract_if(.., |tool| !tool.process.is_running()).collect();
        for mut tool in ended {
            let code = tool.process.wait_exit(Duration::ZERO)?;
            self.note(What::Tool {
                who: tool.who,
                words: tool.words,
                device: tool.device.name().to_owned(),
                value: tool.value,
                began: tool.began,
                code,
                said: tool.process.stdout() + &tool.process.stderr(),
            })?;
        }
        Ok(())
    }

    /// The last state of a device that a client was told.
    pub(super) fn state(&self, device: Device) -> Option<Value> {
        let topic = format!("clasp/{}/state", device.name());
        self.clients.first()?.0.last(0, &topic)?.json().ok()
    }

    pub(super) const fn bridge(&mut self, device: Device) -> &mut Bridge {
        match device {
            Device::Chiller => &mut self.site.bridge,
            Device::Focuser => &mut self.focuser.bridge,
        }
    }

    pub(super) fn start_bridge(&mut self, device: Device) -> Result<()> {
        self.down.retain(|down| *down != device);
        self.bridge(device).launch()?;
        self.note(What::Process { name: device.name().to_owned(), life: Life::Started })
    }

    /// Ends the bridge with `how`; it stays down until [`Self::start_bridge`].
    pub(super) fn end(
        &mut self,
        device: Device,
        life: Life,
        how: fn(&mut Bridge) -> Result<()>,
    ) -> Result<()> {
        self.down.push(device);
        let t = seconds(now());
        how(self.bridge(device))?;
        // What it said to its end was said before.
        let t = if life == Life::Stopped { seconds(now()) } else { t };
        self.note_at(t, What::Process { name: device.name().to_owned(), life })
    }

    pub(super) fn is_down(&self, device: Device) -> bool {
        self.down.contains(&device)
    }

    pub(super) fn unplug(&self, device: Device, out: bool) -> Result<()> {
        let done = match (device, out) {
            (Device::Chiller, true) => self.site.port.unplug(),
            (Device::Chiller, false) => self.site.port.plug(),
            (Device::Focuser, true) => self.focuser.port.unplug(),
            (Device::Focuser, false) => self.focuser.port.plug(),
        };
        done.context("move a cable")
    }

    /// Puts a fault on the line of a device, by its console name; none: takes all away.
    pub(super) fn spoil(&self, device: Device, fault: Option<&str>) -> Result<()> {
        let words: Vec<&str> = match fault {
            Some("slow") => vec!["slow", "300"],
            Some(fault) => vec![fault],
            None => Vec::new(),
        };
        match device {
            Device::Chiller => {
                let fault = if words.is_empty() { None } else { Some(chiller::Fault::parse(&words)?.0) };
                self.site.port.with(|unit| match fault {
                    Some(fault) => unit.inject(fault),
                    None => unit.clear_faults(),
                });
            }
            Device::Focuser => {
                let fault = if words.is_empty() { None } else { Some(focuser::Fault::parse(&words)?.0) };
                self.focuser.port.with(|unit| match fault {
                    Some(fault) => unit.inject(fault),
                    None => unit.clear_faults(),
                });
            }
        }
        Ok(())
    }

    /// Steps the clock of the focuser's bridge.
    pub(super) fn step_clock(&mut self, ahead: i32) -> Result<()> {
        set_clock(&self.clock, ahead)?;
        self.note(What::Clock { device: Device::Focuser.name().to_owned(), ahead: f64::from(ahead) })
    }

    pub(super) fn disk(&self, device: Device) -> PathBuf {
        disk(self.site.dir(), device)
    }

    /// What the bridges wrote last, for a report.
    pub(super) fn last_words(&self) -> String {
        let tail = |text: String| {
            let lines: Vec<&str> = text.lines().collect();
            lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
        };
        let focuser = fs::read_to_string(self.focuser.log_file()).unwrap_or_default();
        format!("{}\n{}", tail(self.site.bridge_log()), tail(focuser))
    }

    /// Ends the log.
    pub(super) fn finish(self) -> Result<PathBuf> {
        self.log.finish()
    }
}

/// Disks of their own for the bridges' states.
struct Disks(Vec<PathBuf>);

impl Disks {
    fn make(dir: &Path, means: Means) -> Result<Self> {
        let mut disks = Self(Vec::new());
        if !means.disks {
            return Ok(disks);
        }
        for device in [Device::Chiller, Device::Focuser] {
            let place = disk(dir, device);
            fs::create_dir_all(&place).context("make a place for a disk")?;
            mount(&["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs"], &place)?;
            disks.0.push(place);
        }
        Ok(disks)
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        for place in &self.0 {
            // Those that are in use still go with the mount namespace.
            let unmount = Launch::machine("umount").map(|launch| launch.arg("-l").arg(place));
            drop(unmount.and_then(|launch| launch.run(MOUNT_LIMIT)));
        }
    }
}

/// `mount` with these words.
pub(super) fn mount(words: &[&str], place: &Path) -> Result<()> {
    let output = Launch::machine("mount")?.args(words).arg(place).run(MOUNT_LIMIT)?;
    ensure!(output.code == 0, "mount {}: {}", place.display(), output.stderr);
    Ok(())
}

fn disk(dir: &Path, device: Device) -> PathBuf {
    dir.join(match device {
        Device::Chiller => "state",
        Device::Focuser => "state-focuser",
    })
}

/// The library that gives a process a clock of its own, if it is installed.
pub(super) fn faketime() -> Option<&'static str> {
    FAKETIME.into_iter().find(|path| Path::new(path).is_file())
}

fn set_clock(file: &Path, ahead: i32) -> Result<()> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, format!("{ahead:+}\n")).context("set a clock")?;
    fs::rename(fresh, file).context("set a clock")
}

/// Logs what a client was told since it was last asked.
fn listen((client, mark): &mut (TestClient, usize), log: &mut Writer) -> Result<()> {
    let messages = client.messages_after(*mark);
    *mark += messages.len();
    for message in messages {
        if let Some(what) = told(client.identity(), &message) {
            log.add(seconds(message.at.instant), what)?;
        }
    }
    if let Err(error) = client.check_contract() {
        client.stop_judging();
        log.add(seconds(now()), What::Schema { text: format!("{error:#}") })?;
    }
    Ok(())
}

fn told(who: &str, message: &Message) -> Option<What> {
    let (_, rest) = message.topic.split_once('/')?;
    let (device, about) = rest.split_once('/')?;
    Some(What::Told {
        who: who.to_owned(),
        device: device.to_owned(),
        about: about.to_owned(),
        retained: message.retain,
        body: message.json().unwrap_or_else(|_| message.text().into()),
    })
}

/// Seconds since the machine started.
pub(super) fn seconds(instant: Instant) -> f64 {
    instant.since(Instant::from_boot(Duration::ZERO)).as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "a campaign runs by the clock")]
pub(super) fn now() -> Instant {
    Now::read().instant
}
