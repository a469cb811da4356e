//! The store on a real directory: what is left after a crash at each step, and what is said of a bad disk.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bridge::store::{Loaded, PROBE, Saved, Store, load, prepare};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

/// Good contents begin with `good`.
fn parse(bytes: &[u8]) -> Result<String, &'static str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with("good") => Ok(text.to_owned()),
        _ => Err("not a mode"),
    }
}

/// Names and contents.
type Files<'a> = &'a [(&'a str, &'a str)];

fn directory_with(files: Files) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        fs::write(directory.path().join(name), contents).unwrap();
    }
    directory
}

fn loaded(directory: &Path) -> Loaded<String> {
    load(directory, "mode", parse)
}

fn contents(directory: &Path, name: &str) -> Option<String> {
    fs::read_to_string(directory.join(name)).ok()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn next(reports: &mut Receiver<Saved>) -> Saved {
    timeout(LIMIT, reports.recv()).await.expect("no report").expect("the store has ended")
}

async fn save(directory: &Path, text: &str) -> Saved {
    let (store, mut reports) = Store::start(directory).unwrap();
    store.save("mode", 7, text.as_bytes().to_vec());
    next(&mut reports).await
}

#[tokio::test]
async fn what_was_saved_is_loaded_and_its_number_reported() {
    let directory = directory_with(&[]);
    assert_eq!(loaded(directory.path()), Loaded::Missing);
    let saved = save(directory.path(), "good 1").await;
    assert_eq!(saved, Saved { name: "mode", number: 7, result: Ok(()) });
    assert_eq!(loaded(directory.path()), Loaded::Current("good 1".to_owned()));
    assert_eq!(names(directory.path()), ["mode"]);
}

#[tokio::test]
async fn the_former_contents_are_kept_as_previous() {
    let directory = directory_with(&[]);
    for text in ["good 1", "good 2", "good 3"] {
        save(directory.path(), text).await.result.unwrap();
    }
    // The report says that the new contents are safe; the former are put in place just before it.
    assert_eq!(names(directory.path()), ["mode", "mode.previous"]);
    assert_eq!(contents(directory.path(), "mode").unwrap(), "good 3");
    assert_eq!(contents(directory.path(), "mode.previous").unwrap(), "good 2");
}

#[tokio::test]
async fn every_name_is_written_and_reported_by_itself() {
    let directory = directory_with(&[]);
    let (store, mut reports) = Store::start(directory.path()).unwrap();
    store.save("mode", 1, b"good mode".to_vec());
    store.save("journal", 2, b"good journal".to_vec());
    let mut saved =
        [next(&mut reports).await, next(&mut reports).await].map(|saved| (saved.name, saved.number));
    saved.sort_unstable();
    assert_eq!(saved, [("journal", 2), ("mode", 1)]);
    assert_eq!(load(directory.path(), "journal", parse), Loaded::Current("good journal".to_owned()));
    assert_eq!(loaded(directory.path()), Loaded::Current("good mode".to_owned()));
}

#[tokio::test]
async fn files_that_are_saved_together_succeed_and_fail_each_by_itself() {
    let directory = directory_with(&[]);
    // A folder of that name cannot be replaced by a file.
    fs::create_dir(directory.path().join("journal")).unwrap();
    let (store, mut reports) = Store::start(directory.path()).unwrap();
    let files = [("mode", 1), ("journal", 2), ("history", 3)];
    store.save_together(files.map(|(name, number)| (name, number, format!("good {name}").into_bytes())));
    for (name, number) in files {
        let saved = next(&mut reports).await;
        assert_eq!((saved.name, saved.number, saved.result.is_ok()), (name, number, name != "journal"));
    }
    assert_eq!(contents(directory.path(), "mode").unwrap(), "good mode");
    assert_eq!(contents(directory.path(), "history").unwrap(), "good history");
    assert_eq!(names(directory.path()), ["history", "journal", "mode"]);
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_good_contents_and_does_not_hinder_the_next_save() {
    let steps: [(&str, Files, &str); 6] = [
        ("first save, half written", &[("mode.new", "go")], "nothing"),
        ("half written", &[("mode", "good 2"), ("mode.previous", "good 1"), ("mode.new", "go")], "good 2"),
        ("written", &[("mode", "good 2"), ("mode.previous", "good 1"), ("mode.new", "good 3")], "good 2"),
        (
            "linked",
            &[
                ("mode", "good 2"),
                ("mode.former", "good 2"),
                ("mode.previous", "good 1"),
                ("mode.new", "good 3"),
            ],
            "good 2",
        ),
        ("replaced", &[("mode", "good 3"), ("mode.former", "good 2"), ("mode.previous", "good 1")], "good 3"),
        ("former kept", &[("mode", "good 3"), ("mode.previous", "good 2")], "good 3"),
    ];
    for (step, files, expected) in steps {
        let directory = directory_with(files);
        let before = match loaded(directory.path()) {
            Loaded::Current(text) => text,
            Loaded::Missing => "nothing".to_owned(),
            other => panic!("{step}: {other:?}"),
        };
        assert_eq!(before, expected, "{step}");

        save(directory.path(), "good 4").await.result.unwrap();
        assert_eq!(loaded(directory.path()), Loaded::Current("good 4".to_owned()), "{step}");
        let previous = contents(directory.path(), "mode.previous");
        assert_eq!(previous.as_deref().unwrap_or("nothing"), expected, "{step}");
        let left = names(directory.path());
        assert!(left.iter().all(|name| name == "mode" || name == "mode.previous"), "{step}: {left:?}");
    }
}

#[tokio::test]
async fn a_link_left_by_a_crash_is_not_written_through() {
    let directory = directory_with(&[("mode", "good 1")]);
    let path = directory.path();
    // Two names of one file: a rename of one to the other would do nothing at all.
    fs::hard_link(path.join("mode"), path.join("mode.previous")).unwrap();
    fs::hard_link(path.join("mode"), path.join("mode.new")).unwrap();
    save(path, "good 2").await.result.unwrap();
    assert_eq!(contents(path, "mode").unwrap(), "good 2");
    assert_eq!(contents(path, "mode.previous").unwrap(), "good 1");
}

#[test]
fn damaged_contents_fall_back_to_the_previous_ones() {
    for damaged in ["", "{\"mode\": \"aut", "\0\0\0\0"] {
        let directory = directory_with(&[("mode", damaged), ("mode.previous", "good 1")]);
        let Loaded::Previous(text, wrong) = loaded(directory.path()) else { panic!("not the previous ones") };
        assert_eq!(text, "good 1");
        assert_eq!(wrong, format!("{}: not a mode", directory.path().join("mode").display()));
    }
}

#[test]
fn missing_contents_fall_back_to_the_previous_ones() {
    let directory = directory_with(&[("mode.previous", "good 1")]);
    let wrong = format!("{} is missing", directory.path().join("mode").display());
    assert_eq!(loaded(directory.path()), Loaded::Previous("good 1".to_owned(), wrong));
}

#[test]
fn when_nothing_is_good_it_is_said_what_is_wrong_with_each() {
    let directory = directory_with(&[("mode", "bad"), ("mode.previous", "worse")]);
    let (current, previous) = (directory.path().join("mode"), directory.path().join("mode.previous"));
    let both = format!("{}: not a mode; {}: not a mode", current.display(), previous.display());
    assert_eq!(loaded(directory.path()), Loaded::Damaged(both));

    fs::remove_file(&previous).unwrap();
    assert_eq!(loaded(directory.path()), Loaded::Damaged(format!("{}: not a mode", current.display())));

    fs::rename(&current, &previous).unwrap();
    assert_eq!(loaded(directory.path()), Loaded::Damaged(format!("{}: not a mode", previous.display())));
}

#[test]
fn contents_that_cannot_be_read_are_damaged_and_not_missing() {
    let directory = directory_with(&[]);
    fs::create_dir(directory.path().join("mode")).unwrap();
    let Loaded::Damaged(wrong) = loaded(directory.path()) else { panic!("taken for something else") };
    assert!(
        wrong.starts_with(&format!("cannot read {}: ", directory.path().join("mode").display())),
        "{wrong}"
    );
}

#[tokio::test]
async fn damaged_contents_replace_the_good_previous_ones_only_when_the_new_ones_are_safe() {
    let directory = directory_with(&[("mode", "bad"), ("mode.previous", "good 1")]);
    let path = directory.path();
    // A save that fails at its last step: a directory is in the way.
    fs::remove_file(path.join("mode")).unwrap();
    fs::create_dir(path.join("mode")).unwrap();
    save(path, "good 2").await.result.unwrap_err();
    assert_eq!(contents(path, "mode.previous").unwrap(), "good 1");

    fs::remove_dir(path.join("mode")).unwrap();
    fs::write(path.join("mode"), "bad").unwrap();
    save(path, "good 2").await.result.unwrap();
    assert_eq!(loaded(path), Loaded::Current("good 2".to_owned()));
}

#[tokio::test]
async fn a_save_that_fails_says_why_leaves_nothing_behind_and_does_not_stop_the_next() {
    let directory = directory_with(&[("mode.previous", "good 1")]);
    let path = directory.path();
    fs::create_dir(path.join("mode")).unwrap();
    let (store, mut reports) = Store::start(path).unwrap();

    store.save("mode", 1, b"good 2".to_vec());
    let error = next(&mut reports).await.result.unwrap_err();
    assert_eq!(error.path, path.join("mode"));
    assert!(
        error.to_string().starts_with(&format!("cannot replace {}: ", path.join("mode").display())),
        "{error}"
    );
    assert!(error.to_string().contains("os error"), "{error}");
    assert_eq!(names(path), ["mode", "mode.previous"]);

    fs::remove_dir(path.join("mode")).unwrap();
    store.save("mode", 2, b"good 3".to_vec());
    assert_eq!(next(&mut reports).await, Saved { name: "mode", number: 2, result: Ok(()) });
}

#[tokio::test]
async fn a_directory_that_is_gone_is_an_error_until_it_is_back() {
    let parent = directory_with(&[]);
    let path = parent.path().join("state");
    let (store, mut reports) = Store::start(&path).unwrap();
    store.save("mode", 1, b"good 1".to_vec());
    let error = next(&mut reports).await.result.unwrap_err();
    assert_eq!((error.attempt, error.kind), ("write", ErrorKind::NotFound));

    prepare(&path).unwrap();
    store.save("mode", 2, b"good 2".to_vec());
    assert_eq!(next(&mut reports).await.result, Ok(()));
    assert_eq!(loaded(&path), Loaded::Current("good 2".to_owned()));
}

#[tokio::test]
async fn the_world_may_read_neither_the_directory_nor_its_files() {
    let parent = directory_with(&[]);
    let path = parent.path().join("var/state");
    prepare(&path).unwrap();
    // The umask may take more away.
    assert_eq!(path.metadata().unwrap().mode() & 0o777 & !0o750, 0);
    fs::write(path.join("mode.new"), "left over").unwrap();
    fs::set_permissions(path.join("mode.new"), fs::Permissions::from_mode(0o666)).unwrap();
    for text in ["good 1", "good 2"] {
        save(&path, text).await.result.unwrap();
    }
    for name in ["mode", "mode.previous"] {
        assert_eq!(path.join(name).metadata().unwrap().mode() & 0o777, 0o640, "{name}");
    }
}

#[test]
fn preparing_leaves_a_directory_and_its_mode_as_they_were() {
    let directory = directory_with(&[("mode", "good 1")]);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o770)).unwrap();
    prepare(directory.path()).unwrap();
    assert_eq!(names(directory.path()), ["mode"]);
    assert_eq!(directory.path().metadata().unwrap().mode() & 0o777, 0o770);
}

