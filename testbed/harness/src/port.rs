//! A simulated device behind a pseudo-terminal, with a symbolic link as udev would make, and a
//! cable that can be pulled.
//!
//! One thread per port owns the pseudo-terminal and gives the device its bytes and its time. The
//! device is behind [`Device`]; this file knows no protocol.

#![expect(clippy::disallowed_methods, reason = "a port is the IO shell of a device: it gives it the time")]

mod terminal;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bus::clock::{Instant, Now};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use terminal::Terminal;

/// How often a quiet port lets its device's time pass, and releases an exclusive lock.
const IDLE: Duration = Duration::from_secs(1);

/// Entries kept by [`Port::log`].
const LOG_KEPT: usize = 4096;

/// What is received at the wrong speed.
const NONSENSE: u8 = 0xfe;

/// A frame without an end is cut here in the log.
const LONGEST_LOGGED: usize = 256;

/// A device at the level of bytes: no clock, no IO.
pub trait Device: Send + 'static {
    /// The byte that ends a request and a reply, for [`Port::log`].
    const LAST_BYTE: u8;

    /// Receives bytes from the host; an empty slice only lets time pass.
    fn receive(&mut self, bytes: &[u8], now: Instant);

    /// The bytes due by `now`.
    fn poll_output(&mut self, now: Instant) -> Vec<u8>;

    /// When to ask for output again.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the host.
    Request,
    /// To the host.
    Reply,
}

/// One frame that passed the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// When its last byte was received or sent.
    pub at: Instant,
    /// Its direction.
    pub direction: Direction,
    /// All of it, with its last byte.
    pub bytes: Vec<u8>,
}

