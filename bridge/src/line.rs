//! A half-duplex serial line: request, reply, timeout, reopen.
//!
//! One task owns the port (8N1, exclusive) and executes the decisions of its [`Machine`]; it knows
//! bytes and a terminator, not their meaning. Retries are not its business.
//!
//! Opening and closing a port may take seconds, or for ever with a hung driver, so separate threads
//! do it. They are not the runtime's, because the end of the process would wait for those.
//!
//! Never call `flush` or `shutdown` on the port: tokio-serial runs `tcdrain` inside them on the
//! runtime's thread, and if XOFF has stopped the line, this blocks every task for ever. Writes are
//! unbuffered, so nothing is lost.
#![expect(clippy::disallowed_methods, reason = "the IO shell: stamps replies, keeps limits, waits to reopen")]

mod exchange;
mod framing;
mod machine;
mod open;
mod queue;

use std::future::{pending, poll_fn};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bus::clock::{Instant, Now};
use bus::rounds::Rounds;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_serial::{ClearBuffer, SerialPort, SerialStream};

pub use exchange::{Exchange, LineError, LineEvent, OpenError, PortTrouble, Timing};
pub use framing::{Lines, NotText, Terminator};
pub use machine::{Action, Machine, Rules};
pub use queue::{Command, Receiver as Commands};

use crate::transcript::Recorder;

/// Capacity for events that the loop has not read.
const CHANNEL: usize = 64;
/// The task comes round at least this often, so that the watchdog sees that it runs.
const TICK: Duration = Duration::from_millis(250);

/// The settings of the line; always 8 data bits, no parity, 1 stop bit.
#[derive(Clone, Debug)]
pub struct LineSettings {
    /// The device file, preferably a udev link that stays the same after a reboot.
    pub path: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// Software flow control in both directions; 0x11 and 0x13 are then removed from the input.
    pub xon_xoff: bool,
    /// The shortest time between two attempts to open; doubled after each until a reply arrives.
    pub reopen_first: Duration,
    /// The longest.
    pub reopen_max: Duration,
    /// Hears what passes.
    pub recorder: Option<Recorder>,
}

impl LineSettings {
    /// 250 ms doubling to 10 s.
    #[must_use]
    pub const fn new(path: PathBuf, baud: u32, xon_xoff: bool) -> Self {
        let (reopen_first, reopen_max) = (Duration::from_millis(250), Duration::from_secs(10));
        Self { path, baud, xon_xoff, reopen_first, reopen_max, recorder: None }
    }

    /// The part that the machine needs.
    #[must_use]
    pub const fn rules(&self) -> Rules {
        Rules { xon_xoff: self.xon_xoff, reopen_first: self.reopen_first, reopen_max: self.reopen_max }
    }
}

/// The line's handle; none of its methods blocks. Once it is dropped, the task ends after the
/// exchange in progress.
#[derive(Debug)]
pub struct Line {
    commands: queue::Sender,
    rounds: Rounds,
}

impl Line {
    /// The rounds of the line's task; it goes on without a port, too.
    #[must_use]
    pub fn rounds(&self) -> Rounds {
        self.rounds.clone()
    }

    /// Starts an exchange; its end is a [`LineEvent::Reply`]. One at a time.
    pub fn ask(&self, exchange: Exchange) {
        self.commands.put(Command::Ask(exchange));
    }

    /// Writes at once, even during an exchange, and does not wait for a reply.
    pub fn write_now(&self, bytes: Vec<u8>) {
        self.commands.put(Command::SendImmediately(bytes));
    }

    /// Closes and reopens at once, or as soon as the back-off allows. Ends [`Self::release`].
    pub fn reopen(&self) {
        self.commands.put(Command::Reopen);
    }

    /// Closes, and stays closed until [`Self::reopen`].
    pub fn release(&self) {
        self.commands.put(Command::Release);
    }
}

/// What carries the exchanges of a device: its handle, its events, its task.
pub type Started = (Line, mpsc::Receiver<LineEvent>, JoinHandle<()>);

/// The handle of something else than a serial port, with the requests that are made of it; whoever
/// carries them out counts its rounds here.
#[must_use]
pub fn detached() -> (Line, Commands, Rounds) {
    let (commands, received) = queue::new();
    let rounds = Rounds::default();
    (Line { commands, rounds: rounds.clone() }, received, rounds)
}

/// Starts the task that owns the port; it does not open the port before [`Line::reopen`].
///
/// # Panics
/// Outside a tokio runtime with IO and time.
#[must_use]
pub fn start(settings: LineSettings) -> Started {
    let (commands, received) = queue::new();
    let (events, told) = mpsc::channel(CHANNEL);
    let rounds = Rounds::default();
    let machine = Machine::new(settings.rules(), Now::read().instant);
    let task = Task {
        settings,
        machine,
        commands: received,
        ended: false,
        port: None,
        writing: Vec::new(),
        unwritten: Vec::new(),
        opening: None,
        closing: None,
        rounds: rounds.clone(),
    };
    (Line { commands, rounds }, told, tokio::spawn(task.run(events)))
}

