//! Who may command the bridges of this machine, in their settings files, whose comments stay: `--control` and
//! `allow` add an identity, and a revocation takes it out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bus::topic::Identity;
use toml_edit::{Array, DocumentMut, Item, RawString};

use crate::acl::{self, Role};
use crate::failure::Failure;
use crate::files;
use crate::machine::Machine;

/// Who may command, and who may stop; the second list is optional.
const LISTS: [&str; 2] = ["control_clients", "stop_clients"];

/// The settings files of the bridges of this machine: of those with these names, or of all if there is no
/// name.
///
/// # Errors
/// There are none.
pub(crate) fn settings(machine: &Machine, wanted: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = found(machine);
    if files.is_empty() {
        return Err(Failure::usage(
            "there is no bridge on this machine (no /etc/obsbus/KIND-bridge/SITE.toml) that anybody could be allowed to \
             command: add the name to control_clients where the bridge is",
        ));
    }
    let there: BTreeSet<String> = files.iter().map(|file| bridge_of(file)).collect();
    if let Some(missing) = wanted.iter().find(|name| !there.contains(*name)) {
        let there = Vec::from_iter(there).join(", ");
        return Err(Failure::usage(format!(
            "{missing:?} is no bridge with settings on this machine (/etc/obsbus/KIND-bridge/SITE.toml): expected one of \
             {there}"
        )));
    }
    files.retain(|file| wanted.is_empty() || wanted.contains(&bridge_of(file)));
    // A file that cannot be changed is found before anything is signed.
    for file in &files {
        added(&files::read(file)?, "x")
            .map_err(|error| Failure::new(format!("{} {error}", file.display())))?;
    }
    Ok(files)
}

fn found(machine: &Machine) -> Vec<PathBuf> {
    let inside = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
    let is_bridge = |folder: &PathBuf| folder.to_string_lossy().ends_with("-bridge");
    let files = inside(machine.at("/etc/obsbus")).filter(is_bridge).flat_map(inside);
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|it| it == "toml")).collect();
    files.sort();
    files
}

/// The settings files of this machine's bridges that let `name` command or stop.
pub(crate) fn listing(machine: &Machine, name: &str) -> Vec<PathBuf> {
    let mut files = found(machine);
    files
        .retain(|file| files::read(file).is_ok_and(|text| removed(&text, name).is_ok_and(|new| new != text)));
    files
}

/// Takes `name` out of the lists of this machine's bridges; returns remarks for people. A file that cannot
/// be changed is one of them: it must not keep anybody from being revoked.
pub(crate) fn forbid(machine: &Machine, name: &str) -> Vec<String> {
    let by_hand = format!("take {name} out of its control_clients and stop_clients by hand");
    let remark = |file: PathBuf| match machine.edit(&file, |text| removed(text, name)) {
        Ok(false) => None,
        Ok(true) => {
            Some(format!("{}: {name} may no longer command{}", file.display(), reload(machine, &file)))
        }
        Err(error) => Some(format!("{error}: {by_hand}")),
    };
    found(machine).into_iter().filter_map(remark).collect()
}

/// Lets `name` command the bridges with these settings; returns remarks for people.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn allow(machine: &Machine, files: &[PathBuf], name: &str) -> Result<Vec<String>, Failure> {
    let mut remarks = Vec::new();
    for file in files {
        machine.edit(file, |text| added(text, name))?;
        remarks.push(format!("{}: {name} may command{}", file.display(), reload(machine, file)));
    }
    Ok(remarks)
}

/// `allow`: lets `name` command bridges of this machine.
///
/// # Errors
/// It is no name that could command, or as [`settings`] and [`allow`].
pub(crate) fn allow_by_name(machine: &Machine, name: &str, bridges: &[String]) -> Result<String, Failure> {
    Identity::client(name).map_err(Failure::usage)?;
    let rules = files::read_if_there(&machine.acl())?.unwrap_or_default();
    check_may_command(&rules, name)?;
    let files = settings(machine, bridges)?;
    let remarks = allow(machine, &files, name)?;
    Ok(remarks.into_iter().map(|remark| remark + "\n").collect())
}

/// Whether the broker would let it.
///
/// # Errors
/// Its access rules refuse every command of this name.
pub(crate) fn check_may_command(rules: &str, name: &str) -> Result<(), Failure> {
    match acl::role(rules, name) {
        Role::Observer => Err(Failure::usage(format!(
            "the broker's access rules let {name} only read: expected another name"
        ))),
        Role::None | Role::Service => Ok(()),
    }
}

/// The bridge whose settings file this is.
fn bridge_of(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name);
    folder.unwrap_or_default().to_string_lossy().into_owned()
}

