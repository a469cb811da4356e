//! Daemons and command line tools as real processes: started, watched, signalled, and killed when
//! the test that started them ends, however it ends.
//!
//! Output goes into files, not pipes, so that a process never waits for the harness to read. Each
//! process gets its own process group: Ctrl-C at a terminal reaches the harness alone, which then
//! stops everything in the right order.

mod output;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;
use output::{append, complete_lines, read, tail};

/// A process to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    name: String,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    logs: Option<PathBuf>,
    errors: Errors,
    typed: bool,
}

/// The result of a finished process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 128 + signal if a signal ended it, as a shell would say.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Where standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errors {
    /// To its own file.
    Kept,
    InOutput,
    Shown,
}

impl Launch {
    /// A binary of this workspace, from the same build as the caller (`target/<profile>/<name>`).
    ///
    /// # Errors
    /// If it does not exist; says how to build it.
    pub fn workspace(name: &str) -> Result<Self> {
        let here = std::env::current_exe().context("find the running executable")?;
        let mut dir = here.parent().context("the running executable has no folder")?;
        // Tests and examples are one level below the binaries.
        if dir.ends_with("deps") || dir.ends_with("examples") {
            dir = dir.parent().context("the build folder has no parent")?;
        }
        let program = dir.join(name);
        if !program.is_file() {
            bail!("{} is not built; run: cargo build --workspace --bins", program.display());
        }
        Ok(Self::program(&program))
    }

    /// A program of the machine, by path or by name; a name is looked up in `PATH` and in the
    /// `sbin` folders, which an ordinary user's `PATH` leaves out.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn machine(program: &str) -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
            .map(|dir| dir.join(program))
            .find(|candidate| candidate.is_file())
            .map(|found| Self::program(&found))
            .with_context(|| format!("{program} is not installed"))
    }

    fn program(program: &Path) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            program: program.to_owned(),
            name,
            args: Vec::new(),
            env: Vec::new(),
            logs: None,
            errors: Errors::Kept,
            typed: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable. The caller's own `OBSBUS_…` are never passed on.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Lets another program of the machine start it, which gets these words before the program and its
    /// arguments: `setpriv`, `unshare`.
    ///
    /// # Errors
    /// If that program does not exist.
    pub fn under<A: AsRef<OsStr>>(
        mut self,
        starter: &str,
        words: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let program = std::mem::replace(&mut self.program, Self::machine(starter)?.program);
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.args = words.chain([program.into_os_string()]).chain(self.args).collect();
        Ok(self)
    }

    /// Another name for the output files and messages, if one program runs twice.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Appends output to `<dir>/<name>.out` and `.err` instead of temporary files.
    #[must_use]
    pub fn logs_in(mut self, dir: &Path) -> Self {
        self.logs = Some(dir.to_owned());
        self
    }

    /// Lets it write to the caller's standard error, to draw on a terminal; nothing of it is kept.
    #[must_use]
    pub fn errors_shown(mut self) -> Self {
        self.errors = Errors::Shown;
        self
    }

    /// Sends standard error to standard output, in the order in which it is written.
    #[must_use]
    pub fn errors_in_output(mut self) -> Self {
        self.errors = Errors::InOutput;
        self
    }

    /// Keeps its standard input open, for [`Process::type_line`]; otherwise there is none.
    #[must_use]
    pub fn typed(mut self) -> Self {
        self.typed = true;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started, or its output files cannot be opened.
    pub fn spawn(&self) -> Result<Process> {
        let (dir, temporary) = if let Some(dir) = &self.logs {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
            (dir.clone(), None)
        } else {
            let temporary = tempfile::tempdir().context("make a folder for output")?;
            (temporary.path().to_owned(), Some(temporary))
        };
        let stdout = dir.join(format!("{}.out", self.name));
        let stderr = dir.join(format!("{}.err", self.name));
        let child = self
            .command()
            .stdout(append(&stdout)?)
            .stderr(match self.errors {
                Errors::Kept => append(&stderr)?.into(),
                Errors::InOutput => append(&stdout)?.into(),
                Errors::Shown => Stdio::inherit(),
            })
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        Ok(Process { child, name: self.name.clone(), stdout, stderr, exit: None, _temporary: temporary })
    }

    /// Measures its run time, from before its start until its end is known; discards its output.
    /// The wait has no timeout and does not poll, because polling would be measured, too.
    ///
    /// # Errors
    /// If it cannot be started, or does not exit with 0.
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    pub fn time(&self) -> Result<Duration> {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let begin = bus::clock::Now::read().instant;
        let status = command.status().with_context(|| format!("start {}", self.program.display()))?;
        let took = bus::clock::Now::read().instant.since(begin);
        if !status.success() {
            bail!("{} failed: {status}", self.name);
        }
        Ok(took)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("OBSBUS_") {
                command.env_remove(key);
            }
        }
        command.args(&self.args).envs(self.env.iter().map(|(key, value)| (key, value)));
        command.stdin(if self.typed { Stdio::piped() } else { Stdio::null() });
        command
    }

    /// Starts it and waits for its end.
    ///
    /// # Errors
    /// If it cannot be started, or has not ended after `limit`, when it is killed.
    pub fn run(&self, limit: Duration) -> Result<Output> {
        let mut process = self.spawn()?;
        let code = process.wait_exit(limit)?;
        Ok(Output { code, stdout: process.stdout(), stderr: process.stderr() })
    }
}

