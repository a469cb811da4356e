//! A half-duplex serial line: ask, reply, time limit, reopen.
//!
//! One task owns the port (8N1, exclusive) and opens it again by itself when it is gone. It knows bytes
//! and a terminator, not what they mean; asking again is the controller's business.
//!
//! Never call `flush` or `shutdown` on the port: tokio-serial runs `tcdrain` inside them on the runtime's
//! thread, and with the line stopped by XOFF that blocks every task for ever. Writes are unbuffered, so
//! nothing is lost by it.
//!
//! ```text
//!             opened                      ask
//!   Closed ------------> Open, listening -----> exchange (gap, write, read)
//!     ^  ^                |        ^              |   |
//!     |  +-- gone, reopen +        +---- reply ---+   |
//!     |  +------------------------- gone, reopen -----+
//!     |
//!   Released (from the start, until reopen)
//! ```
#![expect(clippy::disallowed_methods, reason = "the IO shell: stamps replies, keeps limits, waits to reopen")]

mod exchange;
mod open;
mod queue;

use std::path::PathBuf;
use std::time::Duration;

use bus::clock::{Instant, Now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant as Alarm, sleep_until, timeout_at};
use tokio_serial::{ClearBuffer, SerialPort, SerialStream};

pub use exchange::{Exchange, LineError, LineEvent, OpenError, PortTrouble, Timing};
use queue::Command;

/// Events that the loop has not read.
const CHANNEL: usize = 64;

/// How long a write without a reply may be held up by XOFF.
const WRITE_LIMIT: Duration = Duration::from_millis(500);

const XON: u8 = 0x11;
const XOFF: u8 = 0x13;

/// Where the line is and how it is set; always 8 data bits, no parity, 1 stop bit.
#[derive(Clone, Debug)]
pub struct LineSettings {
    /// The device file, best a udev link that is the same after every reboot.
    pub path: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// Software flow control both ways; 0x11 and 0x13 are then taken out of what comes.
    pub xon_xoff: bool,
    /// The shortest time between two attempts to open; doubled with each until a reply comes.
    pub reopen_first: Duration,
    /// The longest.
    pub reopen_max: Duration,
}

impl LineSettings {
    /// 250 ms doubling to 10 s.
    #[must_use]
    pub const fn new(path: PathBuf, baud: u32, xon_xoff: bool) -> Self {
        let (reopen_first, reopen_max) = (Duration::from_millis(250), Duration::from_secs(10));
        Self { path, baud, xon_xoff, reopen_first, reopen_max }
    }
}

/// The line's handle: none of its methods waits. Once it is dropped, the task ends, after the exchange
/// that is out.
#[derive(Debug)]
pub struct Line {
    commands: queue::Sender,
}

impl Line {
    /// Starts an exchange; its end is a [`LineEvent::Reply`]. One at a time.
    pub fn ask(&self, exchange: Exchange) {
        self.commands.put(Command::Ask(exchange));
    }

    /// Writes at once, also while an exchange is out, and waits for no reply.
    pub fn write_now(&self, bytes: Vec<u8>) {
        self.commands.put(Command::WriteNow(bytes));
    }

    /// Closes and opens again at once, or as soon as the back-off allows. Ends [`Self::release`].
    pub fn reopen(&self) {
        self.commands.put(Command::Reopen);
    }

    /// Closes, and stays closed until [`Self::reopen`].
    pub fn release(&self) {
        self.commands.put(Command::Release);
    }
}

/// Starts the task that owns the port; it opens nothing before [`Line::reopen`].
///
/// # Panics
/// Outside a tokio runtime with IO and time.
#[must_use]
pub fn start(settings: LineSettings) -> (Line, mpsc::Receiver<LineEvent>, JoinHandle<()>) {
    let (commands, received) = queue::new();
    let (events, told) = mpsc::channel(CHANNEL);
    let task = Task {
        settings,
        commands: received,
        events,
        last_open_error: None,
        next_open: Alarm::now(),
        last_open: Alarm::now(),
        open_delay: Duration::ZERO,
        last_exchange: None,
        handle_gone: false,
    };
    (Line { commands }, told, tokio::spawn(task.run()))
}

struct Task {
    settings: LineSettings,
    commands: queue::Receiver,
    events: mpsc::Sender<LineEvent>,
    last_open_error: Option<OpenError>,
    /// No attempt to open before this.
    next_open: Alarm,
    last_open: Alarm,
    open_delay: Duration,
    last_exchange: Option<Alarm>,
    handle_gone: bool,
}

/// Why nothing is done with the port any more.
enum Leave {
    /// Closed, to be opened again.
    Closed(String),
    Released,
    /// The handle is gone, or nobody listens.
    Ended,
}

