//! Dates, ages, wrapped lines and raw payloads as text for people. Pure.

use bus::clock::Utc;

/// A date with its zone: `2026-11-30 03:12:07 UTC`.
#[must_use]
pub fn date(at: Utc) -> String {
    let text = at.to_string();
    format!("{} UTC", text.split('.').next().unwrap_or_default().replacen('T', " ", 1))
}

/// The minute of a day: `03:12`. The caller adds the zone.
#[must_use]
pub fn clock(at: Utc) -> String {
    at.to_string().get(11..16).unwrap_or_default().to_owned()
}

/// The day: `2026-11-30`. The caller adds the zone.
#[must_use]
pub fn day(at: Utc) -> String {
    at.to_string().get(..10).unwrap_or_default().to_owned()
}

/// An age in words: `12 s`, `5 min`, `3.2 h`, `4.0 d`.
#[must_use]
pub fn age(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s if s < 864_000.0 => format!("{:.1} d", s / 86_400.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// With a capital letter at the beginning.
#[must_use]
pub fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// A payload unchanged, on one line; only bytes that our bridges never send are replaced: control
/// characters, which could command the terminal, and invalid UTF-8.
#[must_use]
pub fn one_line(payload: &[u8]) -> String {
    let mut text = String::with_capacity(payload.len());
    for c in String::from_utf8_lossy(payload).chars() {
        match c {
            '\n' | '\r' | '\t' => text.push(' '),
            c if bus::message::misleads(c) => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.trim_end().to_owned()
}

/// How many columns `text` takes, colours not counted.
#[must_use]
pub fn width(text: &str) -> usize {
    Pieces(text).filter(|piece| !piece.is_colour).count()
}

/// `line` in lines of at most `columns`, broken between words; further lines are indented a little
/// more than the first. A colour continues in the next line.
#[must_use]
pub fn wrap(line: &str, columns: usize) -> Vec<String> {
    if columns == 0 || width(line) <= columns {
        return vec![line.to_owned()];
    }
    let indent = line.chars().take_while(|c| *c == ' ').count() + 2;
    // In a very narrow terminal an indent would leave no room.
    let indent = if indent * 2 > columns { 0 } else { indent };
    let mut wrapped =
        Wrapped { lines: Vec::new(), line: String::new(), used: 0, colour: "", indent, columns };
    // The line's own indent belongs to its first word.
    let start = line.len() - line.trim_start_matches(' ').len();
    let mut rest = line;
    let mut from = start;
    loop {
        let end = rest.get(from..).and_then(|text| text.find(' ')).map_or(rest.len(), |at| from + at);
        let (word, after) = rest.split_at(end);
        wrapped.push(word);
        match after.strip_prefix(' ') {
            Some(after) => (rest, from) = (after, 0),
            None => break,
        }
    }
    wrapped.end_line();
    wrapped.lines
}

struct Wrapped<'a> {
    lines: Vec<String>,
    line: String,
    used: usize,
    colour: &'a str,
    indent: usize,
    columns: usize,
}

impl<'a> Wrapped<'a> {
    fn push(&mut self, word: &'a str) {
        let space = usize::from(self.used > self.start());
        if self.used + space + width(word) > self.columns && self.used > self.start() {
            self.end_line();
        } else if space == 1 {
            self.line.push(' ');
            self.used += 1;
        }
        for piece in Pieces(word) {
            if piece.is_colour {
                self.colour = if piece.text == RESET { "" } else { piece.text };
            } else {
                // A word that is wider than the terminal is broken.
                if self.used >= self.columns {
                    self.end_line();
                }
                self.used += 1;
            }
            self.line.push_str(piece.text);
        }
    }

    const fn start(&self) -> usize {
        if self.lines.is_empty() { 0 } else { self.indent }
    }

    fn end_line(&mut self) {
        if !self.colour.is_empty() {
            self.line.push_str(RESET);
        }
        self.lines.push(std::mem::take(&mut self.line));
        self.line = format!("{}{}", " ".repeat(self.indent), self.colour);
        self.used = self.indent;
    }
}

const RESET: &str = "\u{1b}[0m";

/// A character, or one SGR sequence.
struct Piece<'a> {
    text: &'a str,
    is_colour: bool,
}

struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let first = self.0.chars().next()?;
        let is_colour = self.0.starts_with("\u{1b}[");
        let end =
            if is_colour { self.0.find('m').map_or(self.0.len(), |at| at + 1) } else { first.len_utf8() };
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(Piece { text, is_colour })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_says_its_zone() {
        let at = Utc::parse("2026-11-30T03:12:07.400Z").unwrap();
        assert_eq!(date(at), "2026-11-30 03:12:07 UTC");
        assert_eq!((day(at), clock(at)), ("2026-11-30".to_owned(), "03:12".to_owned()));
    }

    #[test]
    fn ages_are_in_the_unit_a_person_would_choose() {
        for (seconds, text) in [
            (0.4, "0 s"),
            (119.0, "119 s"),
            (300.0, "5 min"),
            (11_520.0, "3.2 h"),
            (345_600.0, "4.0 d"),
            (34_560_000.0, "400 d"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn json_is_the_payload_on_one_line() {
        assert_eq!(one_line(b"{\"a\":\n1}\n"), "{\"a\": 1}");
        assert_eq!(one_line("\"\u{1b}[2J\"".as_bytes()), "\"\\u001b[2J\"");
    }

    #[test]
    fn a_line_is_broken_between_words_and_what_follows_is_indented() {
        assert_eq!(
            wrap("! alarm: the unit reports flow low", 20),
            ["! alarm: the unit", "  reports flow low"]
        );
        assert_eq!(wrap("   Last command: none", 40), ["   Last command: none"]);
        assert_eq!(wrap("   one two three", 10), ["   one two", "     three"]);
        assert_eq!(wrap("short", 0), ["short"]);
    }

    #[test]
    fn a_word_that_is_too_long_is_broken_and_no_letter_is_lost() {
        for columns in 1..40 {
            let line = "! x: averyveryveryverylongword and a short one, and 18.3°C";
            let lines = wrap(line, columns);
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:?}");
            let letters = |text: &str| text.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(line), "{columns}");
        }
    }

    #[test]
    fn a_colour_goes_on_in_the_next_line_and_ends_with_each() {
        let line = "\u{1b}[31m! one two\u{1b}[0m";
        assert_eq!(wrap(line, 6), ["\u{1b}[31m! one\u{1b}[0m", "  \u{1b}[31mtwo\u{1b}[0m"]);
        assert_eq!(width(line), 9);
    }
}
