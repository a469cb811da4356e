//! A terminal for the live screen: text drawn in place, keys without Enter, all of it undone at
//! the end.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

use crate::output::print;

// Alternate screen, no cursor, long lines cut at the edge.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l\u{1b}[2J";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// The terminal while it is ours.
#[derive(Debug)]
pub struct Screen {
    before: Option<Termios>,
}

impl Screen {
    /// Takes the terminal over; gives it back when dropped.
    #[must_use]
    pub fn enter() -> Self {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(before) = &before {
            let mut modes = before.clone();
            // Signals stay: Ctrl-C is still Ctrl-C.
            modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            // Without it a key only counts after Enter.
            let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
        }
        print(ENTER);
        Self { before }
    }

    /// Draws `text` over what was there; whether the terminal took it.
    #[must_use]
    pub fn draw(&self, text: &str) -> bool {
        let mut frame = String::from("\u{1b}[H");
        for line in text.lines() {
            frame.push_str(line);
            frame.push_str("\u{1b}[K\r\n");
        }
        frame.push_str("\u{1b}[J");
        print(&frame)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        print(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Waits for `q`; for ever if nobody is at the keyboard.
pub async fn quit_key() {
    if !io::stdin().is_terminal() {
        return std::future::pending().await;
    }
    let (sender, mut keys) = mpsc::channel(8);
    // A thread of its own: a read from a terminal cannot be called off, and ends with the process.
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
