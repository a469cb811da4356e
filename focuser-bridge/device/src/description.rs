//! The focuser in one table.

use bus::device::{
    ArgumentKind, ArgumentSpec, Class, Description, Property, Quantity, Role, Tone, Verb, Word,
};

use crate::concern::CONCERNS;

/// The focuser's verbs, properties and words.
pub const DESCRIPTION: Description = Description {
    kind: "focuser",
    label: "focuser",
    model: "ASA OK3Z",
    statuses: &[
        Word::new("offline", "OFFLINE", Tone::Bad),
        Word::new("not_homed", "NOT HOMED", Tone::Warning),
        Word::new("homing", "HOMING", Tone::Busy),
        Word::new("idle", "IDLE", Tone::Good),
        Word::new("moving", "MOVING", Tone::Busy),
        Word::new("stopping", "STOPPING", Tone::Busy),
        Word::new("fault", "FAULT", Tone::Bad),
        Word::new("released", "RELEASED", Tone::Warning),
    ],
    verbs: VERBS,
    properties: PROPERTIES,
    services: &[],
    concerns: CONCERNS,
};

const MILLIMETRES: ArgumentKind = ArgumentKind::Number { unit: "mm", step: 0.001 };

const VERBS: &[Verb] = &[
    Verb::PING,
    Verb { motion: true, reclaims: true, ..Verb::new("init", "Home", Class::Exclusive) }
        .with(&[ArgumentSpec::new("force", "Even if it is homed", ArgumentKind::Flag)])
        .asking("Drive the focuser to its inner end?"),
    Verb { motion: true, ..Verb::new("set", "Move to", Class::Exclusive) }.with(&[ArgumentSpec::new(
        "mm",
        "Position",
        MILLIMETRES,
    )]),
    Verb { motion: true, relative: true, ..Verb::new("offset", "Move by", Class::Exclusive) }
        .with(&[ArgumentSpec::new("mm", "Distance, outwards", MILLIMETRES)]),
    Verb { stop: true, ..Verb::new("stop", "Stop", Class::Overriding) },
    Verb::new("kill", "Kill", Class::Overriding)
        .asking("Stop the focuser and let go of it, so that nothing moves it until it is homed?"),
];

const PROPERTIES: &[Property] = &[
    Property::number("current_mm", "Position", Quantity::Position, "mm", 3)
        .role(Role::Headline)
        .with_history(),
    Property::number("target_mm", "Target", Quantity::Position, "mm", 3).role(Role::Setting).set_by("set"),
    Property::number("current_steps", "Motor", Quantity::Count, "steps", 0).role(Role::Diagnostic),
    Property::number("origin_steps", "Inner end", Quantity::Count, "steps", 0).role(Role::Diagnostic),
    Property::switch("homed", "Homed"),
    Property::switch("moving", "Turns"),
    Property::number("progress", "Done", Quantity::Ratio, "", 2).role(Role::Motion),
    Property::number("eta_s", "Time left", Quantity::Duration, "s", 1).role(Role::Motion),
    Property::time("deadline", "Ends before").role(Role::Motion),
    Property::number("temperature_raw", "Temperature, raw", Quantity::Number, "", 0)
        .role(Role::Diagnostic)
        .with_history(),
    Property::number("limits_mm", "Limits", Quantity::Position, "mm", 3).many().role(Role::Diagnostic),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FocuserStatus;

    #[test]
    fn every_status_has_a_word_with_a_label() {
        let words: Vec<_> = FocuserStatus::ALL.into_iter().map(FocuserStatus::word).collect();
        assert_eq!(words, DESCRIPTION.statuses.iter().map(|word| word.word).collect::<Vec<_>>());
    }
}
