//! The simulated instruments as programs of their own, and transcripts of serial lines: what the bridges
//! write, and what the bridges' codecs and the simulators make of the transcripts in the repository.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]
#![expect(
    clippy::indexing_slicing,
    reason = "a key that JSON does not have is null, and then the test fails"
)]

mod checklist;
mod player;
mod transcripts;
mod written;

use std::time::Duration;

use testbed::process::Launch;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn each_says_where_it_is_and_takes_its_link_away_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    for program in ["chiller-sim", "focuser-sim"] {
        let link = folder.path().join(program);
        let mut process = Launch::workspace(program).unwrap().arg("--link").arg(&link).spawn().unwrap();
        let said = process.wait_for_line(|_| true, LIMIT).unwrap();
        assert_eq!(said, link.display().to_string());
        assert!(link.exists(), "{program}");
        assert_eq!(process.stop(LIMIT).unwrap(), 0, "{program}");
        assert!(!link.exists() && link.symlink_metadata().is_err(), "{program}");
    }
}
