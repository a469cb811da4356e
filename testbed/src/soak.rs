//! A long run of the whole demo site with faults: does any process grow, keep files or threads, or
//! fill its log?
//!
//! The bridges, the panel in a browser, `obsbus metrics`, `obsbus alpaca`, the alerter and two
//! `watch`es run from the beginning to the end, while commands are sent with the real tools and one
//! fault follows another. After each fault the site has to be well again by itself. What the processes
//! hold after the warm-up, in which each fault came at least once, stands beside what they hold at the
//! end.

mod browser;
mod faults;
pub mod figures;
mod residents;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::clock::{Instant, Now};

use crate::demo::{Stage, Stop};
use crate::process::Launch;
use faults::{FAULTS, Fault, perform};
use figures::{Limits, Row};
use residents::Residents;

/// For a command, which may have to wait for a broker.
const COMMAND_LIMIT: Duration = Duration::from_secs(90);
/// For the bridges to find broker and instruments again after a fault has ended.
const RECOVERY_LIMIT: Duration = Duration::from_secs(60);
/// Nothing happens for so long before figures are taken: connections and threads of the last fault end.
const CALM: Duration = Duration::from_secs(25);
/// What people do all day when nothing is wrong. The chiller is in manual mode then.
const ROUTINE: [&str; 10] = [
    "chiller clear-alarms",
    "chiller mode manual",
    "chiller setpoint 15",
    "chiller ping",
    "chiller status",
    "focus init",
    "focus set 2.2",
    "focus offset -0.1",
    "focus stop",
    "focus history",
];
/// So many verdicts and requests of one identity are remembered by a bridge: they must have been there
/// before the first figures.
const VERDICTS: usize = 300;
/// A bridge hears five a second of one identity.
const A_COMMAND_EVERY: Duration = Duration::from_millis(100);
/// Growth of resident memory that is no leak, KiB.
const GROWTH: u64 = 1024;
/// A bridge writes at most so many lines in an hour.
const LINES_AN_HOUR: f64 = 200.0;

/// How a long run went.
#[derive(Debug)]
pub struct Verdict {
    /// Each process, after the warm-up and at the end.
    pub rows: Vec<Row>,
    /// What is wrong.
    pub misses: Vec<String>,
}

/// Runs for `hours` in `folder`; tells what it does through `say`.
///
/// # Errors
/// If the site does not start, or the end was asked for. What is found wrong is in the verdict.
pub fn run(folder: &Path, hours: f64, stop: &Stop, say: impl Fn(&str)) -> Result<Verdict> {
    let whole = Duration::try_from_secs_f64(hours * 3600.0).context("expected hours, such as 2 or 0.1")?;
    let mut stage = Stage::start_with_discovery(folder, stop)?;
    let residents = Residents::start(&mut stage)?;
    say(&residents.describe());
    let mut soak = Soak { stage, residents, stop, say, misses: Vec::new(), faults: 0, commands: 0 };
    let rows = soak.endure(whole);
    let Soak { stage, residents, mut misses, faults, commands, say, .. } = soak;
    let rows = rows?;
    say(&format!("{faults} faults, {commands} commands"));
    drop(residents);
    stage.check_rules()?;
    stage.stop()?;
    let limits = Limits { growth: GROWTH, log_lines: lines_allowed(hours) };
    misses.extend(rows.iter().flat_map(|row| row.misses(limits)));
    Ok(Verdict { rows, misses })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of some thousands")]
fn lines_allowed(hours: f64) -> u64 {
    ((hours.ceil() + 1.0) * LINES_AN_HOUR) as u64
}

struct Soak<'a, S> {
    stage: Stage,
    residents: Residents,
    stop: &'a Stop,
    say: S,
    misses: Vec<String>,
    faults: usize,
    commands: usize,
}

