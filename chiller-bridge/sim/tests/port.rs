//! A simulated instrument behind a pseudo-terminal: what the host sees of it, and of its cable.

#![expect(clippy::disallowed_methods, reason = "a host on a real pseudo-terminal waits in real time")]
#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::time::Duration;

use bus::clock::Now;
use chiller_sim::{Chiller, Config, Fault, Status};
use harness::port::{Direction, Port};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const LIMIT: Duration = Duration::from_secs(10);

fn served(config: Config) -> (tempfile::TempDir, Port<Chiller>) {
    let directory = tempfile::tempdir().unwrap();
    let port = Port::serve(Chiller::new(config), directory.path().join("ttyCHILLER")).unwrap();
    (directory, port)
}

fn config() -> Config {
    Config { latency: Duration::ZERO..=Duration::ZERO, gap: None, ..Config::default() }
}

fn open(port: &Port<Chiller>) -> File {
    File::options().read(true).write(true).open(port.link()).unwrap()
}

/// The bytes up to CR, or what came before the hang-up.
fn read_reply(host: &mut File) -> Vec<u8> {
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r") {
        let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
        let mut fds = [PollFd::new(&*host, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&timeout)).unwrap(), 1, "no byte for 10 s after {reply:?}");
        let mut byte = [0];
        match host.read(&mut byte) {
            Ok(1) => reply.push(byte[0]),
            _ => break,
        }
    }
    reply
}

#[test]
fn a_request_through_the_pseudo_terminal_is_answered() {
    let (_directory, port) = served(config());
    let mut host = open(&port);
    host.write_all(b".0115sStatus_17C\r").unwrap();
    assert_eq!(read_reply(&mut host), b"#01150sStatus_1A1\r");
    assert_eq!(port.with(|chiller| chiller.status()), Status::Run);
    let log = port.log();
    assert_eq!(log.len(), 2);
    assert_eq!((log[0].direction, log[0].bytes.as_slice()), (Direction::Request, &b".0115sStatus_17C\r"[..]));
    assert_eq!((log[1].direction, log[1].bytes.as_slice()), (Direction::Reply, &b"#01150sStatus_1A1\r"[..]));
    assert!(log[1].at >= log[0].at);
}

#[test]
fn with_wire_time_a_reply_takes_as_long_as_on_the_wire() {
    let (_directory, port) = served(Config { wire_time: true, ..config() });
    let mut host = open(&port);
    host.write_all(b".0101WatchDog01\r").unwrap();
    assert_eq!(read_reply(&mut host).len(), 21);
    let log = port.log();
    // 16 characters in, 21 out.
    assert!(log[1].at.since(log[0].at) >= Duration::from_micros(38_541), "{log:?}");
}

#[test]
fn a_pulled_cable_hangs_up_and_the_same_link_works_when_it_is_back() {
    let (_directory, port) = served(config());
    let mut host = open(&port);
    port.unplug().unwrap();
    port.unplug().unwrap();
    assert!(read_reply(&mut host).is_empty());
    assert!(host.write_all(b".0101WatchDog01\r").is_err());
    assert!(fs::symlink_metadata(port.link()).is_err());
    port.plug().unwrap();
    port.plug().unwrap();
    let mut host = open(&port);
    host.write_all(b".0103rSetTemp26\r").unwrap();
    assert_eq!(read_reply(&mut host), b"#01030rSetTemp+01503C\r");
}

#[test]
fn a_fault_put_on_meanwhile_is_seen_by_the_host() {
    let (_directory, port) = served(config());
    port.with(|chiller| chiller.inject_for(Fault::Short23, 1));
    let mut host = open(&port);
    host.write_all(b".0101WatchDog01\r").unwrap();
    assert_eq!(read_reply(&mut host), b"#23\r");
}

#[test]
fn the_lock_of_a_killed_opener_goes_by_itself() {
    let (_directory, port) = served(config());
    let host = open(&port);
    rustix::termios::ioctl_tiocexcl(&host).unwrap();
    drop(host);
    // Root opens a locked terminal anyway; anybody else only when the lock is gone.
    let begin = Now::read().instant;
    let mut host = loop {
        match File::options().read(true).write(true).open(port.link()) {
            Ok(host) => break host,
            Err(error) => assert!(Now::read().instant.since(begin) < LIMIT, "{error}"),
        }
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 })).unwrap();
    };
    host.write_all(b".0101WatchDog01\r").unwrap();
    assert_eq!(read_reply(&mut host).len(), 21);
}

#[test]
fn a_dropped_port_takes_its_link_along_and_a_file_in_its_way_is_kept() {
    let (directory, port) = served(config());
    let link = port.link().to_owned();
    drop(port);
    assert!(fs::symlink_metadata(&link).is_err());
    fs::write(&link, "precious").unwrap();
    let error = Port::serve(Chiller::new(config()), &link).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&link).unwrap(), b"precious");
    drop(directory);
}
