//! Plays a transcript's requests to a simulator, whichever its header names, and notes the replies.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use bus::transcript::{FIRST_LINE, Record, Run, What};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use testbed::process::{Launch, Process};

use crate::LIMIT;

/// A reply that does not come within this will not come.
const PATIENCE: Duration = Duration::from_secs(2);
/// After this time without a byte nothing more comes.
const QUIET: Duration = Duration::from_millis(300);

/// A request, and the bytes that came until the next one.
struct Step<'a> {
    sent: &'a Record,
    received: Vec<u8>,
    is_marked: bool,
}

/// The transcript of the same requests to the simulator. What is marked as unexpected is taken over, unless
/// the device refuses there: a simulator should do so, too.
pub(crate) fn played(run: &Run) -> String {
    let mut simulator = Simulator::start(run);
    let mut lines = vec![FIRST_LINE.to_owned(), format!("# kind: {}", run.kind)];
    lines
        .extend(run.settings.iter().map(|setting| format!("# setting: {} = {}", setting.key, setting.value)));
    for step in steps(run) {
        let What::Sent(bytes) = &step.sent.what else { continue };
        let received = simulator.ask(bytes, &step);
        let plain = |what| Record { line: 0, at: None, span: Duration::ZERO, what, mark: None };
        lines.extend(step.is_marked.then(|| "# unexpected: as in the transcript".to_owned()));
        lines.push(plain(What::Sent(bytes.clone())).to_string());
        if !received.is_empty() {
            lines.push(plain(What::Received(received)).to_string());
        }
    }
    lines.join("\n") + "\n"
}

fn steps(run: &Run) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for record in &run.records {
        match (&record.what, steps.last_mut()) {
            (What::Sent(_), _) => {
                let is_marked = record.mark.is_some();
                steps.push(Step { sent: record, received: Vec::new(), is_marked });
            }
            (What::Received(bytes), Some(step)) => {
                step.received.extend_from_slice(bytes);
                step.is_marked |= record.mark.is_some();
            }
            // Bytes before the first request, and what happened to the port.
            (What::Received(_) | What::Note(_), _) => {}
        }
    }
    steps
}

struct Simulator {
    port: File,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Simulator {
    fn start(run: &Run) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("tty");
        let (options, typed): (Vec<_>, Vec<_>) = run.model.iter().partition(|line| line.starts_with("--"));
        let launch = Launch::workspace(&format!("{}-sim", run.kind)).unwrap().arg("--link").arg(&link);
        let launch = launch.args(options.iter().flat_map(|line| line.split_whitespace()));
        let mut process = launch.typed().spawn().unwrap();
        process.wait_for_line(|line| line == link.display().to_string(), LIMIT).unwrap();
        for line in typed {
            process.type_line(line).unwrap();
        }
        // Its answer follows what was typed before.
        let mark = process.mark();
        process.type_line("status").unwrap();
        process.wait_for_line_after(mark, |_| true, LIMIT).unwrap();
        assert_eq!(process.stderr(), "", "the simulator refuses a `# model:` line");
        let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
        let port = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&link).unwrap();
        Self { port, _process: process, _folder: folder }
    }

    /// Its reply to these bytes; none if none was recorded, since an order has none.
    fn ask(&mut self, bytes: &[u8], step: &Step<'_>) -> Vec<u8> {
        self.port.write_all(bytes).unwrap();
        let mut reply = Vec::new();
        match (step.received.last(), step.is_marked) {
            (None, false) => {}
            (Some(last), false) => {
                // The line feed that follows the reply before may come only now.
                let ends = |reply: &[u8]| reply.last() == Some(last) && !reply.trim_ascii().is_empty();
                while !ends(&reply) && self.more(&mut reply, PATIENCE) {}
            }
            (_, true) => while self.more(&mut reply, QUIET) {},
        }
        reply
    }

    /// Waits for bytes; false if none came.
    fn more(&mut self, reply: &mut Vec<u8>, limit: Duration) -> bool {
        let limit =
            Timespec { tv_sec: limit.as_secs().try_into().unwrap(), tv_nsec: limit.subsec_nanos().into() };
        let ready = poll(&mut [PollFd::new(&self.port, PollFlags::IN)], Some(&limit)).unwrap();
        let mut buffer = [0; 256];
        let length = if ready == 0 { 0 } else { self.port.read(&mut buffer).unwrap() };
        reply.extend_from_slice(&buffer[..length]);
        length > 0
    }
}
