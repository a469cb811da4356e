//! `--explain FILE`: a transcript in words. Each exchange is decoded by the instrument's own codec, and what
//! is not as it should be is named. The pure parts are below; this file only reads the transcript.

pub mod candidates;
mod reader;
mod report;
mod seen;
mod settings;
pub mod words;

use std::io::Read as _;
use std::path::Path;

use bus::transcript::{self, Run};

use crate::instrument::Instrument;
use reader::Reader;
use report::Report;

/// A bridge writes no file of more than a quarter of this.
const LARGEST: u64 = 64 << 20;

/// Why a transcript cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// It is of another instrument.
    #[error("{file}: expected a transcript of a {mine}, this one is of a {kind}")]
    NotMine {
        /// The file.
        file: String,
        /// This bridge's kind.
        mine: &'static str,
        /// The transcript's.
        kind: String,
    },
    /// It cannot be read, or a line is wrong.
    #[error("{0}")]
    Wrong(String),
}

/// The explanation of a file.
///
/// # Errors
/// See [`ExplainError`].
pub fn explain<I: Instrument>(file: &Path, is_json: bool) -> Result<String, ExplainError> {
    let shown = file.display();
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| ExplainError::Wrong(format!("cannot read {shown}: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        let limit = LARGEST >> 20;
        return Err(ExplainError::Wrong(format!("{shown}: expected a transcript of at most {limit} MiB")));
    }
    explain_text::<I>(&String::from_utf8_lossy(&bytes), &shown.to_string(), is_json)
}

/// The same, of a text whose file is called so.
///
/// # Errors
/// See [`ExplainError`].
pub fn explain_text<I: Instrument>(text: &str, file: &str, is_json: bool) -> Result<String, ExplainError> {
    let wrong = |problem: String| ExplainError::Wrong(format!("{file}: {problem}"));
    let runs = transcript::parse(text).map_err(|error| wrong(error.to_string()))?;
    let mine = I::DESCRIPTION.kind;
    if let Some(other) = runs.iter().find(|run| run.kind != mine) {
        let kind = other.kind.clone();
        return Err(ExplainError::NotMine { file: file.to_owned(), mine, kind });
    }
    let mut report = Report::new(file, mine);
    for run in &runs {
        report.add(run, read::<I>(run).map_err(wrong)?);
    }
    Ok(if is_json { report.json() } else { report.text() })
}

fn read<I: Instrument>(run: &Run) -> Result<Vec<seen::Item>, String> {
    let settings = settings::of_run::<I::Settings>(run)?;
    let mut reader = Reader::new(I::protocol(&settings), I::configured(&settings).xon_xoff);
    run.records.iter().for_each(|record| reader.take(record));
    Ok(reader.finish())
}
