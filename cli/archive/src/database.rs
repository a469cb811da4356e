//! The database: one connection, which comes back by itself, and the rows that wait for it.
#![expect(clippy::disallowed_methods, reason = "pauses before the next attempt")]

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bus::settings::read_file;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::mpsc::Receiver;
use tokio::time::{interval, sleep, timeout};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::rows::{Row, Table};

/// What the tables are.
pub const SCHEMA: &str = include_str!("schema.sql");
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// For one row; a database that takes longer is connected to again.
const ROW_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(5);
const CLEAR_EVERY: Duration = Duration::from_secs(3600);

/// A connection with what it does again and again.
struct Session {
    client: Client,
    state: Statement,
    event: Statement,
}

/// Where the rows go, as somebody has written it.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// Keys and values, or `postgresql://NAME@HOST/DATABASE`.
    pub address: String,
    /// The password, if there is one.
    pub password: Option<String>,
    /// The authority of the database's certificate, PEM: then there is TLS, and never anything else.
    pub ca_file: Option<PathBuf>,
    /// Older rows are deleted.
    pub keep_days: Option<u32>,
}

impl Place {
    /// An address alone.
    #[must_use]
    pub fn of(address: &str) -> Self {
        Self { address: address.to_owned(), password: None, ca_file: None, keep_days: None }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, ca_file, keep_days, .. } = self;
        write!(f, "Place {{ {address:?}, {ca_file:?}, {keep_days:?} }}")
    }
}

/// Where the rows go.
#[derive(Clone)]
pub struct Database {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    keep_days: Option<u32>,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Its address cannot be read.
    #[error(
        "the database's address: {0}; expected such as \"host=/run/postgresql dbname=obsbus\" or postgresql://alice@localhost/obsbus"
    )]
    Address(String),
    /// It cannot be spoken to with TLS.
    #[error("TLS to the database: {0}")]
    Tls(String),
    /// It does not answer as it should.
    #[error("the database: {0}")]
    Failed(String),
    /// It does not take these data, and would not take them later.
    #[error("the database refuses: {0}")]
    Refused(String),
    /// It does not answer in time.
    #[error("the database does not answer within {} s", .0.as_secs())]
    Silent(Duration),
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let text = format!("{error}{}", cause.unwrap_or_default());
        // Data exceptions, violated constraints, and limits of the program.
        let is_of_data =
            |code: &SqlState| ["22", "23", "54"].iter().any(|class| code.code().starts_with(class));
        if error.code().is_some_and(is_of_data) { Self::Refused(text) } else { Self::Failed(text) }
    }
}

