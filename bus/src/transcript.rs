//! The transcript of a serial line, as text: docs/commissioning.md describes the format.
//!
//! ```text
//! # obsbus transcript 1
//! # kind: lamp
//! # setting: serial_baud = 9600
//! # began: 2026-11-30T20:01:02.123Z
//! 0.001204 * opened /dev/lamp, 9600 baud
//! 0.412331 > S?\r
//! 0.431002 +0.006120 < S=1\r
//! ```
//!
//! Each run of a bridge begins with the first of these lines. Times are optional: what was written by hand
//! has none. Pure; `bridge` writes such files, and `bridge`, `obsbus` and the tests read them.

mod bytes;

use std::fmt::{self, Display};
use std::time::Duration;

use crate::message::{echo, misleads};

pub use bytes::escaped;
use bytes::unescaped;

/// The first line of each run. A format that older programs cannot read would have another number.
pub const FIRST_LINE: &str = "# obsbus transcript 1";

/// What a line of the file is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// `>`: these bytes went to the device.
    Sent(Vec<u8>),
    /// `<`: these bytes came from it.
    Received(Vec<u8>),
    /// `*`: something else happened, such as the port being opened.
    Note(String),
}

/// A line that is no comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its line in the file, from 1.
    pub line: usize,
    /// Since the beginning of the run: when the last byte was written, or the first one read.
    pub at: Option<Duration>,
    /// From the first byte that was read to the last.
    pub span: Duration,
    /// What happened.
    pub what: What,
    /// Why this is not as it should be, if the comment `# unexpected: WHY` stands above it.
    pub mark: Option<String>,
}

/// A setting of the bridge: its key with its section, and its value in TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its line in the file.
    pub line: usize,
    /// `mechanics.steps_per_mm`
    pub key: String,
    /// `5088`
    pub value: String,
}

/// From the start of a bridge to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The kind of the instrument.
    pub kind: String,
    /// The settings that differ from the shipped ones, as far as they matter for the line.
    pub settings: Vec<Setting>,
    /// What a simulated instrument must be told (its console's words) to be in the state of the real one.
    pub model: Vec<String>,
    /// The date of time 0.
    pub began: Option<String>,
    /// What happened, in order.
    pub records: Vec<Record>,
}

/// A line that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, got `{got}`")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What would be right.
    pub expected: String,
    /// The line, or a part of it.
    pub got: String,
}

/// The lines before the records of a run.
#[must_use]
pub fn header(kind: &str, settings: &[(String, String)], began: &impl Display) -> String {
    let settings = settings.iter().map(|(key, value)| format!("# setting: {key} = {value}\n"));
    format!("{FIRST_LINE}\n# kind: {kind}\n{}# began: {began}\n", settings.collect::<String>())
}

impl Display for Record {
    /// The line, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{:.6} ", at.as_secs_f64())?;
        }
        if !self.span.is_zero() {
            write!(f, "+{:.6} ", self.span.as_secs_f64())?;
        }
        match &self.what {
            What::Sent(bytes) => write!(f, "> {}", escaped(bytes)),
            What::Received(bytes) => write!(f, "< {}", escaped(bytes)),
            What::Note(text) => write!(f, "* {}", text.escape_debug()),
        }
    }
}

/// The kind that the header names, before anything else of the file is looked at.
#[must_use]
pub fn kind(text: &str) -> Option<&str> {
    text.lines().take_while(|line| line.starts_with('#')).find_map(|line| line.strip_prefix("# kind: "))
}

/// Reads a transcript. A last line without its end is ignored: the bridge was killed while it wrote it.
///
/// # Errors
/// The first line that is wrong.
pub fn parse(text: &str) -> Result<Vec<Run>, ParseError> {
    let mut runs: Vec<Run> = Vec::new();
    let mut mark = None;
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    for (number, line) in whole.lines().enumerate() {
        let number = number + 1;
        let wrong = |expected: &str| wrong(number, expected, line);
        // Everything else that is not printable is escaped; and the file may come from anybody.
        if line.chars().any(|letter| letter != '\t' && misleads(letter)) {
            return Err(wrong("printable characters, and escapes for all others"));
        }
        if line == FIRST_LINE {
            runs.push(Run::default());
            continue;
        }
        let Some(run) = runs.last_mut() else {
            return Err(wrong(&format!("`{FIRST_LINE}` as the first line")));
        };
        if line.trim().is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            let comment = comment.replace('\t', " ");
            let (key, value) = comment.trim_start().split_once(':').unwrap_or((&comment, ""));
            let value = value.trim();
            match key {
                "kind" if crate::topic::is_name(value) => value.clone_into(&mut run.kind),
                "kind" => return Err(wrong("the kind of an instrument")),
                "setting" => {
                    let (key, value) =
                        value.split_once('=').ok_or_else(|| wrong("`# setting: KEY = VALUE`"))?;
                    let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                    run.settings.push(Setting { line: number, key, value });
                }
                "model" => run.model.push(value.to_owned()),
                "began" => run.began = Some(value.to_owned()),
                "unexpected" => mark = Some(value.to_owned()),
                _ => {}
            }
            continue;
        }
        if run.kind.is_empty() {
            return Err(wrong("`# kind: KIND` above the first record"));
        }
        run.records.push(record(number, line, mark.take())?);
    }
    if runs.is_empty() { Err(wrong(1, &format!("`{FIRST_LINE}`"), "")) } else { Ok(runs) }
}

