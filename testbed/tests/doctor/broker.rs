//! On the way to the broker: settings, certificates, names, the broker itself. No bridge is needed.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{CertificateParams, SanType, SerialNumber, date_time_ymd};
use testbed::broker::{Broker, HOST};
use testbed::certs::{Authority, ClientFiles};
use testbed::process::Launch;

use crate::{Row, nothing, try_rows};

/// A certificate's usual time to live.
const VALID: Duration = Duration::from_secs(400 * 86_400);
/// The serial number of a certificate that is revoked.
const REVOKED: u64 = 0x0bad;

pub(crate) struct Entrance {
    broker: Broker,
    // What listens in the broker's place.
    listener: Option<TcpListener>,
}

impl Entrance {
    fn alice(&self) -> ClientFiles {
        self.broker.client("alice").unwrap()
    }

    fn settings(&self, files: &ClientFiles) -> PathBuf {
        self.settings_with(files, HOST, self.broker.port(), "")
    }

    fn settings_with(&self, files: &ClientFiles, host: &str, port: u16, more: &str) -> PathBuf {
        let mut text = format!("sites = [\"clasp\"]\n[broker]\nhost = {host:?}\nport = {port}\n{more}");
        for (key, file) in
            [("ca_file", &files.ca), ("certificate_file", &files.cert), ("key_file", &files.key)]
        {
            writeln!(text, "{key} = {file:?}").unwrap();
        }
        let path = self.broker.dir().join("client.toml");
        fs::write(&path, text).unwrap();
        path
    }

    /// With alice's certificate made anew.
    fn with(&mut self, change: impl FnOnce(&mut CertificateParams)) -> Launch {
        let files = self.broker.authority().client_with("alice", VALID, change).unwrap();
        doctor(self.settings(&files))
    }

    /// With the broker's certificate made anew.
    fn server_with(&mut self, change: impl FnOnce(&mut CertificateParams)) -> Launch {
        self.broker.authority().server_with(change).unwrap();
        self.broker.restart().unwrap();
        doctor(self.settings(&self.alice()))
    }

    /// The broker gets a revocation list.
    fn revoke(&mut self, serials: &[u64], valid: Duration) {
        let list = self.broker.dir().join("obsbus.crl");
        fs::write(&list, self.broker.authority().revocation_list(serials, valid).unwrap()).unwrap();
        self.broker.restart_with(&[], &format!("crlfile {}", list.display())).unwrap();
    }

    /// As at the beginning.
    fn mend(&mut self) {
        self.listener = None;
        self.broker.authority().server().unwrap();
        self.broker.authority().client_valid_for("alice", VALID).unwrap();
        self.broker.restart_with(&[], "").unwrap();
    }
}

fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2026, 1, 1));
}

fn of_the_future(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1));
}

fn doctor(settings: PathBuf) -> Launch {
    doctor_at(settings, Path::new("/nowhere"))
}

fn doctor_at(settings: PathBuf, etc: &Path) -> Launch {
    let launch = Launch::workspace("obsbus").unwrap();
    launch.arg("--config").arg(settings).args(["doctor", "--etc"]).arg(etc)
}

#[test]
fn what_is_wrong_on_the_way_to_the_broker_is_found() {
    let mut entrance = Entrance { broker: Broker::start().unwrap(), listener: None };
    try_rows(&mut entrance, &ROWS);
}

