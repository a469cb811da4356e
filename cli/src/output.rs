//! Output to the user: data to stdout, messages to stderr, and the capabilities of the terminal.

use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;

use crate::chart::Frame;
use crate::exit::{EXIT_FAILED, Failure, with_causes};
use crate::style::Style;
use crate::text::wrap;

/// Coloured on a terminal, unless the user objects (<https://no-color.org>).
pub(crate) fn style() -> Style {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || is_dumb();
    if io::stdout().is_terminal() && !refused { Style::Coloured } else { Style::Plain }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// Width of a line that is redrawn on stderr, in columns; `None` without a suitable terminal.
pub(crate) fn line_width() -> Option<usize> {
    let stderr = io::stderr();
    if !stderr.is_terminal() || is_dumb() {
        return None;
    }
    Some(tcgetwinsize(&stderr).map_or(80, |size| size.ws_col.into()))
}

/// Redraws the line on stderr as `line`.
pub(crate) fn draw_over(line: &str) {
    let mut stderr = io::stderr().lock();
    // A terminal that has gone cannot be helped.
    let _ = write!(stderr, "\r{line}\u{1b}[K").and_then(|()| stderr.flush());
}

/// Clears the `^C` that the terminal itself echoes.
pub(crate) fn wipe_echo() {
    if line_width().is_some() {
        draw_over("");
    }
}

/// The size of the terminal, or 80 by 24.
pub(crate) fn frame() -> Frame {
    let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let (columns, rows) = size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()));
    Frame { columns, rows, utf8: speaks_utf8(|name| std::env::var(name).ok()), style: style() }
}

/// Whether the locale uses UTF-8.
fn speaks_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
        // As in POSIX: empty is not set.
        variable(name).filter(|value| !value.is_empty())
    });
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Columns of stdout's terminal; `None` if stdout is not a terminal.
pub(crate) fn columns() -> Option<usize> {
    io::stdout().is_terminal().then(|| frame().columns)
}

/// Writes data to stdout.
///
/// # Errors
/// The reader has gone, or it cannot be written.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// Writes these lines to stdout, wrapped between words on a terminal.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_lines(lines: &[String]) -> Result<(), Failure> {
    let columns = columns().unwrap_or(0);
    let lines = lines.iter().flat_map(|line| wrap(line, columns));
    print(&(lines.collect::<Vec<_>>().join("\n") + "\n"))
}

/// Writes the answer to a command that was carried out to stdout, and returns the exit code. Who
/// closes the pipe does not want the answer.
pub(crate) fn tell(text: &str) -> u8 {
    match print(&format!("{text}\n")) {
        Err(failure) if !failure.is_nobody_reading() => {
            let why = with_causes(&failure);
            say(&format!("{text}\nerror: {why}; the command itself was carried out"));
            EXIT_FAILED
        }
        _ => 0,
    }
}

/// A message for the user, on stderr; wrapped between words on a terminal.
pub(crate) fn say(text: &str) {
    let columns = line_width().unwrap_or(0);
    let lines: Vec<String> = text.lines().flat_map(|line| wrap(line, columns)).collect();
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_found_as_posix_says() {
        let speaks = |variables: &[(&str, &str)]| {
            speaks_utf8(|name| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(speaks(&[("LANG", "en_GB.UTF-8")]));
        assert!(speaks(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!speaks(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]));
        assert!(!speaks(&[]));
    }
}