/// The unit has the names of folder and file.
fn reload(machine: &Machine, file: &Path) -> String {
    let unit = format!("{}@{}", bridge_of(file), file.file_stem().unwrap_or_default().to_string_lossy());
    if !machine.systemctl(&["is-active", "--quiet", &unit]) {
        return String::new();
    }
    match machine.systemctl(&["reload", &unit]) {
        true => format!("; {unit} knows it"),
        false => format!("; for the bridge to know it: systemctl reload {unit}"),
    }
}

/// The settings `text` with `name` in its lists.
fn added(text: &str, name: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("is not valid TOML: {error}"))?;
    for list in LISTS {
        let array = match document.get_mut(list) {
            Some(item) => item.as_array_mut().ok_or_else(|| format!("{list}: expected a list of names"))?,
            None if list == LISTS[0] => {
                document.insert(list, Item::Value(Array::new().into()));
                return added(&document.to_string(), name);
            }
            None => continue,
        };
        if !array.iter().any(|entry| entry.as_str() == Some(name)) {
            array.push(name);
        }
    }
    Ok(document.to_string())
}

/// The settings `text` without `name` in its lists.
fn removed(text: &str, name: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("is not valid TOML: {error}"))?;
    let mut is_there = false;
    for list in LISTS {
        if let Some(array) = document.get_mut(list).and_then(Item::as_array_mut) {
            let is_it = |array: &Array, at: usize| array.get(at).and_then(|it| it.as_str()) == Some(name);
            for at in (0..array.len()).rev() {
                if is_it(array, at) {
                    take_out(array, at);
                    is_there = true;
                }
            }
        }
    }
    // The library adds a line feed at the end, which is no change.
    Ok(if is_there { document.to_string() } else { text.to_owned() })
}

/// Takes out the entry, but not the comment behind the one before, which the library counts to it.
fn take_out(array: &mut Array, at: usize) {
    let gone = array.remove(at);
    let comment = gone.decor().prefix().and_then(RawString::as_str).filter(|before| before.contains('#'));
    let Some(comment) = comment.map(str::trim_end) else { return };
    if let Some(next) = array.get_mut(at) {
        let before = next.decor().prefix().and_then(RawString::as_str).unwrap_or("\n");
        let before = format!("{comment}{before}");
        next.decor_mut().set_prefix(before);
    } else {
        let after = format!("{comment}{}", array.trailing().as_str().unwrap_or("\n"));
        array.set_trailing(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_added_once_and_everything_else_stays() {
        let text = "# Head.\nsite = \"clasp\"\n\n# Who.\ncontrol_clients = [\"ops\", \"scheduler\"] # these\n[broker]\nhost = \"x\"\n";
        let new = added(text, "alice").unwrap();
        assert_eq!(new, text.replace("\"scheduler\"]", "\"scheduler\", \"alice\"]"));
        assert_eq!(added(&new, "alice").unwrap(), new);
    }

    #[test]
    fn a_name_is_taken_out_of_both_lists_and_everything_else_stays() {
        let text = "# Head.\ncontrol_clients = [\n    \"ops\", # night\n    \"alice\",\n] # these\nstop_clients = [\"alice\"]\n";
        let new = removed(text, "alice").unwrap();
        let kept = "# Head.\ncontrol_clients = [\n    \"ops\", # night\n] # these\nstop_clients = []\n";
        assert_eq!(new, kept);
        let text =
            "control_clients = [\n  \"alice\",\n  \"ops\", # night\n  \"alice\",\n  \"bob\", # day\n]\n";
        let new = removed(text, "alice").unwrap();
        assert_eq!(new, "control_clients = [\n  \"ops\", # night\n  \"bob\", # day\n]\n");
        assert_eq!(removed(&new, "alice").unwrap(), new);
        for other in ["site = \"clasp\"\n", "control_clients = [\"ops\"]\n[broker]\nhost = \"x\""] {
            assert_eq!(removed(other, "alice").unwrap(), other);
        }
        assert!(removed("control_clients = [\n", "alice").unwrap_err().contains("not valid TOML"));
    }

    #[test]
    fn who_may_command_may_stop() {
        let new = added("control_clients = []\nstop_clients = [\"ops\"]\n", "alice").unwrap();
        assert_eq!(new, "control_clients = [\"alice\"]\nstop_clients = [\"ops\", \"alice\"]\n");
        assert_eq!(
            added("[broker]\nhost = 1\n", "a").unwrap(),
            "control_clients = [\"a\"]\n[broker]\nhost = 1\n"
        );
        assert!(added("control_clients = \"ops\"\n", "a").unwrap_err().contains("expected a list"));
        assert!(added("control_clients = [\n", "a").unwrap_err().contains("not valid TOML"));
    }
}
