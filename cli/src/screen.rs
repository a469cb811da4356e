//! A terminal for the live screen: text drawn in place, keys without Enter; all of it is undone at
//! the end, and while the program is suspended (Ctrl-Z, `fg`).

use std::io::{self, IsTerminal, Read};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

use crate::chart::Frame;
use crate::exit::Failure;
use crate::output::print;

// Alternate screen, no cursor, long lines cut at the edge.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l\u{1b}[2J";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// The terminal under our control.
#[derive(Debug)]
pub(crate) struct Screen {
    before: Option<Termios>,
}

impl Screen {
    /// Takes over the terminal; restores it when dropped.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(crate) fn enter() -> Result<Self, Failure> {
        let screen = Self { before: tcgetattr(io::stdin()).ok() };
        screen.take()?;
        Ok(screen)
    }

    fn take(&self) -> Result<(), Failure> {
        if let Some(before) = &self.before {
            let mut modes = before.clone();
            // Signals stay: Ctrl-C is still Ctrl-C.
            modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            // If this fails, a key only counts after Enter.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
        }
        print(ENTER)
    }

    fn give_back(&self) {
        // Nothing to be done about a terminal that is gone.
        let _ = print(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }

    /// Restores the terminal, suspends the program, and takes over the terminal again when
    /// continued.
    ///
    /// # Errors
    /// The terminal cannot be written any more.
    pub(crate) fn suspend(&self) -> Result<(), Failure> {
        self.give_back();
        // Returns when somebody continues us.
        let _ = kill_process(getpid(), Signal::STOP);
        self.take()
    }

    /// Redraws the screen with these lines: as many as fit, from the first, and the number of those
    /// that do not.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(crate) fn draw(&self, lines: &[String], frame: Frame) -> Result<(), Failure> {
        let mut text = String::from("\u{1b}[H");
        let clipped = clipped(lines, frame);
        for (row, line) in clipped.iter().enumerate() {
            if row > 0 {
                text.push_str("\r\n");
            }
            // Before the line: after a full one this would wipe its last character.
            text.push_str(if row + 1 < clipped.len() { "\u{1b}[K" } else { "\u{1b}[J" });
            text.push_str(line);
        }
        print(&text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The part of `lines` that fits.
fn clipped(lines: &[String], frame: Frame) -> Vec<String> {
    let rows = frame.rows;
    if lines.len() <= rows {
        return lines.to_vec();
    }
    let kept = rows.saturating_sub(1);
    let mut clipped = lines.get(..kept).unwrap_or_default().to_vec();
    let mark = if frame.utf8 { "…" } else { "..." };
    clipped.push(format!("{mark} {} more", lines.len() - kept));
    clipped
}

/// Waits for `q`; for ever without a keyboard.
pub(crate) async fn quit_key() {
    if !io::stdin().is_terminal() {
        return std::future::pending().await;
    }
    let (sender, mut keys) = mpsc::channel(8);
    // A separate thread, because a read from a terminal cannot be cancelled; it ends with the
    // process.
    std::thread::spawn(move || {
        for key in io::stdin().lock().bytes() {
            let Ok(key) = key else { return };
            if sender.blocking_send(key).is_err() {
                return;
            }
        }
    });
    loop {
        match keys.recv().await {
            Some(b'q' | b'Q') => return,
            Some(_) => {}
            None => return std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Style;

    #[test]
    fn what_does_not_fit_is_cut_at_the_bottom_and_counted() {
        let lines: Vec<String> = (1..=5).map(|line| line.to_string()).collect();
        let frame = |rows| Frame { columns: 80, rows, utf8: true, style: Style::Plain };
        assert_eq!(clipped(&lines, frame(5)), lines);
        assert_eq!(clipped(&lines, frame(3)), ["1", "2", "… 3 more"]);
        assert_eq!(clipped(&lines, Frame { utf8: false, ..frame(1) }), ["... 5 more"]);
    }
}
