//! The question before a dangerous command, to somebody at a terminal. A script has thought of it before.

use std::io::{self, IsTerminal, Write};

/// Whether there is anybody to ask.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks. Anything but a yes is a no.
///
/// # Errors
/// If the terminal cannot be read.
pub(crate) fn is_confirmed(question: &str) -> io::Result<bool> {
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(["y\n", "Y\n", " yes\n", "YES"].into_iter().all(is_yes));
        assert!(!["", "\n", "n\n", "no\n", "yesterday\n", "ja\n", "y n\n"].into_iter().any(is_yes));
    }
}