struct Task {
    settings: LineSettings,
    machine: Machine,
    commands: queue::Receiver,
    /// The handle or the receiver of events was dropped.
    ended: bool,
    port: Option<SerialStream>,
    /// The frame that is being written, for the transcript.
    writing: Vec<u8>,
    /// Bytes that the port has not accepted yet.
    unwritten: Vec<u8>,
    opening: Option<oneshot::Receiver<Result<SerialStream, OpenError>>>,
    closing: Option<oneshot::Receiver<()>>,
    rounds: Rounds,
}

/// What the port did.
enum Done {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
}

impl Task {
    async fn run(mut self, events: mpsc::Sender<LineEvent>) {
        let mut buffer = [0; 256];
        loop {
            self.rounds.count();
            self.carry_out();
            if self.machine.is_over() && !self.machine.has_event() {
                return;
            }
            let wait = self.machine.poll_timeout().map_or(TICK, |at| at.since(now()).min(TICK));
            tokio::select! {
                biased;
                command = self.commands.next(), if !self.ended => self.command(command),
                room = events.reserve(), if self.machine.has_event() => match room {
                    Ok(room) => {
                        if let Some(event) = self.machine.poll_event() {
                            room.send(event);
                        }
                    }
                    Err(_) => self.nobody_listens(),
                },
                () = events.closed(), if !self.ended => self.nobody_listens(),
                opened = arrived(&mut self.opening) => self.opened(opened),
                _ = arrived(&mut self.closing) => {
                    self.closing = None;
                    self.machine.closed(now());
                }
                done = port_done(&mut self.port, &self.unwritten, &mut buffer) => match done {
                    Done::Read(read) => self.read(read, &buffer),
                    Done::Wrote(wrote) => self.wrote(wrote),
                },
                () = sleep(wait) => {}
            }
            // After each event, not only when idle: a line that never pauses must not exceed its
            // timeout.
            self.machine.handle_timeout(now());
        }
    }

    fn command(&mut self, command: Option<Command>) {
        let now = now();
        match command {
            Some(Command::Ask(exchange)) => self.machine.ask(exchange, now),
            Some(Command::SendImmediately(bytes)) => self.machine.write_now(bytes, now),
            Some(Command::Reopen) => {
                self.note(|| "the bridge opens the port anew".to_owned());
                self.machine.reopen(now);
            }
            Some(Command::Release) => {
                self.note(|| "the bridge lets go of the port".to_owned());
                self.machine.release(now);
            }
            None => {
                self.ended = true;
                self.machine.end(now);
            }
        }
    }

    fn nobody_listens(&mut self) {
        self.ended = true;
        self.machine.end(now());
        while self.machine.poll_event().is_some() {}
    }

    /// Executes all actions of the machine; none of them blocks.
    fn carry_out(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Open => self.opening = Some(open_beside(self.settings.clone())),
                Action::Close { discard } => {
                    self.note(|| "closed".to_owned());
                    self.unwritten.clear();
                    self.closing = Some(close_beside(self.port.take(), discard));
                }
                Action::DiscardInput => {
                    let recorder = self.settings.recorder.as_ref();
                    let thrown = self.port.as_mut().map(|port| throw_away_input(port, recorder));
                    if let Some(Err(error)) = thrown {
                        self.gone(&error);
                    }
                }
                Action::Write(bytes) => self.write(bytes),
                Action::DiscardOutput => {
                    self.note(|| "output that had not gone out was thrown away".to_owned());
                    self.unwritten.clear();
                    if let Some(port) = &self.port {
                        let _ = port.clear(ClearBuffer::Output);
                    }
                }
            }
        }
    }

    /// One `write` call if the kernel accepts all bytes, which it does unless XOFF has filled its
    /// buffer: a device may ignore a frame with gaps.
    fn write(&mut self, bytes: Vec<u8>) {
        let Some(port) = &mut self.port else { return };
        let wrote = port.try_write(&bytes);
        if self.settings.recorder.is_some() {
            self.writing.clone_from(&bytes);
        }
        self.unwritten = bytes;
        match wrote {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            wrote => self.wrote(wrote),
        }
    }

    fn wrote(&mut self, wrote: io::Result<usize>) {
        match wrote {
            Ok(length) => {
                self.unwritten.drain(..length.min(self.unwritten.len()));
                if self.unwritten.is_empty() {
                    if let Some(recorder) = &self.settings.recorder {
                        recorder.sent(&self.writing, now());
                    }
                    self.machine.wrote(now());
                }
            }
            Err(error) => {
                self.note(|| format!("cannot write: {error}"));
                self.unwritten.clear();
                self.machine.write_failed(error.to_string(), now());
            }
        }
    }

    fn read(&mut self, read: io::Result<usize>, buffer: &[u8]) {
        match read_bytes(read, buffer) {
            Ok(bytes) => {
                tracing::trace!(bytes = %bytes.escape_ascii(), "read");
                if let Some(recorder) = &self.settings.recorder {
                    recorder.received(bytes, now());
                }
                self.machine.read(bytes, now());
            }
            Err(error) => self.gone(&error),
        }
    }

    fn gone(&mut self, error: &io::Error) {
        self.note(|| format!("the port is gone: {error}"));
        self.machine.gone(&error.to_string(), now());
    }

    /// Into the transcript.
    fn note(&self, text: impl FnOnce() -> String) {
        if let Some(recorder) = &self.settings.recorder {
            recorder.note(text(), now());
        }
    }

    fn opened(&mut self, opened: Result<Result<SerialStream, OpenError>, oneshot::error::RecvError>) {
        self.opening = None;
        let result = match opened {
            Ok(Ok(port)) => {
                let LineSettings { path, baud, xon_xoff, .. } = &self.settings;
                let flow = if *xon_xoff { ", XON/XOFF" } else { "" };
                self.note(|| format!("opened {}, {baud} baud, 8N1{flow}", path.display()));
                self.port = Some(port);
                Ok(())
            }
            Ok(Err(error)) => {
                self.note(|| error.text.clone());
                Err(error)
            }
            Err(_) => Err(OpenError {
                trouble: PortTrouble::Failed,
                text: "cannot open the serial port: there can be no further thread".to_owned(),
            }),
        };
        self.machine.opened(result, now());
    }
}

