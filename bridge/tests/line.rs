//! The serial line on real pseudo-terminals: replies, silence, noise, unplugging, a port that is held.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bridge::line::{
    Exchange, Line, LineError, LineEvent, LineSettings, OpenError, PortTrouble, Terminator, Timing, start,
};
use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_setfl, flock, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

/// The device's end of a line.
struct Device {
    master: AsyncFd<OwnedFd>,
    /// Kept open, or reading the master fails whenever the line closes its end.
    slave: OwnedFd,
    path: PathBuf,
}

impl Device {
    #[expect(deprecated, reason = "its successor is unsafe; the master stays open while it is registered")]
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let slave = open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
        let device = Self { master: AsyncFd::new(master).unwrap(), slave, path };
        device.make_raw();
        device
    }

    /// No flow control either.
    fn make_raw(&self) {
        let mut raw = tcgetattr(&self.slave).unwrap();
        raw.make_raw();
        tcsetattr(&self.slave, OptionalActions::Now, &raw).unwrap();
    }

    fn says(&self, bytes: &[u8]) {
        assert_eq!(rustix::io::write(self.master.get_ref(), bytes), Ok(bytes.len()));
    }

    /// Reads until exactly `bytes` are in.
    async fn hears(&self, bytes: &[u8]) {
        let mut heard = Vec::new();
        let all = async {
            while heard.len() < bytes.len() {
                let mut guard = self.master.readable().await.unwrap();
                let mut buffer = [0; 256];
                let read = guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut buffer)?));
                if let Ok(read) = read {
                    heard.extend_from_slice(&buffer[..read.unwrap()]);
                }
            }
        };
        let in_time = timeout(PATIENCE, all).await;
        assert_eq!(heard.escape_ascii().to_string(), bytes.escape_ascii().to_string());
        in_time.unwrap();
    }
}

struct Rig {
    line: Line,
    events: Receiver<LineEvent>,
    task: JoinHandle<()>,
}

impl Rig {
    fn start(path: &Path, xon_xoff: bool) -> Self {
        let (reopen_first, reopen_max) = (Duration::from_millis(5), Duration::from_millis(40));
        let settings =
            LineSettings { reopen_first, reopen_max, ..LineSettings::new(path.into(), 9600, xon_xoff) };
        let (line, events, task) = start(settings);
        line.reopen();
        Self { line, events, task }
    }

    async fn opened(device: &Device, xon_xoff: bool) -> Self {
        let mut rig = Self::start(&device.path, xon_xoff);
        assert_eq!(rig.event().await, LineEvent::Opened);
        rig
    }

    async fn event(&mut self) -> LineEvent {
        timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap()
    }

    async fn reply_and_timing(&mut self) -> (Result<Vec<u8>, LineError>, Timing) {
        match self.event().await {
            LineEvent::Reply(reply, timing) => (reply, timing),
            other => panic!("{other:?}"),
        }
    }

    async fn reply(&mut self) -> Result<Vec<u8>, LineError> {
        self.reply_and_timing().await.0
    }

