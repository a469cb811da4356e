//! The passphrase of the authority's key: typed at a terminal, or the first line of a file.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::files;

/// The shortest passphrase that is accepted.
const SHORTEST: usize = 8;

/// Where the passphrase comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Somebody types it.
    Terminal,
    /// The first line of a file.
    File(PathBuf),
}

impl Source {
    /// The passphrase of the key in the file `key`.
    ///
    /// # Errors
    /// There is no terminal, or the file cannot be read.
    pub(crate) fn get(&self, key: &Path) -> Result<Zeroizing<String>, Failure> {
        match self {
            Self::File(file) => first_line(file),
            Self::Terminal => ask(&format!("Passphrase of {}: ", key.display())),
        }
    }

    /// A new passphrase; at a terminal it is typed twice.
    ///
    /// # Errors
    /// It is too short, the two differ, or as [`Self::get`].
    pub(crate) fn choose(&self) -> Result<Zeroizing<String>, Failure> {
        let chosen = match self {
            Self::File(file) => first_line(file)?,
            Self::Terminal => {
                let first = ask("New passphrase of the authority's key: ")?;
                check(&first)?;
                if *ask("The same again: ")? != *first {
                    return Err(Failure::new("the two passphrases differ: nothing was made"));
                }
                first
            }
        };
        check(&chosen)?;
        Ok(chosen)
    }
}

fn check(passphrase: &str) -> Result<(), Failure> {
    if passphrase.chars().count() >= SHORTEST {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the passphrase is too short: expected at least {SHORTEST} characters (--no-passphrase leaves the key \
         unprotected)"
    )))
}

fn ask(question: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => {
            Failure::new("no passphrase was typed: nothing was changed")
        }
        _ => Failure::usage(format!(
            "cannot ask for the passphrase of the authority's key, since there is no terminal ({error}): put it \
             into a file of mode 0600 and name that with --passphrase-file FILE"
        )),
    })
}

fn first_line(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let metadata = fs::metadata(file).map_err(|error| Failure::io("read", file, &error))?;
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        return Err(Failure::new(format!(
            "{} can be read by others (mode {:04o}): chmod 600 it first",
            file.display(),
            metadata.mode() & 0o7777
        )));
    }
    let text = Zeroizing::new(files::read(file)?);
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(Failure::new(format!("{}: expected the passphrase in the first line", file.display()))),
    }
}
