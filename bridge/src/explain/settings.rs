//! The settings under which a transcript was written: the shipped ones, with those of its header.

use std::path::Path;

use bus::settings::{Problems, parse};
use bus::transcript::Run;

use crate::convert::New;
use crate::settings::DeviceSettings;

/// The run's settings.
pub(super) fn of_run<S: DeviceSettings>(run: &Run) -> Result<S, String> {
    let mut new = New::of(S::SHIPPED);
    for setting in &run.settings {
        new.set_or_add(&setting.key, &setting.value);
    }
    let read = parse(&new.text, Path::new("")).and_then(|mut section| {
        let settings = S::read(&mut section, &[]);
        section.finish(&S::renamed()).map(|_| settings)
    });
    read.map_err(|Problems(problems)| {
        let words = problems.iter().map(|problem| {
            let line = run.settings.iter().find(|setting| setting.key == problem.key);
            let line = line.map(|setting| format!("line {}: ", setting.line)).unwrap_or_default();
            let allowed = problem.allowed.as_ref().map(|allowed| format!(", expected {allowed}"));
            format!("{line}{}: {}{}", problem.key, problem.message, allowed.unwrap_or_default())
        });
        words.collect::<Vec<_>>().join("\n")
    })
}