    async fn closed(&mut self) -> String {
        match self.event().await {
            LineEvent::Closed { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    async fn open_failed(&mut self) -> OpenError {
        match self.event().await {
            LineEvent::OpenFailed(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "measures how long something took")]
fn now() -> bus::clock::Instant {
    bus::clock::Now::read().instant
}

fn question(bytes: &[u8], limit: Duration) -> Exchange {
    Exchange::ask(bytes.into(), Terminator::CR, 8, limit)
}

#[tokio::test]
async fn a_reply_is_read_up_to_its_terminator() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    rig.line.ask(question(b".one\r", PATIENCE));
    device.hears(b".one\r").await;
    device.says(b"#a");
    device.says(b"b\rnoise");
    let (reply, timing) = rig.reply_and_timing().await;
    assert_eq!(reply, Ok(b"#ab\r".to_vec()));
    assert!(timing.finished >= timing.written && timing.finished.since(timing.written) < PATIENCE);

    // What followed the terminator is not the beginning of the next reply, and eight bytes are allowed.
    rig.line.ask(question(b".two\r", PATIENCE));
    device.hears(b".two\r").await;
    device.says(b"#123456\r");
    assert_eq!(rig.reply().await, Ok(b"#123456\r".to_vec()));
}

#[tokio::test]
async fn silence_half_a_reply_and_too_much_are_told_apart_at_the_limit() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    for (says, expected) in [
        (&b""[..], LineError::Silent),
        (b"#ab", LineError::Truncated(b"#ab".to_vec())),
        (b"#12345678901234\r", LineError::Overlong(b"#12345678".to_vec())),
        (b"#1234567\r", LineError::Overlong(b"#1234567\r".to_vec())),
    ] {
        rig.line.ask(question(b".ask\r", LIMIT));
        device.hears(b".ask\r").await;
        device.says(says);
        let (reply, timing) = rig.reply_and_timing().await;
        assert_eq!(reply, Err(expected));
        assert!(timing.finished.since(timing.written) >= LIMIT - Duration::from_millis(5));
    }
}

#[tokio::test]
async fn flow_control_characters_are_no_part_of_a_reply() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    for kernel_takes_them_out in [true, false] {
        if !kernel_takes_them_out {
            device.make_raw();
        }
        rig.line.ask(question(b".ask\r", PATIENCE));
        device.hears(b".ask\r").await;
        device.says(b"\x13\x11#a\x13\x11b\x11\r\x11");
        assert_eq!(rig.reply().await, Ok(b"#ab\r".to_vec()));
    }
}

#[tokio::test]
async fn without_flow_control_every_byte_is_data() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, false).await;
    rig.line.ask(question(b"\x11\x13\r", PATIENCE));
    device.hears(b"\x11\x13\r").await;
    device.says(b"\x13\x11\x00\xFF\r");
    assert_eq!(rig.reply().await, Ok(b"\x13\x11\x00\xFF\r".to_vec()));
}

#[tokio::test]
async fn a_write_held_up_by_xoff_fails_at_its_limit_and_is_not_sent_later() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    rig.line.ask(question(b".one\r", PATIENCE));
    device.hears(b".one\r").await;
    device.says(b"\x13#\r");
    assert_eq!(rig.reply().await, Ok(b"#\r".to_vec()));
    rig.line.ask(question(b".held\r", LIMIT));
    let held = rig.reply().await;
    assert!(matches!(&held, Err(LineError::WriteFailed(error)) if error.contains("XOFF")), "{held:?}");
    device.says(b"\x11");
    rig.line.ask(question(b".next\r", PATIENCE));
    device.hears(b".next\r").await;
    device.says(b"#\r");
    assert_eq!(rig.reply().await, Ok(b"#\r".to_vec()));
}

#[tokio::test]
async fn input_from_before_the_opening_is_thrown_away() {
    let device = Device::new();
    device.says(b"#old\r");
    let mut rig = Rig::opened(&device, true).await;
    rig.line.ask(question(b".ask\r", PATIENCE));
    device.hears(b".ask\r").await;
    device.says(b"#new\r");
    assert_eq!(rig.reply().await, Ok(b"#new\r".to_vec()));
}

#[tokio::test]
async fn a_late_reply_is_not_the_reply_to_the_next_question() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    rig.line.ask(question(b".one\r", LIMIT));
    device.hears(b".one\r").await;
    assert_eq!(rig.reply().await, Err(LineError::Silent));
    device.says(b"#late\r");
    rig.line.ask(question(b".two\r", PATIENCE));
    device.hears(b".two\r").await;
    device.says(b"#two\r");
    assert_eq!(rig.reply().await, Ok(b"#two\r".to_vec()));
}

#[tokio::test]
async fn an_unplugged_port_is_gone_and_comes_back_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chiller");
    let device = Device::new();
    symlink(&device.path, &path).unwrap();
    let mut rig = Rig::start(&path, true);
    assert_eq!(rig.event().await, LineEvent::Opened);

    rig.line.ask(question(b".one\r", PATIENCE));
    device.hears(b".one\r").await;
    std::fs::remove_file(&path).unwrap();
    drop(device);
    assert!(matches!(rig.reply().await, Err(LineError::Gone(_))));
    assert!(rig.closed().await.contains("unplugged"));
    let error = rig.open_failed().await;
    assert_eq!(error.trouble, PortTrouble::Missing);
    let text = error.text;
    assert!(text.contains(path.to_str().unwrap()) && text.contains("plugged in"), "{text}");
    rig.line.ask(question(b".one\r", PATIENCE));
    assert_eq!(rig.reply().await, Err(LineError::NotOpen));
    rig.line.write_now(b"stop".to_vec());
    assert_eq!(rig.event().await, LineEvent::SendImmediatelyFailed(LineError::NotOpen));

    let device = Device::new();
    symlink(&device.path, &path).unwrap();
    // The reason it could not be opened was told once, however often it was tried.
    assert_eq!(rig.event().await, LineEvent::Opened);
    rig.line.ask(question(b".two\r", PATIENCE));
    device.hears(b".two\r").await;
    device.says(b"#two\r");
    assert_eq!(rig.reply().await, Ok(b"#two\r".to_vec()));
    drop(device);
    assert!(rig.closed().await.contains("unplugged"), "noticed though nothing was asked");
}