#[test]
fn a_directory_that_cannot_be_made_or_written_is_named() {
    let directory = directory_with(&[("file", "")]);
    let under_a_file = directory.path().join("file/state");
    let error = prepare(&under_a_file).unwrap_err();
    assert_eq!((error.attempt, &error.path), ("create", &under_a_file));
    assert!(error.to_string().starts_with(&format!("cannot create {}: ", under_a_file.display())), "{error}");

    // Not even root may create a file there.
    let error = prepare(Path::new("/proc/self")).unwrap_err();
    assert_eq!(error.attempt, "write");
    assert!(error.to_string().starts_with("cannot write /proc/self/"), "{error}");
}

#[tokio::test]
async fn at_the_end_everything_that_waits_is_written() {
    let directory = directory_with(&[]);
    let (store, mut reports) = Store::start(directory.path()).unwrap();
    for number in 1..=50 {
        store.save("mode", number, format!("good {number}").into_bytes());
        store.save("journal", number, format!("good {number}").into_bytes());
    }
    timeout(LIMIT, store.finish()).await.expect("the store hangs");
    assert_eq!(loaded(directory.path()), Loaded::Current("good 50".to_owned()));
    assert_eq!(load(directory.path(), "journal", parse), Loaded::Current("good 50".to_owned()));
    // The thread is gone: what it reported can be read to its end.
    while timeout(LIMIT, reports.recv()).await.expect("the channel is open").is_some() {}
}

