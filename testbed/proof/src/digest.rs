//! A number for whatever shows all of itself in its debug output: nothing else in a Desk can be hashed.

use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Debug, Write};
use std::hash::Hasher;

struct Digest<'a, H>(&'a mut H);

impl<H: Hasher> Write for Digest<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Hashes `what` shows of itself.
pub(crate) fn feed<H: Hasher>(what: &impl Debug, hasher: &mut H) {
    // Writing to a hasher cannot fail.
    let _ = write!(Digest(hasher), "{what:?}");
}

/// The same in all runs of one build.
pub(crate) fn digest(what: &impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    feed(what, &mut hasher);
    hasher.finish()
}
