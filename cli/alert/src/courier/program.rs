//! Delivery by a program, which gets the message on its standard input.

use std::process::Stdio;
use std::time::Duration;

use bus::message::echo;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// Of what it says when it fails, so much is told.
const SAID: u64 = 400;

pub(super) async fn run(command: &[String], limit: Duration, message: &[u8]) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("there is no command".to_owned());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // What it starts ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let ended = async {
        let write = async {
            if let Some(mut input) = input {
                // A program that does not read it need not.
                let _ = input.write_all(message).await;
            }
        };
        let read = async {
            let mut said = Vec::new();
            if let Some(errors) = errors {
                let _ = errors.take(SAID).read_to_end(&mut said).await;
            }
            String::from_utf8_lossy(&said).into_owned()
        };
        let ((), said, status) = tokio::join!(write, read, child.wait());
        (said, status)
    };
    let result = timeout(limit, ended).await;
    // Also what it has left behind.
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    match result {
        Err(_) => Err(format!("{program} did not end within {} s", limit.as_secs_f64())),
        Ok((_, Ok(status))) if status.success() => Ok(()),
        Ok((said, Ok(status))) => Err(format!("{program} ended with {status}: {}", echo(said.trim()))),
        Ok((_, Err(error))) => Err(format!("{program}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn a_program_gets_the_message_and_its_exit_code_says_whether_it_took_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("got");
        let limit = Duration::from_secs(20);
        run(&shell(&format!("cat > {}", file.display())), limit, b"{}").await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"{}");
        let error = run(&shell("echo no line >&2; exit 3"), limit, b"{}").await.unwrap_err();
        assert!(error.contains("exit status: 3") && error.contains("no line"), "{error}");
        // One that does not read is not waited for.
        run(&shell("exec 0<&-"), limit, &vec![b'x'; 1 << 20]).await.unwrap();
        let error = run(&["/no/such/program".to_owned()], limit, b"").await.unwrap_err();
        assert!(error.contains("cannot run /no/such/program"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let error = run(&shell(&script), Duration::from_secs(1), b"").await.unwrap_err();
        assert!(error.contains("did not end within 1 s"), "{error}");
        let child = std::fs::read_to_string(&file).unwrap();
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        for _ in 0..500 {
            if is_gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{child} lives on");
    }
}
