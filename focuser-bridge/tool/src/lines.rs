//! The focuser's own lines of `status` and of `watch`: first the predecessor's, word for word. Pure.

use bus::message::echo;
use cli::picture::{Body, Picture, typed};
use cli::progress::Motion;
use cli::text::capitalised;
use cli::view::Snapshot;
use focuser_device::{FocuserState, FocuserStatus};

/// What `status` says of it.
pub(crate) fn body(picture: &Picture) -> Option<Body> {
    let device: FocuserState = picture.typed()?;
    let status = status(picture.snapshot)?;
    let is = picture.tense.reading;
    let mut verdict =
        vec![format!("Focuser {} {}", picture.tense.status, headline(picture, status, &device))];
    let mut line = |text: String| verdict.push(format!("   {text}"));
    if is == "is" {
        let motion = Motion::of(picture.instrument, picture.snapshot);
        motion.and_then(|motion| motion.left()).into_iter().for_each(&mut line);
    }
    homing(picture, status, &device).into_iter().for_each(&mut line);

    let mut details = Vec::new();
    let mut line = |text: String| details.push(format!("   {text}"));
    if let Some(steps) = device.current_steps {
        line(format!("Motor {is} at {steps} steps"));
    }
    if let Some(raw) = device.temperature_raw {
        line(format!("Temperature {is} {raw} raw (scale not known)"));
    }
    let [least, greatest] = device.limits_mm;
    line(format!("Limits: {least:.3} to {greatest:.3} mm"));
    line(picture.last_command());
    picture.reading_age().into_iter().for_each(line);
    Some(Body { verdict, details })
}

/// What a line of `watch` says of it.
pub(crate) fn brief(snapshot: &Snapshot) -> Option<String> {
    let device: FocuserState = typed(snapshot)?;
    // A position in it would make a new line ten times a second.
    let tens = device.progress.map(|progress| (progress.clamp(0.0, 1.0) * 10.0).floor() * 10.0);
    let tens = tens.map(|tens| format!(" {tens:.0}%")).unwrap_or_default();
    let more = match (status(snapshot)?, device.current_mm, device.target_mm) {
        (FocuserStatus::Idle, Some(at), _) => format!(" {at:.3} mm"),
        (FocuserStatus::Moving, _, Some(to)) => format!(" to {to:.3} mm{tens}"),
        (FocuserStatus::Homing, ..) => tens,
        _ => format!(" ({})", echo(&snapshot.common.reason)),
    };
    Some(format!("{}{more}", echo(&snapshot.common.status).replace('_', " ").to_uppercase()))
}

fn status(snapshot: &Snapshot) -> Option<FocuserStatus> {
    FocuserStatus::ALL.into_iter().find(|status| status.word() == snapshot.common.status)
}

/// What the predecessor said after `Focuser is`.
fn headline(picture: &Picture, status: FocuserStatus, device: &FocuserState) -> String {
    let position = match (status, device.current_mm, device.target_mm) {
        (FocuserStatus::Moving, Some(at), Some(to)) => Some(format!("{at:.3} / {to:.3} mm")),
        (FocuserStatus::Offline | FocuserStatus::Released, ..) => None,
        (_, at, _) => at.map(|at| format!("{at:.3} mm")),
    };
    let word = picture.status();
    match position {
        Some(position) => format!("{word} ({position})"),
        None => word,
    }
}

/// Whether its position is known, and what helps; `None` where the lines above say all there is to
/// say.
fn homing(picture: &Picture, status: FocuserStatus, device: &FocuserState) -> Option<String> {
    let origin = device.origin_steps.map(|steps| format!("inner end at {steps} steps"));
    match (status, origin) {
        (FocuserStatus::NotHomed | FocuserStatus::Fault, _) => Some(capitalised(&picture.summary())),
        (_, origin) if device.homed => {
            Some(["Homed".to_owned()].into_iter().chain(origin).collect::<Vec<_>>().join(", "))
        }
        (FocuserStatus::Homing, _) => Some(format!("Homing {} under way", picture.tense.bridge)),
        // The bridge knows the inner end, and not whether it still holds.
        (FocuserStatus::Offline, Some(origin)) => {
            Some(format!("Was homed, {origin}; checked when it answers again"))
        }
        (FocuserStatus::Released, Some(origin)) => {
            Some(format!("Was homed, {origin}; checked by `focus init`"))
        }
        (FocuserStatus::Offline | FocuserStatus::Released, None) => None,
        (FocuserStatus::Idle | FocuserStatus::Moving | FocuserStatus::Stopping, _) => {
            Some("not homed".to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
