//! Whether a description is consistent; each instrument's own test checks this.

use std::collections::BTreeSet;

use super::{ArgumentKind, Class, Concern, Description, Quantity};
use crate::reserved::is_reserved;
use crate::topic::is_verb;

/// Keys of a request that are not arguments.
const ENVELOPE: [&str; 3] = ["id", "ts", "ttl_s"];

impl Description {
    /// All errors in the table, in words; empty for a good one.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if is_reserved(self.kind) {
            problems.push(format!("the kind {} is a subcommand of obsbus", self.kind));
        }
        self.check_verbs(&mut problems);
        self.check_properties(&mut problems);
        self.check_concerns(&mut problems);
        for word in self.statuses {
            if word.label.is_empty() || word.label != word.label.to_uppercase() {
                problems.push(format!("status {}: its label {:?} is not upper case", word.word, word.label));
            }
        }
        if !self.statuses.iter().any(|word| word.word == "offline") {
            problems.push("no status is called offline".to_owned());
        }
        problems.extend(doubles("status", self.statuses.iter().map(|word| word.word)));
        problems
    }

    fn check_verbs(&self, problems: &mut Vec<String>) {
        problems.extend(doubles("verb", self.verbs.iter().map(|verb| verb.name)));
        if self.verb("ping").is_none_or(|verb| verb.class != Class::Query || !verb.arguments.is_empty()) {
            problems.push("every instrument has the verb ping, Verb::PING".to_owned());
        }
        for verb in self.verbs {
            let name = verb.name;
            if is_reserved(name) {
                problems.push(format!("verb {name}: it is a subcommand of obsbus DEVICE"));
            }
            if !is_verb(name) {
                problems.push(format!("verb {name}: a verb is 1 to 32 of a-z, 0-9, _"));
            }
            problems.extend(doubles("argument", verb.arguments.iter().map(|spec| spec.name)));
            for spec in verb.arguments {
                if ENVELOPE.contains(&spec.name) {
                    problems.push(format!("verb {name}: every request has a key {}", spec.name));
                }
                if let ArgumentKind::Choice(choices) = spec.kind {
                    let words = choices.iter().flat_map(|choice| choice.aliases.iter().chain([&choice.word]));
                    problems.extend(doubles("choice", words.copied()));
                    if choices.is_empty() {
                        problems.push(format!("verb {name}: {} has no choices", spec.name));
                    }
                }
            }
            for word in verb.overriding_for {
                let is_choice = |kind| matches!(kind, ArgumentKind::Choice(choices) if choices.iter().any(|choice| choice.word == *word));
                if !verb.arguments.iter().any(|spec| is_choice(spec.kind)) {
                    problems.push(format!("verb {name}: overriding for {word}, which is no choice of it"));
                }
            }
            if verb.stop && !verb.arguments.is_empty() {
                problems.push(format!("verb {name}: a stop takes no argument"));
            }
            if verb.motion && !self.has_stop() {
                problems.push(format!("verb {name}: what moves needs a verb that stops it"));
            }
        }
    }

    fn check_concerns(&self, problems: &mut Vec<String>) {
        problems.extend(doubles("concern", self.concerns.iter().map(|concern| concern.name)));
        for Concern { name, means, remedy, .. } in self.concerns {
            if !is_verb(name) {
                problems.push(format!("concern {name}: a name is 1 to 32 of a-z, 0-9, _"));
            }
            for (what, text) in [("what it means", means), ("what to do", remedy)] {
                if text.is_empty() || text.contains(['\n', '|']) {
                    problems.push(format!("concern {name}: {what} is one line without a |"));
                }
            }
        }
    }

    fn check_properties(&self, problems: &mut Vec<String>) {
        problems.extend(doubles("property", self.properties.iter().map(|property| property.key)));
        for property in self.properties {
            let key = property.key;
            if property.label.is_empty() {
                problems.push(format!("property {key}: it has no label"));
            }
            if (property.quantity == Quantity::Word) == property.words.is_empty() {
                problems.push(format!("property {key}: words belong to an enumeration, and only to one"));
            }
            problems.extend(doubles("word", property.words.iter().map(|word| word.word)));
            if property.history && (!property.quantity.is_numeric() || property.many) {
                problems.push(format!("property {key}: a history is kept of single numbers"));
            }
            let Some(setter) = property.set_by else { continue };
            match self.verb(setter).map(|verb| verb.bare().map(|spec| spec.kind)) {
                None => problems.push(format!("property {key}: there is no verb {setter}")),
                Some(Some(ArgumentKind::Number { .. })) if property.quantity.is_numeric() => {}
                Some(Some(ArgumentKind::Choice(choices))) if property.quantity == Quantity::Word => {
                    for choice in choices {
                        if !property.words.iter().any(|word| word.word == choice.word) {
                            problems.push(format!(
                                "property {key}: {setter} takes {}, which it cannot be",
                                choice.word
                            ));
                        }
                    }
                }
                Some(Some(ArgumentKind::Choice(choices)))
                    if property.quantity == Quantity::Switch
                        && ["on", "off"].iter().all(|on| choices.iter().any(|choice| choice.word == *on)) => {
                }
                Some(Some(ArgumentKind::Name(_))) if property.quantity == Quantity::Text => {}
                Some(_) => problems.push(format!("property {key}: {setter} takes other values than it has")),
            }
        }
    }
}