impl Database {
    /// The database at this place.
    ///
    /// # Errors
    /// It is no address, or its authority's file cannot be used.
    pub fn at(place: &Place) -> Result<Self, DatabaseError> {
        let Place { address, password, ca_file, keep_days } = place;
        let mut config = config_of(address)?;
        if config.get_hosts().is_empty() {
            config.host_path("/run/postgresql");
        }
        if let Some(password) = password {
            config.password(password);
        }
        config.connect_timeout(CONNECT_LIMIT).application_name("obsbus archive");
        let tls = match (ca_file, config.get_ssl_mode()) {
            (Some(file), _) => {
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(tls_with(file)?))
            }
            (None, SslMode::Disable | SslMode::Prefer) => None,
            (None, _) => {
                let problem = "sslmode asks for it: expected the authority of the database's certificate as well (ca_file)";
                return Err(DatabaseError::Tls(problem.to_owned()));
            }
        };
        Ok(Self { config, tls, keep_days: *keep_days })
    }

    /// Whether others in the network can read what is written there.
    #[must_use]
    pub fn is_open_to_the_network(&self) -> bool {
        let is_here = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost"
                    || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
        };
        self.tls.is_none() && !self.config.get_hosts().iter().all(is_here)
    }

    /// Makes the tables, where they are missing.
    ///
    /// # Errors
    /// The database does not let us.
    pub async fn prepare(&self) -> Result<(), DatabaseError> {
        self.open().await.map(drop)
    }

    /// Writes the rows that come, until no more can come. A row stays until it is written: while the
    /// database is away, they wait in `rows`. `say` is told when that begins and ends.
    pub async fn write(&self, mut rows: Receiver<Row>, say: impl Fn(&str)) {
        let mut waiting: Option<Row> = None;
        let mut trouble = String::new();
        loop {
            match self.follow(&mut rows, &mut waiting, &mut trouble, &say).await {
                Ok(()) => return,
                Err(error) => {
                    let error = error.to_string();
                    if error != trouble {
                        say(&format!("{error}; rows wait, trying again"));
                        trouble = error;
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn follow(
        &self,
        rows: &mut Receiver<Row>,
        waiting: &mut Option<Row>,
        trouble: &mut String,
        say: &impl Fn(&str),
    ) -> Result<(), DatabaseError> {
        let session = self.open().await?;
        if !std::mem::take(trouble).is_empty() {
            say("the database answers again");
        }
        let mut clearing = interval(CLEAR_EVERY);
        loop {
            if waiting.is_none() {
                tokio::select! {
                    row = rows.recv() => match row {
                        Some(row) => *waiting = Some(row),
                        None => return Ok(()),
                    },
                    _ = clearing.tick() => self.clear(&session).await?,
                }
            }
            if let Some(row) = waiting.as_ref() {
                match in_time(session.insert(row)).await {
                    Err(DatabaseError::Refused(why)) => {
                        say(&format!("a row of {} was not taken: {why}", row.base));
                    }
                    other => other?,
                }
                *waiting = None;
            }
        }
    }

    async fn open(&self) -> Result<Session, DatabaseError> {
        // How a connection ended is said by whoever uses the client.
        let client = in_time(async {
            Ok(match &self.tls {
                Some(tls) => {
                    let (client, connection) = self.config.connect(tls.clone()).await?;
                    tokio::spawn(async move { drop(connection.await) });
                    client
                }
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    tokio::spawn(async move { drop(connection.await) });
                    client
                }
            })
        })
        .await?;
        in_time(async {
            // Two who begin at the same moment would be in each other's way.
            let made = client.batch_execute(SCHEMA).await;
            match made {
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                    client.batch_execute(SCHEMA).await?
                }
                made => made?,
            }
            let state = client.prepare(INSERT_STATE).await?;
            let event = client.prepare(INSERT_EVENT).await?;
            Ok(Session { client, state, event })
        })
        .await
    }

    async fn clear(&self, session: &Session) -> Result<(), DatabaseError> {
        let Some(days) = self.keep_days.map(f64::from) else { return Ok(()) };
        for table in ["state", "event"] {
            let delete = format!("DELETE FROM obsbus.{table} WHERE time < now() - $1 * interval '1 day'");
            session.client.execute(&delete, &[&days]).await?;
        }
        Ok(())
    }
}

/// What an address says.
pub(crate) fn config_of(address: &str) -> Result<Config, DatabaseError> {
    let config: Config =
        address.parse().map_err(|error: tokio_postgres::Error| DatabaseError::Address(error.to_string()))?;
    if config.get_password().is_some() {
        let problem = "everybody on this machine can read a password here: use PGPASSWORD, or password_file";
        return Err(DatabaseError::Address(problem.to_owned()));
    }
    Ok(config)
}

/// TLS with who has a certificate of the authority in this file.
fn tls_with(ca_file: &Path) -> Result<ClientConfig, DatabaseError> {
    let wrong = |error: &dyn fmt::Display| DatabaseError::Tls(format!("{} {error}", ca_file.display()));
    let pem = read_file(ca_file).map_err(|error| wrong(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"holds no certificate in PEM form"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions.map_err(|error| wrong(&error))?.with_root_certificates(roots).with_no_client_auth())
}

/// A state has its time once, an event its session and number: what is heard again is not kept again.
const INSERT_STATE: &str = "\
    INSERT INTO obsbus.state (time, site, device, fields) \
    SELECT to_timestamp($1::float8 / 1000), $2::text, $3::text, $4::jsonb WHERE NOT EXISTS ( \
        SELECT FROM obsbus.state WHERE site = $2 AND device = $3 AND time = to_timestamp($1::float8 / 1000))";
const INSERT_EVENT: &str = "\
    INSERT INTO obsbus.event (time, site, device, fields) \
    SELECT to_timestamp($1::float8 / 1000), $2::text, $3::text, $4::jsonb WHERE NOT EXISTS ( \
        SELECT FROM obsbus.event WHERE site = $2 AND device = $3 AND time = to_timestamp($1::float8 / 1000) \
        AND fields -> 'session' IS NOT DISTINCT FROM $4::jsonb -> 'session' \
        AND fields -> 'seq' IS NOT DISTINCT FROM $4::jsonb -> 'seq')";

impl Session {
    async fn insert(&self, row: &Row) -> Result<(), DatabaseError> {
        let statement = match row.table {
            Table::State => &self.state,
            Table::Event => &self.event,
        };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are below 2^53")]
        let milliseconds = row.time.unix_milliseconds() as f64;
        let (site, device) = (row.base.site(), row.base.device());
        self.client.execute(statement, &[&milliseconds, &site, &device, &Json(&row.fields)]).await?;
        Ok(())
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    timeout(ROW_LIMIT, work).await.unwrap_or(Err(DatabaseError::Silent(ROW_LIMIT)))
}