/// A position in a process's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    stdout: usize,
    stderr: usize,
}

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    stdout: PathBuf,
    stderr: PathBuf,
    exit: Option<ExitStatus>,
    _temporary: Option<tempfile::TempDir>,
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// The end of its output so far, for [`Self::wait_for_line_after`].
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { stdout: self.stdout().len(), stderr: self.stderr().len() }
    }

    /// Waits for a complete line, on either stream, that `wanted` accepts; earlier ones count.
    ///
    /// # Errors
    /// If none comes within `limit` or before the process ends; includes its output.
    pub fn wait_for_line(&mut self, wanted: impl Fn(&str) -> bool, limit: Duration) -> Result<String> {
        self.wait_for_line_after(Mark::default(), wanted, limit)
    }

    /// As [`Self::wait_for_line`], for lines written after `mark`.
    ///
    /// # Errors
    /// As [`Self::wait_for_line`].
    pub fn wait_for_line_after(
        &mut self,
        mark: Mark,
        wanted: impl Fn(&str) -> bool,
        limit: Duration,
    ) -> Result<String> {
        let found = wait_for(&format!("a line of {}", self.name), limit, || {
            // Checked before the files are read; otherwise the last lines of a process could be
            // missed.
            let ended = !self.is_running();
            let line = complete_lines(&self.stdout(), mark.stdout)
                .chain(complete_lines(&self.stderr(), mark.stderr))
                .find(|line| wanted(line))
                .map(str::to_owned);
            if line.is_some() || ended { Some(line) } else { None }
        });
        match found {
            Ok(Some(line)) => Ok(line),
            Ok(None) => bail!("{} ended first; {}", self.name, self.last_words()),
            Err(error) => bail!("{error}; {}", self.last_words()),
        }
    }

    /// Types a line to it.
    ///
    /// # Errors
    /// If it was not started with [`Launch::typed`], or does not accept it.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        let mut input = self.child.stdin.as_ref().context("its standard input is closed")?;
        input.write_all(format!("{line}\n").as_bytes()).with_context(|| format!("type to {}", self.name))
    }

    /// Whether it has not ended yet (a frozen process is running).
    pub fn is_running(&mut self) -> bool {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().unwrap_or(None);
        }
        self.exit.is_none()
    }

    /// Waits for its end: exit code, or 128 + signal.
    ///
    /// # Errors
    /// If it has not ended after `limit`; it continues to run.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<i32> {
        let what = format!("the end of {}", self.name);
        let ended = wait_for(&what, limit, || if self.is_running() { None } else { self.exit });
        match ended {
            Ok(status) => Ok(status.code().unwrap_or(128 + status.signal().unwrap_or(0))),
            Err(error) => bail!("{error}; {}", self.last_words()),
        }
    }

    /// Sends a signal, unless the process has ended.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        let pid =
            i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("process id out of range")?;
        kill_process(pid, signal).with_context(|| format!("signal {}", self.name))
    }

    /// SIGTERM: asks it to stop.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGINT: what Ctrl-C sends.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn interrupt(&mut self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// If it is not gone within 5 s.
    pub fn kill9(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait_exit(Duration::from_secs(5)).map(|_| ())
    }

    /// SIGSTOP, and waits until it is stopped.
    ///
    /// # Errors
    /// If it is not stopped within 5 s.
    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let stat = format!("/proc/{}/stat", self.pid());
        // The state is the first field after the name, which is in parentheses.
        wait_for(&format!("{} to stand still", self.name), Duration::from_secs(5), || {
            let text = fs::read_to_string(&stat).ok()?;
            text.rsplit_once(") ").filter(|(_, fields)| fields.starts_with('T')).map(|_| ())
        })
    }

    /// SIGCONT: ends a [`Self::freeze`].
    ///
    /// # Errors
    /// If the system refuses.
    pub fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGTERM, then waits for its end: exit code, or 128 + signal.
    ///
    /// # Errors
    /// If it has not ended after `limit`.
    pub fn stop(&mut self, limit: Duration) -> Result<i32> {
        self.terminate()?;
        self.wait_exit(limit)
    }

    fn last_words(&self) -> String {
        format!("stdout: {}\nstderr: {}", tail(&self.stdout()), tail(&self.stderr()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Failure means that it has ended already, and a destructor cannot report errors anyway.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Launch {
        Launch::machine("sh").unwrap().args(["-c", script])
    }

    #[test]
    fn the_output_and_the_code_of_a_process_come_back() {
        let output = shell("echo out; echo err >&2; exit 3").run(LIMIT).unwrap();
        assert_eq!(output, Output { code: 3, stdout: "out\n".to_owned(), stderr: "err\n".to_owned() });
    }

    #[test]
    fn a_process_ended_by_a_signal_has_the_shells_code() {
        let mut process = shell("echo ready; exec sleep 60").spawn().unwrap();
        process.wait_for_line(|line| line == "ready", LIMIT).unwrap();
        assert_eq!(process.stop(LIMIT).unwrap(), 143);
    }

    #[test]
    fn a_line_that_never_comes_is_reported_with_what_came_instead() {
        let error =
            shell("echo hello").spawn().unwrap().wait_for_line(|line| line == "bye", LIMIT).unwrap_err();
        assert!(error.to_string().contains("ended first") && error.to_string().contains("hello"), "{error}");
    }

    #[test]
    fn a_frozen_process_writes_nothing_until_it_is_thawed() {
        let mut process = shell("while :; do echo tick; sleep 0.01; done").spawn().unwrap();
        process.wait_for_line(|line| line == "tick", LIMIT).unwrap();
        process.freeze().unwrap();
        let mark = process.mark();
        process.wait_for_line_after(mark, |_| true, Duration::from_millis(100)).unwrap_err();
        process.thaw().unwrap();
        process.wait_for_line_after(mark, |_| true, LIMIT).unwrap();
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let process = shell("exec sleep 60").spawn().unwrap();
        let proc_entry = PathBuf::from(format!("/proc/{}", process.pid()));
        assert!(proc_entry.exists());
        drop(process);
        assert!(!proc_entry.exists());
    }

    #[test]
    fn a_binary_that_is_not_built_says_how_to_build_it() {
        let error = Launch::workspace("no-such-binary").unwrap_err();
        assert!(error.to_string().contains("cargo build --workspace --bins"), "{error}");
    }
}
