//! Receivers of a test: a mail server with TLS, and a web server. Both take everything.

use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What arrived: of a mail its text, of a web request its head and body.
pub(crate) type Arrived = Arc<Mutex<Vec<String>>>;

const LIMIT: Duration = Duration::from_secs(10);

fn serve(port: u16, each: impl Fn(TcpStream) -> Option<String> + Send + Sync + 'static) -> Arrived {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let arrived = Arrived::default();
    let (kept, each) = (Arc::clone(&arrived), Arc::new(each));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let (kept, each) = (Arc::clone(&kept), Arc::clone(&each));
            thread::spawn(move || {
                if let Some(text) = each(stream) {
                    kept.lock().unwrap().push(text);
                }
            });
        }
    });
    arrived
}

/// Takes every request, and answers 200.
pub(crate) fn web(port: u16) -> Arrived {
    serve(port, |stream| {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        reader.get_mut().write_all(answer).ok()?;
        // The alerter looks whether it is there.
        (!head.starts_with("HEAD ")).then(|| head + &String::from_utf8_lossy(&body))
    })
}

/// SMTP inside TLS, for a user with a password.
pub(crate) fn mail(port: u16, certificate: &Path, key: &Path) -> Arrived {
    let certificates = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let config = Arc::new(config);
    serve(port, move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).ok()?;
        converse(&mut BufReader::new(StreamOwned::new(tls, stream)))
    })
}

fn converse<S: std::io::Read + Write>(reader: &mut BufReader<S>) -> Option<String> {
    let mut letter = None;
    let mut is_known = false;
    let say = |reader: &mut BufReader<S>, text: &str| {
        reader.get_mut().write_all(format!("{text}\r\n").as_bytes()).ok()?;
        reader.get_mut().flush().ok()
    };
    say(reader, "220 test")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return letter;
        }
        let word = line.split_whitespace().next().unwrap_or_default().to_uppercase();
        match word.as_str() {
            "EHLO" => say(reader, "250-test\r\n250 AUTH PLAIN")?,
            "AUTH" => {
                // The user "obsbus" with the password "secret".
                is_known = line.trim_end().ends_with("AG9ic2J1cwBzZWNyZXQ=");
                say(reader, if is_known { "235 good" } else { "535 who?" })?;
            }
            "MAIL" if !is_known => say(reader, "530 who?")?,
            "DATA" => {
                say(reader, "354 go on")?;
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    if reader.read_line(&mut text).ok()? == 0 {
                        return None;
                    }
                }
                letter = Some(text);
                say(reader, "250 taken")?;
            }
            "QUIT" => {
                let _ = say(reader, "221 bye");
                return letter;
            }
            _ => say(reader, "250 good")?,
        }
    }
}
