//! `/etc/obsbus/archive.toml`: the settings of the archive as a service.

use std::path::Path;

use bus::clock::Utc;
use bus::settings::{ClientSettings, Findings, Origin, Problems, Section, read, read_file};

use crate::database::{Database, Place, config_of};

/// Where they are, if no file is named.
pub const FILE: &str = "/etc/obsbus/archive.toml";
/// The user of the shipped unit.
pub const USER: &str = "obsbus-archive";
/// Prefix of the environment variables that override them.
const PREFIX: &str = "OBSBUS_ARCHIVE_";
/// The database of this machine.
pub const ADDRESS: &str = "host=/run/postgresql dbname=obsbus";

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sites, the broker, and our identity.
    pub client: ClientSettings,
    /// Where the rows go.
    pub place: Place,
    /// A row of a state this often, in seconds, and whenever a word or a flag has changed.
    pub every: u64,
}

impl Settings {
    /// Reads them, and the password; the environment overrides the file.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(file: &Path, environment: &[(String, String)]) -> Result<Self, Problems> {
        let mut section = read(file, PREFIX, environment)?;
        let settings = Self::read(&mut section);
        section.finish(&[])?;
        Ok(settings)
    }

    /// Checks them, and the files that they name, for the date `now`.
    #[must_use]
    pub fn check(file: &Path, environment: &[(String, String)], now: Utc) -> Findings {
        let mut section = match read(file, PREFIX, environment) {
            Ok(section) => section,
            Err(problems) => return problems.into(),
        };
        let settings = Self::read(&mut section);
        settings.client.broker.check_files(&mut section, now);
        section.findings(&[]).1
    }

    fn read(section: &mut Section) -> Self {
        let client = ClientSettings::read(section);
        let mut of_database = section.section("database");
        let address = of_database
            .text("address")
            .check("keys and values or postgresql://NAME@HOST/DATABASE, without a password", |address| {
                config_of(address).is_ok()
            })
            .default(ADDRESS.to_owned());
        let ca_file = of_database.path("ca_file").optional();
        let password_file = of_database.path("password_file").optional();
        let every = of_database.integer("every").range(0..=3600).default(10);
        let keep_days = of_database.integer("keep_days").range(1..=36_500).optional();
        let password = password_file.as_deref().and_then(|file| match first_line(file) {
            Ok(password) => Some(password),
            Err(error) => {
                let origin = of_database.origin("password_file");
                of_database.refuse("password_file", origin, error, None);
                None
            }
        });
        let place =
            Place { address, password, ca_file, keep_days: keep_days.and_then(|days| days.try_into().ok()) };
        if of_database.is_good("address") {
            match Database::at(&place) {
                Err(error) => {
                    let origin: Origin = of_database.origin("ca_file");
                    of_database.refuse("ca_file", origin, error.to_string(), None);
                }
                Ok(database) if database.is_open_to_the_network() => of_database.warn(
                    "ca_file",
                    "is missing, and the database is on another machine: everything goes there without TLS"
                        .to_owned(),
                ),
                Ok(_) => {}
            }
        }
        section.close(of_database);
        Self { client, place, every: every.try_into().unwrap_or_default() }
    }
}

fn first_line(file: &Path) -> Result<String, String> {
    let bytes = read_file(file).map_err(|error| format!("{} {error}", file.display()))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.lines().next().map(str::trim_end).filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => Err(format!("{} has an empty first line: expected the password", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CLIENT: &str = "sites = [\"clasp\"]\n[broker]\nhost = \"localhost\"\nca_file = \"a\"\ncertificate_file = \"b\"\nkey_file = \"c\"\n";

    fn load(folder: &Path, database: &str) -> Result<Settings, String> {
        let file = folder.join("archive.toml");
        fs::write(&file, format!("{CLIENT}[database]\n{database}")).unwrap();
        Settings::load(&file, &[]).map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_shipped_file_is_good_and_writes_into_the_database_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("archive.toml");
        let shipped = include_str!("../../../deploy/archive.toml");
        fs::write(&file, shipped).unwrap();
        let settings = Settings::load(&file, &[]).unwrap();
        assert_eq!((settings.place.address.as_str(), settings.every), (ADDRESS, 10));
        assert!(settings.place.ca_file.is_none() && settings.place.keep_days.is_none());
        // What is commented out with a space shows the defaults.
        let uncommented: String = shipped
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&file, uncommented).unwrap();
        let again = Settings::load(&file, &[]).unwrap();
        assert_eq!(
            (again.client, again.place, again.every),
            (settings.client, settings.place, settings.every)
        );
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file_and_stands_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "hush\nnot this\n").unwrap();
        let settings = load(folder.path(), "password_file = \"secret\"\n").unwrap();
        assert_eq!(settings.place.password.as_deref(), Some("hush"));
        assert!(!format!("{settings:?}").contains("hush"));
        for (wrong, said) in [
            ("password_file = \"nothing\"\n", "database.password_file"),
            ("address = \"host=db password=x\"\n", "database.address"),
            ("address = \"nonsense\"\n", "postgresql://NAME@HOST/DATABASE"),
            ("every = 4000\n", "0 to 3600"),
            ("keep_days = 0\n", "1 to 36500"),
            ("ca_file = \"nothing.pem\"\n", "database.ca_file"),
            ("address = \"host=db sslmode=require\"\n", "database.ca_file"),
        ] {
            let error = load(folder.path(), wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_database_on_another_machine_without_tls_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let warned = |address: &str| {
            let file = folder.path().join("archive.toml");
            fs::write(&file, format!("{CLIENT}[database]\naddress = \"{address}\"\n")).unwrap();
            Settings::check(&file, &[], Utc::parse("2026-11-30T12:00:00Z").unwrap()).to_string()
        };
        assert!(warned("host=db.example.org dbname=obsbus").contains("without TLS"));
        for here in ["host=/run/postgresql", "host=localhost", "host=127.0.0.1 dbname=x", "dbname=x"] {
            assert!(!warned(here).contains("without TLS"), "{here}");
        }
    }
}
