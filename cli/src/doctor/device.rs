//! Judges what is known of one device. Pure.
//!
//! What the bridge itself says of a fault is passed on in its own words: it is nearest to it.

use bus::clock::{Now, Utc};
use bus::message::{Attention, Code, Event, EventKind, Health, Severity};
use bus::topic::{Base, Identity};

use super::catalogue::Check;
use super::own::SOON_S;
use super::remedy::remedy;
use super::report::{Finding, whole};
use super::survey::{Device, Pinged};
use crate::exit::{EXIT_FAILED, EXIT_NOT_AUTHORISED, EXIT_STALE, EXIT_UNREACHABLE};
use crate::text::age;
use crate::view::{Snapshot, Standing, may_be_held_up};

/// A command whose time is further ahead than this is refused.
const CLOCK_LIMIT_S: f64 = 2.0;
/// Events that are older are history.
const LEFT_S: f64 = 86_400.0;

/// What only a bridge that is well can tell.
const BEHIND: [Check; 9] = [
    Check::Instances,
    Check::Access,
    Check::CommandPath,
    Check::Disk,
    Check::BridgeCertificate,
    Check::Link,
    Check::Attentions,
    Check::Command,
    Check::Leftovers,
];

/// Attentions that a check of their own tells.
const TOLD: [&str; 13] = [
    "second_instance",
    "acl_open",
    "command_path",
    "publish_refused",
    "journal_failed",
    "memory_damaged",
    "journal_lost",
    "certificate_expiring",
    "no_answer",
    "port_missing",
    "port_denied",
    "port_busy",
    "port_failed",
];

/// What all checks of one device need.
pub(crate) struct Judge<'a> {
    pub(crate) base: &'a Base,
    pub(crate) device: &'a Device,
    pub(crate) identity: &'a Identity,
    /// Whether we have a key to sign with.
    pub(crate) can_sign: bool,
    /// By how many seconds our clock is ahead of each other bridge's, as far as known.
    pub(crate) others_ahead_s: &'a [f64],
    /// Whether the retained commands were looked at with the bridge's own identity.
    pub(crate) is_cleared: bool,
    pub(crate) now: Now,
}

