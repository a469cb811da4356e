//! The progress of a motion, as one line: a bar for a terminal, words for a file. Pure.
//!
//! The motion's properties have the keys that every instrument gives them: `progress`, `eta_s` and
//! `deadline`, with the role of a motion.

use bus::clock::Utc;
use bus::device::Role;

use crate::instrument::{Instrument, figure, number, unit, value};
use crate::picture::status_label;
use crate::view::Snapshot;

const PROGRESS: &str = "progress";
const TIME_LEFT: &str = "eta_s";
const DEADLINE: &str = "deadline";

/// Widest useful bar.
const WIDEST: usize = 40;
/// Narrowest useful bar.
const NARROWEST: usize = 8;
/// Brackets, the space behind them, and the last column, which would wrap.
const AROUND: usize = 4;

/// A motion in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    word: String,
    at: Option<String>,
    to: Option<String>,
    unit: String,
    progress: Option<f64>,
    left: Option<String>,
}

impl Motion {
    /// The motion in a state; `None` without one.
    #[must_use]
    pub fn of(instrument: &Instrument, snapshot: &Snapshot) -> Option<Self> {
        let state = &snapshot.device;
        if !instrument.is_busy(&snapshot.common.status) || instrument.stop().is_none() {
            return None;
        }
        let role = |key: &str| instrument.properties(Role::Motion).any(|property| property.key == key);
        let figure_of = |key: &str| number(state, key).filter(|_| role(key));
        let progress = figure_of(PROGRESS).map(|progress| progress.clamp(0.0, 1.0));
        let time_left = figure_of(TIME_LEFT).map(|seconds| seconds.max(0.0));
        let is_under_way = progress.is_some() || time_left.is_some();
        let position = instrument.position();
        let at = position.and_then(|property| Some(figure(property, number(state, &property.key)?)));
        let target = instrument.target().filter(|_| is_under_way);
        let to = target.and_then(|property| Some(figure(property, number(state, &property.key)?)));
        let deadline = value(state, DEADLINE).filter(|_| is_under_way && role(DEADLINE));
        let deadline = deadline.and_then(|text| Utc::parse(text.as_str()?).ok());
        let left = match (time_left, deadline) {
            // If the position is unknown, the time left is an upper bound.
            (Some(seconds), _) if at.is_none() => Some(format!("at most {seconds:.0} s left")),
            (Some(seconds), _) => Some(format!("{seconds:.1} s left")),
            (None, Some(deadline)) => {
                // Two dates of the bridge's clock.
                let seconds = deadline.seconds_since(snapshot.stamp.published_at).max(0.0);
                Some(format!("at most {seconds:.0} s left"))
            }
            (None, None) => None,
        };
        Some(Self {
            word: status_label(instrument, snapshot).to_lowercase(),
            at,
            to,
            unit: unit(position.or(target).and_then(|property| property.unit.as_deref())),
            progress,
            left,
        })
    }

    /// Whether it is probably being stopped: it has no target.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.progress.is_none()
    }

    /// Position, target and time left, as far as they are known.
    #[must_use]
    pub fn figures(&self) -> String {
        let place = match (&self.at, &self.to) {
            (Some(at), Some(to)) => Some(format!("{at} / {to}{}", self.unit)),
            (Some(at), None) => Some(format!("{at}{}", self.unit)),
            (None, _) => None,
        };
        place.into_iter().chain(self.left()).collect::<Vec<_>>().join("  ")
    }

    /// The progress: `43%, 1.2 s left`.
    #[must_use]
    pub fn left(&self) -> Option<String> {
        let done = self.progress.map(|progress| format!("{:.0}%", progress * 100.0));
        let parts: Vec<String> = done.into_iter().chain(self.left.clone()).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The target: `to 2.000 mm`.
    #[must_use]
    pub fn to(&self) -> Option<String> {
        self.to.as_ref().map(|to| format!("to {to}{}", self.unit))
    }

    /// The progress, in steps of a tenth, because a position would change ten times a second.
    #[must_use]
    pub fn tens(&self) -> Option<String> {
        self.progress.map(|progress| format!("{:.0}%", (progress * 10.0).floor() * 10.0))
    }

    /// All of it in words.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {}", self.word, self.figures()).trim_end().to_owned()
    }

    /// The same with a bar in front, in `columns`: `[#####-----] moving …`. If there is little
    /// room, a moving bar tells more than the words.
    #[must_use]
    pub fn bar(&self, columns: usize) -> String {
        let (words, figures) = (self.words(), self.figures());
        let room = |text: &str| columns.saturating_sub(text.chars().count() + AROUND).min(WIDEST);
        let is_narrow = room(&words) < NARROWEST && self.to.is_some();
        let text = if is_narrow { figures } else { words };
        let room = room(&text);
        let line = match self.progress {
            Some(share) if room >= NARROWEST => {
                let done = (1..=room).take_while(|cells| *cells as f64 <= share * room as f64 + 1e-9).count();
                format!("[{}{}] {text}", "#".repeat(done), "-".repeat(room - done))
            }
            _ => text,
        };
        line.chars().take(columns.saturating_sub(1)).collect()
    }
}
