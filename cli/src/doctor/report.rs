//! The findings: as lines while they come, or as one JSON object at the end; and the exit code.

use bus::message::echo;
use serde_json::json;

use super::catalogue::Check;
use crate::exit::Failure;
use crate::output::{print_lines, style};
use crate::style::{BOLD_RED, GREEN, Style, YELLOW};

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but look.
    Warning,
    /// Does not work.
    Failure,
    /// Could not be made, because an earlier one failed or because it does not apply.
    Skipped,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "FAILURE",
            Self::Skipped => "skipped",
        }
    }

    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => GREEN,
            Self::Warning => YELLOW,
            Self::Failure => BOLD_RED,
            Self::Skipped => "",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: Check,
    pub(crate) verdict: Verdict,
    /// What was found; for a failure, the cause.
    pub(crate) text: String,
    /// What to do; empty if nothing.
    pub(crate) remedy: String,
    /// The exit code, if this is the first failure.
    pub(crate) code: u8,
}

impl Finding {
    fn new(
        check: Check,
        verdict: Verdict,
        text: impl Into<String>,
        remedy: impl Into<String>,
        code: u8,
    ) -> Self {
        Self { check, verdict, text: text.into(), remedy: remedy.into(), code }
    }

    pub(crate) fn ok(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, text, "", 0)
    }

    pub(crate) fn warning(check: Check, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, text, remedy, 0)
    }

    pub(crate) fn failure(
        check: Check,
        code: u8,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(check, Verdict::Failure, text, remedy, code)
    }

    /// A failure as a warning; another finding as it is.
    pub(crate) fn softened(self) -> Self {
        match self.verdict {
            Verdict::Failure => Self::warning(self.check, self.text, self.remedy),
            _ => self,
        }
    }

    pub(crate) fn skipped(check: Check, why: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skipped, why, "", 0)
    }

    /// The whole of it in one line: the verdict, the check, the cause, what to do.
    fn line(&self, style: Style) -> String {
        let word = format!("{:<7}", self.verdict.word());
        format!("  {}  {}", style.paint(self.verdict.colour(), &word), self.cause())
    }

    fn cause(&self) -> String {
        let mut line = self.check.name().to_owned();
        for (mark, part) in [(": ", &self.text), (". To do: ", &self.remedy)] {
            if !part.is_empty() {
                line.push_str(mark);
                line.push_str(part.trim_end_matches('.'));
            }
        }
        line
    }
}