fn doubles<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).map(|name| format!("{what} {name} stands twice")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{ArgumentSpec, Choice, Property, Role, Tone, Verb, Word};
    use super::*;

    const ON_OFF: &[Choice] = &[Choice::new("on", "On"), Choice::new("off", "Off")];
    const GOOD: Description = Description {
        kind: "lamp",
        label: "lamp",
        model: "Nobody's",
        statuses: &[Word::new("offline", "OFFLINE", Tone::Bad), Word::new("lit", "LIT", Tone::Good)],
        verbs: &[
            Verb::PING,
            Verb::new("light", "Light", Class::Exclusive).with(&[ArgumentSpec::new(
                "light",
                "Light",
                ArgumentKind::Choice(ON_OFF),
            )]),
            Verb::new("dim", "Dim", Class::Exclusive).with(&[ArgumentSpec::new(
                "percent",
                "Brightness",
                ArgumentKind::Number { unit: "%", step: 1.0 },
            )]),
        ],
        properties: &[
            Property::switch("light", "Light").set_by("light"),
            Property::number("brightness", "Brightness", Quantity::Ratio, "%", 0)
                .role(Role::Setting)
                .with_history()
                .set_by("dim"),
        ],
        ..Description::BARE
    };

    #[test]
    fn a_description_that_holds_together_has_no_problems() {
        assert_eq!(GOOD.problems(), Vec::<String>::new());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        const BAD: Description = Description {
            kind: "doctor",
            statuses: &[Word::new("lit", "Lit", Tone::Good)],
            verbs: &[
                Verb { motion: true, ..Verb::new("Turn", "Turn", Class::Exclusive) },
                Verb { overriding_for: &["dark"], ..Verb::new("light", "Light", Class::Exclusive) },
                Verb::new("light", "Light", Class::Exclusive).with(&[ArgumentSpec::new(
                    "id",
                    "Id",
                    ArgumentKind::Flag,
                )]),
                Verb::new("status", "Status", Class::Query),
            ],
            properties: &[
                Property::word("mode", "Mode", &[]).with_history(),
                Property::text("name", "").set_by("rename"),
            ],
            concerns: &[
                Concern::warning("lamp_hot", "", "wait"),
                Concern::error("lamp_hot", "it is hot", "wait | switch it off"),
                Concern::growing("Hot", "it is hot", "wait"),
            ],
            ..GOOD
        };
        let problems = BAD.problems().join("\n");
        for expected in [
            "the kind doctor is a subcommand of obsbus",
            "verb status: it is a subcommand of obsbus DEVICE",
            "verb light stands twice",
            "the verb ping",
            "verb Turn: a verb is 1 to 32",
            "verb Turn: what moves needs a verb that stops it",
            "overriding for dark",
            "every request has a key id",
            "concern lamp_hot stands twice",
            "concern lamp_hot: what it means is one line without a |",
            "concern lamp_hot: what to do is one line without a |",
            "concern Hot: a name is 1 to 32",
            "property mode: words belong",
            "property mode: a history is kept of single numbers",
            "property name: it has no label",
            "property name: there is no verb rename",
            "status lit: its label \"Lit\" is not upper case",
            "no status is called offline",
        ] {
            assert!(problems.contains(expected), "{expected} is missing from\n{problems}");
        }
    }
}
