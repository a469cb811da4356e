//! Checks the files of the `[broker]` section as far as possible without connecting.
//!
//! Reads them as they are now, as the user of this thread, and reports everything at once. A
//! problem is something that the handshake will refuse; a warning is something that only the broker
//! can judge, or that will soon become a problem. Nothing is kept: the session reads the files
//! again.

mod certificate;
mod key;
pub(crate) mod read;

use std::path::Path;

use rustls_pki_types::CertificateDer;

use super::{BrokerSettings, Credentials, Section};
use crate::clock::Utc;

/// The keys of the section that name files.
const CA: &str = "ca_file";
const CERTIFICATE: &str = "certificate_file";
const KEY: &str = "key_file";
const PASSWORD: &str = "password_file";

/// One finding about a file of the `[broker]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFinding {
    /// The key that names the file.
    pub key: &'static str,
    /// Whether TLS or the broker will surely refuse it; otherwise a warning.
    pub is_problem: bool,
    /// The file, what is wrong with it, and what to do; one sentence.
    pub message: String,
}

/// The errors in the files that `broker` names, for the date `now`.
#[must_use]
pub fn check_files(broker: &BrokerSettings, now: Utc) -> Vec<FileFinding> {
    let mut findings = Findings::default();
    let authorities = findings.certificates(CA, &broker.ca_file);
    match &broker.credentials {
        Credentials::Certificate { certificate_file, key_file } => {
            let mut at = findings.at(CA, &broker.ca_file);
            certificate::judge_authorities(&authorities, broker, now, true, &mut at);
            let chain = findings.certificates(CERTIFICATE, certificate_file);
            let mut at = findings.at(CERTIFICATE, certificate_file);
            let own = certificate::judge_own(&chain, &authorities, now, &mut at);
            if let Some(text) = findings.secret(KEY, key_file) {
                key::judge(&text, own.as_ref(), certificate_file, &mut findings.at(KEY, key_file));
            }
        }
        Credentials::Password { password_file, .. } => {
            let mut at = findings.at(CA, &broker.ca_file);
            certificate::judge_authorities(&authorities, broker, now, false, &mut at);
            if let Some(bytes) = findings.secret(PASSWORD, password_file) {
                judge_password(&bytes, &mut findings.at(PASSWORD, password_file));
            }
        }
    }
    findings.0
}

/// The problems that TLS or the broker will surely refuse, in one line; `None` if none is known.
#[must_use]
pub fn problems_with_files(broker: &BrokerSettings, now: Utc) -> Option<String> {
    let problems = check_files(broker, now).into_iter().filter(|finding| finding.is_problem);
    let words: Vec<_> = problems.map(|finding| format!("{} {}", finding.key, finding.message)).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

impl BrokerSettings {
    /// Notes in `section`, which contains `[broker]`, the errors in its files.
    pub fn check_files(&self, section: &mut Section, now: Utc) {
        for finding in check_files(self, now) {
            let key = format!("broker.{}", finding.key);
            if !section.is_good(&key) {
                continue;
            }
            if finding.is_problem {
                section.refuse(&key, section.origin(&key), finding.message, None);
            } else {
                section.warn(&key, finding.message);
            }
        }
    }
}

#[derive(Default)]
struct Findings(Vec<FileFinding>);

impl Findings {
    fn at<'a>(&'a mut self, key: &'static str, file: &'a Path) -> At<'a> {
        At { findings: self, key, file }
    }

    /// The certificates in a file; none if the file has an error, which is noted.
    fn certificates(&mut self, key: &'static str, file: &Path) -> Vec<CertificateDer<'static>> {
        match read::read(file).and_then(|bytes| read::certificates(&bytes)) {
            Ok(certificates) => certificates,
            Err(wrong) => {
                self.at(key, file).problem(&wrong.to_string());
                Vec::new()
            }
        }
    }

    /// The contents of a file that nobody else should read.
    fn secret(&mut self, key: &'static str, file: &Path) -> Option<Vec<u8>> {
        let mut at = self.at(key, file);
        if let Some(mode) = read::open_to_everybody(file) {
            at.warning(&format!("can be read by everybody on this host (mode {mode:04o}): chmod o= it"));
        }
        read::read(file).map_err(|wrong| at.problem(&wrong.to_string())).ok()
    }
}

/// Notes the findings about one file.
struct At<'a> {
    findings: &'a mut Findings,
    key: &'static str,
    file: &'a Path,
}

impl At<'_> {
    fn problem(&mut self, message: &str) {
        self.note(true, message);
    }

    fn warning(&mut self, message: &str) {
        self.note(false, message);
    }

    fn note(&mut self, is_problem: bool, message: &str) {
        let message = format!("{} {message}", self.file.display());
        self.findings.0.push(FileFinding { key: self.key, is_problem, message });
    }
}

fn judge_password(bytes: &[u8], at: &mut At<'_>) {
    match std::str::from_utf8(bytes) {
        Err(_) => at.problem("is not UTF-8 text: its first line must be the password"),
        Ok(text) if text.lines().next().is_none_or(str::is_empty) => {
            at.problem("has nothing in its first line, which must be the password");
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests;