#[tokio::test]
async fn dropping_the_handle_ends_the_thread_after_what_waits_is_written() {
    let directory = directory_with(&[]);
    let (store, mut reports) = Store::start(directory.path()).unwrap();
    store.save("mode", 1, b"good 1".to_vec());
    drop(store);
    assert_eq!(next(&mut reports).await.number, 1);
    assert_eq!(timeout(LIMIT, reports.recv()).await.expect("the thread goes on"), None);
    assert_eq!(loaded(directory.path()), Loaded::Current("good 1".to_owned()));
}

#[tokio::test]
async fn with_nobody_to_report_to_it_writes_all_the_same() {
    let directory = directory_with(&[]);
    let (store, reports) = Store::start(directory.path()).unwrap();
    drop(reports);
    store.save("mode", 1, b"good 1".to_vec());
    timeout(LIMIT, store.finish()).await.expect("the store hangs");
    assert_eq!(loaded(directory.path()), Loaded::Current("good 1".to_owned()));
}

/// In the environment of the process that may write no more than a few KiB to a file.
const LIMITED: &str = "OBSBUS_TEST_FILES_ARE_LIMITED";

#[tokio::test]
async fn a_write_that_breaks_off_half_way_costs_nothing_that_was_saved() {
    if std::env::var_os(LIMITED).is_none() {
        // Like a full disk, and needs no rights. A signal that is ignored stays so in what is executed.
        let name = "a_write_that_breaks_off_half_way_costs_nothing_that_was_saved";
        let output = Command::new("sh")
            .args(["-c", "trap '' XFSZ && ulimit -f 8 && exec \"$0\" --exact --nocapture \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg(name)
            .env(LIMITED, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let directory = directory_with(&[("mode", "good 2"), ("mode.previous", "good 1")]);
    let (store, mut reports) = Store::start(directory.path()).unwrap();
    store.save("mode", 1, vec![b'x'; 1 << 20]);
    let error = next(&mut reports).await.result.unwrap_err();
    assert_eq!(error.attempt, "write");
    assert!([ErrorKind::FileTooLarge, ErrorKind::StorageFull].contains(&error.kind), "{error:?}");
    assert_eq!(names(directory.path()), ["mode", "mode.previous"]);
    assert_eq!(contents(directory.path(), "mode").unwrap(), "good 2");
    assert_eq!(contents(directory.path(), "mode.previous").unwrap(), "good 1");

    store.save("mode", 2, b"good 3".to_vec());
    assert_eq!(next(&mut reports).await.result, Ok(()));
    assert_eq!(loaded(directory.path()), Loaded::Current("good 3".to_owned()));
}

#[tokio::test]
async fn a_directory_that_could_not_be_written_is_tried_again_and_made() {
    let directory = directory_with(&[("state", "in the way")]);
    let path = directory.path().join("state");
    let (store, mut reports) = Store::start(&path).unwrap();
    store.probe();
    let report = next(&mut reports).await;
    assert_eq!((report.name, report.result.unwrap_err().attempt), (PROBE, "create"));

    fs::remove_file(&path).unwrap();
    store.probe();
    let report = next(&mut reports).await;
    assert_eq!((report.name, report.result), (PROBE, Ok(())));
    assert_eq!(names(&path), [""; 0], "the try leaves nothing behind");
    store.save("mode", 1, b"good 1".to_vec());
    next(&mut reports).await.result.unwrap();
    assert_eq!(loaded(&path), Loaded::Current("good 1".to_owned()));
}
