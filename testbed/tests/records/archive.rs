//! `obsbus archive` and what reads its tables, with a real PostgreSQL; and Telegraf's configuration.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use serde_json::Value;
use testbed::broker::{HOST, free_port};
use testbed::certs::Authority;
use testbed::process::{Launch, Process};
use testbed::site::{LIMIT, Site};
use testbed::wait::wait_for;

const GRAFANA: &str = include_str!("../../../deploy/records/grafana.json");
const TELEGRAF: &str = include_str!("../../../deploy/records/telegraf.conf");

/// A new PostgreSQL in a folder.
struct Postgres {
    folder: tempfile::TempDir,
    port: String,
    process: Process,
}

/// A program of PostgreSQL, which does not run as root.
fn launch(program: &str) -> Launch {
    let folders = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let of_debian = folders.map(|folder| folder.unwrap().path().join("bin").join(program)).max();
    let found = of_debian.unwrap_or_else(|| PathBuf::from(program));
    let launch = Launch::machine(found.to_str().unwrap()).unwrap();
    let words = ["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];
    if rustix::process::geteuid().is_root() { launch.under("setpriv", words).unwrap() } else { launch }
}

impl Postgres {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let words = ["-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8", "-D"];
        let made = launch("initdb").args(words).arg(&data).run(LIMIT).unwrap();
        assert_eq!(made.code, 0, "{made:?}");
        let port = free_port().unwrap().to_string();
        let process = Self::serve(folder.path(), &port);
        let postgres = Self { folder, port, process };
        postgres.wait();
        postgres
    }

    fn serve(folder: &Path, port: &str) -> Process {
        let words = ["-h", HOST, "-p", port, "-c", "fsync=off", "-k"];
        launch("postgres").args(words).arg(folder).arg("-D").arg(folder.join("data")).spawn().unwrap()
    }

    fn wait(&self) {
        wait_for("PostgreSQL", LIMIT, || self.ask("SELECT 1").ok()).unwrap();
    }

    fn stop(&mut self) {
        self.process.interrupt().unwrap();
        self.process.wait_exit(LIMIT).unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::serve(self.folder.path(), &self.port);
        self.wait();
    }

    /// Starts it anew: it wants TLS. Returns the authority of its certificate.
    fn restart_with_tls(&mut self) -> PathBuf {
        let data = self.folder.path().join("data");
        let owner = fs::metadata(&data).unwrap();
        let authority = Authority::create(&self.folder.path().join("certs")).unwrap();
        let (certificate, key) = authority.server().unwrap();
        for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let file = data.join(name);
            fs::copy(from, &file).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let settings = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        fs::write(data.join("postgresql.conf"), settings + "\nssl = on\n").unwrap();
        fs::write(data.join("pg_hba.conf"), format!("hostssl all all {HOST}/32 trust\n")).unwrap();
        self.stop();
        self.restart();
        authority.ca()
    }

    fn address(&self) -> String {
        format!("host={HOST} port={} user=postgres dbname=postgres", self.port)
    }

    /// The rows of the answer, a line each, its columns with `|` between them.
    fn ask(&self, sql: &str) -> Result<Vec<String>, String> {
        let words = ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, "-d"];
        let asked = Launch::machine("psql").unwrap().args(words).arg(self.address()).run(LIMIT).unwrap();
        if asked.code == 0 {
            Ok(asked.stdout.lines().map(str::to_owned).collect())
        } else {
            Err(asked.stderr)
        }
    }

    fn number(&self, sql: &str) -> i64 {
        self.ask(sql).ok().and_then(|rows| rows.first()?.parse().ok()).unwrap_or(0)
    }

    fn comes(&self, sql: &str, at_least: i64) {
        wait_for(sql, LIMIT, || (self.number(sql) >= at_least).then_some(())).unwrap();
    }
}

fn archive(site: &Site, postgres: &Postgres, more: &[&str]) -> Process {
    let address = postgres.address();
    let words = [&["archive", "--database", &address], more].concat();
    let mut process = site.launch_tool("obsbus", "visitor", &words).unwrap().spawn().unwrap();
    process.wait_for_line(|line| line.starts_with("writing "), LIMIT).unwrap();
    process
}