impl Judge<'_> {
    /// All findings.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.clock()];
        let found = if self.device.is_service() { Err(self.service()) } else { self.bridge() };
        match found {
            Err(finding) => {
                findings.push(finding);
                findings.extend(BEHIND.map(|check| Finding::skipped(check, "")));
            }
            Ok((finding, snapshot)) => {
                findings.push(finding);
                findings.push(self.instances(snapshot));
                findings.extend(self.health(snapshot));
                findings.push(self.link(snapshot));
                findings.extend(self.attentions(snapshot));
                findings.push(self.command());
                findings.push(self.leftovers());
            }
        }
        findings
    }

    fn remedy(&self, name: &str) -> String {
        remedy(name, self.base.device())
    }

    /// The systemd unit of the bridge, or of the service.
    fn unit(&self) -> String {
        let kind = self.device.instrument.as_ref().map(|instrument| instrument.meta.kind.as_str());
        let kind = kind.filter(|kind| !kind.is_empty()).unwrap_or(self.base.device());
        match self.device.takes_commands() {
            true => format!("{}-bridge@{}", whole(kind), self.base.site()),
            false => format!("obsbus-{}@{}", whole(kind), self.base.site()),
        }
    }

    /// By its answer, or else by the date of its state.
    fn ahead_s(&self) -> Option<f64> {
        let by_state = || self.device.view.state.as_ref()?.ages(self.now).clock_ahead_s;
        self.device.clock_ahead_s.or_else(by_state)
    }

    /// Whether a clock must be wrong, if ours is ahead by so much, whatever the link does.
    fn is_wrong(&self, ahead_s: f64) -> bool {
        ahead_s.abs() > CLOCK_LIMIT_S + self.device.clock_doubt_s
    }

    fn clock(&self) -> Finding {
        let Some(ahead) = self.ahead_s() else {
            let is_known = self.device.view.snapshot().is_some();
            return match is_known {
                true => Finding::ok(Check::Clock, "agrees with this machine's"),
                false => Finding::skipped(Check::Clock, ""),
            };
        };
        if !self.is_wrong(ahead) {
            let within = ahead.abs() + self.device.clock_doubt_s;
            return Finding::ok(Check::Clock, format!("agrees with this machine's within {within:.1} s"));
        }
        let direction = if ahead > 0.0 { "ahead of" } else { "behind" };
        let text =
            format!("this machine's clock is {} {direction} that of the bridge's machine", age(ahead.abs()));
        // Without an answer there is only the date of its state, which may have been under way for long.
        let text = if self.device.clock_ahead_s.is_none() && may_be_held_up(ahead) {
            format!("{text}, or the link holds messages up by so long")
        } else {
            text
        };
        let is_alike = |other: &f64| (other - ahead).abs() <= 2.0 * CLOCK_LIMIT_S;
        let remedy = match self.others_ahead_s {
            [] => {
                "one of the two is wrong: run timedatectl on both, and switch on time synchronisation where it is off"
            }
            others if others.iter().all(is_alike) => {
                "compare timedatectl here and on the machine of the bridges: they all disagree with this one by the same \
                 amount; set the one that is wrong"
            }
            _ => {
                "set the clock of the bridge's machine (timedatectl), since other bridges agree with this machine"
            }
        };
        Finding::failure(Check::Clock, Code::ClockSkew.number(), text, remedy)
    }

    /// Whether the bridge is there and its state current; a wrong clock does not make it stale.
    fn bridge(&self) -> Result<(Finding, &Snapshot), Finding> {
        let (base, view, unit) = (self.base, &self.device.view, self.unit());
        let shift = self.ahead_s().filter(|ahead| self.is_wrong(*ahead)).unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and a wild clock is judged")]
        let now = Now { utc: self.now.utc.shifted((-shift * 1000.0) as i64), ..self.now };
        let failed =
            |code, text: String, remedy: String| Err(Finding::failure(Check::Bridge, code, text, remedy));
        let on_its_machine = || format!("on its machine: systemctl status {unit}, then journalctl -u {unit}");
        let restart =
            || format!("systemctl restart {unit} on its machine; its journal says what it waits for");
        let standing = view.standing(now);
        let published = view.state.as_ref().and_then(|seen| seen.ages(now).published_s);
        let silent = published.map(|seconds| format!(", and its last state is {} old", age(seconds)));
        match (&standing, &self.device.pinged) {
            (Standing::BridgeOffline, _) => failed(
                EXIT_UNREACHABLE,
                format!(
                    "the bridge of {base} is OFFLINE: it was stopped, or it hangs, or it has lost the broker"
                ),
                on_its_machine(),
            ),
            (Standing::NeverHeard, _) => failed(
                EXIT_UNREACHABLE,
                format!("nothing is stored of {base} but its description: its bridge hangs, or was removed"),
                on_its_machine(),
            ),
            (_, Pinged::Unanswered) => failed(
                EXIT_STALE,
                format!(
                    "the bridge of {base} is marked online and does not answer{}: it hangs",
                    silent.unwrap_or_default()
                ),
                restart(),
            ),
            (Standing::StateStale | Standing::AgeUnknown, _) => failed(
                EXIT_STALE,
                format!("the bridge of {base} publishes nothing{}: it hangs", silent.unwrap_or_default()),
                restart(),
            ),
            (Standing::NoState, _) => failed(
                EXIT_STALE,
                format!("the bridge of {base} is online and has published no state"),
                format!("does the access list let it publish {}? {}", base.state(), on_its_machine()),
            ),
            (Standing::Unreadable(error), _) => failed(
                EXIT_FAILED,
                format!("the state of {base} cannot be read: {}", whole(&error.to_string())),
                "install the same version of tools and bridge".to_owned(),
            ),
            _ => {
                let Some(snapshot) = view.snapshot() else {
                    return failed(EXIT_STALE, format!("{base} has no state"), on_its_machine());
                };
                Ok((Finding::ok(Check::Bridge, self.alive(snapshot)), snapshot))
            }
        }
    }

    /// There is nothing else to judge.
    fn service(&self) -> Finding {
        let version =
            self.device.health.as_ref().map(|health| format!(", version {}", whole(&health.version)));
        let version = version.unwrap_or_default();
        Finding::ok(Check::Bridge, format!("a service without a device, online{version}"))
    }

    fn alive(&self, snapshot: &Snapshot) -> String {
        let mut text = format!("online for {}", age(snapshot.stamp.uptime_s));
        if let Some(health) = &self.device.health {
            text.push_str(&format!(", version {}", whole(&health.version)));
        }
        if let Pinged::Answered(_, round_trip) = &self.device.pinged {
            text.push_str(&format!(", answers in {}", super::broker::milliseconds(*round_trip)));
        }
        text
    }

    fn attention<'a>(&self, snapshot: &'a Snapshot, name: &str) -> Option<&'a Attention> {
        snapshot.common.attention.iter().find(|attention| attention.name == name)
    }

    /// An attention as the finding of a check.
    fn told(&self, check: Check, attention: &Attention, code: u8) -> Finding {
        let text = format!("{}: {}", whole(&attention.name), whole(&attention.text));
        let remedy = self.remedy(&attention.name);
        match attention.severity {
            Severity::Error => Finding::failure(check, code, text, remedy),
            Severity::Warning => Finding::warning(check, text, remedy),
            Severity::Info => Finding::ok(check, text),
        }
    }

    fn instances(&self, snapshot: &Snapshot) -> Finding {
        if let Some(attention) = self.attention(snapshot, "second_instance") {
            return self.told(Check::Instances, attention, EXIT_FAILED);
        }
        if self.device.sessions.len() > 1 {
            let text = format!("{} bridges publish the state of {}", self.device.sessions.len(), self.base);
            return Finding::failure(Check::Instances, EXIT_FAILED, text, self.remedy("second_instance"));
        }
        Finding::ok(Check::Instances, "one")
    }

    /// What the bridge says of its connection and its disk.
    fn health(&self, snapshot: &Snapshot) -> Vec<Finding> {
        let checks = [Check::Access, Check::CommandPath, Check::Disk, Check::BridgeCertificate];
        let Some(health) = &self.device.health else {
            return checks
                .map(|check| Finding::skipped(check, "the bridge has published no health"))
                .to_vec();
        };
        let commanded = match self.device.takes_commands() {
            true => [self.access(health, snapshot), self.command_path(health, snapshot)],
            false => [Check::Access, Check::CommandPath]
                .map(|check| Finding::skipped(check, "it takes no commands")),
        };
        let [access, command_path] = commanded;
        vec![access, command_path, self.disk(health, snapshot), self.certificate(health)]
    }

    fn access(&self, health: &Health, snapshot: &Snapshot) -> Finding {
        let code = Code::AclOpen.number();
        match (self.attention(snapshot, "acl_open"), health.acl_ok) {
            (Some(attention), _) => self.told(Check::Access, attention, code),
            (None, Some(true)) => Finding::ok(Check::Access, "in force"),
            (None, Some(false)) => {
                let text = "the broker lets the bridge send commands in any name";
                Finding::failure(Check::Access, code, text, self.remedy("acl_open"))
            }
            (None, None) => {
                let text = "the bridge could not find out whether the broker's access list is in force";
                Finding::warning(Check::Access, text, "look again in a minute: the bridge tries it again")
            }
        }
    }

    fn command_path(&self, health: &Health, snapshot: &Snapshot) -> Finding {
        let check = Check::CommandPath;
        let held =
            ["command_path", "publish_refused"].into_iter().find_map(|name| self.attention(snapshot, name));
        match (held, health.command_path_ok) {
            (Some(attention), _) => self.told(check, attention, EXIT_FAILED),
            (None, Some(true)) => Finding::ok(check, "commands reach the bridge"),
            (None, Some(false)) => {
                let text = "commands do not reach the bridge";
                Finding::failure(check, EXIT_FAILED, text, self.remedy("command_path"))
            }
            (None, None) => {
                Finding::warning(check, "the bridge has just connected", "look again in a moment")
            }
        }
    }

    fn disk(&self, health: &Health, snapshot: &Snapshot) -> Finding {
        let names = ["journal_failed", "memory_damaged", "journal_lost"];
        match names.into_iter().find_map(|name| self.attention(snapshot, name)) {
            // The bridge runs on without its disk; a restart would forget what was commanded.
            Some(attention) if !health.journal_ok => {
                let text = format!("{}: {}", whole(&attention.name), whole(&attention.text));
                Finding::failure(Check::Disk, EXIT_FAILED, text, self.remedy(&attention.name))
            }
            Some(attention) => self.told(Check::Disk, attention, EXIT_FAILED),
            None if health.journal_ok => Finding::ok(Check::Disk, "the state directory can be written"),
            None => {
                let text = "the bridge cannot write its state directory";
                Finding::failure(Check::Disk, EXIT_FAILED, text, self.remedy("journal_failed"))
            }
        }
    }

    fn certificate(&self, health: &Health) -> Finding {
        let check = Check::BridgeCertificate;
        let Some(end) = health.certificate_expires else {
            return Finding::ok(check, "none: it uses a password");
        };
        let left_s = end.seconds_since(self.now.utc);
        let (date, remedy) = (end.in_words(), self.remedy("certificate_expiring"));
        if left_s <= 0.0 {
            let text = format!("expired on {date}: the bridge will not get in again");
            return Finding::failure(check, EXIT_FAILED, text, remedy);
        }
        let text = format!("expires on {date}, in {}", age(left_s));
        if left_s < SOON_S { Finding::warning(check, text, remedy) } else { Finding::ok(check, text) }
    }

    fn link(&self, snapshot: &Snapshot) -> Finding {
        let check = Check::Link;
        let names = ["port_missing", "port_denied", "port_busy", "port_failed", "no_answer"];
        if let Some(attention) = names.into_iter().find_map(|name| self.attention(snapshot, name)) {
            return self.told(check, attention, EXIT_STALE);
        }
        let common = &snapshot.common;
        let summary = whole(&common.summary);
        if common.connected {
            return Finding::ok(check, format!("answers: {summary}"));
        }
        match self.attention(snapshot, "released") {
            Some(attention) => self.told(check, attention, EXIT_STALE),
            None if common.status == "released" => Finding::warning(check, summary, self.remedy("released")),
            None => Finding::failure(
                check,
                EXIT_STALE,
                format!("does not answer: {summary}"),
                self.remedy("no_answer"),
            ),
        }
    }

    fn attentions(&self, snapshot: &Snapshot) -> Vec<Finding> {
        let others =
            snapshot.common.attention.iter().filter(|attention| !TOLD.contains(&attention.name.as_str()));
        let findings: Vec<_> =
            others.map(|attention| self.told(Check::Attentions, attention, EXIT_FAILED)).collect();
        if findings.is_empty() { vec![Finding::ok(Check::Attentions, "none")] } else { findings }
    }

    fn command(&self) -> Finding {
        let (check, me, base) = (Check::Command, self.identity, self.base);
        let reply = match &self.device.pinged {
            Pinged::Answered(reply, _) => reply,
            Pinged::Refused => {
                let text = format!("the broker refuses commands in the name {me}");
                let remedy = format!(
                    "right for a mere observer; else remove the `deny` for {me} from the access list, and see that \
                     the broker takes the name from the certificate (use_identity_as_username)"
                );
                return Finding::warning(check, text, remedy);
            }
            Pinged::NotSent | Pinged::Unanswered => return Finding::skipped(check, ""),
        };
        let signed = self.device.signed_verbs();
        match reply.code {
            Some(Code::Succeeded | Code::Unsigned) if !self.can_sign && !signed.is_empty() => {
                let text = format!(
                    "{me} has a password and no key to sign with: refused are {}",
                    whole(&signed.join(", "))
                );
                let remedy = "right for who need not send these; else certificate_file and key_file in [broker] \
                              (docs/signatures.md)";
                Finding::warning(check, text, remedy)
            }
            Some(Code::Succeeded) => Finding::ok(check, format!("{me} may command")),
            Some(Code::NotAuthorised) => {
                let unit = self.unit();
                let text = format!("{me} may not command {base}: not in control_clients of its bridge");
                let bridge = unit.split('@').next().unwrap_or_default();
                let remedy = format!(
                    "right for a mere observer; else, as root on its machine: obsbus identity allow {me} {bridge}"
                );
                Finding::warning(check, text, remedy)
            }
            Some(Code::NotReady) => Finding::warning(
                check,
                "the bridge has just connected, or is ending",
                "look again in a moment",
            ),
            _ => {
                let text = format!("a ping was answered {}: {}", reply.status.word(), whole(&reply.message));
                let code = reply.code.map_or(EXIT_NOT_AUTHORISED, Code::number);
                Finding::failure(check, code, text, "the message says why")
            }
        }
    }

    fn leftovers(&self) -> Finding {
        let check = Check::Leftovers;
        if self.is_cleared {
            return Finding::ok(check, "none stored, as its own identity sees");
        }
        let events = self.device.recent.iter().flat_map(|recent| &recent.events);
        let is_recent = |date: Utc| self.now.utc.seconds_since(date) < LEFT_S;
        let is_retained =
            |event: &&Event| event.body.kind == EventKind::Command && event.body.code == Some(Code::Retained);
        let last = events.filter(|event| is_recent(event.date)).rfind(is_retained);
        let Some(event) = last else { return Finding::ok(check, "none was sent") };
        let by = whole(event.body.by.as_deref().unwrap_or_default());
        let verb = whole(event.body.verb.as_deref().unwrap_or_default());
        let topic = Identity::new(&by).map(|by| self.base.command(&by, &verb)).unwrap_or_default();
        let text = format!(
            "{by} sent {verb} with the retain flag on {}; it was refused, and the broker may still store it",
            event.date.in_words()
        );
        Finding::warning(check, text, format!("as {by}: mosquitto_pub -r -n -t {topic}"))
    }
}

#[cfg(test)]
mod tests;