impl Task {
    async fn run(mut self) {
        if !self.reopen_asked().await {
            return;
        }
        loop {
            let Some(mut port) = self.opened().await else { return };
            self.tell(LineEvent::Opened).await;
            let leave = self.use_port(&mut port).await;
            if self.settings.xon_xoff {
                // Closing would wait, up to 30 s, for what XOFF holds back. Without flow control it waits
                // some milliseconds for the last bytes, which may be a stop.
                let _ = port.clear(ClearBuffer::Output);
            }
            drop(port);
            match leave {
                Leave::Closed(reason) => self.tell(LineEvent::Closed { reason }).await,
                Leave::Released => {
                    self.tell(LineEvent::Closed { reason: "released".to_owned() }).await;
                    if !self.reopen_asked().await {
                        return;
                    }
                }
                Leave::Ended => return,
            }
        }
    }

    /// Opens the port, as often as it takes; `None` when the handle is gone.
    async fn opened(&mut self) -> Option<SerialStream> {
        loop {
            tokio::select! {
                // What is to be let go of is not opened first.
                biased;
                command = self.commands.next() => match command? {
                    Command::Release => {
                        if !self.reopen_asked().await {
                            return None;
                        }
                    }
                    Command::Reopen => {}
                    refused => self.refuse(refused).await,
                },
                () = sleep_until(self.next_open) => {
                    // Each attempt, good or bad, makes the next one wait: a port that opens and fails at
                    // once must not be opened in a loop. A reply makes the wait short again.
                    self.open_delay = if self.open_delay.is_zero() {
                        self.settings.reopen_first
                    } else {
                        (self.open_delay * 2).min(self.settings.reopen_max)
                    };
                    self.last_open = Alarm::now();
                    self.next_open = self.last_open + self.open_delay;
                    match open::open(&self.settings) {
                        Ok(port) => {
                            self.last_open_error = None;
                            return Some(port);
                        }
                        Err(error) => {
                            if self.last_open_error.as_ref() != Some(&error) {
                                self.last_open_error = Some(error.clone());
                                self.tell(LineEvent::OpenFailed(error)).await;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Waits, released, until the port is wanted again; `false` when the handle is gone.
    async fn reopen_asked(&mut self) -> bool {
        loop {
            match self.commands.next().await {
                None => return false,
                Some(Command::Reopen) => return true,
                Some(Command::Release) => {}
                Some(refused) => self.refuse(refused).await,
            }
        }
    }

    async fn refuse(&mut self, command: Command) {
        match command {
            Command::Ask(_) => self.reply(Err(LineError::NotOpen), None).await,
            Command::WriteNow(_) => self.tell(LineEvent::WriteNowFailed(LineError::NotOpen)).await,
            Command::Reopen | Command::Release => {}
        }
    }

    async fn use_port(&mut self, port: &mut SerialStream) -> Leave {
        let mut stale = [0; 256];
        loop {
            tokio::select! {
                command = self.commands.next() => match command {
                    None => return Leave::Ended,
                    Some(Command::Reopen) => return Leave::Closed("reopened on request".to_owned()),
                    Some(Command::Release) => return Leave::Released,
                    Some(Command::WriteNow(bytes)) => self.write_now(port, &bytes).await,
                    Some(Command::Ask(exchange)) => {
                        let mut written = None;
                        let result = self.exchange(port, &exchange, &mut written).await;
                        self.last_exchange = Some(Alarm::now());
                        let (reply, leave) = match result {
                            Ok(reply) => (reply, None),
                            Err(leave) => (Err(LineError::Gone(leave.reason().to_owned())), Some(leave)),
                        };
                        if reply.is_ok() {
                            self.open_delay = self.settings.reopen_first;
                            self.next_open = self.last_open + self.open_delay;
                        }
                        self.reply(reply, written).await;
                        if let Some(leave) = leave {
                            return leave;
                        }
                    }
                },
                // Nothing was asked: what comes is late or noise. Reading it shows an unplugged port.
                read = port.read(&mut stale) => match read_bytes(read, &stale) {
                    Ok(bytes) => tracing::trace!(bytes = %bytes.escape_ascii(), "unasked input thrown away"),
                    Err(reason) => return Leave::Closed(reason),
                },
            }
            if self.events.is_closed() {
                return Leave::Ended;
            }
        }
    }

    /// The outer error means that the port is to be left.
    async fn exchange(
        &mut self,
        port: &mut SerialStream,
        exchange: &Exchange,
        written: &mut Option<Instant>,
    ) -> Result<Result<Vec<u8>, LineError>, Leave> {
        if let Some(last) = self.last_exchange {
            let due = last + exchange.gap;
            while Alarm::now() < due {
                tokio::select! {
                    command = self.commands.next(), if !self.handle_gone => {
                        self.during_exchange(port, command).await?;
                    }
                    () = sleep_until(due) => {}
                }
            }
        }
        throw_away_input(port).map_err(Leave::Closed)?;

        let limit = Alarm::now() + exchange.limit;
        if let Err(error) = write(port, &exchange.bytes, limit).await {
            return Ok(Err(error));
        }
        *written = Some(Now::read().instant);
        let Some(terminator) = exchange.terminator else { return Ok(Ok(Vec::new())) };

        let (mut reply, mut wrote_now) = (Vec::new(), false);
        let mut buffer = [0; 256];
        loop {
            tokio::select! {
                biased;
                command = self.commands.next(), if !self.handle_gone => {
                    wrote_now |= self.during_exchange(port, command).await?;
                }
                read = port.read(&mut buffer) => {
                    for byte in read_bytes(read, &buffer).map_err(Leave::Closed)? {
                        if self.settings.xon_xoff && matches!(*byte, XON | XOFF) {
                            continue;
                        }
                        // One more than allowed shows that it is too long; the rest is only drained.
                        if reply.len() <= exchange.max_reply_bytes {
                            reply.push(*byte);
                            if *byte == terminator && reply.len() <= exchange.max_reply_bytes {
                                return Ok(Ok(reply));
                            }
                        }
                    }
                    // A line that never pauses must not outrun its limit.
                    if Alarm::now() >= limit {
                        break;
                    }
                }
                () = sleep_until(limit) => break,
            }
        }
        // Bytes that XOFF still holds in the kernel would go out as a second question later on; but
        // never throw a stop away with them.
        if self.settings.xon_xoff && !wrote_now {
            let _ = port.clear(ClearBuffer::Output);
        }
        Ok(Err(if reply.is_empty() {
            LineError::Silent
        } else if reply.len() > exchange.max_reply_bytes {
            LineError::Overlong(reply)
        } else {
            LineError::Truncated(reply)
        }))
    }

    /// Whether bytes were written.
    async fn during_exchange(
        &mut self,
        port: &mut SerialStream,
        command: Option<Command>,
    ) -> Result<bool, Leave> {
        match command {
            // The handle is gone: the exchange that is out is finished first.
            None => self.handle_gone = true,
            Some(Command::Reopen) => return Err(Leave::Closed("reopened on request".to_owned())),
            Some(Command::Release) => return Err(Leave::Released),
            Some(Command::Ask(_)) => self.reply(Err(LineError::Busy), None).await,
            Some(Command::WriteNow(bytes)) => {
                self.write_now(port, &bytes).await;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn write_now(&mut self, port: &mut SerialStream, bytes: &[u8]) {
        if let Err(error) = write(port, bytes, Alarm::now() + WRITE_LIMIT).await {
            self.tell(LineEvent::WriteNowFailed(error)).await;
        }
    }

    async fn reply(&mut self, reply: Result<Vec<u8>, LineError>, written: Option<Instant>) {
        let finished = Now::read().instant;
        let timing = Timing { written: written.unwrap_or(finished), finished };
        self.tell(LineEvent::Reply(reply, timing)).await;
    }

    async fn tell(&mut self, event: LineEvent) {
        // Nobody listens any more: `use_port` and the dropped handle see to the end.
        let _ = self.events.send(event).await;
    }
}

impl Leave {
    fn reason(&self) -> &str {
        match self {
            Self::Closed(reason) => reason,
            Self::Released => "released",
            Self::Ended => "ended",
        }
    }
}

/// One `write` call as long as the kernel takes the bytes whole, which it does unless XOFF has filled its
/// buffer: a device may drop a frame with gaps in it.
async fn write(port: &mut SerialStream, bytes: &[u8], limit: Alarm) -> Result<(), LineError> {
    match timeout_at(limit, port.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(LineError::WriteFailed(error.to_string())),
        Err(_) => {
            let _ = port.clear(ClearBuffer::Output);
            Err(LineError::WriteFailed("held up by flow control (XOFF)".to_owned()))
        }
    }
}

/// What came before the question was asked cannot be its answer.
///
/// Read, not flushed with `tcflush`: that also throws away an XON the kernel has not come to yet, and the
/// line would stay stopped for ever.
fn throw_away_input(port: &mut SerialStream) -> Result<(), String> {
    let mut stale = [0; 256];
    // Four times what the kernel holds: an endless stream must not hold the question back for ever.
    for _ in 0..64 {
        match port.try_read(&mut stale) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            read => {
                let bytes = read_bytes(read, &stale)?;
                tracing::trace!(bytes = %bytes.escape_ascii(), "stale input thrown away");
            }
        }
    }
    Ok(())
}

/// The bytes read. A read of nothing is an unplugged adapter, which would read nothing for ever.
fn read_bytes(read: std::io::Result<usize>, buffer: &[u8]) -> Result<&[u8], String> {
    match read {
        Ok(0) => Err("hung up or unplugged".to_owned()),
        Ok(length) => Ok(buffer.get(..length).unwrap_or_default()),
        Err(error) => Err(error.to_string()),
    }
}
