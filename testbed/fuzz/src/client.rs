//! What a client does with the messages of a device that it does not know, whoever wrote them: no
//! control character reaches a terminal.

use bus::topic::Base;
use cli::instrument::Instrument;
use cli::list::Known;
use cli::overview::table::{Row, json, lines as table};
use cli::status::{First, Renderer};
use cli::style::Style;
use cli::view::{Seen, View};

use crate::{lines, start};

/// A line each: availability, `meta`, state, history.
pub(crate) fn client(bytes: &[u8]) {
    let mut parts = lines(bytes);
    let mut part = || parts.next().unwrap_or_default();
    let availability = Some(String::from_utf8_lossy(part()).into_owned());
    let instrument = Instrument::read(part()).ok();
    let now = start();
    let Ok(base) = Base::new("clasp", "lamp") else { return };
    let view = View { availability, state: Some(Seen::new(part().to_vec(), now, false, None)) };
    let unknown = Instrument::unknown();
    let known = instrument.as_ref().unwrap_or(&unknown);
    for all in [false, true] {
        for first in [First::Attentions, First::Verdict] {
            show(Renderer::generic(known).status(&base, &view, now, Style::Plain, (first, all)));
        }
    }
    if let Ok(history) = cli::history::read(part()) {
        let frame = cli::chart::Frame { columns: 80, rows: 24, style: Style::Plain, utf8: true };
        show(cli::history::page(&base, &history, known, None, now, frame).split('\n'));
    }
    let rows = [Row::of(&base, &Known { view, instrument: instrument.clone() }, now)];
    show(table(&rows, true, Some(80), Style::Plain));
    let _ = json(&rows);
}

fn show<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) {
    for line in lines {
        let line = line.as_ref();
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}
