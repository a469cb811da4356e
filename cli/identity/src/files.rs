//! Writes files so that nobody ever reads half of one, a secret is never readable by others, and
//! nothing that exists is overwritten unless that was asked for.
//!
//! Each file is written under another name beside its place, with its final owner and mode, brought
//! to the disk, and then renamed. A process that is killed leaves at most such a file, whose name
//! begins with a dot and which the next run removes.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".obsbus-new";
/// No file that is read here is longer: a register of 10,000 certificates has 3 MB.
const LONGEST: u64 = 10_000_000;

/// Who owns a file, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A file to be written.
#[derive(Clone, Debug)]
pub(crate) struct NewFile {
    pub(crate) path: PathBuf,
    pub(crate) content: Zeroizing<Vec<u8>>,
    pub(crate) mode: u32,
    /// `None`: whoever runs this.
    pub(crate) owner: Option<Owner>,
}

impl NewFile {
    /// A file that everybody may read.
    pub(crate) fn public(path: PathBuf, content: &str) -> Self {
        Self::new(path, content, 0o644)
    }

    /// A file that only its owner may read.
    pub(crate) fn secret(path: PathBuf, content: &str) -> Self {
        Self::new(path, content, 0o600)
    }

    /// A file with this mode.
    pub(crate) fn new(path: PathBuf, content: &str, mode: u32) -> Self {
        Self { path, content: Zeroizing::new(content.as_bytes().to_vec()), mode, owner: None }
    }

    /// Owned by somebody.
    pub(crate) fn owned(self, owner: Option<Owner>) -> Self {
        Self { owner, ..self }
    }
}

/// Puts all of `files` into their places, or none.
///
/// # Errors
/// One of them exists, or cannot be written.
pub(crate) fn place(files: &[NewFile]) -> Result<(), Failure> {
    let mut staged = Vec::new();
    for file in files {
        staged.push(Staged::write(file)?);
    }
    let mut placed: Vec<&Path> = Vec::new();
    for (file, staged) in files.iter().zip(&mut staged) {
        if let Err(error) = staged.place(&file.path) {
            for path in placed {
                // What cannot be removed is said with the error's file.
                let _ = fs::remove_file(path);
            }
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => exists(&file.path),
                _ => Failure::io("write", &file.path, &error),
            });
        }
        placed.push(&file.path);
    }
    for file in files {
        sync_folder_of(&file.path)?;
    }
    Ok(())
}

/// Puts `content` in the place of the file `path`, which keeps its owner and mode.
///
/// # Errors
/// It does not exist, or cannot be written.
pub(crate) fn replace(path: &Path, content: &str) -> Result<(), Failure> {
    // A link stays one: what it leads to is replaced.
    let path = &fs::canonicalize(path).map_err(|error| Failure::io("replace", path, &error))?;
    let old = fs::metadata(path).map_err(|error| Failure::io("replace", path, &error))?;
    let own = fs::metadata("/proc/self").ok().map(|own| (own.uid(), own.gid()));
    let owner = (own != Some((old.uid(), old.gid()))).then_some(Owner { uid: old.uid(), gid: old.gid() });
    put(&NewFile::new(path.clone(), content, old.mode() & 0o7777).owned(owner))
}

/// Changes the text of the file `path`, which keeps its owner and mode; returns whether it did. Of
/// several who do so at once with the same file `lock` each sees what the one before has written.
///
/// # Errors
/// It does not exist, or cannot be read or written; or what `change` says of its text.
pub(crate) fn edit(
    path: &Path,
    lock: &Path,
    change: impl FnOnce(&str) -> Result<String, String>,
) -> Result<bool, Failure> {
    // Until it is closed. Nobody else may open it: who holds a lock could keep a name from being revoked.
    // Where there is none, in an image say, there is one administrator.
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock);
    let _locked = lock.map(|lock| flock(&lock, FlockOperation::LockExclusive).map(|()| lock));
    let text = read(path)?;
    let new = change(&text).map_err(|error| Failure::new(format!("{} {error}", path.display())))?;
    if new != text {
        replace(path, &new)?;
    }
    Ok(new != text)
}

/// Writes a file, also over an older one.
///
/// # Errors
/// It cannot be written.
pub(crate) fn put(file: &NewFile) -> Result<(), Failure> {
    let mut staged = Staged::write(file)?;
    fs::rename(&staged.path, &file.path).map_err(|error| Failure::io("write", &file.path, &error))?;
    staged.is_placed = true;
    sync_folder_of(&file.path)
}

/// That `path` exists already.
pub(crate) fn exists(path: &Path) -> Failure {
    Failure::new(format!("{} exists, and is not overwritten: move it away first", path.display()))
}

/// Whether there is anything at `path`, a dangling link too.
pub(crate) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Makes a folder, and those above it; one that exists stays as it is.
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_folder(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir()) {
        make_folder(parent, 0o755, None)?;
    }
    make_new_folder(path, mode, owner)
}

/// Makes a folder that does not exist yet.
///
/// # Errors
/// It exists, or cannot be made.
pub(crate) fn make_new_folder(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io("create", path, &error);
    std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), mode & 0o700)
        .create(path)
        .map_err(failed)?;
    if let Some(owner) = owner {
        std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid)).map_err(failed)?;
    }
    // Whatever the umask is.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    sync_folder_of(path)
}

/// The text of a file.
///
/// # Errors
/// It cannot be read, is no text, or is longer than any file of ours.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    text_of(path).map_err(|error| Failure::io("read", path, &error))
}

/// A request or a folder that was carried here may hold anything, a link to an endless device too.
fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > LONGEST) {
        return Err(io::Error::other(format!("it is longer than {} MB", LONGEST / 1_000_000)));
    }
    Ok(text)
}

