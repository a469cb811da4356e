//! The log of a campaign: everything that was done, sent, told, and seen on the serial lines, as lines
//! of JSON in the order of their times. The checker knows nothing else.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in seconds since the machine started (the clock that nobody sets).
    pub t: f64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The log begins.
    Begin {
        /// The seed of the campaign, which gives the plan of each round.
        seed: u64,
        /// The date at this time, in seconds since 1970, by the clock that the clients have.
        utc: f64,
        /// The bridges' `serial_timeout`, seconds.
        serial_timeout: f64,
        /// Their `stale_after`, seconds.
        stale_after: f64,
        /// Faults that cannot be made here, and why.
        left_out: Vec<String>,
    },
    /// A round begins.
    Round {
        /// Its number in the campaign.
        number: u64,
        /// Its faults, in words.
        plan: Vec<String>,
    },
    /// A round ends: no fault is on, both bridges answer, and everybody has asked again for what he was
    /// not told.
    Settled {
        /// Its number.
        number: u64,
    },
    /// A fault that is neither a process's nor the clock's begins or ends.
    Fault {
        /// Its name.
        name: String,
        /// The device whose line or disk it concerns.
        device: String,
        /// Whether it begins.
        on: bool,
    },
    /// The clock of a bridge is stepped.
    Clock {
        /// Whose bridge.
        device: String,
        /// How far it is ahead of the clients' from now on, seconds.
        ahead: f64,
    },
    /// Something becomes of a process: of the broker, of a device's bridge.
    Process {
        /// `broker`, or the device of a bridge.
        name: String,
        /// What.
        life: Life,
    },
    /// A client publishes a request.
    Sent(Request),
    /// The broker has acknowledged it, refused it (0x80 and more), or the connection was lost (nothing).
    Taken {
        /// Whose request.
        who: String,
        /// Its device.
        device: String,
        /// Its id.
        id: String,
        /// The reason code.
        code: Option<u8>,
    },
    /// A command line tool ends.
    Tool {
        /// Under whose identity it ran.
        who: String,
        /// Its words.
        words: String,
        /// The device that it commanded.
        device: String,
        /// The value that only this command has.
        value: Option<f64>,
        /// When it was started.
        began: f64,
        /// Its exit code; 128 and more if a signal ended it.
        code: i32,
        /// What it wrote, to both streams.
        said: String,
    },
    /// A client is told something.
    Told {
        /// Who.
        who: String,
        /// The device's level of the topic.
        device: String,
        /// The rest of the topic: `state`, `reply/alice/r1-3`.
        about: String,
        /// Whether the broker had stored it.
        retained: bool,
        /// The message; text if it is not JSON.
        body: Value,
    },
    /// Bytes pass a device's serial line.
    Line {
        /// Whose line.
        device: String,
        /// Whether the host sent them.
        from_host: bool,
        /// The bytes; those that are not printable ASCII are escaped.
        bytes: String,
    },
    /// What is true of a device: logged whenever it changes.
    Truth(Truth),
    /// A client finds that a message violates its schema.
    Schema {
        /// Which, and how.
        text: String,
    },
}

/// What becomes of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It is started.
    Started,
    /// It is killed (SIGKILL).
    Killed,
    /// It was asked to end (SIGTERM), and has.
    Stopped,
    /// It has ended by itself, with this exit code.
    Ended(i32),
    /// It is frozen (SIGSTOP).
    Frozen,
    /// It goes on (SIGCONT).
    Thawed,
}

/// A request as it was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The identity of the connection.
    pub who: String,
    /// The identity in the topic, which is another one if it is forged.
    pub named: String,
    /// The device.
    pub device: String,
    /// The verb.
    pub verb: String,
    /// Its id; none if a tool chooses it.
    pub id: Option<String>,
    /// The value that only this request has: millimetres, degrees.
    pub value: Option<f64>,
    /// The time that it claims, in seconds since the machine started; none if it has none.
    pub dated: Option<f64>,
    /// How long it is valid, seconds.
    pub ttl: f64,
    /// Whether it has the retain flag.
    pub retained: bool,
    /// Whether its sender may command this device.
    pub permitted: bool,
}

/// What is true of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "device", rename_all = "snake_case")]
pub enum Truth {
    /// The focuser's.
    Focuser {
        /// The counter.
        steps: i32,
        /// Where the mechanics are, mm.
        place_mm: f64,
        /// Whether the motor turns.
        turning: bool,
        /// What the motor chip forbids and was done all the same: how often so far.
        violations: usize,
    },
    /// The chiller's.
    Chiller {
        /// The set point, degrees Celsius.
        set_point: f64,
        /// Whether the pump runs.
        pump_on: bool,
    },
}

/// A log that is being written.
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Writer {
    /// A new log at this path.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, t: f64, what: What) -> Result<()> {
        let line = serde_json::to_string(&Entry { t, what })?;
        writeln!(self.file, "{line}").with_context(|| format!("write {}", self.path.display()))
    }

    /// Ends the log, and returns where it is.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub fn finish(mut self) -> Result<PathBuf> {
        self.file.flush().with_context(|| format!("write {}", self.path.display()))?;
        Ok(self.path)
    }
}

/// Reads a log, in the order of the times.
///
/// # Errors
/// Names the line that is not an entry.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    let mut entries = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("read {}", path.display()))?;
        let entry = serde_json::from_str(&line).with_context(|| {
            format!("{}, line {}: expected an entry of a log", path.display(), number + 1)
        })?;
        entries.push(entry);
    }
    sort(&mut entries);
    Ok(entries)
}

/// Puts entries in the order of their times.
pub fn sort(entries: &mut [Entry]) {
    entries.sort_by(|one, other| one.t.total_cmp(&other.t));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_in_the_order_of_its_times() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Writer::create(&dir.path().join("log")).unwrap();
        let entries = [
            (2.0, What::Settled { number: 1 }),
            (
                1.0,
                What::Begin {
                    seed: 7,
                    utc: 1.7e9,
                    serial_timeout: 1.0,
                    stale_after: 5.0,
                    left_out: vec!["disk".to_owned()],
                },
            ),
            (1.5, What::Process { name: "broker".to_owned(), life: Life::Ended(3) }),
            (1.7, What::Truth(Truth::Chiller { set_point: 12.5, pump_on: false })),
        ];
        for (t, what) in entries.clone() {
            log.add(t, what).unwrap();
        }
        let read = read(&log.finish().unwrap()).unwrap();
        let mut wanted: Vec<Entry> = entries.into_iter().map(|(t, what)| Entry { t, what }).collect();
        sort(&mut wanted);
        assert_eq!(read, wanted);
    }

    #[test]
    fn a_line_that_is_no_entry_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "{\"t\":1,\"what\":\"settled\",\"number\":1}\n{\"t\":2}\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("line 2: expected an entry of a log"), "{error}");
    }
}