pub(crate) const ROWS: [Row<Entrance>; 21] = [
    Row {
        name: "no settings file",
        break_it: |entrance| doctor(entrance.broker.dir().join("nothing.toml")),
        says: &["--config names ", "which is not a file", "To do: install the example client.toml"],
        code: 64,
        mend: nothing,
    },
    Row {
        name: "a wrong key in the settings",
        break_it: |entrance| {
            doctor(entrance.settings_with(&entrance.alice(), HOST, entrance.broker.port(), "tls = true\n"))
        },
        says: &["client.toml:", "broker.tls", "To do: correct this key"],
        code: 64,
        mend: nothing,
    },
    Row {
        name: "own key unreadable",
        break_it: |entrance| {
            let mut files = entrance.alice();
            // Nobody can read a folder as a file, not even root.
            files.key = entrance.broker.dir().to_owned();
            doctor(entrance.settings(&files))
        },
        says: &["own certificate: key_file", "is a folder, not a file"],
        code: 64,
        mend: nothing,
    },
    Row {
        name: "own key that everybody can read",
        break_it: |entrance| {
            let files = entrance.alice();
            fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
            doctor(entrance.settings(&files))
        },
        says: &["warning", "can be read by everybody on this host (mode 0644): chmod o= it"],
        // No device is known here.
        code: 155,
        mend: |entrance| {
            fs::set_permissions(entrance.alice().key, fs::Permissions::from_mode(0o600)).unwrap();
        },
    },
    Row {
        name: "key of another certificate",
        break_it: |entrance| {
            let mut files = entrance.alice();
            files.key = entrance.broker.client("bob").unwrap().key;
            doctor(entrance.settings(&files))
        },
        says: &["own certificate: key_file", "is not the key of the certificate", "different pairs"],
        code: 64,
        mend: nothing,
    },
    Row {
        name: "own certificate expired",
        break_it: |entrance| entrance.with(expired),
        says: &["own certificate: certificate_file", "expired on 2026-01-01", "have it renewed"],
        code: 64,
        mend: Entrance::mend,
    },
    Row {
        name: "own certificate not valid yet",
        break_it: |entrance| entrance.with(of_the_future),
        says: &["own certificate: certificate_file", "is not valid before 2090-01-01", "clock says"],
        code: 64,
        mend: Entrance::mend,
    },
    Row {
        name: "own certificate without its intermediate",
        break_it: |entrance| {
            let intermediate = entrance.broker.authority().intermediate("obsbus people").unwrap();
            doctor(entrance.settings(&intermediate.client_valid_for("alice", VALID).unwrap()))
        },
        says: &[
            "own certificate: certificate_file",
            "intermediate authority",
            "append its certificate to this file",
        ],
        code: 155,
        mend: Entrance::mend,
    },
    Row {
        name: "wrong CA of the same name",
        break_it: |entrance| {
            let mut files = entrance.alice();
            files.ca = Authority::create(&entrance.broker.dir().join("elsewhere")).unwrap().ca();
            doctor(entrance.settings(&files))
        },
        says: &["own certificate: certificate_file", "was signed by another of the same name"],
        code: 155,
        mend: nothing,
    },
    Row {
        name: "broker's leaf without its intermediate",
        break_it: |entrance| {
            let intermediate = entrance.broker.authority().intermediate("obsbus servers").unwrap();
            intermediate.server().unwrap();
            entrance.broker.restart().unwrap();
            doctor(entrance.settings(&entrance.alice()))
        },
        says: &[
            "certificate: ",
            "signed by \"obsbus servers\"",
            "append its certificate to the broker's certfile",
        ],
        code: 155,
        mend: Entrance::mend,
    },
    Row {
        name: "server name not in the certificate",
        break_it: |entrance| {
            entrance.server_with(|params| {
                params.subject_alt_names = vec![SanType::DnsName("broker.example.org".try_into().unwrap())];
            })
        },
        says: &[
            "certificate: ",
            "is not valid for the name \"127.0.0.1\" but for broker.example.org",
            "set host to",
        ],
        code: 155,
        mend: Entrance::mend,
    },
    Row {
        name: "broker's certificate expired",
        break_it: |entrance| entrance.server_with(expired),
        says: &["certificate: ", "expired on 2026-01-01", "have the certificate renewed"],
        code: 155,
        mend: Entrance::mend,
    },
    Row {
        name: "broker's certificate not valid yet",
        break_it: |entrance| entrance.server_with(of_the_future),
        says: &["certificate: ", "is not valid before 2090-01-01", "this host's clock says"],
        code: 155,
        mend: Entrance::mend,
    },
    Row {
        name: "revoked operator",
        break_it: |entrance| {
            let revoked = |params: &mut CertificateParams| {
                params.serial_number = Some(SerialNumber::from(REVOKED));
            };
            let files = entrance.broker.authority().client_with("alice", VALID, revoked).unwrap();
            entrance.revoke(&[REVOKED], VALID);
            doctor(entrance.settings(&files))
        },
        says: &["login: ", "alice", "it was revoked: have another one signed"],
        code: 155,
        mend: Entrance::mend,
    },
    Row {
        name: "revocation list expired",
        break_it: |entrance| {
            entrance.revoke(&[], Duration::from_secs(60));
            doctor(entrance.settings(&entrance.alice()))
        },
        says: &["login: ", "refused our certificate", "has its revocation list (crlfile) expired?"],
        code: 155,
        mend: nothing,
    },
    Row {
        name: "revocation list expired, on the broker's machine",
        break_it: |entrance| {
            let etc = entrance.broker.dir().join("etc");
            fs::create_dir_all(etc.join("mosquitto/conf.d")).unwrap();
            let here = entrance.broker.dir().join("mosquitto.conf");
            std::os::unix::fs::symlink(here, etc.join("mosquitto/conf.d/obsbus.conf")).unwrap();
            doctor_at(entrance.settings(&entrance.alice()), &etc)
        },
        says: &[
            "broker's files: the revocation list ",
            "expired on ",
            "To do: make a new one with your authority",
        ],
        code: 1,
        mend: Entrance::mend,
    },
    Row {
        name: "unknown host",
        break_it: |entrance| {
            doctor(entrance.settings_with(&entrance.alice(), "nosuch.invalid", entrance.broker.port(), ""))
        },
        says: &["address: the name \"nosuch.invalid\" ", "To do: "],
        code: 155,
        mend: nothing,
    },
    Row {
        name: "broker down",
        break_it: |entrance| {
            entrance.broker.stop().unwrap();
            doctor(entrance.settings(&entrance.alice()))
        },
        says: &[
            "listener: nothing listens at 127.0.0.1:",
            "To do: on the broker's machine: systemctl status mosquitto",
        ],
        code: 155,
        mend: Entrance::mend,
    },
    Row {
        name: "broker frozen",
        break_it: |entrance| {
            entrance.broker.freeze().unwrap();
            doctor(entrance.settings(&entrance.alice()))
        },
        says: &["certificate: ", "accepts connections and does not answer in TLS", "restart it"],
        code: 155,
        mend: |entrance| entrance.broker.thaw().unwrap(),
    },
    Row {
        name: "another port than that of TLS",
        break_it: |entrance| {
            let listener = TcpListener::bind((HOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let answering = listener.try_clone().unwrap();
            std::thread::spawn(move || {
                let (mut stream, _) = answering.accept()?;
                std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            });
            entrance.listener = Some(listener);
            doctor(entrance.settings_with(&entrance.alice(), HOST, port, ""))
        },
        says: &["certificate: ", "does not speak TLS: is this the port of the TLS listener?"],
        code: 155,
        mend: Entrance::mend,
    },
    Row {
        name: "no bridge has ever run",
        break_it: |entrance| doctor(entrance.settings(&entrance.alice())),
        says: &[
            "reading: nothing is known of any device of clasp",
            "To do: on the bridge's machine: systemctl status",
        ],
        code: 155,
        mend: nothing,
    },
];