/// As [`read`]; `None` if it does not exist.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, Failure> {
    match text_of(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io("read", path, &error)),
    }
}

/// A file under its unfinished name. Dropping it removes it.
struct Staged {
    path: PathBuf,
    is_placed: bool,
    // Locked as long as this process lives: another one knows that it is not a remnant.
    _file: File,
}

impl Staged {
    fn write(file: &NewFile) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("write", &file.path, &error);
        let folder = folder_of(&file.path);
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        remove_remnants(folder, &name);
        let word = bus::random::word().map_err(Failure::new)?;
        let path = folder.join(format!(".{name}.{word}{UNFINISHED}"));
        let mut open = OpenOptions::new();
        let opened = open.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let staged = Self { path, is_placed: false, _file: opened };
        let mut opened = &staged._file;
        // A file system without locks has no remnants removed, either.
        let _ = flock(opened, FlockOperation::NonBlockingLockExclusive);
        if let Some(owner) = file.owner {
            std::os::unix::fs::fchown(opened, Some(owner.uid), Some(owner.gid)).map_err(failed)?;
        }
        opened.set_permissions(Permissions::from_mode(file.mode)).map_err(failed)?;
        opened.write_all(&file.content).and_then(|()| opened.sync_all()).map_err(failed)?;
        Ok(staged)
    }

    fn place(&mut self, path: &Path) -> io::Result<()> {
        match renameat_with(CWD, &self.path, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => self.is_placed = true,
            // NFS has no such rename.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::hard_link(&self.path, path)?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what processes that were killed have left of the file `name`.
fn remove_remnants(folder: &Path, name: &str) {
    let beginning = format!(".{name}.");
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name();
        let found = found.to_string_lossy();
        if !found.starts_with(&beginning) || !found.ends_with(UNFINISHED) {
            continue;
        }
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let Some(file) = File::open(entry.path()).ok().filter(|_| is_file) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_folder_of(path: &Path) -> Result<(), Failure> {
    let folder = folder_of(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Failure::io("bring to the disk", folder, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn files_are_placed_with_their_modes_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("a.key"), folder.path().join("a.pem"));
        place(&[NewFile::secret(key.clone(), "k"), NewFile::public(certificate.clone(), "c")]).unwrap();
        assert_eq!((mode(&key), mode(&certificate)), (0o600, 0o644));
        assert_eq!(names(folder.path()), ["a.key", "a.pem"]);
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_half_done() {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("a.key"), folder.path().join("a.pem"));
        fs::write(&certificate, "old").unwrap();
        let files = [NewFile::secret(key, "k"), NewFile::public(certificate.clone(), "new")];
        let error = place(&files).unwrap_err().to_string();
        assert!(error.ends_with("a.pem exists, and is not overwritten: move it away first"), "{error}");
        assert_eq!(fs::read_to_string(&certificate).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.pem"]);
    }

    #[test]
    fn a_link_is_neither_followed_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("a.key"), folder.path().join("elsewhere"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(is_there(&link));
        assert!(place(&[NewFile::secret(link.clone(), "k")]).is_err());
        assert!(!target.exists() && fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_is_whole_at_any_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let open = File::open(&path).unwrap();
        replace(&path, "new").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("new", 0o640));
        // Who had it open still reads the old one.
        assert_eq!(io::read_to_string(open).unwrap(), "old");
        assert!(replace(&folder.path().join("none"), "x").is_err());
    }

    #[test]
    fn of_several_who_change_a_file_at_once_none_undoes_the_work_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.acl");
        fs::write(&path, "").unwrap();
        std::thread::scope(|scope| {
            for number in 0..20 {
                let path = &path;
                let lock = folder.path().join("lock");
                scope.spawn(move || edit(path, &lock, |text| Ok(format!("{text}{number}\n"))).unwrap());
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        let mut numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        let lock = folder.path().join("nowhere/lock");
        assert!(!edit(&path, &lock, |text| Ok(text.to_owned())).unwrap());
        let error = edit(&path, &lock, |_| Err("is wrong".to_owned())).unwrap_err();
        assert!(error.to_string().ends_with("a.acl is wrong"), "{error}");
    }

    #[test]
    fn an_endless_file_is_an_error() {
        assert!(read(Path::new("/dev/zero")).unwrap_err().to_string().contains("longer than 10 MB"));
    }

    #[test]
    fn what_a_killed_run_has_left_is_removed_and_what_another_run_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let remnant = folder.path().join(".a.key.word.obsbus-new");
        fs::write(&remnant, "half").unwrap();
        let running = Staged::write(&NewFile::secret(folder.path().join("a.key"), "k")).unwrap();
        assert!(!remnant.exists() && running.path.exists());
        let other = Staged::write(&NewFile::secret(folder.path().join("a.key"), "k")).unwrap();
        assert!(running.path.exists() && other.path.exists());
        let names = names(folder.path());
        assert!(names.iter().all(|name| name.starts_with('.') && !name.ends_with(".key")), "{names:?}");
        drop((running, other));
        assert_eq!(self::names(folder.path()), Vec::<String>::new());
    }

    #[test]
    fn an_unfinished_secret_is_never_readable_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let staged = Staged::write(&NewFile::secret(folder.path().join("a.key"), "k")).unwrap();
        assert_eq!(mode(&staged.path), 0o600);
    }

    #[test]
    fn a_folder_gets_the_mode_that_was_asked_for_and_one_that_exists_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        make_folder(&path, 0o700, None).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o755));
        make_folder(&path, 0o755, None).unwrap();
        assert_eq!(mode(&path), 0o700);
    }
}
