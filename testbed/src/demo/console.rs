//! What is typed at the demo's terminal, line by line.

use std::io::{BufRead as _, IsTerminal as _, stdin};
use std::sync::mpsc;
use std::time::Duration;

/// Lines typed by somebody, read on a thread of its own, which ends with the process.
pub struct Console {
    lines: mpsc::Receiver<String>,
    // Kept where nothing reads, so that waiting for a line takes its time there too.
    unread: Option<mpsc::Sender<String>>,
}

impl Console {
    /// Reads the terminal, unless there is none, or this process is in the background, which must
    /// not read it.
    #[must_use]
    pub fn on_terminal() -> Self {
        let (sender, lines) = mpsc::channel();
        let foreground = rustix::termios::tcgetpgrp(stdin()).ok();
        if !stdin().is_terminal() || foreground != Some(rustix::process::getpgrp()) {
            return Self { lines, unread: Some(sender) };
        }
        std::thread::spawn(move || {
            for line in stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
            // Ctrl-D ends the typing, not the demo.
            std::thread::park();
        });
        Self { lines, unread: None }
    }

    /// Whether somebody can type.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.unread.is_none()
    }

    /// The next line, if one comes within `limit`.
    pub fn next_line(&mut self, limit: Duration) -> Option<String> {
        self.lines.recv_timeout(limit).ok()
    }
}
