use super::*;
use bus::transcript::parse;
use std::fs;

fn at(milliseconds: u64) -> Instant {
    Instant::from_boot(Duration::from_millis(milliseconds))
}

fn head() -> String {
    header("lamp", &[], &"2026-11-30T20:00:00.000Z")
}

/// Writes, waits for the end, and gives the lines that are no comments.
fn written(path: &Path, limit: u64, write: impl FnOnce(&Recorder)) -> Vec<String> {
    let (recorder, transcript) = begin_with(path, head(), at(1000), limit).unwrap();
    write(&recorder);
    drop(recorder);
    transcript.finish(Duration::from_secs(10));
    // Not a device, which may be read without an end.
    let text = if path.is_file() { fs::read_to_string(path).unwrap() } else { String::new() };
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn bytes_that_arrive_together_stand_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let lines = written(&folder.path().join("t"), LIMIT, |recorder| {
        recorder.note("opened", at(1001));
        recorder.sent(b"S?\r", at(1010));
        recorder.received(b"S=", at(1050));
        recorder.received(b"1\r", at(1058));
        recorder.received(b"late", at(1200));
        recorder.sent(b"T?\r", at(1201));
    });
    let expected = [
        "0.001000 * opened",
        "0.010000 > S?\\r",
        "0.050000 +0.008000 < S=1\\r",
        "0.200000 < late",
        "0.201000 > T?\\r",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_file_that_is_there_is_continued_after_its_last_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    fs::write(&path, format!("{}0.5 > A\\r\n0.6 > cut o", head())).unwrap();
    let lines = written(&path, LIMIT, |recorder| recorder.sent(b"B\r", at(1700)));
    assert_eq!(lines, ["0.5 > A\\r", "0.700000 > B\\r"]);
    assert_eq!(parse(&fs::read_to_string(&path).unwrap()).unwrap().len(), 2, "two runs");
}

#[test]
fn two_files_hold_the_newest_lines_and_no_file_grows_beyond_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let limit = 2000;
    written(&path, limit, |recorder| {
        for number in 0..1000_u64 {
            recorder.sent(format!("question {number}\r").as_bytes(), at(1000 + number));
        }
    });
    let read = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.len() as u64 <= limit, "{}", text.len());
        parse(&text).unwrap().remove(0).records
    };
    let (previous, newest) = (read(&folder.path().join("t.previous")), read(&path));
    let numbers: Vec<u128> =
        previous.iter().chain(&newest).map(|record| record.at.unwrap().as_millis()).collect();
    assert!(numbers.len() > 50 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert_eq!(numbers.last(), Some(&999));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_file_that_cannot_be_written_ends_the_transcript_and_nothing_else() {
    let full = Path::new("/dev/full");
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(full, &link).unwrap();
    // Neither is a folder that is missing a reason to wait, nor a device one to write to it.
    for path in [&folder.path().join("missing/t"), &link, full, folder.path()] {
        let lines = written(path, LIMIT, |recorder| {
            // More than the queue holds: whoever records never waits.
            for number in 0..2 * QUEUE as u64 {
                recorder.sent(b"A\r", at(number));
            }
        });
        assert!(lines.is_empty(), "{}", path.display());
    }
    assert!(link.is_symlink());
}

#[test]
fn what_is_too_fast_for_the_disk_is_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = sync_channel(1);
    let left_out = Arc::new(AtomicU64::new(0));
    let recorder = Recorder { entries: pipe.0, left_out: Arc::clone(&left_out) };
    for number in 0..5 {
        recorder.sent(b"A\r", at(1000 + number));
    }
    assert_eq!(left_out.load(Ordering::Relaxed), 4);
    drop(recorder);
    let path = folder.path().join("t");
    let file = Limited::open(&path, head(), LIMIT).unwrap();
    Writer { file, began: at(1000), left_out: &left_out, pending: None }.run(&pipe.1).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("* 4 lines were left out: too fast\n"), "{text}");
}

#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = Limited::open(&folder.path().join("t"), head(), LIMIT).unwrap();
    file.replace_file(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let (entries, waiting) = sync_channel(8);
    let left_out = Arc::new(AtomicU64::new(0));
    let recorder = Recorder { entries, left_out: Arc::clone(&left_out) };
    recorder.sent(b"A\r", at(1000));
    let error =
        Writer { file, began: at(1000), left_out: &left_out, pending: None }.run(&waiting).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    drop(waiting);
    recorder.sent(b"B\r", at(1001));
}
