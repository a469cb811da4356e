//! Who holds a serial port, as far as this user may see. The port is not opened: this alone resets
//! many an adapter.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Missing,
    Free,
    /// The bridge holds it.
    Ours,
    /// Other programs, by name and process.
    Held(Vec<String>),
}

/// The end of the kernel's short name of a process.
const NAME_LIMIT: usize = 15;

/// Looks at all processes.
pub(crate) fn examine(path: &Path, program: &str) -> Found {
    let Ok(port) = std::fs::canonicalize(path) else { return Found::Missing };
    let short: String = program.chars().take(NAME_LIMIT).collect();
    let holders = holders(&port);
    let others: Vec<_> = holders
        .iter()
        .filter(|(name, _)| *name != short)
        .map(|(name, id)| format!("{name} (process {id})"))
        .collect();
    match (holders.is_empty(), others.is_empty()) {
        (true, _) => Found::Free,
        (false, true) => Found::Ours,
        (false, false) => Found::Held(others),
    }
}

/// Name and id of each process that has the port open.
fn holders(port: &Path) -> Vec<(String, u32)> {
    let is_pseudo = port.starts_with("/dev/pts");
    // A container has pseudo-terminals of its own with the same names.
    let wanted = std::fs::metadata(port).ok().map(|file| identify(&file));
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holding = ids.filter(|id| {
        let open = open_files(*id);
        let is_it = |(name, file): &(PathBuf, FileId)| name == port && Some(*file) == wanted;
        // Who has the other end of a pseudo-terminal is the device.
        let is_device = || is_pseudo && open.iter().any(|(name, _)| name.ends_with("ptmx"));
        open.iter().any(is_it) && !is_device()
    });
    holding
        .map(|id| {
            let name = std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            (name.trim().to_owned(), id)
        })
        .collect()
}

/// File system and number in it.
type FileId = (u64, u64);

fn identify(file: &Metadata) -> FileId {
    (file.dev(), file.ino())
}

fn open_files(process: u32) -> Vec<(PathBuf, FileId)> {
    let entries = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let open = entries.map(|entry| {
        let path = entry.path();
        Some((std::fs::read_link(&path).ok()?, identify(&std::fs::metadata(&path).ok()?)))
    });
    open.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_open_is_held_by_its_program_and_one_that_is_gone_is_missing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().canonicalize().unwrap();
        let Found::Held(holders) = examine(&path, "no-program") else { panic!("it is open here") };
        assert!(holders.iter().any(|holder| holder.contains(&std::process::id().to_string())), "{holders:?}");
        let own = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(examine(&path, own.trim()), Found::Ours);
        let (_, closed) = tempfile::NamedTempFile::new().unwrap().into_parts();
        assert_eq!(examine(&closed, "no-program"), Found::Free);
        std::fs::remove_file(&closed).unwrap();
        assert_eq!(examine(&closed, "no-program"), Found::Missing);
    }
}
