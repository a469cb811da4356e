//! What the demo says: wrapped to 80 columns, coloured only on a terminal.

use std::io::{self, IsTerminal as _, Write as _};

const WIDTH: usize = 80;

/// Writes to stdout. That nobody reads is no reason to leave the stage standing, so errors are
/// not heard.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    coloured: bool,
}

impl Voice {
    /// With colours, if stdout is a terminal and `NO_COLOR` is not set.
    #[must_use]
    pub fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { coloured: io::stdout().is_terminal() && !refused }
    }

    /// Whether what is drawn over itself can be seen.
    #[must_use]
    pub fn is_on_terminal(self) -> bool {
        io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// A heading.
    pub fn head(self, text: &str) {
        self.line(&format!("\n{}", self.paint("1", text)));
    }

    /// A sentence of the narrator's.
    pub fn tell(self, text: &str) {
        self.line("");
        for line in wrapped(text, WIDTH - 2) {
            self.line(&format!("{} {}", self.paint("2", "#"), self.paint("2", &line)));
        }
    }

    /// A command that is about to run, and who runs it.
    pub fn prompt(self, who: &str, command: &str) {
        self.line(&format!("{} {}", self.paint("1;32", &format!("{who}$")), self.paint("1", command)));
    }

    /// What a command wrote, as it is; only too long lines are broken.
    pub fn output(self, text: &str) {
        for line in text.lines() {
            for part in wrapped(line, WIDTH) {
                self.line(&part);
            }
        }
    }

    /// Lines that follow each other like a table's: too long ones are cut.
    pub fn lines(self, text: &str) {
        for line in text.lines() {
            self.line(&cut(line, WIDTH));
        }
    }

    /// How a command ended.
    pub fn verdict(self, good: bool, text: &str) {
        self.line(&self.paint(if good { "32" } else { "1;31" }, text));
    }

    /// A line as it is.
    pub fn line(self, text: &str) {
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl Default for Voice {
    fn default() -> Self {
        Self::new()
    }
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut text: String = line.chars().take(width - 1).collect();
    text.push('…');
    text
}

/// Breaks a line between words; what follows is indented. A word that is too long stays whole.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    if line.chars().count() <= width {
        return vec![line.to_owned()];
    }
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let mut lines: Vec<String> = Vec::new();
    let mut current = indent.clone();
    for word in line.split_whitespace() {
        let is_empty = current.trim().is_empty();
        if !is_empty && current.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut current, format!("{indent}  {word}")));
        } else {
            if !is_empty {
                current.push(' ');
            }
            current.push_str(word);
        }
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_line_stays_as_it_is() {
        assert_eq!(wrapped("   Mode is  MANUAL", 20), ["   Mode is  MANUAL"]);
        assert_eq!(wrapped("", 20), [""]);
        assert_eq!(cut("22 °C", 5), "22 °C");
    }

    #[test]
    fn a_line_of_a_table_is_cut_at_the_edge() {
        assert_eq!(cut("22 °C and more", 6), "22 °C…");
    }

    #[test]
    fn a_long_line_is_broken_between_words() {
        assert_eq!(wrapped("  one two three four", 12), ["  one two", "    three", "    four"]);
        assert_eq!(wrapped("/a/very/long/path x", 8), ["/a/very/long/path", "  x"]);
    }
}