#[tokio::test]
async fn a_port_that_is_held_says_who_may_hold_it() {
    let device = Device::new();
    flock(&device.slave, FlockOperation::LockExclusive).unwrap();
    let mut rig = Rig::start(&device.path, true);
    let error = rig.open_failed().await;
    assert_eq!(error.trouble, PortTrouble::Busy);
    let text = error.text;
    assert!(text.contains(device.path.to_str().unwrap()), "{text}");
    assert!(text.contains("busy") && text.contains("ModemManager"), "{text}");
    flock(&device.slave, FlockOperation::Unlock).unwrap();
    assert_eq!(rig.event().await, LineEvent::Opened);
}

#[tokio::test]
async fn what_is_no_serial_port_is_said_with_its_path() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut rig = Rig::start(file.path(), true);
    let error = rig.open_failed().await;
    assert_eq!(error.trouble, PortTrouble::Failed);
    let said = format!("cannot open serial port {}", file.path().display());
    assert!(error.text.starts_with(&said), "{error}");
}

#[tokio::test]
async fn an_open_line_holds_its_port_for_itself() {
    let device = Device::new();
    let _first = Rig::opened(&device, true).await;
    let mut second = Rig::start(&device.path, true);
    assert_eq!(second.open_failed().await.trouble, PortTrouble::Busy);
}

#[tokio::test]
async fn a_direct_write_does_not_wait_for_the_exchange_that_is_out() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    rig.line.ask(question(b".ask\r", PATIENCE));
    device.hears(b".ask\r").await;
    rig.line.write_now(b"stop".to_vec());
    device.hears(b"stop").await;
    device.says(b"#ok\r");
    assert_eq!(rig.reply().await, Ok(b"#ok\r".to_vec()));
}

#[tokio::test]
async fn a_direct_write_is_not_lost_behind_any_number_of_others() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    let mut expected = Vec::new();
    // The line's task does not run before the first await.
    for number in 0..500 {
        let bytes = format!("{number:03} ").into_bytes();
        expected.extend_from_slice(&bytes);
        rig.line.write_now(bytes);
    }
    for _ in 0..500 {
        rig.line.write_now(b"stop".to_vec());
    }
    expected.extend_from_slice(b"stop.ask\r");
    rig.line.ask(question(b".ask\r", PATIENCE));
    device.hears(&expected).await;
    device.says(b"#ok\r");
    assert_eq!(rig.reply().await, Ok(b"#ok\r".to_vec()));
}

#[tokio::test]
async fn a_second_question_while_one_is_out_is_refused() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    rig.line.ask(question(b".one\r", PATIENCE));
    device.hears(b".one\r").await;
    rig.line.ask(question(b".two\r", PATIENCE));
    assert_eq!(rig.reply().await, Err(LineError::Busy));
    device.says(b"#one\r");
    assert_eq!(rig.reply().await, Ok(b"#one\r".to_vec()));
}

#[tokio::test]
async fn the_gap_is_kept_from_the_end_of_one_exchange_to_the_next() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    let mut asked = question(b".ask\r", PATIENCE);
    asked.gap = LIMIT;
    let mut last: Option<Timing> = None;
    for _ in 0..3 {
        rig.line.ask(asked.clone());
        device.hears(b".ask\r").await;
        device.says(b"#\r");
        let (reply, timing) = rig.reply_and_timing().await;
        assert_eq!(reply, Ok(b"#\r".to_vec()));
        if let Some(last) = last {
            assert!(timing.written.since(last.finished) >= LIMIT - Duration::from_millis(5));
        }
        last = Some(timing);
    }
}

