//! What systemd says of a unit.

use std::ffi::OsStr;

use super::catalogue::Check;
use super::limited::{Ran, run};
use super::report::{Finding, whole};
use crate::exit::EXIT_UNREACHABLE;

/// Whether nobody has started the unit of this name, nor wants it to be started.
pub(crate) async fn is_off(unit: &str) -> bool {
    let words = ["show", "--property=ActiveState,UnitFileState", &format!("{unit}.service")];
    let Ran::Ended(output) = run("systemctl", &words.map(OsStr::new)).await else { return false };
    let said = String::from_utf8_lossy(&output.stdout);
    ["ActiveState=inactive", "UnitFileState=disabled"]
        .iter()
        .all(|wanted| said.lines().any(|line| line == *wanted))
}

/// Whether the unit of this name runs.
pub(crate) async fn examine(unit: &str) -> Finding {
    let check = Check::Unit;
    let words =
        ["show", "--property=ActiveState,SubState,Result,NRestarts,LoadState", &format!("{unit}.service")];
    let output = match run("systemctl", &words.map(OsStr::new)).await {
        Ran::Ended(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ran::Ended(_) | Ran::Absent => return Finding::skipped(check, "systemd does not run here"),
        Ran::TooSlow => {
            return Finding::warning(check, "systemctl does not answer", "journalctl -b -p warning");
        }
    };
    let value = |key: &str| {
        let found = output.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        whole(found.unwrap_or_default())
    };
    let (active, sub) = (value("ActiveState"), value("SubState"));
    if value("LoadState") == "not-found" {
        return Finding::skipped(check, format!("systemd has no unit {unit}"));
    }
    match active.as_str() {
        "active" | "reloading" => Finding::ok(check, format!("{unit} is {active} ({sub})")),
        "activating" => {
            let text = format!("{unit} does not stay up ({sub}, {} restarts)", value("NRestarts"));
            Finding::failure(check, EXIT_UNREACHABLE, text, format!("journalctl -u {unit} -n 20 says why"))
        }
        _ => {
            let text = format!("{unit} is {active} ({sub}, {})", value("Result"));
            let remedy =
                format!("systemctl enable --now {unit}; if it ends again, journalctl -u {unit} -n 20");
            Finding::failure(check, EXIT_UNREACHABLE, text, remedy)
        }
    }
}