impl<S: Fn(&str)> Soak<'_, S> {
    fn endure(&mut self, whole: Duration) -> Result<Vec<Row>> {
        let begin = now();
        // All faults twice in the warm-up if there is time, and then again and again.
        let pause = (whole / 400).min(Duration::from_secs(18));
        for number in 0..VERDICTS {
            self.routine(if number % 2 == 0 { "chiller ping" } else { "focus ping" });
            self.pass(A_COMMAND_EVERY)?;
        }
        self.routine_all();
        let mut course = FAULTS.iter().cycle();
        for fault in course.by_ref().take(FAULTS.len()) {
            self.suffer(fault, pause)?;
        }
        while now().since(begin) < whole / 6 {
            for fault in course.by_ref().take(1) {
                self.suffer(fault, pause)?;
            }
        }
        self.calm()?;
        let before = self.residents.figures(&mut self.stage, figures::Holds::most)?;
        (self.say)(&format!("warm after {} min", now().since(begin).as_secs() / 60));
        let mut told = now();
        while now().since(begin) + CALM < whole {
            for fault in course.by_ref().take(1) {
                self.suffer(fault, pause)?;
            }
            if now().since(told) > Duration::from_secs(600) {
                told = now();
                let so_far = self.residents.figures(&mut self.stage, figures::Holds::least)?;
                self.tell(begin, &residents::rows(&before, &so_far));
            }
        }
        self.calm()?;
        let after = self.residents.figures(&mut self.stage, figures::Holds::least)?;
        Ok(residents::rows(&before, &after))
    }

    fn tell(&self, begin: Instant, rows: &[Row]) {
        let minutes = now().since(begin).as_secs() / 60;
        let rows: Vec<String> = rows.iter().map(Row::to_string).collect();
        (self.say)(&format!("after {minutes} min, {} faults:\n{}", self.faults, rows.join("\n")));
    }

    fn calm(&mut self) -> Result<()> {
        self.routine_all();
        self.pass(CALM)
    }

    /// Lets time pass, unless the end is asked for.
    fn pass(&mut self, time: Duration) -> Result<()> {
        let begin = now();
        let over = || (now().since(begin) >= time).then_some(());
        self.stop.wait_for("time to pass", time + Duration::from_secs(1), over)
    }

    fn suffer(&mut self, fault: &Fault, pause: Duration) -> Result<()> {
        self.faults += 1;
        perform(fault.begin, &mut self.stage).with_context(|| fault.name.to_owned())?;
        let meanwhile = self.command(fault.meanwhile)?.spawn()?;
        let suffered = self.pass(fault.lasts);
        perform(fault.end, &mut self.stage).with_context(|| fault.name.to_owned())?;
        suffered?;
        let mut meanwhile = meanwhile;
        if let Err(error) = meanwhile.wait_exit(COMMAND_LIMIT) {
            self.miss(format!("while {}: `{}`: {error:#}", fault.name, fault.meanwhile));
        }
        if let Err(error) = self.recover() {
            self.stage.check().with_context(|| format!("after this fault: {}", fault.name))?;
            self.miss(format!("after this fault: {}: {error:#}", fault.name));
        }
        self.routine_all();
        self.pass(pause)
    }

    /// Waits until both bridges answer, have their instruments, and are shown as live.
    fn recover(&mut self) -> Result<()> {
        for ping in ["chiller ping", "focus ping"] {
            let launch = self.command(ping)?;
            self.stop.wait_for(&format!("`{ping}` to succeed"), RECOVERY_LIMIT, || {
                launch.run(COMMAND_LIMIT).ok().filter(|output| output.code == 0)
            })?;
        }
        let stop = self.stop.clone();
        self.stage.wait_until_ready(&stop)?;
        self.residents.wait_until_live().context("the panel")
    }

    fn routine_all(&mut self) {
        for command in ROUTINE {
            self.routine(command);
        }
    }

    /// A command that has to succeed.
    fn routine(&mut self, command: &str) {
        self.commands += 1;
        let ended = self.command(command).and_then(|launch| launch.run(COMMAND_LIMIT));
        match ended {
            Ok(output) if output.code == 0 => {}
            Ok(output) => {
                self.miss(format!(
                    "`{command}` exits with {}: {}{}",
                    output.code, output.stdout, output.stderr
                ));
            }
            Err(error) => self.miss(format!("`{command}`: {error:#}")),
        }
    }

    fn command(&self, command: &str) -> Result<Launch> {
        self.stage.command("alice", command)
    }

    fn miss(&mut self, text: String) {
        (self.say)(&format!("MISS {text}"));
        self.misses.push(text);
    }
}

#[expect(clippy::disallowed_methods, reason = "a long run is measured by the clock")]
fn now() -> Instant {
    Now::read().instant
}