#[tokio::test]
async fn a_released_port_is_free_until_it_is_wanted_again() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    rig.line.release();
    assert_eq!(rig.closed().await, "released");
    let slave = device.slave.try_clone().unwrap();
    let free = tokio::task::spawn_blocking(move || {
        flock(&slave, FlockOperation::LockExclusive).unwrap();
        flock(&slave, FlockOperation::Unlock).unwrap();
    });
    timeout(PATIENCE, free).await.expect("it is not free").unwrap();
    rig.line.ask(question(b".ask\r", PATIENCE));
    assert_eq!(rig.reply().await, Err(LineError::NotOpen));
    rig.line.reopen();
    assert_eq!(rig.event().await, LineEvent::Opened);
}

#[tokio::test]
async fn reopening_ends_the_exchange_that_is_out() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    rig.line.ask(question(b".ask\r", PATIENCE));
    device.hears(b".ask\r").await;
    rig.line.reopen();
    assert!(matches!(rig.reply().await, Err(LineError::Gone(_))));
    assert_eq!(rig.closed().await, "reopened on request");
    assert_eq!(rig.event().await, LineEvent::Opened);
}

#[tokio::test]
async fn asking_to_reopen_over_and_over_cannot_spin() {
    let device = Device::new();
    let mut rig = Rig::opened(&device, true).await;
    let begun = now();
    for _ in 0..5 {
        rig.line.reopen();
        assert_eq!(rig.closed().await, "reopened on request");
        assert_eq!(rig.event().await, LineEvent::Opened);
    }
    // 5 + 10 + 20 + 40 + 40 ms
    assert!(now().since(begun) >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_dropped_handle_lets_the_exchange_finish_and_ends_the_task() {
    let device = Device::new();
    let Rig { line, mut events, task } = Rig::opened(&device, true).await;
    line.ask(question(b".ask\r", PATIENCE));
    device.hears(b".ask\r").await;
    drop(line);
    device.says(b"#ok\r");
    let event = timeout(PATIENCE, events.recv()).await.unwrap();
    assert!(matches!(event, Some(LineEvent::Reply(Ok(_), _))), "{event:?}");
    timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(events.recv().await, None);
}

#[tokio::test]
async fn what_was_commanded_before_the_handle_was_dropped_is_written_before_the_task_ends() {
    let device = Device::new();
    let Rig { line, mut events, task } = Rig::opened(&device, false).await;
    line.ask(Exchange::order(b"go".to_vec(), PATIENCE));
    line.write_now(b"stop".to_vec());
    drop(line);
    timeout(PATIENCE, async { while events.recv().await.is_some() {} }).await.unwrap();
    timeout(PATIENCE, task).await.unwrap().unwrap();
    device.hears(b"gostop").await;
}

#[tokio::test]
async fn a_dropped_handle_ends_the_task_of_a_port_that_does_not_open() {
    let Rig { line, events: _events, task } = Rig::start(Path::new("/nonexistent/chiller"), true);
    drop(line);
    timeout(PATIENCE, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_line_opens_nothing_before_it_is_told_to() {
    let device = Device::new();
    let (line, mut events, _task) = start(LineSettings::new(device.path.clone(), 9600, true));
    // Answered by the task, which has had the chance to open by then.
    line.ask(question(b".ask\r", PATIENCE));
    let event = timeout(PATIENCE, events.recv()).await.unwrap();
    assert!(matches!(event, Some(LineEvent::Reply(Err(LineError::NotOpen), _))), "{event:?}");
    line.release();
    line.write_now(b"stop".to_vec());
    let event = timeout(PATIENCE, events.recv()).await.unwrap();
    assert_eq!(event, Some(LineEvent::SendImmediatelyFailed(LineError::NotOpen)));
    line.reopen();
    assert_eq!(timeout(PATIENCE, events.recv()).await.unwrap(), Some(LineEvent::Opened));
}

#[tokio::test]
async fn the_task_comes_round_without_a_port_and_while_nothing_is_asked() {
    let device = Device::new();
    let rigs = [Rig::start(Path::new("/nowhere/ttyUSB0"), false), Rig::opened(&device, false).await];
    for rig in &rigs {
        let rounds = rig.line.rounds();
        for _ in 0..5 {
            let before = rounds.total();
            let round = async {
                while rounds.total() == before {
                    let _ = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
                }
            };
            timeout(Duration::from_secs(1), round).await.expect("the watchdog would end the bridge");
        }
    }
}
