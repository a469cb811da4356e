//! The expiry of the certificates on which the connection depends: read on a separate thread,
//! because a disk may hang, and the device must not wait for it.
//!
//! A plain thread, not one of the runtime's, so that the end of the process does not wait for it
//! either.

use std::sync::Arc;

use bus::clock::Utc;
use bus::device::every_bridge as concern;
use bus::log::with_causes;
use bus::settings::{BrokerSettings, CertificateError, Expiry, Whose};
use tokio::sync::mpsc;

use crate::controller::Condition;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Each that tells its expiry.
    pub known: Vec<Expiry>,
    /// Why others do not.
    pub errors: Vec<String>,
}

impl Certificates {
    /// Reads our own and the authority's as they are now; `broker` is the broker's as it was shown.
    ///
    /// Blocks.
    #[must_use]
    pub fn read(settings: &BrokerSettings, broker: Option<Expiry>) -> Self {
        let mut read = Self { known: broker.into_iter().collect(), errors: Vec::new() };
        read.note(Expiry::of_own(settings));
        read.note(Expiry::of_authority(settings).map(Some));
        read
    }

    fn note(&mut self, found: Result<Option<Expiry>, CertificateError>) {
        match found {
            Ok(expiry) => self.known.extend(expiry),
            Err(error) => self.errors.push(with_causes(&error)),
        }
    }

    /// When our own expires.
    #[must_use]
    pub fn own(&self) -> Option<Utc> {
        self.of(Whose::Own).map(|own| own.expires)
    }

    /// One of them.
    #[must_use]
    pub fn of(&self, whose: Whose) -> Option<&Expiry> {
        self.known.iter().find(|known| known.whose == whose)
    }

    /// An attention for each that has expired or expires soon.
    pub(crate) fn conditions(&self, now: Utc) -> impl Iterator<Item = Condition> {
        self.known.iter().filter_map(move |known| {
            let (concern, then) = match known.whose {
                Whose::Own => (&concern::CERTIFICATE_EXPIRING, ", then reload the bridge"),
                Whose::Authority => (&concern::AUTHORITY_EXPIRING, ""),
                Whose::Broker => (&concern::BROKER_CERTIFICATE_EXPIRING, ""),
            };
            let text = known.warning(now)? + then;
            let is_over = known.is_over(now);
            Some(if is_over { Condition::grown(concern, text) } else { Condition::new(concern, text) })
        })
    }
}

type Read = dyn Fn(Option<Expiry>) -> Certificates + Send + Sync;

/// Reads them on request.
pub struct Reader {
    read: Arc<Read>,
    found: mpsc::Sender<Certificates>,
}

impl Reader {
    /// A reader of the files in `settings`; the receiver delivers the results.
    #[must_use]
    pub fn new(settings: BrokerSettings) -> (Self, mpsc::Receiver<Certificates>) {
        Self::of(Arc::new(move |broker| Certificates::read(&settings, broker)))
    }

    fn of(read: Arc<Read>) -> (Self, mpsc::Receiver<Certificates>) {
        let (found, receiver) = mpsc::channel(1);
        (Self { read, found }, receiver)
    }

    /// Begins to read. Does nothing while an earlier reading has not ended, or its result was not
    /// received.
    pub fn read(&self, broker: Option<Expiry>) {
        let read = Arc::clone(&self.read);
        let Ok(found) = self.found.clone().try_reserve_owned() else { return };
        let begun = std::thread::Builder::new().name("certificate".into()).spawn(move || {
            found.send(read(broker));
        });
        if let Err(error) = begun {
            tracing::debug!("cannot read when the certificates expire: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::settings::{Address, Credentials};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;
    use tokio::time::timeout;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_nobody_waiting_and_gets_no_second_thread() {
        let (hangs, began) = (Arc::new((Mutex::new(true), Condvar::new())), Arc::new(AtomicU32::new(0)));
        let (disk, count) = (Arc::clone(&hangs), Arc::clone(&began));
        let (reader, mut found) = Reader::of(Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            drop(disk.1.wait_while(disk.0.lock().unwrap(), |hangs| *hangs).unwrap());
            Certificates::default()
        }));
        for _ in 0..100 {
            reader.read(None);
        }
        assert!(found.try_recv().is_err());
        *hangs.0.lock().unwrap() = false;
        hangs.1.notify_all();
        let read = timeout(LIMIT, found.recv()).await.expect("it was not read").unwrap();
        assert_eq!((read, began.load(Ordering::Relaxed)), (Certificates::default(), 1));
        assert!(found.try_recv().is_err(), "it was read twice");
    }

    #[test]
    fn what_does_not_tell_its_expiry_is_said_and_takes_nothing_away_from_the_others() {
        let settings = BrokerSettings {
            address: Address { host: "broker".to_owned(), port: 8883 },
            others: Vec::new(),
            ca_file: PathBuf::from("/nowhere/ca.pem"),
            credentials: Credentials::Password {
                username: "barometer-bridge".to_owned(),
                password_file: PathBuf::from("/nowhere/password"),
            },
            keep_alive: Duration::from_secs(10),
        };
        let now = Utc::parse("2026-11-20T18:00:00Z").unwrap();
        let expires = now.after(Duration::from_secs(86_400));
        let place = "broker:8883".to_owned();
        let broker = Expiry { whose: Whose::Broker, place, name: Some("broker".to_owned()), expires };
        let read = Certificates::read(&settings, Some(broker));
        assert_eq!(read.errors, ["cannot read the certificate /nowhere/ca.pem: does not exist"]);
        let told: Vec<_> = read.conditions(now).map(|condition| (condition.name, condition.text)).collect();
        assert_eq!(
            told,
            [(
                "broker_certificate_expiring",
                "the certificate of the broker at broker:8883 expires on 2026-11-21 18:00 UTC: renew it \
                 (obsbus identity renew broker), and reload the broker"
                    .to_owned()
            )]
        );
    }
}
