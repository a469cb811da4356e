//! The web panel of the demo: the committed page, served by the broker itself, and who can log in.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::broker::{HOST, free_port};
use crate::web;

/// The committed page's folder.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../panels/web/page");
/// Where people find it, unless somebody else has that port.
const USUAL_PORT: u16 = 9001;

/// Somebody who can log in, with a password that is worth nothing outside the demo.
pub(super) struct Login {
    pub(super) name: &'static str,
    password: &'static str,
    may: &'static str,
}

/// May command, and stop.
pub(super) const OPERATOR: Login = Login { name: "web-alice", password: "alice", may: "may command" };
const GUEST: Login = Login { name: "web-guest", password: "guest", may: "may only look" };

/// The listener for browsers, which the broker is to have.
pub(super) struct Panel {
    port: u16,
    /// The page, if the broker does not serve it.
    file: Option<PathBuf>,
    /// Lines of the broker's configuration.
    pub(super) broker_config: String,
}

impl Panel {
    /// Writes the password file into `folder`.
    pub(super) fn prepare(folder: &Path) -> Result<Self> {
        let passwords = web::password_file(folder)?;
        for login in [OPERATOR, GUEST] {
            web::add_user(&passwords, login.name, login.password)?;
        }
        let port = match TcpListener::bind((HOST, USUAL_PORT)) {
            Ok(_) => USUAL_PORT,
            Err(_) => free_port()?,
        };
        let page = Path::new(PAGE).canonicalize().with_context(|| format!("find the panel in {PAGE}"))?;
        let served = web::serves_pages()?;
        let folder = served.then_some(page.as_path());
        let broker_config = web::loopback_listener(port, &passwords, folder)?;
        let file = (!served).then(|| page.join("index.html"));
        Ok(Self { port, file, broker_config })
    }

    /// Its address, and name and password of the operator.
    pub(super) fn login(&self) -> (String, &'static str, &'static str) {
        (format!("http://{HOST}:{}/", self.port), OPERATOR.name, OPERATOR.password)
    }

    /// Where it is, and who can log in.
    pub(super) fn describe(&self) -> String {
        let logins = [OPERATOR, GUEST]
            .map(|login| format!("{}, password {} ({})", login.name, login.password, login.may));
        let place = match &self.file {
            Some(file) => format!("file://{}?broker=ws://{HOST}:{}", file.display(), self.port),
            None => format!("http://{HOST}:{}/", self.port),
        };
        format!("{place}      log in as {}", logins.join(",\n                                    or as "))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;
    use crate::broker::Broker;
    use crate::wait::wait_for;

    #[test]
    fn the_broker_serves_the_committed_page_at_the_address_that_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let panel = Panel::prepare(dir.path()).unwrap();
        let _broker = Broker::builder().extra_config(&panel.broker_config).start().unwrap();
        let told = panel.describe();
        if !web::serves_pages().unwrap() {
            assert!(told.starts_with("file:///") && panel.file.is_some_and(|file| file.is_file()), "{told}");
            return;
        }
        let place = told.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let connect = || TcpStream::connect(place).ok();
        let mut stream = wait_for("the listener for browsers", Duration::from_secs(10), connect).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let page = fs::read(Path::new(PAGE).join("index.html")).unwrap();
        assert!(answer.ends_with(&page), "{}", String::from_utf8_lossy(&answer[..200]));
        for login in [OPERATOR, GUEST] {
            assert!(told.contains(login.name) && told.contains(login.password), "{told}");
        }
    }
}
