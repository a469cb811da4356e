//! Whether a folder is read-only for everybody, or only as this process sees it: a service has a copy of
//! the machine's mounts, made at its start, and a file system that was read-only then stays so in the
//! copy when the machine mounts it writable.

use std::path::{Path, PathBuf};

/// How a folder's file system is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mount {
    is_read_only: bool,
    /// Its file system is, wherever it is mounted.
    is_read_only_everywhere: bool,
}

/// Whether the file system of `directory` is writable, but not where this process sees it.
pub(super) fn is_read_only_here_alone(directory: &Path) -> bool {
    let Ok(directory) = directory.canonicalize() else { return false };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    of(&mounts, &directory).is_some_and(|mount| mount.is_read_only && !mount.is_read_only_everywhere)
}

/// The mount of `directory` in the text of `mountinfo`; of several at one place the last is on top.
fn of(mounts: &str, directory: &Path) -> Option<Mount> {
    let mut found: Option<(PathBuf, Mount)> = None;
    for line in mounts.lines() {
        let Some((own, everywhere)) = line.split_once(" - ") else { continue };
        let own: Vec<&str> = own.split(' ').collect();
        let (Some(place), Some(options)) = (own.get(4), own.get(5)) else { continue };
        let Some(everywhere) = everywhere.split(' ').nth(2) else { continue };
        let place = PathBuf::from(unescaped(place));
        let is_nearer = found.as_ref().is_none_or(|(other, _)| place.starts_with(other));
        if directory.starts_with(&place) && is_nearer {
            let has = |options: &str| options.split(',').any(|option| option == "ro");
            let mount = Mount { is_read_only: has(options), is_read_only_everywhere: has(everywhere) };
            found = Some((place, mount));
        }
    }
    found.map(|(_, mount)| mount)
}

/// Blank, tab, line feed and backslash are written as three octal digits.
fn unescaped(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.into_iter().fold(text.to_owned(), |text, (escape, letter)| text.replace(escape, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 8:2 / /var/lib/obsbus ro,nosuid shared:9 master:2 - ext4 /dev/sda2 rw,errors=remount-ro
31 21 8:3 / /var/lib/obsbus/x ro - ext4 /dev/sda3 ro
32 21 8:4 / /mnt/a\\040b rw - tmpfs t ro
33 30 8:2 /x /var/lib/obsbus/y rw - ext4 /dev/sda2 rw
34 21 8:5 / /top ro - tmpfs t ro
35 34 8:6 / /top rw - tmpfs t rw
";

    fn both(directory: &str) -> (bool, bool) {
        let mount = of(MOUNTS, Path::new(directory)).unwrap();
        (mount.is_read_only, mount.is_read_only_everywhere)
    }

    #[test]
    fn the_nearest_mount_counts() {
        assert_eq!(both("/var/lib"), (false, false));
        assert_eq!(both("/var/lib/obsbus2"), (false, false));
        assert_eq!(both("/var/lib/obsbus/lamp-bridge"), (true, false));
        assert_eq!(both("/var/lib/obsbus/x/clasp"), (true, true));
        assert_eq!(both("/var/lib/obsbus/y"), (false, false));
        assert_eq!(both("/mnt/a b/c"), (false, true));
        assert_eq!(both("/top/x"), (false, false));
        assert_eq!(of("", Path::new("/")), None);
    }

    #[test]
    fn a_folder_that_can_be_written_is_not_read_only() {
        assert!(!is_read_only_here_alone(tempfile::tempdir().unwrap().path()));
    }
}
