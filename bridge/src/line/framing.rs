//! The end of a reply, and the framing of protocols with lines of text.

use std::time::Duration;

use super::Exchange;

/// The bytes that end a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminator(&'static [u8]);

impl Terminator {
    /// A carriage return.
    pub const CR: Self = Self(b"\r");
    /// A line feed.
    pub const LF: Self = Self(b"\n");
    /// Both, in this order.
    pub const CR_LF: Self = Self(b"\r\n");

    /// Any other, such as a prompt.
    ///
    /// # Panics
    /// `bytes` is empty: such a reply would never end. In a constant, this is a compile error.
    #[must_use]
    pub const fn of(bytes: &'static [u8]) -> Self {
        assert!(!bytes.is_empty(), "a reply must end with something");
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8] {
        self.0
    }
}

/// A reply that is not a line of text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a line of text: \"{}\"", .0.escape_ascii())]
pub struct NotText(Vec<u8>);

/// A protocol of text lines: each request is a line, and so is each reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The end of a line, in both directions.
    pub end: Terminator,
    /// The longest valid reply, including its end.
    pub max_reply_bytes: usize,
    /// Timeout of a reply.
    pub limit: Duration,
    /// The shortest time from the end of one exchange to the next; zero for none.
    pub gap: Duration,
}

impl Lines {
    /// A request whose reply is one line.
    #[must_use]
    pub fn ask(&self, text: &str) -> Exchange {
        Exchange::ask(self.line(text), self.end, self.max_reply_bytes, self.limit).after(self.gap)
    }

    /// An order without a reply.
    #[must_use]
    pub fn order(&self, text: &str) -> Exchange {
        Exchange::order(self.line(text), self.limit).after(self.gap)
    }

    // A control character in it could end the line early, and start a second order.
    fn line(&self, text: &str) -> Vec<u8> {
        let text = text.bytes().filter(|byte| !byte.is_ascii_control());
        text.chain(self.end.bytes().iter().copied()).collect()
    }

    /// The text of a reply, without its end, and without the rest of the previous end: a device
    /// whose line ends are longer than documented leaves the rest for the next reply.
    ///
    /// # Errors
    /// It is not printable ASCII. These protocols have no checksum, so this check replaces it.
    pub fn text<'a>(&self, frame: &'a [u8]) -> Result<&'a str, NotText> {
        let is_end = |byte: &u8| matches!(*byte, b'\r' | b'\n') || self.end.bytes().contains(byte);
        let begin = frame.iter().position(|byte| !is_end(byte)).unwrap_or(frame.len());
        let end = frame.iter().rposition(|byte| !is_end(byte)).map_or(begin, |last| last + 1);
        let text = frame.get(begin..end).unwrap_or_default();
        match std::str::from_utf8(text) {
            Ok(text) if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) => Ok(text),
            _ => Err(NotText(frame.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: Lines = Lines {
        end: Terminator::CR_LF,
        max_reply_bytes: 32,
        limit: Duration::from_millis(500),
        gap: Duration::from_millis(20),
    };

    #[test]
    fn a_question_and_an_order_are_lines() {
        for (end, bytes) in [
            (Terminator::CR, &b"TEMP?\r"[..]),
            (Terminator::LF, b"TEMP?\n"),
            (Terminator::CR_LF, b"TEMP?\r\n"),
            (Terminator::of(b";"), b"TEMP?;"),
        ] {
            let lines = Lines { end, ..LINES };
            let question = lines.ask("TEMP?");
            assert_eq!((question.bytes.as_slice(), question.terminator), (bytes, Some(end)));
            assert_eq!(
                (question.max_reply_bytes, question.limit, question.gap),
                (32, LINES.limit, LINES.gap)
            );
            let order = lines.order("TEMP?");
            assert_eq!((order.bytes.as_slice(), order.terminator), (bytes, None));
        }
    }

    #[test]
    fn no_text_can_smuggle_in_a_second_order() {
        assert_eq!(LINES.order("HEATER 1\r\nHEATER 9\0").bytes, b"HEATER 1HEATER 9\r\n");
    }

    #[test]
    fn an_answer_is_its_text_without_any_ends() {
        for frame in [&b"21.5 C\r\n"[..], b"\n21.5 C\r", b"21.5 C\n", b"\r\n21.5 C\r\n"] {
            assert_eq!(LINES.text(frame), Ok("21.5 C"), "{}", frame.escape_ascii());
        }
        assert_eq!(LINES.text(b"\r\n"), Ok(""));
        assert_eq!(Lines { end: Terminator::of(b">"), ..LINES }.text(b"\r\n21.5 C\r\n>"), Ok("21.5 C"));
        assert_eq!(LINES.text(b"  21.5\r\n"), Ok("  21.5"), "fields of fixed width keep it");
    }

    #[test]
    fn a_garbled_answer_is_no_text() {
        for frame in [&b"21\xB15 C\r\n"[..], b"21.5\x00C\r\n", b"21\r5 C\r\n", b"\x7F\r\n"] {
            assert_eq!(LINES.text(frame), Err(NotText(frame.to_vec())), "{}", frame.escape_ascii());
        }
    }
}
