//! The watchdog's thread, and what a service manager hears of it through a real socket.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use bridge::watchdog::{Watchdog, notify_ready, notify_stopping};
use bus::rounds::Rounds;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn whichever_loop_stops_coming_round_is_reported_by_its_name() {
    for hangs in ["device", "line", "session"] {
        let loops = ["device", "line", "session"].map(|name| (name, Rounds::default()));
        let (stuck, reported) = mpsc::channel();
        let _watchdog = Watchdog::start(Duration::from_millis(400), loops.to_vec(), move |name| {
            stuck.send(name).unwrap();
        })
        .unwrap();
        let mut turns = 0;
        let found = loop {
            loops.iter().filter(|(name, _)| *name != hangs).for_each(|(_, rounds)| rounds.count());
            match reported.recv_timeout(Duration::from_millis(5)) {
                Ok(name) => break name,
                Err(_) => turns += 1,
            }
            assert!(turns < 2000, "nobody noticed that {hangs} hangs");
        };
        assert_eq!(found, hangs);
    }
}

#[test]
fn a_watch_that_was_ended_reports_nothing() {
    let (stuck, reported) = mpsc::channel();
    let loops = vec![("loop", Rounds::default())];
    drop(Watchdog::start(Duration::from_secs(5), loops, move |_| stuck.send(()).unwrap()).unwrap());
    // The callback goes with the thread, and was not called.
    assert_eq!(reported.recv_timeout(LIMIT), Err(mpsc::RecvTimeoutError::Disconnected));
}

/// In the environment of the process that plays the bridge. The variables of the service manager cannot
/// be set in this one, whose other threads read the environment.
const PLAY: &str = "OBSBUS_TEST_PLAYS_THE_BRIDGE";

/// Comes round until a byte arrives, then hangs (which it marks by a second `READY=1`) until that is noticed.
fn play_the_bridge() {
    let (stuck, reported) = mpsc::channel();
    let (rounds, other) = (Rounds::default(), Rounds::default());
    let loops = vec![("one", rounds.clone()), ("another", other.clone())];
    let _watchdog = Watchdog::start(Duration::from_secs(1), loops, move |_| stuck.send(()).unwrap()).unwrap();
    // This one never hangs.
    std::thread::spawn(move || {
        let (_never, wait) = mpsc::channel::<()>();
        while wait.recv_timeout(Duration::from_millis(5)).is_err() {
            other.count();
        }
    });
    notify_ready();
    let (go_on, hang) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        std::io::stdin().read_exact(&mut [0]).unwrap();
        drop(go_on);
    });
    while hang.recv_timeout(Duration::from_millis(5)) == Err(mpsc::RecvTimeoutError::Timeout) {
        rounds.count();
    }
    notify_ready();
    reported.recv_timeout(LIMIT).expect("nobody noticed");
    notify_stopping();
}

#[test]
fn the_service_manager_is_pinged_only_while_the_loop_comes_round() {
    if std::env::var_os(PLAY).is_some() {
        return play_the_bridge();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let heard = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("nothing more was said");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    };

    let name = "the_service_manager_is_pinged_only_while_the_loop_comes_round";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(PLAY, "1")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000")
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();

    assert_eq!(heard(), "READY=1");
    for _ in 0..3 {
        assert_eq!(heard(), "WATCHDOG=1");
    }
    child.stdin.take().unwrap().write_all(b"!").unwrap();
    while heard() != "READY=1" {}
    let after: Vec<_> = std::iter::repeat_with(heard).take_while(|text| text != "STOPPING=1").collect();
    // It hangs for twenty pings' time; one may be under way, and one due for the last progress before it.
    assert!(after.len() <= 2, "{after:?}");
    assert!(child.wait().unwrap().success());
}
