//! Pages of documentation that tests hold to what they say: commands that are run as their reader would
//! run them, settings that are used, files that are quoted.
//!
//! A block that is meant stands behind a comment of its own, its mark: `<!-- runs in the demo -->`. A
//! line `# exit code N` says what the command before it ends with; without one it is 0. A line
//! `# prints TEXT` says what it prints among other things, and `# prints no TEXT` what it does not.

#![expect(clippy::panic, reason = "for tests: a page that is not written as agreed is a failure")]

use std::fmt;

use crate::process::Output;

/// A command that a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// As it is typed.
    pub command: String,
    /// What it ends with.
    pub code: i32,
    /// What it prints, on stdout or stderr.
    pub prints: Vec<String>,
    /// What it does not print.
    pub prints_no: Vec<String>,
}

impl Shown {
    fn new(command: String) -> Self {
        Self { command, code: 0, prints: Vec::new(), prints_no: Vec::new() }
    }

    /// Whether it did what the page says.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn assert(&self, page: impl fmt::Display, output: &Output) {
        let said = format!("{}{}", output.stdout, output.stderr);
        let is_so = output.code == self.code
            && self.prints.iter().all(|text| said.contains(text))
            && !self.prints_no.iter().any(|text| said.contains(text));
        assert!(is_so, "{page}: {self:?} ended with {} and said: {said}", output.code);
    }
}

/// The text of each block that stands behind `mark`, in order.
///
/// # Panics
/// If something else follows the mark.
pub fn blocks<'a>(page: &'a str, mark: &str) -> Vec<&'a str> {
    let block = |part: &'a str| {
        let fenced = part.trim_start().strip_prefix("```").and_then(|rest| rest.split_once('\n'));
        let (_, text) = fenced.unwrap_or_else(|| panic!("a block follows {mark}, and not {part:.40}"));
        let end = if text.starts_with("```") { Some(0) } else { text.find("\n```").map(|at| at + 1) };
        text.get(..end.unwrap_or_else(|| panic!("a block ends: {text:.40}"))).unwrap_or_default()
    };
    page.split(mark).skip(1).map(block).collect()
}

/// The commands of the blocks behind `mark`.
///
/// # Panics
/// If a block is not written as agreed.
#[must_use]
pub fn commands(page: &str, mark: &str) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for block in blocks(page, mark) {
        let mut joined = String::new();
        for line in block.lines().filter(|line| !line.trim().is_empty()) {
            let said = ["# exit code ", "# prints no ", "# prints "];
            if let Some((what, text)) = said.iter().find_map(|what| Some((*what, line.strip_prefix(what)?))) {
                let last = commands.last_mut().unwrap_or_else(|| panic!("a command before {line}"));
                match what {
                    "# prints " => last.prints.push(text.to_owned()),
                    "# prints no " => last.prints_no.push(text.to_owned()),
                    _ => last.code = text.parse().unwrap_or_else(|_| panic!("a number in {line}")),
                }
                continue;
            }
            joined.push_str(line);
            if line.ends_with('\\') {
                joined.push('\n');
            } else {
                commands.push(Shown::new(std::mem::take(&mut joined)));
            }
        }
        assert!(joined.is_empty(), "a command goes on after its block: {joined}");
    }
    commands
}

/// The page with each block of Rust behind `<!-- FILE -->`, where the file begins with `folder`, as
/// `read` says that it should be; and how many there are.
///
/// # Panics
/// If a block is not written as agreed.
pub fn quoting(page: &str, folder: &str, read: impl Fn(&str) -> String) -> (String, usize) {
    let (mut written, mut rest, mut quoted) = (String::new(), page, 0);
    while let Some((before, after)) = rest.split_once(&format!("<!-- {folder}")) {
        let (name, after) = after
            .split_once(" -->\n```rust\n")
            .unwrap_or_else(|| panic!("a block of Rust after the file's name: {after:.60}"));
        // Not the end of a block in the code's own documentation.
        let end = if after.starts_with("```\n") { Some(0) } else { after.find("\n```\n").map(|at| at + 1) };
        let end = end.unwrap_or_else(|| panic!("the end of the block of {name}"));
        let file = format!("{folder}{name}");
        written += &format!("{before}<!-- {file} -->\n```rust\n{}```\n", read(&file));
        rest = after.get(end + "```\n".len()..).unwrap_or_default();
        quoted += 1;
    }
    (written + rest, quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "<!-- runs here -->";

    #[test]
    fn a_block_is_read_as_its_reader_would_type_it() {
        let page = format!(
            "text\n{MARK}\n\n```sh\na b\n# exit code 3\n# prints well\n# prints no error\n\nc \\\n  d\n```\n\
             ```sh\nnot this\n```\n{MARK}\n```sh\n```\n"
        );
        let first = Shown {
            code: 3,
            prints: vec!["well".to_owned()],
            prints_no: vec!["error".to_owned()],
            ..Shown::new("a b".to_owned())
        };
        assert_eq!(commands(&page, MARK), [first, Shown::new("c \\\n  d".to_owned())]);
        assert_eq!(blocks(&page, MARK).len(), 2);
    }

    #[test]
    fn what_a_command_does_otherwise_than_the_page_says_is_found() {
        let shown = commands(&format!("{MARK}\n```sh\na\n# prints one\n# prints no two\n```"), MARK);
        let does = |code, stdout: &str| {
            let output = Output { code, stdout: stdout.to_owned(), stderr: String::new() };
            std::panic::catch_unwind(|| shown[0].assert("page", &output)).is_ok()
        };
        assert!(does(0, "one"));
        assert!(!does(1, "one") && !does(0, "") && !does(0, "one two"));
    }

    #[test]
    fn a_page_quotes_a_file_as_it_is() {
        let page = "a\n<!-- x/y.rs -->\n```rust\nold\n```\nb\n";
        let (written, quoted) = quoting(page, "x/", |file| format!("// {file}\n"));
        assert_eq!((written.as_str(), quoted), ("a\n<!-- x/y.rs -->\n```rust\n// x/y.rs\n```\nb\n", 1));
    }
}
