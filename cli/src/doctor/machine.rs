//! The bridges of this machine: their settings files, services, ports and logins.
//!
//! What the settings of an instrument mean is its bridge's affair: its own program checks them.
#![expect(clippy::disallowed_methods, reason = "reads the clock for how long the broker is waited for")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::clock::Now;
use bus::settings::{BridgeOutline, Credentials};
use bus::topic::{Base, Identity};

use super::broker::connect;
use super::catalogue::Check;
use super::limited::{LIMIT, Ran, read, run};
use super::port;
use super::report::{Finding, Report, whole};
use super::unit;
use crate::exit::{EXIT_FAILED, EXIT_STALE, EXIT_UNREACHABLE, EXIT_USAGE, Failure};

/// Retained messages come at once; this silence ends them.
const QUIET: Duration = Duration::from_millis(200);

/// A bridge that is installed here.
struct Bridge {
    /// Its program: `KIND-bridge`.
    program: String,
    /// The instance of its unit.
    site: String,
    file: PathBuf,
}

impl Bridge {
    fn unit(&self) -> String {
        format!("{}@{}", self.program, self.site)
    }
}

/// Checks all of them; the devices whose retained commands were looked at.
///
/// # Errors
/// The reader of the output has gone.
pub(crate) async fn examine(etc: &Path, report: &mut Report) -> Result<Vec<Base>, Failure> {
    let folder = etc.join("obsbus");
    let bridges = read(move || installed(&folder)).await.unwrap_or_default();
    let mut looked_at = Vec::new();
    for bridge in bridges {
        report.about(format!("{} on this machine", bridge.unit()))?;
        if let Some(why) = absent(&bridge).await {
            report.add(Finding::skipped(Check::BridgeSettings, why))?;
            report.skip(&[Check::Unit, Check::Port, Check::BridgeLogin, Check::Retained])?;
            continue;
        }
        let is_good = settings(&bridge, report).await?;
        report.add(unit::examine(&bridge.unit()).await)?;
        let (file, outline) = (bridge.file.clone(), read(move || BridgeOutline::load(&bridge.file)).await);
        // If it cannot be read, its program has said so.
        let Some(Ok(outline)) = outline else {
            report.skip(&[Check::Port, Check::BridgeLogin, Check::Retained])?;
            continue;
        };
        let access_list = etc.join("mosquitto/obsbus.acl");
        let found = read({
            let (clients, file) = (outline.clients.clone(), file.clone());
            move || revoked(&std::fs::read_to_string(access_list).ok()?, &clients, &file)
        });
        report.add_all(found.await.flatten())?;
        report.add(match &outline.serial_port {
            Some(path) => port_of(path.clone(), &bridge.program).await,
            None => Finding::skipped(Check::Port, ""),
        })?;
        if is_good {
            looked_at.extend(login(&outline, &bridge.program, &file, report).await?);
        } else {
            report.skip(&[Check::BridgeLogin, Check::Retained])?;
        }
    }
    Ok(looked_at)
}

/// Why there is nothing to check, if that is so: the settings of every instrument of the site are on each of
/// its machines, and most of these have no bridge, or not this one.
async fn absent(bridge: &Bridge) -> Option<String> {
    let name = bridge.program.clone();
    if !read(move || is_installed(&name)).await.unwrap_or(true) {
        return Some(format!("{} is not installed here", bridge.program));
    }
    let file = bridge.file.clone();
    let has_files = read(move || has_identity(&file)).await.unwrap_or(true);
    if has_files || !unit::is_off(&bridge.unit()).await {
        return None;
    }
    let Bridge { program, .. } = bridge;
    Some(format!("not set up here; to do so: obsbus identity issue {program} --install"))
}

fn is_installed(name: &str) -> bool {
    let path = program(name);
    path.is_file()
        || std::env::var_os("PATH")
            .is_some_and(|folders| std::env::split_paths(&folders).any(|folder| folder.join(name).is_file()))
}

