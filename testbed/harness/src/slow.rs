//! A slow link to the broker: a TCP proxy that forwards all bytes with a delay, in order, like a
//! satellite link; it can also be cut.
//!
//! It delays the bytes of an established connection, not the packets: the TCP handshake itself is
//! as quick as ever.

#![expect(clippy::disallowed_methods, reason = "a link is IO: to wait is what it is for")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::clock::{Instant, Now};

use crate::broker::HOST;

/// See the module. Dropping it cuts every connection.
#[derive(Debug)]
pub struct SlowLink {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    each_way_ms: AtomicU64,
    ended: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl SlowLink {
    /// A new port that forwards to this one with a delay of `each_way`.
    ///
    /// # Errors
    /// If no port is available.
    pub fn to(target: u16, each_way: Duration) -> Result<Self> {
        let listener = TcpListener::bind((HOST, 0)).context("listen for a slow link")?;
        let port = listener.local_addr().context("find the slow link's port")?.port();
        let shared = Arc::new(Shared {
            each_way_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let link = Self { port, shared: Arc::clone(&shared) };
        link.set_delay(each_way);
        thread::Builder::new()
            .name("slow link".to_owned())
            .spawn(move || accept(&listener, target, &shared))
            .context("start the slow link")?;
        Ok(link)
    }

    /// Its port, on the harness's host.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the delay from now on; bytes in transit keep theirs.
    pub fn set_delay(&self, each_way: Duration) {
        let milliseconds = u64::try_from(each_way.as_millis()).unwrap_or(u64::MAX);
        self.shared.each_way_ms.store(milliseconds, Ordering::Relaxed);
    }

    /// Breaks every connection; new ones can be made.
    pub fn cut(&self) {
        for stream in self.shared.lock().drain(..) {
            // Fails only if the other end was quicker.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // So that the listening thread notices.
        let _ = TcpStream::connect((HOST, self.port));
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.each_way_ms.load(Ordering::Relaxed))
    }
}

fn accept(listener: &TcpListener, target: u16, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        let Ok(client) = client else { continue };
        // Without the broker the connection ends, as it would without the proxy.
        let Ok(broker) = TcpStream::connect((HOST, target)) else { continue };
        for (from, to) in [(&client, &broker), (&broker, &client)] {
            let _ = from.set_nodelay(true);
            if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                hand_on(from, to, shared);
            }
        }
        shared.lock().extend([client, broker]);
    }
}

/// One direction of one connection, in two threads, so that reading never waits for the delay.
fn hand_on(mut from: TcpStream, to: TcpStream, shared: &Arc<Shared>) {
    let (sender, receiver) = channel();
    let shared = Arc::clone(shared);
    thread::spawn(move || read(&mut from, &sender, &shared));
    thread::spawn(move || write(&receiver, to));
}

fn read(from: &mut TcpStream, sender: &Sender<(Instant, Vec<u8>)>, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let due = Now::read().instant + shared.delay();
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        if sender.send((due, bytes)).is_err() {
            return;
        }
    }
}

fn write(receiver: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    while let Ok((due, bytes)) = receiver.recv() {
        thread::sleep(due.since(Now::read().instant));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The other end has closed, or cannot be reached: neither end must wait for the other.
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_comes_late_in_its_order_and_not_one_delay_after_the_other() {
        let echo = TcpListener::bind((HOST, 0)).unwrap();
        let port = echo.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut byte = [0];
            while stream.read(&mut byte).unwrap() == 1 {
                stream.write_all(&byte).unwrap();
            }
        });
        let link = SlowLink::to(port, Duration::from_millis(60)).unwrap();
        let mut stream = TcpStream::connect((HOST, link.port())).unwrap();
        let began = Now::read().instant;
        let mut answer = [0; 5];
        for byte in b"hello" {
            stream.write_all(&[*byte]).unwrap();
        }
        stream.read_exact(&mut answer).unwrap();
        let took = Now::read().instant.since(began);
        assert_eq!(&answer, b"hello");
        // Ten delays one after the other would be 600 ms.
        assert!((Duration::from_millis(120)..Duration::from_millis(500)).contains(&took), "{took:?}");
        link.cut();
        assert!(matches!(stream.read(&mut answer), Ok(0) | Err(_)));
    }
}
