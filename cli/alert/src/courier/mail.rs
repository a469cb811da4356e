//! Delivery by mail.

use std::fs;

use bus::log::with_causes;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};

use super::LIMIT;
use crate::episode::Message;
use crate::policy::Level;
use crate::settings::first_line;
use crate::settings::{Mail, Security};

pub(super) fn send(mail: &Mail, message: &Message) -> Result<(), String> {
    let letter = letter(mail, message)?;
    let mut transport =
        SmtpTransport::builder_dangerous(&mail.host).port(mail.port).tls(tls(mail)?).timeout(Some(LIMIT));
    if let Some((user, file)) = &mail.login {
        transport = transport.credentials(Credentials::new(user.clone(), first_line(file)?));
    }
    let sent = transport.build().send(&letter);
    sent.map(|_| ()).map_err(|error| format!("{}: {}", mail.host, with_causes(&error)))
}

fn tls(mail: &Mail) -> Result<Tls, String> {
    if mail.security == Security::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(mail.host.clone());
    if let Some(file) = &mail.ca_file {
        let wrong = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", file.display());
        let pem = fs::read(file).map_err(|error| wrong(&error))?;
        let authority = Certificate::from_pem(&pem).map_err(|error| wrong(&error))?;
        parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(authority);
    }
    let parameters = parameters.build_rustls().map_err(|error| with_causes(&error))?;
    Ok(match mail.security {
        Security::StartTls => Tls::Required(parameters),
        _ => Tls::Wrapper(parameters),
    })
}

fn letter(mail: &Mail, message: &Message) -> Result<Letter, String> {
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("{text}: {error}"));
    let mut letter = Letter::builder().from(mailbox(&mail.from)?).subject(message.subject.clone());
    for to in &mail.to {
        letter = letter.to(mailbox(to)?);
    }
    // The same message twice, after a crash, is one to the reader's program.
    let domain = mailbox(&mail.from)?.email.domain().to_owned();
    let moment = message.date.unix_milliseconds();
    letter = letter.message_id(Some(format!("<obsbus-alert-{}-{moment}@{domain}>", message.number)));
    if message.level == Some(Level::Critical) {
        letter = letter.raw_header(important());
    }
    letter
        .header(ContentType::TEXT_PLAIN)
        .body(message.body.clone())
        .map_err(|error| format!("the message cannot be a mail: {}", with_causes(&error)))
}

fn important() -> lettre::message::header::HeaderValue {
    let name = lettre::message::header::HeaderName::new_from_ascii_str("Importance");
    lettre::message::header::HeaderValue::new(name, "high".to_owned())
}
