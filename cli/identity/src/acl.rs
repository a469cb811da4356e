//! The broker's access rules (`obsbus.acl`) as a text: what a name may do there, and the rule that
//! takes every right from a name.

use bus::clock::Utc;

/// The head of a rule that this program wrote.
const MARK: &str = "# Revoked by obsbus identity revoke, ";

/// The head of the file that has these rules once more.
pub(crate) const DENIED_HEAD: &str = "\
# Who was revoked by obsbus identity revoke, as in obsbus.acl. If a rule is missing there, because an upgrade has
# replaced the file, it is put back when mosquitto is started or reloaded.
";

/// What the access rules have for a name, beside what everybody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing: a person.
    None,
    /// It may write topics of its own: a bridge, or another service.
    Service,
    /// Only denials.
    Observer,
}

/// The rules in the sections of `user NAME`.
fn rules<'a>(acl: &'a str, name: &str) -> Vec<&'a str> {
    let mut is_own = false;
    let mut rules = Vec::new();
    for line in acl.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(char::is_whitespace) {
            Some(("user", user)) => is_own = user.trim() == name,
            Some(("pattern", _)) => {}
            _ if is_own => rules.push(line),
            _ => {}
        }
    }
    rules
}

/// The role of `name`.
pub(crate) fn role(acl: &str, name: &str) -> Role {
    let rules = rules(acl, name);
    if rules.iter().any(|rule| !is_denial(rule)) {
        Role::Service
    } else if rules.iter().any(|rule| !denies_all(rule)) {
        Role::Observer
    } else {
        Role::None
    }
}

fn words(rule: &str) -> Vec<&str> {
    rule.split_whitespace().collect()
}

fn is_denial(rule: &str) -> bool {
    matches!(words(rule).as_slice(), ["topic", "deny", ..])
}

fn denies_all(rule: &str) -> bool {
    words(rule) == ["topic", "deny", "#"]
}

/// Whether every right is taken from `name`.
pub(crate) fn is_denied(acl: &str, name: &str) -> bool {
    rules(acl, name).into_iter().any(denies_all)
}

/// `acl` with the rule that takes every right from `name`; it beats every grant, for reading and for
/// writing.
pub(crate) fn deny(acl: &str, name: &str, date: Utc) -> String {
    if is_denied(acl, name) {
        return acl.to_owned();
    }
    let break_before = if acl.is_empty() || acl.ends_with('\n') { "" } else { "\n" };
    format!("{acl}{break_before}\n{MARK}{}\nuser {name}\ntopic deny #\n", date.in_words())
}

/// `acl` without the rules that [`deny`] added for `name`.
pub(crate) fn allow_again(acl: &str, name: &str) -> String {
    let lines: Vec<&str> = acl.split_inclusive('\n').collect();
    let own = format!("user {name}");
    let mut kept = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let next = |ahead: usize| lines.get(at + ahead).map(|line| line.trim()).unwrap_or_default();
        if line.starts_with(MARK) && next(1) == own && next(2) == "topic deny #" {
            at += 3;
            // The empty line that came with it.
            if kept.ends_with("\n\n") {
                kept.pop();
            }
        } else {
            kept.push_str(line);
            at += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../mosquitto/obsbus.acl");

    fn date() -> Utc {
        Utc::parse("2026-11-30T03:12:00Z").unwrap()
    }

    #[test]
    fn the_shipped_rules_know_services_observers_and_people() {
        for service in ["powerd", "domealertd", "homeassistant"] {
            assert_eq!(role(SHIPPED, service), Role::Service, "{service}");
        }
        assert_eq!(role(SHIPPED, "visitor"), Role::Observer);
        assert_eq!(role(SHIPPED, "alice"), Role::None);
        assert_eq!(role(SHIPPED, "powerd2"), Role::None);
    }

    #[test]
    fn a_pattern_after_a_user_is_not_that_users() {
        assert_eq!(role("user a\npattern read x/y\n", "a"), Role::None);
    }

    #[test]
    fn a_denied_name_loses_everything_and_nobody_else_anything() {
        let denied = deny(SHIPPED, "alice", date());
        assert!(is_denied(&denied, "alice") && !is_denied(SHIPPED, "alice"));
        assert!(!is_denied(&denied, "alic") && !is_denied(&denied, "visitor"));
        assert!(denied.ends_with("\nuser alice\ntopic deny #\n"), "{denied}");
        assert!(denied.starts_with(SHIPPED));
        assert_eq!(deny(&denied, "alice", date()), denied);
        assert_eq!(role(&deny(SHIPPED, "powerd", date()), "powerd"), Role::Service);
    }

    #[test]
    fn a_rule_goes_on_a_line_of_its_own() {
        assert!(deny("user bob\ntopic read x", "alice", date()).contains("topic read x\n\n# Revoked"));
    }

    #[test]
    fn what_was_denied_can_be_allowed_again_and_what_somebody_else_wrote_stays() {
        let both = deny(&deny(SHIPPED, "alice", date()), "bob", date());
        assert_eq!(allow_again(&allow_again(&both, "bob"), "alice"), SHIPPED);
        let by_hand = format!("{SHIPPED}\nuser alice\ntopic deny #\n");
        assert_eq!(allow_again(&by_hand, "alice"), by_hand);
    }
}