/// Whether certificate or key are there, as far as that can be seen.
fn has_identity(file: &Path) -> bool {
    match BridgeOutline::load(file).map(|outline| outline.broker.credentials) {
        Ok(Credentials::Certificate { certificate_file, key_file }) => {
            [certificate_file, key_file].iter().any(|file| file.try_exists().unwrap_or(true))
        }
        _ => true,
    }
}

/// The settings files in the bridges' folders.
fn installed(folder: &Path) -> Vec<Bridge> {
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let text =
        |name: Option<&OsStr>| name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut bridges = Vec::new();
    for folder in names(folder) {
        let program = text(folder.file_name());
        if !program.ends_with("-bridge") {
            continue;
        }
        let files = names(&folder).into_iter().filter(|file| {
            file.extension().is_some_and(|extension| extension == "toml" || extension == "json")
        });
        bridges.extend(files.map(|file| Bridge {
            program: program.clone(),
            site: text(file.file_stem()),
            file,
        }));
    }
    bridges
}

/// Beside this program, or in `PATH`.
fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().ok().and_then(|here| Some(here.parent()?.join(name)));
    here.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

/// Whether the bridge's login can work by its files.
async fn settings(bridge: &Bridge, report: &mut Report) -> Result<bool, Failure> {
    let check = Check::BridgeSettings;
    let (file, program_file) = (bridge.file.clone(), program(&bridge.program));
    if !may_read_key(&file).await {
        report.add(Finding::skipped(check, "its key can be read by root only: run this with sudo"))?;
        return Ok(false);
    }
    let ran = run(&program_file, &["--check-config".as_ref(), file.as_os_str()]).await;
    let output = match ran {
        Ran::Ended(output) => output,
        Ran::Absent => {
            report.add(Finding::skipped(check, ""))?;
            return Ok(false);
        }
        Ran::TooSlow => {
            let text = format!(
                "{} --check-config {} takes longer than {} s",
                bridge.program,
                file.display(),
                LIMIT.as_secs()
            );
            report.add(Finding::failure(check, EXIT_USAGE, text, "does a disk hang?"))?;
            return Ok(false);
        }
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let remedy = |line: &str| match line.contains(": broker.") || line.contains("serial_port") {
        // These say it themselves.
        true => String::new(),
        false if line.contains("\" cannot sign, ") => {
            "who need not send these may stay in the list; others need a program \
             that signs, with a certificate (docs/signatures.md)"
                .to_owned()
        }
        false => format!("correct it (docs/settings.md), then systemctl restart {}", bridge.unit()),
    };
    let mut is_good = true;
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        report.add(match line.strip_prefix("warning: ") {
            Some(warning) => Finding::warning(check, whole(warning), remedy(warning)),
            None => {
                is_good = false;
                Finding::failure(check, EXIT_USAGE, whole(line), remedy(line))
            }
        })?;
    }
    if !output.status.success() && is_good {
        let text = format!("{} --check-config {} failed ({})", bridge.program, file.display(), output.status);
        report.add(Finding::failure(check, EXIT_USAGE, text, "run it by hand"))?;
        return Ok(false);
    }
    if said.trim().is_empty() {
        report.add(Finding::ok(check, file.display().to_string()))?;
    }
    Ok(is_good)
}

/// Somebody from whom the broker's access list has taken every right, as a revocation does, may command
/// again as soon as the name is issued anew, perhaps to somebody else.
fn revoked(access_list: &str, clients: &[String], file: &Path) -> Option<Finding> {
    let mut user = "";
    let denied: Vec<&str> = access_list
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["user", name] => user = name,
                ["topic", "deny", "#"] => return Some(user),
                _ => {}
            }
            None
        })
        .collect();
    let name = clients.iter().find(|client| denied.contains(&client.as_str()))?;
    let text =
        format!("{} lists {name}, who was revoked: a new {name} could command at once", file.display());
    let remedy = format!("take {name} out of control_clients and stop_clients, then reload the bridge");
    Some(Finding::warning(Check::BridgeSettings, text, remedy))
}