/// All findings so far.
pub(crate) struct Report {
    json: bool,
    subject: String,
    findings: Vec<(String, Finding)>,
    /// Checks that were skipped and are not shown yet: they share a line.
    unshown: Vec<&'static str>,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, subject: String::new(), findings: Vec::new(), unshown: Vec::new() }
    }

    /// What the following findings are about.
    ///
    /// # Errors
    /// The reader of the output has gone.
    pub(crate) fn about(&mut self, subject: impl Into<String>) -> Result<(), Failure> {
        self.show_skipped()?;
        self.subject = subject.into();
        self.show(&self.subject)
    }

    /// Adds a finding, and shows it.
    ///
    /// # Errors
    /// The reader of the output has gone.
    pub(crate) fn add(&mut self, finding: Finding) -> Result<(), Failure> {
        if finding.verdict == Verdict::Skipped && finding.text.is_empty() {
            self.unshown.push(finding.check.name());
        } else {
            self.show_skipped()?;
            self.show(&finding.line(style()))?;
        }
        self.findings.push((self.subject.clone(), finding));
        Ok(())
    }

    fn show(&self, line: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { print_lines(&[line.to_owned()]) }
    }

    fn show_skipped(&mut self) -> Result<(), Failure> {
        let names = std::mem::take(&mut self.unshown);
        if names.is_empty() { Ok(()) } else { self.show(&format!("  skipped  {}", names.join(", "))) }
    }

    /// Adds several.
    ///
    /// # Errors
    /// As [`Report::add`].
    pub(crate) fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) -> Result<(), Failure> {
        findings.into_iter().try_for_each(|finding| self.add(finding))
    }

    /// Notes that these could not be made.
    ///
    /// # Errors
    /// As [`Report::add`].
    pub(crate) fn skip(&mut self, checks: &[Check]) -> Result<(), Failure> {
        self.add_all(checks.iter().map(|check| Finding::skipped(*check, "")))
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|(_, finding)| finding.verdict == verdict).count()
    }

    fn first_failure(&self) -> Option<&(String, Finding)> {
        self.findings.iter().find(|(_, finding)| finding.verdict == Verdict::Failure)
    }

    /// The code of the first failure; with `strict`, 1 for a warning.
    fn code(&self, strict: bool) -> u8 {
        let warned = u8::from(strict && self.count(Verdict::Warning) > 0);
        self.first_failure().map_or(warned, |(_, finding)| finding.code)
    }

    /// Shows the end of it; returns the exit code.
    ///
    /// # Errors
    /// As [`Report::add`].
    pub(crate) fn finish(&mut self, strict: bool) -> Result<u8, Failure> {
        let code = self.code(strict);
        if self.json {
            let checks: Vec<_> = self
                .findings
                .iter()
                .map(|(subject, finding)| {
                    json!({
                        "subject": subject,
                        "check": finding.check.name(),
                        "verdict": finding.verdict.word().to_ascii_lowercase(),
                        "text": finding.text,
                        "remedy": finding.remedy,
                    })
                })
                .collect();
            crate::output::print(&format!("{}\n", json!({ "exit_code": code, "checks": checks })))?;
            return Ok(code);
        }
        self.show_skipped()?;
        let count = |verdict: Verdict, one: &str, many: &str| match self.count(verdict) {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        let line = format!(
            "{}, {}, {} ok, {} skipped",
            count(Verdict::Failure, "failure", "failures"),
            count(Verdict::Warning, "warning", "warnings"),
            self.count(Verdict::Ok),
            self.count(Verdict::Skipped)
        );
        self.show(&line)?;
        // It may have scrolled away.
        if let Some((subject, first)) = self.first_failure() {
            self.show(&format!("First failure: {subject}: {}", first.cause()))?;
        }
        Ok(code)
    }
}

/// A text from the bus in one line, without control characters, whole: a cause must not be cut off.
pub(crate) fn whole(text: &str) -> String {
    let characters: Vec<char> = text.chars().take(1000).collect();
    characters.chunks(200).map(|part| echo(&part.iter().collect::<String>())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: Vec<Finding>) -> Report {
        let mut report = Report::new(true);
        report.add_all(findings).unwrap();
        report
    }

    #[test]
    fn a_line_says_what_is_wrong_and_then_what_to_do() {
        let failed = Finding::failure(Check::Listener, 155, "nothing listens.", "start the broker");
        assert_eq!(
            failed.line(Style::Plain),
            "  FAILURE  listener: nothing listens. To do: start the broker"
        );
        assert_eq!(Finding::skipped(Check::Login, "").line(Style::Plain), "  skipped  login");
        assert_eq!(Finding::ok(Check::Login, "as alice").line(Style::Plain), "  ok       login: as alice");
    }

    #[test]
    fn the_first_failure_gives_the_exit_code_and_warnings_only_on_request() {
        let warning = || Finding::warning(Check::Files, "it expires soon", "renew it");
        let failures =
            [Finding::failure(Check::Listener, 155, "a", "b"), Finding::failure(Check::Disk, 1, "a", "b")];
        let all = [vec![warning()], failures.to_vec()].concat();
        assert_eq!(report(all).code(false), 155);
        assert_eq!(report(vec![warning()]).code(false), 0);
        assert_eq!(report(vec![warning()]).code(true), 1);
        assert_eq!(report(vec![Finding::skipped(Check::Disk, "")]).code(true), 0);
    }

    #[test]
    fn a_long_cause_stays_whole_and_commands_no_terminal() {
        let text = format!("{}\u{1b}[2J", "x".repeat(350));
        assert_eq!(whole(&text), format!("{}\\u{{1b}}[2J", "x".repeat(350)));
    }
}
