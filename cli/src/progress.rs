//! How far a motion has come, as one line: a bar for a terminal, words for a file. Pure.

use bus::message::{FocuserState, FocuserStatus, Snapshot};

use crate::render::motion_left;

/// A wider bar says no more.
const WIDEST: usize = 40;
/// A narrower one says nothing.
const NARROWEST: usize = 8;

/// What can be said of a running motion in words; `None` if nothing moves.
#[must_use]
pub fn words(snapshot: &Snapshot<FocuserState>) -> Option<String> {
    let device = &snapshot.device;
    let position = match (device.current_mm, device.target_mm) {
        (Some(at), Some(to)) if device.status == FocuserStatus::Moving => {
            Some(format!("{at:.3} / {to:.3} mm"))
        }
        (Some(at), _) => Some(format!("{at:.3} mm")),
        (None, _) => None,
    };
    let word = match device.status {
        FocuserStatus::Moving => "moving",
        FocuserStatus::Homing => "homing",
        FocuserStatus::Stopping => "stopping",
        _ => return None,
    };
    let left = motion_left(device, snapshot.stamp.published_at);
    let parts: Vec<String> = position.into_iter().chain(left).collect();
    Some(format!("{word} {}", parts.join("  ")).trim_end().to_owned())
}

/// The same with a bar in front of it, in `columns`: `[#####-----] moving …`.
#[must_use]
pub fn bar(snapshot: &Snapshot<FocuserState>, columns: usize) -> Option<String> {
    let words = words(snapshot)?;
    // Brackets, the space behind them, and the last column, which would wrap.
    let room = columns.saturating_sub(words.chars().count() + 4).min(WIDEST);
    let line = match snapshot.device.progress {
        Some(progress) if room >= NARROWEST => {
            let share = progress.clamp(0.0, 1.0);
            let done = (1..=room).take_while(|cells| *cells as f64 <= share * room as f64 + 1e-9).count();
            format!("[{}{}] {words}", "#".repeat(done), "-".repeat(room - done))
        }
        _ => words,
    };
    Some(line.chars().take(columns.saturating_sub(1)).collect())
}