/// Without the rights of its user this program would blame the bridge for what it cannot read itself.
async fn may_read_key(file: &Path) -> bool {
    let file = file.to_owned();
    let look = move || match BridgeOutline::load(&file) {
        Ok(outline) => {
            let (Credentials::Certificate { key_file: secret, .. }
            | Credentials::Password { password_file: secret, .. }) = &outline.broker.credentials;
            std::fs::File::open(secret)
                .err()
                .is_none_or(|error| error.kind() != std::io::ErrorKind::PermissionDenied)
        }
        // Errors in the settings are for its program to explain.
        Err(_) => true,
    };
    rustix::process::geteuid().is_root() || read(look).await.unwrap_or(true)
}

async fn port_of(path: PathBuf, program: &str) -> Finding {
    let check = Check::Port;
    let (shown, program) = (path.display().to_string(), program.to_owned());
    match read(move || port::examine(&path, &program)).await {
        None => Finding::failure(
            check,
            EXIT_STALE,
            format!("{shown} does not answer"),
            "unplug and plug the adapter",
        ),
        Some(port::Found::Missing) => Finding::failure(
            check,
            EXIT_STALE,
            format!("{shown} does not exist"),
            "plug the adapter in; if it is, correct serial_port, or the udev rule that names it (ls -l /dev/serial/by-id)",
        ),
        Some(port::Found::Held(holders)) => Finding::failure(
            check,
            EXIT_STALE,
            format!("{shown} is held by {}", holders.join(", ")),
            "end that program, or keep it from this port (ModemManager: see the udev rule)",
        ),
        Some(port::Found::Ours) => Finding::ok(check, format!("{shown}, held by the bridge")),
        Some(port::Found::Free) => {
            Finding::ok(check, format!("{shown}, not held by any program that can be seen"))
        }
    }
}

/// Logs in as the bridge, and looks for retained commands.
async fn login(
    outline: &BridgeOutline,
    program: &str,
    file: &Path,
    report: &mut Report,
) -> Result<Option<Base>, Failure> {
    let identity = match outline.broker.identity() {
        Ok(identity) => identity,
        Err(error) => {
            report.add(Finding::failure(
                Check::BridgeLogin,
                EXIT_USAGE,
                crate::exit::with_causes(&error),
                "",
            ))?;
            report.skip(&[Check::Retained])?;
            return Ok(None);
        }
    };
    let mut client = match connect(&outline.broker, &identity, LIMIT).await {
        Ok(client) => client,
        Err(error) => {
            let remedy = format!("these are the settings in {}", file.display());
            report.add(Finding::failure(Check::BridgeLogin, EXIT_UNREACHABLE, error, remedy))?;
            report.skip(&[Check::Retained])?;
            return Ok(None);
        }
    };
    report.add(Finding::ok(Check::BridgeLogin, format!("accepted as {identity}")))?;
    let kind = program.strip_suffix("-bridge").unwrap_or(program);
    let base = Base::new(&outline.site, outline.device.as_deref().unwrap_or(kind));
    let Ok(base) = base else {
        report.skip(&[Check::Retained])?;
        return Ok(None);
    };
    let mut stored = Vec::new();
    let until = Now::read().instant + LIMIT;
    if let Err(error) = client.subscribe(&[base.command_filter()]).await {
        report.add(Finding::skipped(Check::Retained, whole(&error.to_string())))?;
        return Ok(None);
    }
    while Now::read().instant < until {
        match client.next_message(QUIET).await {
            Ok(Some(message)) if message.stored && !message.payload.is_empty() => stored.push(message.topic),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    Box::pin(client.disconnect()).await;
    report.add(retained(&base, &stored))?;
    Ok(Some(base))
}

fn retained(base: &Base, topics: &[String]) -> Finding {
    let [first, ..] = topics else { return Finding::ok(Check::Retained, "none") };
    let by = base.parse_command(first).map(|command| command.identity).ok();
    let by = by.as_ref().map_or("its sender", Identity::as_str);
    let text = format!("the broker stores a command for the bridge on {}", topics.join(", "));
    let remedy = format!(
        "clear it as {by}: mosquitto_pub -r -n -t {first}; and let {by} publish commands without the retain flag"
    );
    Finding::failure(Check::Retained, EXIT_FAILED, text, remedy)
}