fn now() -> Instant {
    Now::read().instant
}

/// The result of a helper thread, if there is one. May be dropped while it waits.
async fn arrived<T>(from: &mut Option<oneshot::Receiver<T>>) -> Result<T, oneshot::error::RecvError> {
    match from {
        Some(receiver) => receiver.await,
        None => pending().await,
    }
}

/// The next event of the port: it accepts unwritten bytes, or has input. Reading without a request
/// detects an unplugged port.
async fn port_done(port: &mut Option<SerialStream>, unwritten: &[u8], buffer: &mut [u8]) -> Done {
    poll_fn(|context| {
        let Some(port) = port else { return Poll::Pending };
        if !unwritten.is_empty()
            && let Poll::Ready(wrote) = Pin::new(&mut *port).poll_write(context, unwritten)
        {
            return Poll::Ready(Done::Wrote(wrote));
        }
        let mut buffer = ReadBuf::new(buffer);
        Pin::new(port)
            .poll_read(context, &mut buffer)
            .map(|read| Done::Read(read.map(|()| buffer.filled().len())))
    })
    .await
}

/// Opens on a separate thread. A port that nobody waits for any more is closed there, too.
fn open_beside(settings: LineSettings) -> oneshot::Receiver<Result<SerialStream, OpenError>> {
    let (done, opened) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    beside(move || {
        let _runtime = runtime.enter();
        let _ = done.send(open::open(&settings));
    });
    opened
}

fn close_beside(port: Option<SerialStream>, discard: bool) -> oneshot::Receiver<()> {
    let (done, closed) = oneshot::channel();
    beside(move || {
        if let Some(port) = port.as_ref().filter(|_| discard) {
            let _ = port.clear(ClearBuffer::Output);
        }
        drop(port);
        let _ = done.send(());
    });
    closed
}

fn beside(work: impl FnOnce() + Send + 'static) {
    // If no thread can start, the closure is dropped here, which informs the task that waits for
    // it.
    if let Err(error) = std::thread::Builder::new().name("port".into()).spawn(work) {
        tracing::error!("there can be no thread for the serial port: {error}");
    }
}

/// Input from before the request cannot be its reply.
///
/// Reads instead of `tcflush`, which would also discard an XON that the kernel has not processed
/// yet, and the line would stay stopped for ever.
fn throw_away_input(port: &mut SerialStream, recorder: Option<&Recorder>) -> io::Result<()> {
    let mut stale = [0; 256];
    // Four times the kernel's buffer: an endless stream must not delay the request for ever.
    for _ in 0..64 {
        match port.try_read(&mut stale) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            read => {
                let bytes = read_bytes(read, &stale)?;
                tracing::trace!(bytes = %bytes.escape_ascii(), "stale input thrown away");
                if let Some(recorder) = recorder {
                    recorder.received(bytes, now());
                }
            }
        }
    }
    Ok(())
}

/// The bytes read. An empty read means an unplugged adapter, which would return nothing for ever.
fn read_bytes(read: io::Result<usize>, buffer: &[u8]) -> io::Result<&[u8]> {
    match read? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "hung up or unplugged")),
        length => Ok(buffer.get(..length).unwrap_or_default()),
    }
}