fn record(number: usize, line: &str, mark: Option<String>) -> Result<Record, ParseError> {
    let wrong = |expected: &str, got: &str| wrong(number, expected, got);
    let (mut rest, mut at, mut span) = (line, None, Duration::ZERO);
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let what = match word {
            ">" => What::Sent(unescaped(after).map_err(|got| wrong(bytes::ESCAPES, &got))?),
            "<" => What::Received(unescaped(after).map_err(|got| wrong(bytes::ESCAPES, &got))?),
            "*" => What::Note(after.replace('\t', " ")),
            _ => {
                let is_span = word.starts_with('+');
                let time = word.strip_prefix('+').unwrap_or(word).parse().ok();
                let time = time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                let time = time.filter(|_| if is_span { span.is_zero() } else { at.is_none() });
                let time = time.ok_or_else(|| wrong("`[SECONDS] [+SECONDS]`, then `>`, `<` or `*`", line))?;
                if is_span {
                    span = time
                } else {
                    at = Some(time)
                }
                rest = after;
                continue;
            }
        };
        return Ok(Record { line: number, at, span, what, mark });
    }
}

fn wrong(line: usize, expected: &str, got: &str) -> ParseError {
    ParseError { line, expected: expected.to_owned(), got: echo(got).chars().take(120).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# obsbus transcript 1
# kind: lamp
# setting: mechanics.steps = 3
# model: ambient 4
# began: 2026-11-30T20:01:02.123Z
# source: by hand

0.000100 * opened /dev/lamp
> S?\\r
0.500000 +0.006000 < S=\\xff \\\\\\r
# unexpected: nobody asked
1.000000 < noise
# obsbus transcript 1
# kind: lamp
* again
2.0 > cut of";

    #[test]
    fn a_file_is_read_and_each_line_is_written_as_it_was() {
        let runs = parse(TEXT).unwrap();
        assert_eq!(runs.len(), 2);
        let first = &runs[0];
        assert_eq!((first.kind.as_str(), kind(TEXT)), ("lamp", Some("lamp")));
        assert_eq!(first.settings[0].key, "mechanics.steps");
        assert_eq!((first.settings[0].value.as_str(), first.model[0].as_str()), ("3", "ambient 4"));
        assert_eq!(first.began.as_deref(), Some("2026-11-30T20:01:02.123Z"));
        assert_eq!(first.records[2].what, What::Received(b"S=\xff \\\r".to_vec()));
        assert_eq!(first.records[3].mark.as_deref(), Some("nobody asked"));
        let lines: Vec<&str> = TEXT.lines().collect();
        for record in runs.iter().flat_map(|run| &run.records) {
            assert_eq!(record.to_string(), lines[record.line - 1]);
        }
        // Half a line is what a kill leaves.
        assert_eq!(runs[1].records.len(), 1);
    }

    #[test]
    fn a_tab_in_words_counts_as_a_blank_and_among_bytes_as_a_mistake() {
        let text = "# obsbus transcript 1\n# kind:\tlamp\n#\tsetting: a\t=\t3\n# began: 1\t2\n# unexpected: x\ty\n* a\tb\n";
        let run = parse(text).unwrap().remove(0);
        assert_eq!((run.kind.as_str(), run.began.as_deref()), ("lamp", Some("1 2")));
        assert_eq!((run.settings[0].key.as_str(), run.settings[0].value.as_str()), ("a", "3"));
        let record = &run.records[0];
        assert_eq!((&record.what, record.mark.as_deref()), (&What::Note("a b".to_owned()), Some("x y")));
        let error = parse("# obsbus transcript 1\n# kind: lamp\n> a\tb\n").unwrap_err().to_string();
        assert!(error.starts_with("line 3: expected \\r"), "{error}");
    }

    #[test]
    fn what_the_bridge_writes_can_be_read() {
        let settings = [("serial_baud".to_owned(), "9600".to_owned())];
        let at = Some(Duration::from_micros(1_234_567));
        let what = What::Sent((0..=255).collect());
        let record = Record { line: 5, at, span: Duration::ZERO, what, mark: None };
        let text = format!("{}{record}\n", header("lamp", &settings, &"now"));
        assert_eq!(parse(&text).unwrap()[0].records, [record]);
    }

    #[test]
    fn a_wrong_line_is_named_with_what_was_expected() {
        for (line, expected) in [
            ("1.0 ? x", "line 3: expected `[SECONDS] [+SECONDS]`, then `>`, `<` or `*`, got `1.0 ? x`"),
            ("1.0 2.0 > x", "line 3: expected `[SECONDS] [+SECONDS]`"),
            ("-1 > x", "line 3: expected `[SECONDS] [+SECONDS]`"),
            ("nan > x", "line 3: expected `[SECONDS] [+SECONDS]`"),
            (
                "> \\q",
                "line 3: expected \\r, \\n, \\t, \\\\, \\\", \\' or \\xNN after a backslash, got `\\q`",
            ),
            ("> \\xg0", "line 3: expected \\r"),
            (
                "* \u{1b}]0;x\u{7}",
                "line 3: expected printable characters, and escapes for all others, got `* \\u{1b}]0;x",
            ),
            ("# began: \u{202e}x", "line 3: expected printable characters"),
            ("# setting: x", "line 3: expected `# setting: KEY = VALUE`"),
            ("# kind: ../x", "line 3: expected the kind of an instrument"),
        ] {
            let error = parse(&format!("{FIRST_LINE}\n# kind: lamp\n{line}\n")).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        for text in ["", "x\n", "# kind: lamp\n> x\n"] {
            assert!(parse(text).unwrap_err().to_string().contains(FIRST_LINE), "{text}");
        }
        assert!(parse(&format!("{FIRST_LINE}\n> x\n")).unwrap_err().to_string().contains("# kind: KIND"));
    }
}