/// As Grafana would send it for the last hour of the chiller.
fn filled_in(sql: &str) -> String {
    let hour = "time BETWEEN now() - interval '1 hour' AND now() + interval '1 hour'";
    let filled = sql
        .replace("$__timeFilter(time)", hour)
        .replace("$site", "clasp")
        .replace("$device", "chiller")
        .replace("${number:sqlstring}", "'water_temp','setpoint_temp'")
        .replace("${word:sqlstring}", "'status','connected','mode'");
    assert!(!filled.contains('$'), "a variable is not filled in: {filled}");
    filled
}

#[test]
#[ignore = "needs PostgreSQL: make test-records"]
fn the_archive_has_what_was_so_and_loses_and_doubles_nothing_while_database_or_archive_is_away() {
    let site = Site::start().unwrap();
    let mut postgres = Postgres::start();
    let mut process = archive(&site, &postgres, &["--every", "0", "--keep-days", "365"]);
    assert_eq!(site.tool("alice", &["setpoint", "14.5"]).unwrap().code, 0);

    // A number, a word and a flag, each as what it is.
    let reading =
        |what: &str| format!("SELECT count(*) FROM obsbus.reading WHERE device = 'chiller' AND {what}");
    postgres.comes(&reading("key = 'water_temp' AND number = 12.0"), 1);
    postgres.comes(&reading("key = 'setpoint_temp' AND number = 14.5"), 1);
    postgres.comes(&reading("key = 'status' AND word = 'idle'"), 1);
    postgres.comes(&reading("key = 'connected' AND flag"), 1);
    let commands = "SELECT count(*) FROM obsbus.event WHERE fields ->> 'by' = 'alice' AND fields ->> 'verb' = 'setpoint'";
    postgres.comes(commands, 1);
    let late = "SELECT count(*) FROM obsbus.state WHERE time < now() - interval '1 minute' OR time > now() + interval '5 seconds'";
    assert_eq!(postgres.number(late), 0, "the time of a state is when it was published");

    // Every value of the state is there, under its key.
    let state = site.state().unwrap();
    let mut missing = state.as_object().unwrap().clone();
    missing.retain(|key, value| !archive::NOT_KEPT.contains(&key.as_str()) && !value.is_null());
    let keys = postgres.ask("SELECT DISTINCT key FROM obsbus.reading WHERE device = 'chiller'").unwrap();
    let mut wanted = archive::flattened(&missing);
    wanted.retain(|key, _| !keys.contains(key));
    assert!(wanted.is_empty(), "{wanted:?}");

    // The database is away, and then the archive itself.
    postgres.stop();
    process.wait_for_line(|line| line.contains("rows wait, trying again"), LIMIT).unwrap();
    assert_eq!(site.tool("alice", &["setpoint", "15"]).unwrap().code, 0);
    postgres.restart();
    process.wait_for_line(|line| line.contains("the database answers again"), LIMIT).unwrap();
    postgres.comes(commands, 2);
    process.terminate().unwrap();
    assert_eq!(process.wait_exit(LIMIT).unwrap(), 0);
    assert_eq!(site.tool("alice", &["setpoint", "16"]).unwrap().code, 0);
    let _process = archive(&site, &postgres, &[]);
    postgres.comes(commands, 3);
    assert_eq!(postgres.number(commands), 3);
    let twice = "SELECT count(*) FROM (SELECT FROM obsbus.state GROUP BY site, device, time HAVING count(*) > 1) AS twice";
    assert_eq!(postgres.number(twice), 0);

    every_query_of_the_dashboard_has_an_answer(&postgres);
}

/// What it says when it cannot begin.
fn refused(site: &Site, postgres: &Postgres, more: &[&str]) -> String {
    let address = postgres.address();
    let words = [&["archive", "--database", &address], more].concat();
    let output = site.launch_tool("obsbus", "visitor", &words).unwrap().run(LIMIT).unwrap();
    assert_ne!(output.code, 0, "{output:?}");
    output.stderr
}

