//! Something that answers at a broker's address and lets nobody in: it has the broker's certificate,
//! reads the CONNECT, and refuses it with one reason code. Mosquitto has no setting for most of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::Packet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::broker::{Broker, HOST};
use crate::lax::acceptor;

/// CONNACK "server busy".
pub const SERVER_BUSY: u8 = 0x89;
/// CONNACK "quota exceeded".
pub const QUOTA_EXCEEDED: u8 = 0x97;
/// CONNACK "not authorised".
pub const NOT_AUTHORISED: u8 = 0x87;
/// CONNACK "use another server", which brokers send before they go down.
pub const USE_ANOTHER_SERVER: u8 = 0x9c;

/// See the module. Dropping it ends it.
pub struct Refuser {
    port: u16,
    refused: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Refuser {
    /// Refuses with `reason` under the certificate of `broker`.
    ///
    /// # Errors
    /// If it cannot listen, or the certificate cannot be used.
    pub fn beside(broker: &Broker, reason: u8) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((HOST, 0))).context("listen")?;
        let port = listener.local_addr()?.port();
        let acceptor = acceptor(broker)?;
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    if refuse(&acceptor, client, reason).await.is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Ok(Self { port, refused, _runtime: runtime })
    }

    /// Its port on the harness's host.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often it has refused somebody.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

async fn refuse(acceptor: &TlsAcceptor, client: TcpStream, reason: u8) -> Result<()> {
    let mut client = acceptor.accept(client).await?;
    let mut bytes = BytesMut::new();
    loop {
        match Packet::read(&mut bytes, None) {
            Ok(Packet::Connect(..)) => break,
            Ok(other) => bail!("expected CONNECT, not {other:?}"),
            Err(_) if client.read_buf(&mut bytes).await? > 0 => {}
            Err(error) => bail!("no CONNECT: {error}"),
        }
    }
    // CONNACK of three bytes: no session, the reason, no properties.
    client.write_all(&[0x20, 3, 0, reason, 0]).await?;
    client.shutdown().await?;
    Ok(())
}
