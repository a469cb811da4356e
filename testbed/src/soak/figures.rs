//! What a process holds in a long run, and what it may not.

use std::fmt;

use anyhow::Result;

use crate::footprint;

/// What a process held at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Resident memory, KiB.
    pub resident: u64,
    /// Its share of the resident memory, KiB: pages that several processes use are divided among them.
    pub proportional: u64,
    /// Memory that is not a file's, KiB: heap and stacks.
    pub anonymous: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

impl Holds {
    /// What the process `pid` holds now.
    ///
    /// # Errors
    /// If there is no such process, or it belongs to somebody else.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self {
            resident: footprint::kibibytes(pid, "Rss")?,
            proportional: footprint::kibibytes(pid, "Pss")?,
            anonymous: footprint::kibibytes(pid, "Anonymous")?,
            descriptors: u64::try_from(footprint::open_files(pid)?)?,
            threads: u64::try_from(footprint::threads(pid)?)?,
        })
    }

    /// The least of each figure: what was held only for a moment does not count.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        Self {
            resident: self.resident.min(other.resident),
            proportional: self.proportional.min(other.proportional),
            anonymous: self.anonymous.min(other.anonymous),
            descriptors: self.descriptors.min(other.descriptors),
            threads: self.threads.min(other.threads),
        }
    }

    /// The most of each figure.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self {
            resident: self.resident.max(other.resident),
            proportional: self.proportional.max(other.proportional),
            anonymous: self.anonymous.max(other.anonymous),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
        }
    }
}

/// What is known of a process at one moment of a long run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// What it holds.
    pub holds: Holds,
    /// Lines in its log since its start.
    pub log_lines: u64,
    /// How often its identity has connected to the broker since the start of the run.
    pub connections: u64,
}

/// Limits of a long run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Growth of resident memory, KiB.
    pub growth: u64,
    /// Lines of the log, from the first figures to the last.
    pub log_lines: u64,
}

/// A process, its figures after the warm-up and at the end.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// After the warm-up.
    pub before: Figures,
    /// At the end.
    pub after: Figures,
    /// Whether it is the product's, and has to keep to the limits.
    pub judged: bool,
}

impl Row {
    /// What is wrong with it.
    #[must_use]
    pub fn misses(&self, limits: Limits) -> Vec<String> {
        let mut misses = Vec::new();
        if !self.judged {
            return misses;
        }
        let (before, after) = (self.before.holds, self.after.holds);
        let mut judge = |what: &str, before: u64, after: u64, allowed: u64| {
            if after > before + allowed {
                misses.push(format!("{}: {what} grew from {before} to {after}", self.name));
            }
        };
        judge("resident memory (KiB)", before.resident, after.resident, limits.growth);
        judge("open files", before.descriptors, after.descriptors, 0);
        judge("threads", before.threads, after.threads, 0);
        judge("its log (lines)", self.before.log_lines, self.after.log_lines, limits.log_lines);
        misses
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (&self.before, &self.after);
        let pair = |before: u64, after: u64| format!("{before} -> {after}");
        write!(
            f,
            "{:16} {:>16} {:>16} {:>16} {:>9} {:>9} {:>13} {:>11}{}",
            self.name,
            pair(before.holds.resident, after.holds.resident),
            pair(before.holds.proportional, after.holds.proportional),
            pair(before.holds.anonymous, after.holds.anonymous),
            pair(before.holds.descriptors, after.holds.descriptors),
            pair(before.holds.threads, after.holds.threads),
            pair(before.log_lines, after.log_lines),
            pair(before.connections, after.connections),
            if self.judged { "" } else { "  (not judged)" },
        )
    }
}

/// The head of a table of [`Row`]s.
#[must_use]
pub fn head() -> String {
    format!(
        "{:16} {:>16} {:>16} {:>16} {:>9} {:>9} {:>13} {:>11}",
        "process", "RSS KiB", "PSS KiB", "anonymous KiB", "files", "threads", "log lines", "connections"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(after: impl FnOnce(&mut Figures)) -> Row {
        let holds =
            Holds { resident: 9000, proportional: 8000, anonymous: 3000, descriptors: 12, threads: 5 };
        let before = Figures { holds, log_lines: 40, connections: 3 };
        let mut changed = before;
        after(&mut changed);
        Row { name: "a-bridge".to_owned(), before, after: changed, judged: true }
    }

    const LIMITS: Limits = Limits { growth: 1024, log_lines: 400 };

    #[test]
    fn what_this_process_holds_can_be_read() {
        let holds = Holds::of(std::process::id()).unwrap();
        assert!(holds.resident > 1000 && holds.resident >= holds.proportional, "{holds:?}");
        assert!(holds.anonymous > 0 && holds.descriptors >= 3 && holds.threads >= 1, "{holds:?}");
        assert!(Holds::of(u32::MAX).is_err());
    }

    #[test]
    fn one_more_open_file_is_a_leak_and_so_is_a_thread() {
        assert_eq!(
            row(|after| after.holds.descriptors += 1).misses(LIMITS),
            ["a-bridge: open files grew from 12 to 13"]
        );
        assert_eq!(row(|after| after.holds.threads += 1).misses(LIMITS).len(), 1);
        assert!(row(|after| after.holds.threads -= 1).misses(LIMITS).is_empty());
    }

    #[test]
    fn a_mebibyte_of_growth_is_allowed_and_no_more() {
        assert!(row(|after| after.holds.resident += 1024).misses(LIMITS).is_empty());
        assert_eq!(row(|after| after.holds.resident += 1025).misses(LIMITS).len(), 1);
        assert_eq!(row(|after| after.log_lines += 401).misses(LIMITS).len(), 1);
    }

    #[test]
    fn what_is_not_the_products_is_shown_and_not_judged() {
        let mut other = row(|after| after.holds.resident += 90_000);
        other.judged = false;
        assert!(other.misses(LIMITS).is_empty());
        assert!(other.to_string().contains("9000 -> 99000"), "{other}");
    }
}
