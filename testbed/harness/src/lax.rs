//! A broker that applies its access rules to publishes, and not to wills, as some do: it stands
//! before a real one, keeps the wills of one client to itself, and has them published by somebody
//! who may publish everything.
//!
//! TLS ends here, so it serves clients of one identity, and knows them by no certificate.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{LastWill, Packet};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::broker::{AclMode, Broker, HOST, SHIPPED_ACL};
use crate::certs::ClientFiles;
use crate::client::{Post, TestClient};

/// Who publishes the wills.
const PUBLISHER: &str = "lax";
const LARGEST_PACKET: usize = 64 * 1024;

/// See the module. Dropping it ends its connections.
pub struct Lax {
    port: u16,
    _runtime: Runtime,
}

impl Lax {
    /// The access rules that the real broker needs for it.
    #[must_use]
    pub fn acl() -> AclMode {
        AclMode::Text(format!("{SHIPPED_ACL}\nuser {PUBLISHER}\ntopic write #\n"))
    }

    /// Before this broker, for the clients of this identity.
    ///
    /// # Errors
    /// If it cannot listen, or its certificates cannot be used.
    pub fn before(broker: &Broker, identity: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((HOST, 0))).context("listen")?;
        let port = listener.local_addr()?.port();
        let front = Arc::new(Front {
            acceptor: acceptor(broker)?,
            connector: connector(&broker.client(identity)?)?,
            broker: broker.port(),
            publisher: TestClient::connect(broker, PUBLISHER)?,
        });
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let front = Arc::clone(&front);
                tokio::spawn(async move { front.serve(client).await });
            }
        });
        Ok(Self { port, _runtime: runtime })
    }

    /// Its port on the harness's host.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

struct Front {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    broker: u16,
    publisher: TestClient,
}

impl Front {
    /// One connection, to its end; then the will, if the client has broken off.
    async fn serve(self: Arc<Self>, client: TcpStream) -> Result<()> {
        client.set_nodelay(true)?;
        let mut client = self.acceptor.accept(client).await?;
        let mut bytes = BytesMut::new();
        let (connect, will, login) = loop {
            match Packet::read(&mut bytes, Some(u32::try_from(LARGEST_PACKET)?)) {
                Ok(Packet::Connect(connect, will, login)) => break (connect, will, login),
                Ok(other) => bail!("expected CONNECT, not {other:?}"),
                Err(_) if client.read_buf(&mut bytes).await? > 0 => {}
                Err(error) => bail!("no CONNECT: {error}"),
            }
        };
        let (will, withheld) = match will {
            Some(will) if !will.topic.ends_with(b"/availability") => (None, Some(will)),
            will => (will, None),
        };
        let broker = TcpStream::connect((HOST, self.broker)).await?;
        broker.set_nodelay(true)?;
        let mut broker = self.connector.connect(ServerName::try_from(HOST)?, broker).await?;
        let mut first = BytesMut::new();
        Packet::Connect(connect, will, login).write(&mut first, Some(u32::try_from(LARGEST_PACKET)?))?;
        broker.write_all(&first).await?;
        broker.write_all(&bytes).await?;
        // However it ends: whoever leaves such a will here breaks off.
        drop(copy_bidirectional(&mut client, &mut broker).await);
        if let Some(LastWill { topic, message, .. }) = withheld {
            let topic = String::from_utf8(topic.to_vec())?;
            tokio::task::spawn_blocking(move || self.publisher.publish(Post::to(topic, message))).await??;
        }
        Ok(())
    }
}

pub(crate) fn acceptor(broker: &Broker) -> Result<TlsAcceptor> {
    let certs = broker.dir().join("certs");
    let chain = CertificateDer::pem_file_iter(certs.join("server.crt"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(certs.join("server.key"))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn connector(files: &ClientFiles) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&fs::read(&files.ca)?)?)?;
    let chain = CertificateDer::pem_file_iter(&files.cert)?.collect::<Result<Vec<_>, _>>()?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&files.key)?)?;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
