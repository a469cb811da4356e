//! A network cable between a client and the broker, which can be pulled: nobody is told, what is
//! sent is lost, and once it is plugged in again the connections from before are dead.

#![expect(clippy::unwrap_used, reason = "for tests")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::broker::HOST;

#[derive(Default)]
struct Inner {
    pulled: AtomicBool,
    ends: Mutex<Vec<TcpStream>>,
}

/// See the module.
pub struct Cable {
    port: u16,
    inner: Arc<Inner>,
}

impl Cable {
    /// From a port of its own to the broker's.
    ///
    /// # Panics
    /// If there is no port.
    #[must_use]
    pub fn to(broker: u16) -> Self {
        let listener = TcpListener::bind((HOST, 0)).unwrap();
        let cable = Self { port: listener.local_addr().unwrap().port(), inner: Arc::default() };
        let inner = Arc::clone(&cable.inner);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !inner.pulled.load(Ordering::SeqCst)
                    && let Ok(broker) = TcpStream::connect((HOST, broker))
                {
                    inner.carry(&client, &broker);
                    inner.carry(&broker, &client);
                }
            }
        });
        cable
    }

    /// The client's end.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What is sent from now on is lost; nobody is told.
    pub fn pull(&self) {
        self.inner.pulled.store(true, Ordering::SeqCst);
    }

    /// It carries again, for new connections.
    pub fn plug(&self) {
        for end in self.inner.ends.lock().unwrap().drain(..) {
            // It may be closed already.
            drop(end.shutdown(Shutdown::Both));
        }
        self.inner.pulled.store(false, Ordering::SeqCst);
    }
}

impl Inner {
    fn carry(self: &Arc<Self>, from: &TcpStream, to: &TcpStream) {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        self.ends.lock().unwrap().push(from.try_clone().unwrap());
        let inner = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if !inner.pulled.load(Ordering::SeqCst)
                    && buffer.get(..count).is_none_or(|bytes| to.write_all(bytes).is_err())
                {
                    break;
                }
            }
            drop(to.shutdown(Shutdown::Both));
        });
    }
}