#[test]
#[ignore = "needs PostgreSQL: make test-records"]
fn with_an_authority_the_archive_speaks_tls_with_who_it_is_meant_for_and_nothing_else() {
    let site = Site::start().unwrap();
    let mut postgres = Postgres::start();
    let other = Authority::create(&postgres.folder.path().join("other")).unwrap().ca();
    let other = other.to_str().unwrap();
    let said = refused(&site, &postgres, &["--database-ca", other]);
    assert!(said.contains("server does not support TLS"), "{said}");
    let authority = postgres.restart_with_tls();
    let said = refused(&site, &postgres, &[]);
    assert!(said.contains("no encryption"), "{said}");
    let said = refused(&site, &postgres, &["--database-ca", other]);
    assert!(said.contains("certificate"), "{said}");
    let _process = archive(&site, &postgres, &["--database-ca", authority.to_str().unwrap()]);
    postgres.comes("SELECT count(*) FROM obsbus.state", 1);
    let ciphered = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'obsbus archive'";
    postgres.comes(ciphered, 1);
}

fn every_query_of_the_dashboard_has_an_answer(postgres: &Postgres) {
    let dashboard: Value = serde_json::from_str(GRAFANA).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panels =
        panels.flat_map(|panel| panel["targets"].as_array().unwrap()).map(|target| &target["rawSql"]);
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let of_variables =
        variables.filter(|variable| variable["type"] == "query").map(|variable| &variable["query"]);
    let queries: Vec<&str> = of_panels.chain(of_variables).map(|query| query.as_str().unwrap()).collect();
    assert!(queries.len() >= 9, "{queries:?}");
    for query in queries {
        let rows = postgres.ask(&filled_in(query)).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert!(rows.iter().any(|row| !row.is_empty()), "{query}");
    }
}

/// The keys of a schema's object, flattened; those of lists.
fn lists(schema: &Value, all: &Value, before: &str) -> Vec<String> {
    let resolved = |schema: &Value| match schema["$ref"].as_str() {
        Some(name) => all["$defs"][name.rsplit('/').next().unwrap()].clone(),
        None => schema.clone(),
    };
    let mut found = Vec::new();
    for (key, property) in resolved(schema)["properties"].as_object().into_iter().flatten() {
        let ways = property["anyOf"].as_array().cloned().unwrap_or_default();
        for way in ways.iter().chain([property]).map(resolved) {
            let kinds = &way["type"];
            if kinds == "array" || kinds.as_array().is_some_and(|kinds| kinds.contains(&"array".into())) {
                found.push(format!("{before}{key}"));
            }
            found.extend(lists(&way, all, &format!("{before}{key}_")));
        }
    }
    found
}

#[test]
fn telegraf_leaves_out_what_the_archive_leaves_out_and_every_list_of_every_instrument() {
    let telegraf: toml::Table = TELEGRAF.parse().unwrap();
    let telegraf = serde_json::to_value(telegraf).unwrap();
    let inputs = telegraf["inputs"]["mqtt_consumer"].as_array().unwrap();
    let topics = |input: &Value| -> Vec<String> { serde_json::from_value(input["topics"].clone()).unwrap() };
    assert!(topics(&inputs[0]).iter().all(|topic| topic.ends_with("/state")));
    assert!(topics(&inputs[1]).iter().all(|topic| topic.ends_with("/event")));

    let excluded = &inputs[0]["json_v2"][0]["object"][0]["excluded_keys"];
    let mut excluded: Vec<String> = serde_json::from_value(excluded.clone()).unwrap();
    let mut expected: Vec<String> = archive::NOT_KEPT.map(str::to_owned).to_vec();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    for topic in topics(&inputs[0]) {
        let device = topic.split('/').nth(1).unwrap().to_owned();
        let text = fs::read_to_string(folder.join(format!("{device}-state.json"))).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        expected.extend(lists(&schema, &schema, ""));
    }
    for keys in [&mut excluded, &mut expected] {
        keys.sort();
        keys.dedup();
    }
    assert_eq!(excluded, expected);
    // The times that it reads are those of the schemas, which are always there.
    for (input, key, file) in
        [(&inputs[0], "published_at", "focuser-state.json"), (&inputs[1], "date", "event.json")]
    {
        assert_eq!(input["json_v2"][0]["timestamp_path"], key);
        let schema: Value = serde_json::from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap();
        let required = schema["required"].as_array().unwrap();
        assert!(required.contains(&key.into()), "{file}");
        assert_eq!(schema["properties"][key]["$ref"], "#/$defs/Date", "{file}: never null");
    }
}
