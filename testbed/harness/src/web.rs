//! The shipped `mosquitto/obsbus-web.conf`: the listener for browsers, with paths and port
//! substituted as in [`crate::broker`].

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::broker::{HOST, substitute};
use crate::process::Launch;

/// The shipped file, as it stands in the repository.
pub const SHIPPED_WEB_CONF: &str = include_str!("../../../mosquitto/obsbus-web.conf");

const LIMIT: Duration = Duration::from_secs(10);

/// Makes an empty password file in `dir`, which only its owner can read: mosquitto warns otherwise.
///
/// # Errors
/// If it cannot be written.
pub fn password_file(dir: &Path) -> Result<PathBuf> {
    let file = dir.join("passwd");
    fs::write(&file, "").context("write the password file")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).context("protect the password file")?;
    Ok(file)
}

/// Adds a user. The broker knows him after a reload.
///
/// # Errors
/// If `mosquitto_passwd` refuses.
pub fn add_user(passwords: &Path, name: &str, password: &str) -> Result<()> {
    ensure!(!name.is_empty() && !password.is_empty(), "a user has a name and a password");
    let written =
        Launch::machine("mosquitto_passwd")?.arg("-b").arg(passwords).args([name, password]).run(LIMIT)?;
    ensure!(written.code == 0, "mosquitto_passwd: {}", written.stderr);
    Ok(())
}

/// The shipped listener with TLS, on a loopback `port`. The server's certificate is in `certs`.
///
/// # Errors
/// If a line that is to be substituted does not stand in the file exactly once.
pub fn tls_listener(certs: &Path, port: u16, passwords: &Path) -> Result<String> {
    let mut text = SHIPPED_WEB_CONF.to_owned();
    for (key, value) in [
        ("password_file", passwords.display().to_string()),
        ("listener", format!("{port} {HOST}")),
        ("certfile", certs.join("server.crt").display().to_string()),
        ("keyfile", certs.join("server.key").display().to_string()),
    ] {
        text = substitute(&text, key, &value)?;
    }
    Ok(text)
}

/// Whether a WebSocket listener of this machine's mosquitto serves files, too: until 2.1 it does. (From then on
/// a listener with `protocol http_api` does, but to nobody as long as there is an access list.)
///
/// # Errors
/// It is not installed.
pub fn serves_pages() -> Result<bool> {
    // It does not know this option, and says its version before it says so.
    let said = Launch::machine("mosquitto")?.arg("-h").run(LIMIT)?.stdout;
    let version = said.split_once("mosquitto version ").map_or("", |(_, version)| version);
    Ok(["1.", "2.0"].iter().any(|old| version.starts_with(old)))
}

/// The shipped listener without TLS, which stands in the file as a comment. Without `http_dir` it
/// serves no files.
///
/// # Errors
/// As [`tls_listener`].
pub fn loopback_listener(port: u16, passwords: &Path, http_dir: Option<&Path>) -> Result<String> {
    let (_, offered) =
        SHIPPED_WEB_CONF.split_once("\n#listener ").context("no listener without TLS is shipped")?;
    let offered = format!("#listener {offered}");
    let lines = offered.lines().filter_map(|line| line.strip_prefix('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = substitute(&text, "listener", &format!("{port} {HOST}"))?;
    let text = match http_dir {
        Some(dir) => substitute(&text, "http_dir", &dir.display().to_string())?,
        None => text
            .lines()
            .filter(|line| !line.starts_with("http_dir"))
            .fold(String::new(), |text, line| text + line + "\n"),
    };
    Ok(format!("password_file {}\n{text}", passwords.display()))
}
