//! Writes a record: JSON Lines, compressed by gzip, readable up to the last flush whatever happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bus::clock::Utc;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::failure::Failure;
use crate::line::{End, Gap, Header, Line, Message};

/// A record that is being written to `O`.
pub struct Writer<O: Write> {
    gzip: GzEncoder<Counted<O>>,
    file: PathBuf,
    messages: u64,
    is_dirty: bool,
    last: Utc,
    flushed: Utc,
}

struct Counted<O> {
    output: O,
    bytes: u64,
}

impl<O: Write> Write for Counted<O> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.output.write(buffer)?;
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl Writer<File> {
    /// Begins a record in a new file.
    ///
    /// # Errors
    /// There is such a file, or it cannot be written.
    pub fn create(path: &Path, header: Header) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| match error
            .kind()
        {
            io::ErrorKind::AlreadyExists => Failure::Exists(path.to_owned()),
            _ => Failure::file("create", path)(error),
        })?;
        Self::begin(file, path, header)
    }

    /// Ends the record, and waits until the disk has it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self, date: Utc, why: &str) -> Result<(u64, u64), Failure> {
        let (path, last) = (self.file.clone(), self.flushed);
        let (file, messages, bytes) = self.end(date, why)?;
        match file.sync_all() {
            Ok(()) => Ok((messages, bytes)),
            Err(source) => Err(full(&path, last, source)),
        }
    }
}

impl<O: Write> Writer<O> {
    /// Begins a record in `output`, which messages call `path`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(output: O, path: &Path, header: Header) -> Result<Self, Failure> {
        let date = header.started_at;
        let gzip = GzEncoder::new(Counted { output, bytes: 0 }, Compression::default());
        let mut writer =
            Self { gzip, file: path.to_owned(), messages: 0, is_dirty: false, last: date, flushed: date };
        writer.write(&Line::Header(header), date)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Adds a message.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn message(&mut self, message: Message) -> Result<(), Failure> {
        self.messages += 1;
        let date = message.received;
        self.write(&Line::Message(message), date)
    }

    /// Adds a gap.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn gap(&mut self, gap: Gap) -> Result<(), Failure> {
        let date = gap.to;
        self.write(&Line::Gap(gap), date)?;
        self.flush()
    }

    /// Hands everything to the system: what was added so far survives the end of this process.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        if !std::mem::take(&mut self.is_dirty) {
            return Ok(());
        }
        self.gzip.flush().map_err(|source| full(&self.file, self.flushed, source))?;
        self.flushed = self.last;
        Ok(())
    }

    /// Bytes in the file so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.gzip.get_ref().bytes
    }

    fn end(mut self, date: Utc, why: &str) -> Result<(O, u64, u64), Failure> {
        let messages = self.messages;
        self.write(&Line::End(End { date, messages, why: why.to_owned() }), date)?;
        let finished = self.gzip.finish().map_err(|source| full(&self.file, self.flushed, source))?;
        Ok((finished.output, messages, finished.bytes))
    }

    fn write(&mut self, line: &Line, date: Utc) -> Result<(), Failure> {
        let written = serde_json::to_writer(&mut self.gzip, line).map_err(io::Error::from);
        written
            .and_then(|()| self.gzip.write_all(b"\n"))
            .map_err(|source| full(&self.file, self.flushed, source))?;
        (self.is_dirty, self.last) = (true, date);
        Ok(())
    }
}

fn full(file: &Path, until: Utc, source: io::Error) -> Failure {
    Failure::Full { file: file.to_owned(), until: until.to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{FORMAT, Payload};
    use crate::reader::Reader;

    fn date(second: u32) -> Utc {
        Utc::parse(&format!("2026-11-30T03:12:{second:02}.000Z")).unwrap()
    }

    fn header() -> Header {
        Header {
            format: FORMAT,
            program: "obsbus 1".to_owned(),
            started_at: date(0),
            sites: vec!["clasp".to_owned()],
            filters: vec!["clasp/#".to_owned()],
            redacted: false,
        }
    }

    fn message(second: u32, text: &str) -> Message {
        Message {
            received: date(second),
            topic: "clasp/lamp/state".to_owned(),
            stored: false,
            expires_in_s: None,
            correlation: None,
            payload: Payload::Text(text.to_owned()),
        }
    }

    /// A disk with room for so many bytes.
    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for &mut Disk {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            let room = self.room - self.bytes.len();
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let part = buffer.get(..room).unwrap_or(buffer);
            self.bytes.extend_from_slice(part);
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn read(bytes: &[u8]) -> (Vec<Line>, bool) {
        let mut reader = Reader::of(bytes, Path::new("r")).unwrap();
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push(line);
        }
        (lines, reader.is_cut_off())
    }

    #[test]
    fn a_record_is_read_back_and_a_killed_one_up_to_its_last_flush() {
        let mut disk = Disk { room: 1 << 20, ..Disk::default() };
        let mut writer = Writer::begin(&mut disk, Path::new("r"), header()).unwrap();
        writer.message(message(1, "one")).unwrap();
        writer.flush().unwrap();
        writer.message(message(2, "two")).unwrap();
        let killed = writer.gzip.get_ref().output.bytes.clone();
        let (lines, cut_off) = read(&killed);
        assert_eq!(lines, [Line::Message(message(1, "one"))]);
        assert!(cut_off);
        writer.gap(Gap { from: date(2), to: date(9), why: "lost".to_owned() }).unwrap();
        writer.end(date(10), "enough").unwrap();
        let (lines, cut_off) = read(&disk.bytes);
        assert!(!cut_off && lines.len() == 4, "{lines:?}");
        assert_eq!(lines[3], Line::End(End { date: date(10), messages: 2, why: "enough".to_owned() }));
    }

    #[test]
    fn a_full_disk_is_told_with_the_time_until_which_the_record_can_be_read() {
        let mut disk = Disk { room: 400, ..Disk::default() };
        let mut writer = Writer::begin(&mut disk, Path::new("r"), header()).unwrap();
        writer.message(message(1, "one")).unwrap();
        writer.flush().unwrap();
        let noise: String = (0..3000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
        let failure =
            writer.message(message(2, &noise)).and_then(|()| writer.flush()).unwrap_err().to_string();
        assert!(failure.contains("until 2026-11-30T03:12:01.000Z can be read"), "{failure}");
        drop(writer);
        assert_eq!(read(&disk.bytes).0.first(), Some(&Line::Message(message(1, "one"))));
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("night.jsonl.gz");
        std::fs::write(&path, "dear").unwrap();
        let failure = Writer::create(&path, header()).err().unwrap();
        assert!(failure.is_usage() && failure.to_string().contains("never overwrites"), "{failure}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear");
    }
}
