//! Which worlds are gone through. Everything at once would be more states than anybody can wait for, so
//! each family has another kind of trouble in the foreground.

use std::sync::Mutex;

use crate::checking::{Checked, check};
use crate::request::CASTS;
use crate::scene::{Bounds, Scene};

/// Worlds with the same bounds.
#[derive(Debug)]
pub struct Family {
    /// For people.
    pub name: &'static str,
    /// How many different requests each world has.
    pub requests: usize,
    /// How much goes wrong.
    pub bounds: Bounds,
}

/// All families, those with few states first.
pub const FAMILIES: [Family; 11] = [
    Family::new("a kill and a broken connection", 2, Bounds { kills: 1, breaks: 1, ..Bounds::NONE }),
    Family::new("a bridge that hangs", 2, Bounds { stalls: 2, repeats: 1, ..Bounds::NONE }),
    Family::new("three commands and no answer", 3, Bounds { lapses: 2, ..Bounds::NONE }),
    Family::new("an orderly end and a broken connection", 2, Bounds { ends: 1, breaks: 1, ..Bounds::NONE }),
    Family::new("an orderly end and a kill", 2, Bounds { ends: 1, kills: 1, repeats: 1, ..Bounds::NONE }),
    Family::new("a broken connection", 2, Bounds { breaks: 1, repeats: 1, ..Bounds::NONE }),
    Family::new("a slow disk and a kill", 2, Bounds { kills: 1, lapses: 2, slow_disk: true, ..Bounds::NONE }),
    Family::new(
        "a disk that is slow and fails",
        2,
        Bounds { failures: 1, lapses: 2, slow_disk: true, ..Bounds::NONE },
    ),
    Family::new(
        "a disk that is slow and fails, and a command that comes twice",
        2,
        Bounds { repeats: 1, failures: 1, lapses: 1, slow_disk: true, ..Bounds::NONE },
    ),
    Family::new(
        "two kills, and a command that comes twice",
        2,
        Bounds { kills: 2, repeats: 1, lapses: 1, ..Bounds::NONE },
    ),
    Family::new("two kills, three commands", 3, Bounds { kills: 2, ..Bounds::NONE }),
];

impl Family {
    const fn new(name: &'static str, requests: usize, bounds: Bounds) -> Self {
        Self { name, requests, bounds }
    }

    /// Its worlds; one in `of` is enough.
    #[must_use]
    pub fn scenes(&self, of: usize) -> Vec<Scene> {
        let scenes = CASTS.iter().flat_map(|cast| {
            let choices = cast.choices(self.requests).into_iter();
            choices.map(|requests| Scene::new(cast.device, requests, self.bounds))
        });
        scenes.step_by(of).collect()
    }
}

/// Checks worlds beside each other, until a rule is broken.
///
/// # Panics
/// A check does.
#[must_use]
pub fn check_all(scenes: Vec<Scene>, threads: usize) -> Checked {
    let waiting = Mutex::new(scenes);
    let next = || waiting.lock().ok().and_then(|mut scenes| scenes.pop());
    let work = || {
        let mut checked = Checked::default();
        while let Some(scene) = next() {
            checked = checked.and(check(scene));
            if !checked.broken.is_empty()
                && let Ok(mut others) = waiting.lock()
            {
                others.clear();
            }
        }
        checked
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(checked) => checked,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.fold(Checked::default(), Checked::and)
    })
}