/// A device on a pseudo-terminal. Dropping it unplugs it and ends its thread.
#[derive(Debug)]
pub struct Port<D> {
    link: PathBuf,
    shared: Arc<Shared<D>>,
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<D> {
    state: Mutex<State<D>>,
    wake: OwnedFd,
    /// The speed of the device's own line; 0: any. A pseudo-terminal has none.
    baud: AtomicU32,
}

#[derive(Debug)]
struct State<D> {
    device: D,
    log: VecDeque<Passed>,
}

enum Order {
    Plug(mpsc::Sender<io::Result<()>>),
    Unplug(mpsc::Sender<io::Result<()>>),
    End,
}

impl<D> Shared<D> {
    fn lock(&self) -> MutexGuard<'_, State<D>> {
        // A test that panicked inside `with` has failed already; the port continues for the others.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Fails only when the counter is full, and then the thread is awake.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl<D: Device> Port<D> {
    /// Serves `device` on a new pseudo-terminal and makes `link` a symbolic link to it. An
    /// existing symbolic link is replaced.
    ///
    /// # Errors
    /// If no pseudo-terminal is available, or `link` is a file or cannot be made.
    pub fn serve(device: D, link: impl Into<PathBuf>) -> io::Result<Self> {
        let link = link.into();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let state = Mutex::new(State { device, log: VecDeque::new() });
        let shared = Arc::new(Shared { state, wake, baud: AtomicU32::new(0) });
        let (orders, inbox) = mpsc::channel();
        let terminal = Terminal::open(&link)?;
        let mut server = Server {
            link: link.clone(),
            shared: Arc::clone(&shared),
            inbox,
            terminal: Some(terminal),
            request: Vec::new(),
            reply: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("port".to_owned()).spawn(move || server.run())?;
        Ok(Self { link, shared, orders, thread: Some(thread) })
    }

    /// The symbolic link, to be opened by the host.
    #[must_use]
    pub fn link(&self) -> &Path {
        &self.link
    }

    /// Looks at the device or changes it, with its time brought up to now.
    pub fn with<T>(&self, look: impl FnOnce(&mut D) -> T) -> T {
        let result = {
            let mut state = self.shared.lock();
            state.device.receive(&[], Now::read().instant);
            look(&mut state.device)
        };
        self.shared.wake();
        result
    }

    /// Gives the device's line a speed, baud: at any other speed of the host both receive nonsense.
    pub fn set_baud(&self, baud: u32) {
        self.shared.baud.store(baud, Ordering::Relaxed);
    }

    /// Pulls the cable: the host's open port hangs up, the link is gone. The device keeps its power.
    ///
    /// # Errors
    /// When the link cannot be removed.
    pub fn unplug(&self) -> io::Result<()> {
        self.order(Order::Unplug)
    }

    /// Puts the cable back: a new pseudo-terminal at the same link. Does nothing if it is in.
    ///
    /// # Errors
    /// As [`Port::serve`].
    pub fn plug(&self) -> io::Result<()> {
        self.order(Order::Plug)
    }

    /// The last 4096 frames, oldest first. Bytes without an end precede the next frame's.
    #[must_use]
    pub fn log(&self) -> Vec<Passed> {
        self.shared.lock().log.iter().cloned().collect()
    }

    /// Takes what [`Port::log`] has, so that nothing is lost of a long run.
    #[must_use]
    pub fn take_log(&self) -> Vec<Passed> {
        self.shared.lock().log.drain(..).collect()
    }

    fn order(&self, order: impl FnOnce(mpsc::Sender<io::Result<()>>) -> Order) -> io::Result<()> {
        let gone = || io::Error::other("the port's thread has ended");
        let (answer, outcome) = mpsc::channel();
        self.orders.send(order(answer)).map_err(|_| gone())?;
        self.shared.wake();
        outcome.recv().map_err(|_| gone())?
    }
}

impl<D> Drop for Port<D> {
    fn drop(&mut self) {
        // Both fail only if the thread has ended already.
        let _ = self.orders.send(Order::End);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own data.
struct Server<D> {
    link: PathBuf,
    shared: Arc<Shared<D>>,
    inbox: mpsc::Receiver<Order>,
    terminal: Option<Terminal>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl<D: Device> Server<D> {
    fn run(&mut self) {
        loop {
            if self.obey() {
                return;
            }
            let before = Now::read().instant;
            let wait = self.serve(before).map_or(IDLE, |at| at.since(before).min(IDLE));
            if self.wait(wait)
                && let Some(terminal) = &self.terminal
            {
                terminal.release();
            }
        }
    }

    /// Executes the orders; true at the end.
    fn obey(&mut self) -> bool {
        while let Ok(order) = self.inbox.try_recv() {
            // Nobody waits for the result while the port is being dropped.
            match order {
                Order::Plug(answer) => {
                    let _ = answer.send(self.plug());
                }
                Order::Unplug(answer) => {
                    let _ = answer.send(self.unplug());
                }
                Order::End => {
                    let _ = self.unplug();
                    return true;
                }
            }
        }
        false
    }

    fn plug(&mut self) -> io::Result<()> {
        if self.terminal.is_none() {
            self.terminal = Some(Terminal::open(&self.link)?);
        }
        Ok(())
    }

    fn unplug(&mut self) -> io::Result<()> {
        self.request.clear();
        self.reply.clear();
        if self.terminal.is_none() {
            return Ok(());
        }
        // The link first: the number of a closed pseudo-terminal is reused at once, and a program
        // that opens this link again would get another device.
        let removed = std::fs::remove_file(&self.link);
        self.terminal = None;
        removed
    }

    /// Moves bytes in both directions; returns when to call it again.
    fn serve(&mut self, now: Instant) -> Option<Instant> {
        let mut incoming = [0; 4096];
        let count = self.terminal.as_mut().map_or(0, |terminal| terminal.read(&mut incoming));
        let incoming = incoming.get_mut(..count).unwrap_or_default();
        let baud = self.shared.baud.load(Ordering::Relaxed);
        let is_mismatch = baud != 0 && self.terminal.as_ref().is_some_and(|terminal| terminal.baud() != baud);
        if is_mismatch {
            incoming.fill(NONSENSE);
        }
        let mut state = self.shared.lock();
        note(&mut state.log, &mut self.request, incoming, Direction::Request, D::LAST_BYTE, now);
        state.device.receive(incoming, now);
        let mut outgoing = state.device.poll_output(now);
        if is_mismatch {
            outgoing.fill(NONSENSE);
        }
        // Without a cable the bytes go nowhere, as on a wire.
        if let Some(terminal) = &mut self.terminal
            && !outgoing.is_empty()
        {
            terminal.write(&outgoing);
            let handed_out = Now::read().instant;
            note(&mut state.log, &mut self.reply, &outgoing, Direction::Reply, D::LAST_BYTE, handed_out);
        }
        state.device.poll_timeout()
    }

    /// Waits for bytes, an order or the time; true if nothing came for all of [`IDLE`].
    fn wait(&self, wait: Duration) -> bool {
        let timeout = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(1),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let mut fds = vec![PollFd::new(&self.shared.wake, PollFlags::IN)];
        if let Some(terminal) = &self.terminal {
            fds.push(PollFd::new(terminal.readable(), PollFlags::IN));
        }
        // An interrupted wait is a short one.
        let ready = poll(&mut fds, Some(&timeout)).unwrap_or(1);
        let mut counter = [0; 8];
        // Not blocking: empty unless woken.
        let _ = rustix::io::read(&self.shared.wake, &mut counter);
        ready == 0 && wait == IDLE
    }
}

fn note(
    log: &mut VecDeque<Passed>,
    line: &mut Vec<u8>,
    bytes: &[u8],
    direction: Direction,
    last: u8,
    at: Instant,
) {
    for &byte in bytes {
        line.push(byte);
        if byte == last || line.len() >= LONGEST_LOGGED {
            if log.len() == LOG_KEPT {
                log.pop_front();
            }
            log.push_back(Passed { at, direction, bytes: std::mem::take(line) });
        }
    }
}
