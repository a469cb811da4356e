//! How far a motion has come, as one line: a bar for a terminal, words for a file. Pure.

use crate::typed::{FocuserState, Snapshot};
use focuser_device::FocuserStatus;

use crate::render::motion_left;

/// A wider bar says no more.
const WIDEST: usize = 40;
/// A narrower one says nothing.
const NARROWEST: usize = 8;
/// Brackets, the space behind them, and the last column, which would wrap.
const AROUND: usize = 4;

/// What can be said of a running motion in words; `None` if nothing moves.
#[must_use]
pub fn words(snapshot: &Snapshot<FocuserState>) -> Option<String> {
    let word = word(snapshot)?;
    Some(format!("{word} {}", figures(snapshot)).trim_end().to_owned())
}

/// The same with a bar in front of it, in `columns`: `[#####-----] moving …`. Where there is little
/// room, a bar that moves says more than the word.
#[must_use]
pub fn bar(snapshot: &Snapshot<FocuserState>, columns: usize) -> Option<String> {
    let (words, figures) = (words(snapshot)?, figures(snapshot));
    let room = |text: &str| columns.saturating_sub(text.chars().count() + AROUND).min(WIDEST);
    let is_narrow = room(&words) < NARROWEST && snapshot.device.common.status == FocuserStatus::Moving;
    let text = if is_narrow { figures } else { words };
    let room = room(&text);
    let line = match snapshot.device.progress {
        Some(progress) if room >= NARROWEST => {
            let share = progress.clamp(0.0, 1.0);
            let done = (1..=room).take_while(|cells| *cells as f64 <= share * room as f64 + 1e-9).count();
            format!("[{}{}] {text}", "#".repeat(done), "-".repeat(room - done))
        }
        _ => text,
    };
    Some(line.chars().take(columns.saturating_sub(1)).collect())
}

fn word(snapshot: &Snapshot<FocuserState>) -> Option<&'static str> {
    match snapshot.device.common.status {
        FocuserStatus::Moving => Some("moving"),
        FocuserStatus::Homing => Some("homing"),
        FocuserStatus::Stopping => Some("stopping"),
        _ => None,
    }
}

/// Position, target and what is left, as far as they are known.
fn figures(snapshot: &Snapshot<FocuserState>) -> String {
    let device = &snapshot.device;
    let position = match (device.current_mm, device.target_mm) {
        (Some(at), Some(to)) if device.common.status == FocuserStatus::Moving => {
            Some(format!("{at:.3} / {to:.3} mm"))
        }
        (Some(at), _) => Some(format!("{at:.3} mm")),
        (None, _) => None,
    };
    let left = motion_left(device, snapshot.stamp.published_at);
    position.into_iter().chain(left).collect::<Vec<_>>().join("  ")
}
