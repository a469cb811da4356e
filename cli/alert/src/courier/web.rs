//! Delivery by HTTP, and the heartbeat.

use std::fs;
use std::sync::{Arc, LazyLock};

use bus::log::with_causes;
use bus::message::echo;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::LIMIT;
use crate::episode::Message;
use crate::policy::Level;
use crate::settings::{Address, Form, Web, first_line};

/// Of an answer that is an error, so much is told.
const SAID: u64 = 200;

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
        .max_redirects(3)
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

fn post(address: &Address, headers: &[(&str, String)], body: &[u8]) -> Result<(), String> {
    let url = url(address)?;
    let mut request = agent(address)?.post(&url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    if let Some(file) = &address.token_file {
        request = request.header("Authorization", format!("Bearer {}", first_line(file)?));
    }
    judge(&url, request.send(body))
}

fn judge(url: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(), String> {
    let host = host(url);
    let mut answer = answer.map_err(|error| format!("{host}: {}", with_causes(&error)))?;
    if answer.status().is_success() {
        return Ok(());
    }
    let said = answer.body_mut().with_config().limit(SAID).lossy_utf8(true).read_to_string();
    Err(format!("{host} answered {}: {}", answer.status(), echo(said.unwrap_or_default().trim())))
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

pub(super) fn send(site: &str, web: &Web, message: &Message) -> Result<(), String> {
    const JSON: &str = "application/json";
    let kind = |kind: &str| ("Content-Type", kind.to_owned());
    match web.form {
        Form::Json => post(&web.address, &[kind(JSON)], &json(site, message)),
        Form::Slack => {
            let text = json!({ "text": format!("*{}*\n{}", message.subject, message.body) });
            post(&web.address, &[kind(JSON)], text.to_string().as_bytes())
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
            post(&web.address, &headers, message.body.as_bytes())
        }
    }
}

/// Tells the address that the alerter is well.
pub(super) fn beat(address: &Address) -> Result<(), String> {
    post(address, &[], &[])
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
