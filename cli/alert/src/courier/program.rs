//! Delivery by a program, which gets the message on its standard input.

use std::process::Stdio;
use std::time::Duration;

use bus::message::echo;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, Command};
use tokio::time::timeout;

/// Of what it says when it fails, so much is told.
const SAID: usize = 400;
/// After its end, for the rest of that.
const REST: Duration = Duration::from_millis(500);

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
    let (input, errors, message) = (child.stdin.take(), child.stderr.take(), message.to_vec());
    let writing = tokio::spawn(async move {
        if let Some(mut input) = input {
            // A program that does not read it need not.
            let _ = input.write_all(&message).await;
        }
    });
    let reading = tokio::spawn(async move {
        match errors {
            Some(errors) => beginning(errors).await,
            None => String::new(),
        }
    });
    // Its own end counts: what it has started may run on, and keep its output open.
    let result = timeout(limit, child.wait()).await;
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    writing.abort();
    let stop_reading = reading.abort_handle();
    let said = timeout(REST, reading).await;
    stop_reading.abort();
    let said = said.ok().and_then(Result::ok).unwrap_or_default();
    match result {
        Err(_) => Err(format!("{program} did not end within {} s", limit.as_secs_f64())),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{program} ended with {status}: {}", echo(said.trim()))),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
    }
}

/// Reads to the end: a program whose output nobody takes would wait for ever, or be killed.
async fn beginning(mut errors: ChildStderr) -> String {
    let (mut said, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = errors.read(&mut part).await {
        let room = SAID.saturating_sub(said.len()).min(length);
        said.extend_from_slice(part.get(..room).unwrap_or_default());
    }
    String::from_utf8_lossy(&said).into_owned()
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
    async fn a_program_may_say_much_and_leave_something_behind() {
        let limit = Duration::from_secs(20);
        run(&shell("head -c 1000000 /dev/zero >&2"), limit, b"{}").await.unwrap();
        run(&shell("head -c 1000000 /dev/zero"), limit, b"{}").await.unwrap();
        let begun = tokio::time::Instant::now();
        run(&shell("sleep 1000 &"), limit, b"{}").await.unwrap();
        run(&shell("setsid sleep 10 &"), limit, &vec![b'x'; 1 << 20]).await.unwrap();
        assert!(begun.elapsed() < limit / 2, "it waited for what was left behind");
        let error = run(&shell("sleep 1000 & echo no line >&2; exit 3"), limit, b"").await.unwrap_err();
        assert!(error.ends_with("no line"), "{error}");
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
