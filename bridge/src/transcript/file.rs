//! The transcript's file, whose size is limited.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A day of an instrument that is polled without a pause; with the previous file twice as much.
pub(super) const LIMIT: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct Limited {
    path: PathBuf,
    header: String,
    limit: u64,
    file: File,
    size: u64,
}

impl Limited {
    /// Goes on with a file that is there: a run after a crash must not remove the record of it.
    pub(super) fn open(path: &Path, header: String, limit: u64) -> io::Result<Self> {
        // Neither a device nor a pipe, which would be renamed, or block.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("expected a file, or a name that is free"));
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(path)?;
        let size = whole_lines(&mut file)?;
        file.set_len(size)?;
        file.seek(SeekFrom::End(0))?;
        let mut limited = Self { path: path.to_owned(), header, limit, file, size };
        let header = limited.header.clone();
        limited.write(&header)?;
        Ok(limited)
    }

    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        if self.size + line.len() as u64 > self.limit && self.size > self.header.len() as u64 {
            self.begin_anew()?;
        }
        self.append(line)
    }

    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: File) {
        self.file = file;
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let mut previous = self.path.clone().into_os_string();
        previous.push(".previous");
        fs::rename(&self.path, previous)?;
        self.file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&self.path)?;
        self.size = 0;
        let header = self.header.clone();
        self.append(&header)
    }

    fn append(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.size += text.len() as u64;
        Ok(())
    }
}

/// The size without a last line that a kill or a full disk has cut off.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    // Longer than any line.
    let from = size.saturating_sub(64 << 10);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let kept = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    Ok(from + kept as u64)
}
