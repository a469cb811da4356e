//! Reads a record, line by line, and takes nothing in it for granted.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bus::message::echo;
use flate2::bufread::MultiGzDecoder;

use crate::failure::Failure;
use crate::line::{FORMAT, Header, Line};

/// A payload of the bus has at most 256 KiB, and quotes make a text longer.
const LONGEST_LINE: u64 = 1 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const NO_RECORD: &str = "expected a record of obsbus, whose first line is its header";

/// A record that is being read.
pub struct Reader<'a> {
    lines: Lines<'a>,
    /// What the record is.
    pub header: Header,
}

struct Lines<'a> {
    input: BufReader<Box<dyn Read + 'a>>,
    file: PathBuf,
    number: u64,
    is_cut_off: bool,
}

impl Reader<'static> {
    /// Opens a record, compressed or not.
    ///
    /// # Errors
    /// It cannot be read, or is no record.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(Failure::file("open", path))?;
        Self::of(file, path)
    }
}

impl<'a> Reader<'a> {
    /// Reads from `input`, which messages call `path`.
    ///
    /// # Errors
    /// It cannot be read, or is no record.
    pub fn of(input: impl Read + 'a, path: &Path) -> Result<Self, Failure> {
        let mut input = BufReader::new(input);
        let is_gzip = input.fill_buf().map_err(Failure::file("read", path))?.starts_with(&GZIP);
        let plain: Box<dyn Read + 'a> =
            if is_gzip { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
        let input = BufReader::new(plain);
        let mut lines = Lines { input, file: path.to_owned(), number: 0, is_cut_off: false };
        match lines.next() {
            Ok(Some(Line::Header(header))) if header.format == FORMAT => Ok(Self { lines, header }),
            Ok(Some(Line::Header(Header { format, .. }))) => Err(lines.wrong(format!(
                "this is format {format}, which a newer obsbus has written: expected format {FORMAT}"
            ))),
            Ok(_) => Err(lines.wrong(NO_RECORD)),
            Err(Failure::Line { problem, .. }) => Err(lines.wrong(format!("{NO_RECORD} ({problem})"))),
            Err(other) => Err(other),
        }
    }

    /// The next line; `None` at the end, or where the recording was killed.
    ///
    /// # Errors
    /// The file cannot be read, or is no record from here on.
    pub fn next_line(&mut self) -> Result<Option<Line>, Failure> {
        self.lines.next()
    }

    /// Whether the record ends where the recording was killed.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.lines.is_cut_off
    }
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<Line>, Failure> {
        self.number += 1;
        let mut text = Vec::new();
        match self.input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.is_cut_off = true,
            Err(error) if is_damage(&error) => {
                return Err(self.wrong(format!("the compressed data are damaged ({error})")));
            }
            Err(error) => return Err(Failure::file("read", &self.file)(error)),
        }
        let Some(line) = text.strip_suffix(b"\n") else {
            if text.len() as u64 == LONGEST_LINE {
                return Err(self.wrong(format!("expected a line of at most {LONGEST_LINE} bytes")));
            }
            // A line that is not complete was being written when the recording was killed.
            self.is_cut_off |= !text.is_empty();
            return Ok(None);
        };
        serde_json::from_slice(line).map(Some).map_err(|error| {
            // It repeats what is in the file.
            let error = echo(&error.to_string());
            self.wrong(format!("expected a header, a message, a gap or an end as JSON: {error}"))
        })
    }

    fn wrong(&self, problem: impl Into<String>) -> Failure {
        Failure::Line { file: self.file.clone(), line: self.number, problem: problem.into() }
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"kind":"header","format":1,"program":"obsbus 1","started_at":"2026-11-30T03:12:00Z","sites":[],"filters":[],"redacted":false}"#;

    fn failure(text: &str) -> String {
        let read = Reader::of(text.as_bytes(), Path::new("night")).and_then(|mut reader| {
            while reader.next_line()?.is_some() {}
            Ok(())
        });
        read.unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_record_is_refused_with_the_line_and_what_was_expected() {
        assert!(failure("").contains("night, line 1: expected a record of obsbus"));
        assert!(failure("dear diary\n").contains("line 1: expected a record of obsbus"));
        assert!(failure(&format!("{}\n", HEADER.replace(":1,", ":2,"))).contains("expected format 1"));
        let failed = failure(&format!("{HEADER}\n{{\"kind\":\"command\"}}\n"));
        assert!(failed.contains("line 2: expected a header, a message, a gap or an end"), "{failed}");
        let failed = failure(&format!("{HEADER}\n{{\"kind\":\"\\u001b[2J\\u202e\"}}\n"));
        assert!(failed.contains("u{1b}") && !failed.contains(['\u{1b}', '\u{202e}']), "{failed}");
        let failed = failure(&format!("{HEADER}\n{}\n", "x".repeat(1 << 21)));
        assert!(failed.contains("line 2: expected a line of at most"), "{failed}");
    }

    #[test]
    fn a_record_that_somebody_has_unpacked_is_read_as_well() {
        let text = format!("{HEADER}\n");
        let mut reader = Reader::of(text.as_bytes(), Path::new("night")).unwrap();
        assert_eq!(reader.header.program, "obsbus 1");
        assert!(reader.next_line().unwrap().is_none() && !reader.is_cut_off());
    }
}
