//! Events from the host: the settings were read again.

use std::collections::BTreeSet;

use bus::clock::Now;
use bus::log::with_causes;
use bus::message::{EventBody, EventKind, Severity};
use bus::settings::Whose;
use bus::topic::Identity;

use super::{Core, Output};
use crate::certificate::Certificates;
use crate::controller::{Controller, Protocol};
use crate::reload::{ReloadError, Reloaded};

impl<C, P> Core<C, P>
where
    C: Controller,
    P: Protocol<Request = C::Request, Reply = C::Reply>,
{
    pub(super) fn handle_reloaded(&mut self, result: Result<Reloaded, ReloadError>, now: Now) {
        let told = match result {
            Ok(reloaded) => self.take_settings(reloaded, now),
            Err(problem) => {
                let message = format!(
                    "the settings were reloaded and refused; the old ones stay in force: {}",
                    with_causes(&problem)
                );
                EventBody::new(EventKind::Bridge, Severity::Warning, message).because("reload_refused")
            }
        };
        self.emit(told, now);
    }

    pub(super) fn take_certificates(&mut self, read: Certificates) {
        // They are read every minute: only news are logged.
        for error in read.errors.iter().filter(|error| !self.certificates.errors.contains(error)) {
            tracing::warn!("cannot tell when a certificate expires: {error}");
        }
        self.dirty |= read != self.certificates;
        self.certificates = read;
    }

    fn take_settings(&mut self, reloaded: Reloaded, now: Now) -> EventBody {
        let Reloaded { control_clients, stop_clients, certificate_expires, new_files, needs_restart } =
            reloaded;
        // A renewed one ends its attention now, and not at the next connection.
        self.outputs.push_back(Output::ReadCertificates);
        let before = self.desk.settings();
        let mut news = Vec::new();
        news.extend(change("control_clients", &before.control_clients, &control_clients));
        news.extend(change("stop_clients", &before.stop_clients, &stop_clients));
        self.desk.set_clients(control_clients, stop_clients);
        if new_files {
            let ends =
                certificate_expires.map(|date| format!(" (the certificate expires on {})", date.in_words()));
            news.push(format!("new TLS files{}: reconnecting", ends.unwrap_or_default()));
        }
        // The broker shows its certificate only to a new connection.
        let broker = self.certificates.of(Whose::Broker).and_then(|broker| broker.warning(now.utc));
        if broker.is_some() && !new_files {
            news.push("the broker's certificate was about to expire: reconnecting to see it".to_owned());
        }
        if new_files || broker.is_some() {
            self.outputs.push_back(Output::Renew(self.connections));
        }
        if needs_restart {
            news.push("other changes take effect after a restart".to_owned());
        }
        if news.is_empty() {
            news.push("no changes".to_owned());
        }
        let message = format!("the settings were reloaded: {}", news.join("; "));
        EventBody::new(EventKind::Bridge, Severity::Info, message).because("reloaded")
    }
}

/// `control_clients: + bob, - carol`.
fn change(list: &str, before: &BTreeSet<Identity>, after: &BTreeSet<Identity>) -> Option<String> {
    let come = after.difference(before).map(|name| format!("+ {name}"));
    let gone = before.difference(after).map(|name| format!("- {name}"));
    let changes: Vec<_> = come.chain(gone).collect();
    (!changes.is_empty()).then(|| format!("{list}: {}", changes.join(", ")))
}
