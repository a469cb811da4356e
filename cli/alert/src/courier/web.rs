//! Delivery by HTTP, and the heartbeat.

use std::fs;
use std::io::Read as _;
use std::sync::{Arc, LazyLock};

use bus::log::with_causes;
use bus::message::echo;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

use super::{LIMIT, certificate};
use crate::episode::Message;
use crate::policy::Level;
use crate::protocol::Came;
use crate::settings::{Address, Form, Web, first_line};

/// Of an answer that is an error, so much is told.
const SAID: u64 = 200;
/// What ntfy takes as a message; a longer one would be a file, which many servers refuse.
const NTFY: usize = 4096;

/// The authorities of the system.
static SYSTEM: LazyLock<Arc<Vec<Certificate<'static>>>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    Arc::new(found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
});

fn agent(address: &Address) -> Result<Agent, String> {
    let roots = match &address.ca_file {
        None => Arc::clone(&SYSTEM),
        Some(file) => {
            let wrong = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", file.display());
            let pem = fs::read(file).map_err(|error| wrong(&error))?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let found = found.map_err(|error| wrong(&error))?;
            Arc::new(found.iter().map(|it| Certificate::from_der(it).to_owned()).collect())
        }
    };
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .http_status_as_error(false)
        // A request that is sent on becomes another one, without the message.
        .max_redirects(0)
        .user_agent(concat!("obsbus-alert/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build();
    Ok(config.into())
}

fn url(address: &Address) -> Result<String, String> {
    match &address.url {
        Ok(url) => Ok(url.clone()),
        Err(file) => first_line(file),
    }
}

/// Without what may be a secret.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

fn post(address: &Address, headers: &[(&str, String)], body: &[u8]) -> Result<Came, String> {
    let url = url(address)?;
    let mut request = agent(address)?.post(&url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    if let Some(file) = &address.token_file {
        request = request.header("Authorization", format!("Bearer {}", first_line(file)?));
    }
    let answer = request.send(body);
    let host = host(&url);
    judge(host, answer.map_err(|error| unreached(address, host, &error))?)
}

fn judge(host: &str, mut answer: Response<Body>) -> Result<Came, String> {
    let status = answer.status();
    if status.is_success() {
        return Ok(Came::Taken);
    }
    let problem = if status.is_redirection() {
        let location = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
        let to = if location.contains("://") { self::host(location) } else { host };
        format!(
            "answered {status}, and leads elsewhere ({to}): expected an address that takes the message itself"
        )
    } else {
        let mut said = Vec::new();
        // Whatever can be read of it helps.
        let _ = answer.body_mut().as_reader().take(SAID).read_to_end(&mut said);
        format!("answered {status}: {}", String::from_utf8_lossy(&said).trim())
    };
    let problem = echo(&format!("{host} {problem}"));
    // It says that this message is wrong, not that it is busy, or that the address or the password is.
    let is_refusal = matches!(status.as_u16(), 400 | 413 | 414 | 415 | 422);
    Ok(if is_refusal { Came::Refused(problem) } else { Came::Failed(problem) })
}

/// Asks the server for something that changes nothing. Any answer shows that it is there, with a good
/// certificate.
pub(super) fn look(web: &Web) -> Result<(), String> {
    let url = url(&web.address)?;
    web.address.token_file.as_deref().map(first_line).transpose()?;
    let scheme = if url.starts_with("https:") { "https" } else { "http" };
    let host = host(&url);
    let asked = agent(&web.address)?.head(format!("{scheme}://{host}/")).call();
    asked.map(|_| ()).map_err(|error| unreached(&web.address, host, &error))
}

fn unreached(address: &Address, host: &str, error: &ureq::Error) -> String {
    // What they wrap is not among the causes.
    let wrapped: &(dyn std::error::Error + 'static) = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error,
        other => other,
    };
    // With a port it is no name.
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let of_certificate = certificate::wrong(wrapped, name, address.ca_file.as_deref());
    echo(&format!("{host}: {}", of_certificate.unwrap_or_else(|| with_causes(error))))
}

/// Everything, for programs.
pub(super) fn json(site: &str, message: &Message) -> Vec<u8> {
    let level = message.level.map_or(Value::Null, |level| json!(level));
    let value = json!({
        "site": site,
        "number": message.number,
        "date": message.date,
        "level": level,
        "subject": message.subject,
        "body": message.body,
        "episodes": message.episodes,
        "link": message.link,
    });
    let mut bytes = value.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// What a header may have.
fn ascii(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' }).collect()
}

/// Slack's own marks, which would mention everybody, or hide where a link leads.
fn unmarked(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The beginning, in whole lines, if it is longer than that.
fn short(body: &str, limit: usize) -> String {
    const MORE: &str = "and more: obsbus alert\n";
    if body.len() <= limit {
        return body.to_owned();
    }
    let (mut kept, room) = (String::new(), limit - MORE.len());
    for line in body.split_inclusive('\n') {
        if kept.len() + line.len() > room {
            break;
        }
        kept.push_str(line);
    }
    kept + MORE
}

pub(super) fn send(site: &str, web: &Web, message: &Message) -> Came {
    const JSON: &str = "application/json";
    let kind = |kind: &str| ("Content-Type", kind.to_owned());
    let posted = match web.form {
        Form::Json => post(&web.address, &[kind(JSON)], &json(site, message)),
        Form::Slack => {
            let text = format!("*{}*\n{}", unmarked(&message.subject), unmarked(&message.body));
            post(&web.address, &[kind(JSON)], json!({ "text": text }).to_string().as_bytes())
        }
        Form::Ntfy => {
            let (priority, tags) = match message.level {
                Some(Level::Critical) => ("5", "rotating_light"),
                Some(Level::Warning) => ("3", "warning"),
                None => ("2", "white_check_mark"),
            };
            let mut headers = vec![
                kind("text/plain; charset=utf-8"),
                ("Title", ascii(&message.subject)),
                ("Priority", priority.to_owned()),
                ("Tags", tags.to_owned()),
            ];
            if let Some(link) = &message.link {
                // The button of the notification is the button of the page.
                headers.push((
                    "Actions",
                    format!("http, Acknowledge, {}, method=POST, clear=true", ascii(link)),
                ));
            }
            post(&web.address, &headers, short(&message.body, NTFY).as_bytes())
        }
    };
    posted.unwrap_or_else(Came::Failed)
}

/// Tells the address that the alerter is well.
pub(super) fn beat(address: &Address) -> Result<(), String> {
    let came = post(address, &[], &[])?;
    came.problem().map_or(Ok(()), |problem| Err(problem.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_an_address_has_no_secret() {
        for url in ["https://hooks.example.org/T0/secret", "https://me:secret@hooks.example.org?x=secret"] {
            assert_eq!(host(url), "hooks.example.org");
        }
    }

    /// What `send` makes of a server that answers so, and what the server got.
    fn answered(form: Form, message: &Message, answer: &[u8]) -> (Came, String) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Ok(format!("http://{}/secret", listener.local_addr().unwrap()));
        let web = Web { address: Address { url, token_file: None, ca_file: None }, form };
        std::thread::scope(|scope| {
            let served = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut got, mut part) = (Vec::new(), [0; 65536]);
                loop {
                    let length = stream.read(&mut part).unwrap();
                    got.extend_from_slice(&part[..length]);
                    let text = String::from_utf8_lossy(&got).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let head = head.to_ascii_lowercase();
                    let wanted = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
                    if body.len() >= wanted.parse().unwrap() {
                        break;
                    }
                }
                // Who does not read all of it hangs up.
                let _ = std::io::Write::write_all(&mut stream, answer);
                String::from_utf8(got).unwrap()
            });
            let came = send("clasp", &web, message);
            (came, served.join().unwrap())
        })
    }

    fn message(body: &str) -> Message {
        Message {
            number: 7,
            date: bus::clock::Utc::parse("2026-11-20T18:00:00Z").unwrap(),
            level: Some(Level::Critical),
            subject: "clasp CRITICAL: <!channel>".to_owned(),
            body: body.to_owned(),
            episodes: vec![1],
            link: None,
            is_used: false,
        }
    }

    #[test]
    fn an_answer_that_leads_elsewhere_is_no_delivery() {
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
            let answer = format!(
                "HTTP/1.1 {status}\r\nLocation: https://elsewhere.example.org/other-secret\r\nContent-Length: 0\r\n\r\n"
            );
            let (came, _) = answered(Form::Json, &message("x"), answer.as_bytes());
            let Came::Failed(problem) = came else { panic!("{status}: {came:?}") };
            assert!(problem.contains("elsewhere.example.org") && !problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn what_a_server_says_is_told_however_long_it_is() {
        let long = "no such token\n".to_owned() + &"x".repeat(10_000_000);
        let answer = format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{long}", long.len());
        let (came, _) = answered(Form::Json, &message("x"), answer.as_bytes());
        let Came::Failed(problem) = came else { panic!("{came:?}") };
        assert!(problem.contains("no such token") && problem.len() < 700, "{problem}");
        let good = answer.replace("404 Not Found", "200 OK");
        assert_eq!(answered(Form::Json, &message("x"), good.as_bytes()).0, Came::Taken);
        let (came, _) =
            answered(Form::Json, &message("x"), b"HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\nbad");
        assert!(matches!(came, Came::Refused(_)), "{came:?}");
    }

    #[test]
    fn nobody_is_mentioned_and_no_link_is_hidden_in_a_chat() {
        const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (_, got) = answered(Form::Slack, &message("<https://evil.example.org|Acknowledge>"), GOOD);
        assert!(got.contains("&lt;!channel&gt;") && got.contains("&lt;https"), "{got}");
        assert!(!got.contains("<!") && !got.contains("<https"), "{got}");
    }

    #[test]
    fn a_message_to_ntfy_is_short_enough_to_be_one() {
        const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (_, got) = answered(Form::Ntfy, &message(&"a line °C\n".repeat(1000)), GOOD);
        let body = got.split_once("\r\n\r\n").unwrap().1;
        assert!(body.len() <= NTFY && body.ends_with("°C\nand more: obsbus alert\n"), "{body}");
    }

    #[test]
    fn a_header_has_one_line_of_ascii() {
        assert_eq!(ascii("clasp: 3 °C\r\nX: y"), "clasp: 3 ?C??X: y");
    }

    #[test]
    fn programs_get_everything_with_null_for_good_news() {
        let message = Message {
            number: 7,
            date: bus::clock::Utc::parse("2026-11-20T18:00:00Z").unwrap(),
            level: None,
            subject: "clasp: over".to_owned(),
            body: "x\n".to_owned(),
            episodes: vec![1, 2],
            link: None,
            is_used: false,
        };
        let value: Value = serde_json::from_slice(&json("clasp", &message)).unwrap();
        let expected = serde_json::json!({
            "site": "clasp", "number": 7, "date": "2026-11-20T18:00:00.000Z", "level": null,
            "subject": "clasp: over", "body": "x\n", "episodes": [1, 2], "link": null,
        });
        assert_eq!(value, expected);
    }
}
