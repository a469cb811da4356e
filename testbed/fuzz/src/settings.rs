//! Settings files. Each error names the file and fits on one line.

use std::path::Path;

use bridge::settings::DeviceSettings;
use bus::settings::Problems;

pub(crate) fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    read::<chiller_bridge::settings::Settings>(&text);
    read::<focuser_bridge::settings::Settings>(&text);
}

fn read<S: DeviceSettings>(text: &str) {
    const FILE: &str = "settings.toml";
    let mut section = match bus::settings::parse(text, Path::new(FILE)) {
        Ok(section) => section,
        Err(problems) => return look_at(&problems, FILE),
    };
    let settings = S::read(&mut section, &[]);
    let findings = section.findings(&S::renamed()).1;
    look_at(&findings.problems, FILE);
    look_at(&findings.warnings, FILE);
    if findings.is_good() {
        let settings = settings.bridge();
        assert!(settings.exchange_limit <= settings.serial_timeout);
        assert!(settings.stale_after >= settings.query_delay * 3);
    }
}

fn look_at(problems: &Problems, file: &str) {
    for problem in &problems.0 {
        let line = problem.to_string();
        assert!(line.starts_with(file), "{line:?}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}
