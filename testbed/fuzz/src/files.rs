//! Files that people send one another: transcripts of serial lines, and records of a night. They are
//! refused in one line that names the file, or read; and what is explained reaches a terminal harmless.

use std::path::Path;

use bridge::explain::explain_text;
use record::Reader;
use record::line::Line;

const FILE: &str = "night";

/// The first byte chooses the instrument, the second the form of the report.
pub(crate) fn transcripts(bytes: &[u8]) {
    let [which, form, rest @ ..] = bytes else { return };
    let text = String::from_utf8_lossy(rest);
    let is_json = form % 2 == 1;
    let explained = if which % 2 == 0 {
        explain_text::<chiller_bridge::daemon::Bridge>(&text, FILE, is_json)
    } else {
        explain_text::<focuser_bridge::daemon::Bridge>(&text, FILE, is_json)
    };
    let shown = match explained {
        Ok(report) => report,
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with(FILE), "{error:?}");
            error
        }
    };
    assert!(!shown.contains(|letter: char| letter.is_control() && letter != '\n'), "{shown:?}");
}

/// What was read is written so that it is read the same again.
pub(crate) fn records(bytes: &[u8]) {
    let mut reader = match Reader::of(bytes, Path::new(FILE)) {
        Ok(reader) => reader,
        Err(error) => return look_at(&error.to_string()),
    };
    loop {
        match reader.next_line() {
            Ok(None) => return,
            Ok(Some(line)) => {
                let written = serde_json::to_vec(&line).unwrap_or_default();
                assert_eq!(serde_json::from_slice::<Line>(&written).ok(), Some(line));
            }
            Err(error) => return look_at(&error.to_string()),
        }
    }
}

fn look_at(error: &str) {
    assert!(error.contains(FILE), "{error:?}");
    assert!(!error.contains(char::is_control), "{error:?}");
}
