//! Mail to servers that do not do what they should.

use std::sync::{Arc, Mutex};

use bus::clock::Utc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;

/// Everything that a client has said.
type Said = Arc<Mutex<Vec<String>>>;

/// A server that answers as `answer` says: by the line, and whether it is in the middle of a mail.
async fn server(answer: impl Fn(&str) -> &'static str + Send + Sync + 'static) -> (Mail, Said) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (said, answer) = (Said::default(), Arc::new(answer));
    let heard = Arc::clone(&said);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
            tokio::spawn(async move {
                let (input, mut output) = stream.split();
                output.write_all(b"220 here\r\n").await.unwrap();
                let (mut lines, mut in_mail) = (BufReader::new(input).lines(), false);
                while let Ok(Some(line)) = lines.next_line().await {
                    heard.lock().unwrap().push(line.clone());
                    if in_mail && line != "." {
                        continue;
                    }
                    let reply = answer(&line);
                    in_mail = reply.starts_with("354");
                    if output.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let to = ["ann@example.org", "gone@example.org"].map(str::to_owned).to_vec();
    let from = "Observatory <obsbus@example.org>".to_owned();
    let host = "127.0.0.1".to_owned();
    (Mail { host, port, security: Security::None, from, to, login: None, ca_file: None }, said)
}

fn usual(line: &str) -> &'static str {
    if line == "DATA" { "354 go on\r\n" } else { "250 good\r\n" }
}

fn message(subject: &str, body: &str) -> Message {
    Message {
        number: 7,
        date: Utc::parse("2026-11-20T18:00:00Z").unwrap(),
        level: Some(Level::Critical),
        subject: subject.to_owned(),
        body: body.to_owned(),
        episodes: vec![1],
        link: None,
        is_used: false,
    }
}

#[tokio::test]
async fn an_address_that_is_refused_does_not_keep_the_mail_from_the_others() {
    let refuses_one = |line: &str| match line {
        line if line.contains("gone@") => "550 no such user\r\n",
        line => usual(line),
    };
    let (mail, said) = server(refuses_one).await;
    let Came::TakenInPart(problem) = send(&mail, &message("s", "b")).await else { panic!("{said:?}") };
    assert!(problem.contains("gone@example.org") && problem.contains("no such user"), "{problem}");
    assert!(said.lock().unwrap().iter().any(|line| line == "."), "{said:?}");

    let (mail, said) = server(|line| if line.starts_with("RCPT") { "550 no\r\n" } else { usual(line) }).await;
    assert!(matches!(send(&mail, &message("s", "b")).await, Came::Failed(_)));
    assert!(!said.lock().unwrap().iter().any(|line| line == "DATA"), "{said:?}");
}

#[tokio::test]
async fn a_mail_that_is_refused_is_told_from_a_server_that_has_trouble() {
    for (answer, refused) in [("552 too large\r\n", true), ("554 spam\r\n", true), ("451 later\r\n", false)] {
        let (mail, _) = server(move |line| if line == "." { answer } else { usual(line) }).await;
        let came = send(&mail, &message("s", "b")).await;
        assert_eq!(matches!(came, Came::Refused(_)), refused, "{came:?}");
        assert!(came.problem().is_some_and(|problem| problem.contains(answer[4..].trim())), "{came:?}");
    }
    // Half-way.
    for at in ["EHLO", "MAIL", "DATA"] {
        let answer = move |line: &str| if line.starts_with(at) { "421 bye\r\n" } else { usual(line) };
        let (mail, _) = server(answer).await;
        let came = send(&mail, &message("s", "b")).await;
        assert!(matches!(&came, Came::Failed(problem) if problem.contains("bye")), "{at} {came:?}");
    }
}

#[tokio::test]
async fn nothing_that_a_device_says_becomes_a_header_or_a_command() {
    let (mail, said) = server(usual).await;
    let subject = "clasp CRITICAL: lamp\r\nBcc: eve@example.org\r\n\r\nforged";
    let body = "one\r\n.\r\nMAIL FROM:<eve@example.org>\r\n";
    assert_eq!(send(&mail, &message(subject, body)).await, Came::Taken);
    let said = said.lock().unwrap();
    let head: Vec<_> =
        said.iter().skip_while(|line| *line != "DATA").take_while(|it| !it.is_empty()).collect();
    assert!(!head.iter().any(|line| line.starts_with("Bcc")), "{said:?}");
    assert_eq!(said.iter().filter(|line| line.starts_with("MAIL FROM:")).count(), 2, "{said:?}");
    assert_eq!(said.iter().filter(|line| *line == ".").count(), 1, "the dot of the body is another one");
    assert!(said.contains(&"Auto-Submitted: auto-generated".to_owned()));
}

#[tokio::test]
async fn a_server_that_answers_letter_by_letter_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut mail, _) = server(usual).await;
    mail.port = listener.local_addr().unwrap().port();
    let slow = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Ends when the client has gone.
        while stream.write_all(b"2").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let message = message("s", "b");
    let attempt = within(Duration::from_millis(300), &mail, deliver(&mail, &message));
    let problem = attempt.await.unwrap_err();
    assert!(problem.contains("has not ended within"), "{problem}");
    timeout(Duration::from_secs(20), slow).await.expect("the connection is open still").unwrap();
}

#[tokio::test]
async fn a_look_logs_in_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "right\n").unwrap();
    let (mut mail, said) = server(|line| match line {
        line if line.starts_with("EHLO") => "250-here\r\n250 AUTH PLAIN LOGIN\r\n",
        // \0me\0right
        line if line.starts_with("AUTH PLAIN AG1lAHJpZ2h0") => "235 in\r\n",
        line if line.starts_with("AUTH") => "535 wrong password\r\n",
        line => usual(line),
    })
    .await;
    mail.login = Some(("me".to_owned(), password.clone()));
    look(&mail).await.unwrap();
    fs::write(&password, "wrong\n").unwrap();
    let problem = look(&mail).await.unwrap_err();
    assert!(problem.contains("wrong password"), "{problem}");
    assert!(!said.lock().unwrap().iter().any(|line| line.starts_with("MAIL")), "{said:?}");
}
