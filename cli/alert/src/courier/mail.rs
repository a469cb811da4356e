//! Delivery by mail.

use std::fs;
use std::time::Duration;

use bus::log::with_causes;
use bus::message::echo;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as Sender, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use super::{LIMIT, certificate};
use crate::episode::Message;
use crate::policy::Level;
use crate::protocol::Came;
use crate::settings::first_line;
use crate::settings::{Mail, Security};

/// For the whole conversation: some servers make strangers wait for each answer.
const CONVERSATION: Duration = Duration::from_secs(120);

/// Sends it; whoever takes it gets it, also if others refuse it.
pub(super) async fn send(mail: &Mail, message: &Message) -> Came {
    within(CONVERSATION, mail, deliver(mail, message)).await.unwrap_or_else(Came::Failed)
}

/// Connects and logs in, and sends nothing.
pub(super) async fn look(mail: &Mail) -> Result<(), String> {
    within(CONVERSATION, mail, async {
        let mut connection = connect(mail).await?;
        // It has answered.
        let _ = connection.quit().await;
        Ok(())
    })
    .await
}

/// A server that answers for ever, letter by letter, is none.
async fn within<T>(
    limit: Duration,
    mail: &Mail,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let over = || format!("{}: the conversation has not ended within {} s", mail.host, limit.as_secs());
    timeout(limit, work).await.unwrap_or_else(|_| Err(over()))
}

async fn connect(mail: &Mail) -> Result<AsyncSmtpConnection, String> {
    let said = in_words(mail);
    let hello = ClientId::default();
    let from_the_start = if mail.security == Security::Tls { Some(tls(mail)?) } else { None };
    let server = (mail.host.as_str(), mail.port);
    let connection = AsyncSmtpConnection::connect_tokio1(server, Some(LIMIT), &hello, from_the_start, None);
    let mut connection = connection.await.map_err(said)?;
    if mail.security == Security::StartTls {
        connection.starttls(tls(mail)?, &hello).await.map_err(said)?;
    }
    if let Some((user, file)) = &mail.login {
        let credentials = Credentials::new(user.clone(), first_line(file)?);
        connection.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(said)?;
    }
    Ok(connection)
}

async fn deliver(mail: &Mail, message: &Message) -> Result<Came, String> {
    let said = in_words(mail);
    let letter = letter(mail, message)?;
    let mut connection = connect(mail).await?;
    let sender = Sender::new(letter.envelope().from().cloned(), Vec::new());
    connection.command(sender).await.map_err(said)?;
    let (mut takers, mut refused) = (0, Vec::new());
    for to in letter.envelope().to() {
        match connection.command(Rcpt::new(to.clone(), Vec::new())).await {
            Ok(_) => takers += 1,
            Err(error) if error.status().is_some() => refused.push(format!("{to} ({error})")),
            Err(error) => return Err(said(error)),
        }
    }
    let words = || echo(&format!("{} refuses {}", mail.host, refused.join(", ")));
    let refused = (!refused.is_empty()).then(words);
    if let Some(refused) = refused.as_ref().filter(|_| takers == 0) {
        return Err(refused.clone());
    }
    connection.command(Data).await.map_err(said)?;
    if let Err(error) = connection.message(&letter.formatted()).await {
        let is_final = error.is_permanent();
        let problem = said(error);
        return Ok(if is_final { Came::Refused(problem) } else { Came::Failed(problem) });
    }
    // It has the mail.
    let _ = connection.quit().await;
    Ok(refused.map_or(Came::Taken, Came::TakenInPart))
}

/// With what the server has said.
fn in_words(mail: &Mail) -> impl Fn(Error) -> String + Copy {
    |error| {
        let of_certificate = certificate::wrong(&error, &mail.host, mail.ca_file.as_deref());
        echo(&format!("{}: {}", mail.host, of_certificate.unwrap_or_else(|| error.to_string())))
    }
}

fn tls(mail: &Mail) -> Result<TlsParameters, String> {
    let mut parameters = TlsParameters::builder(mail.host.clone());
    if let Some(file) = &mail.ca_file {
        let wrong = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", file.display());
        let pem = fs::read(file).map_err(|error| wrong(&error))?;
        let authority = Certificate::from_pem(&pem).map_err(|error| wrong(&error))?;
        parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(authority);
    }
    parameters.build_rustls().map_err(|error| with_causes(&error))
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
    // No holiday notice answers it.
    letter = letter.raw_header(header("Auto-Submitted", "auto-generated"));
    if message.level == Some(Level::Critical) {
        letter = letter.raw_header(header("Importance", "high"));
    }
    letter
        .header(ContentType::TEXT_PLAIN)
        .body(message.body.clone())
        .map_err(|error| format!("the message cannot be a mail: {}", with_causes(&error)))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

#[cfg(test)]
mod tests;
