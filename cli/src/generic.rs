//! The lines of an instrument that this program does not know, from its description alone. Pure.

use bus::device::Role;
use bus::message::echo;

use crate::instrument::{Instrument, shown, value};
use crate::picture::{Body, Picture, status_label};
use crate::progress::Motion;
use crate::style::Style;
use crate::text::capitalised;
use crate::view::Snapshot;

/// The body of `status`; without the reason if it `is_said` already.
pub(crate) fn body(picture: &Picture, is_said: bool) -> Body {
    let (instrument, state) = (picture.instrument, &picture.snapshot.device);
    let is_now = picture.tense.reading == "is";
    let label = capitalised(instrument.label());
    let mut verdict = vec![format!("{label} {} {}", picture.tense.status, picture.status())];
    let motion = Motion::of(instrument, picture.snapshot).filter(|_| is_now);
    let figures = motion.map(|motion| motion.figures()).filter(|figures| !figures.is_empty());
    verdict.extend(figures.map(|figures| format!("   {figures}")));
    let summary = picture.summary();
    if !is_said && !summary.is_empty() {
        let it_was = if picture.tense.status == "is" { "" } else { "It was " };
        verdict.push(format!("   {it_was}{summary}"));
    }
    let mut details = Vec::new();
    let mut line = |text: String| details.push(format!("   {text}"));
    let roles: &[Role] = if picture.all {
        &[Role::Headline, Role::Reading, Role::Setting, Role::Motion, Role::Diagnostic]
    } else {
        &[Role::Headline, Role::Reading, Role::Setting]
    };
    for property in roles.iter().flat_map(|role| instrument.properties(*role)) {
        let value = value(state, &property.key);
        // An empty list is of no interest.
        let value = value.filter(|value| picture.all || value.as_array().is_none_or(|them| !them.is_empty()));
        let text = value.and_then(|value| shown(property, value, picture.style));
        let text = text.or_else(|| picture.all.then(|| "-".to_owned()));
        let between = if is_now { ":" } else { " was" };
        if let Some(text) = text {
            line(format!("{}{between} {text}", property.label));
        }
    }
    if picture.all {
        // Keys that the description does not mention, unchanged.
        for (key, value) in state {
            let is_described = instrument
                .meta
                .properties
                .iter()
                .any(|it| it.key.split('.').next().is_some_and(|first| first == key));
            if !is_described {
                line(format!("{}: {}", echo(key), echo(&value.to_string())));
            }
        }
    }
    line(picture.last_command());
    picture.reading_age().into_iter().for_each(line);
    Body { verdict, details }
}

/// One line of `watch`: headlines and settings only, so that not every reading makes a line.
pub(crate) fn brief(instrument: &Instrument, snapshot: &Snapshot) -> String {
    let label = status_label(instrument, snapshot);
    if let Some(motion) = Motion::of(instrument, snapshot) {
        return [Some(label), motion.to(), motion.tens()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    }
    let mut text = label;
    let reason = echo(&snapshot.common.reason);
    if !reason.is_empty() {
        text.push_str(&format!(" ({reason})"));
    }
    let properties = [Role::Headline, Role::Setting].into_iter().flat_map(|role| instrument.properties(role));
    let values = properties.filter_map(|property| {
        let text = shown(property, value(&snapshot.device, &property.key)?, Style::Plain)?;
        Some(format!("{}: {text}", property.label))
    });
    for (before, value) in std::iter::once(" ").chain(std::iter::repeat(", ")).zip(values) {
        text.push_str(before);
        text.push_str(&value);
    }
    text
}
