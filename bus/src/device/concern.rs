//! What a bridge may raise as an attention: its name, what it means, and what to do.
//!
//! A bridge can raise nothing else, and docs/faults.md is made from these tables, so every attention
//! has its entry there.

use super::Tone;

/// Something that a bridge may raise as an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concern {
    /// One word for programs: the name of the attention.
    pub name: &'static str,
    /// [`Tone::Bad`] if something does not work, [`Tone::Warning`] if it works, but look.
    pub tone: Tone,
    /// A warning that may become an error.
    pub grows: bool,
    /// What is the matter. Markdown, one line.
    pub means: &'static str,
    /// What to do. Markdown, one line.
    pub remedy: &'static str,
}

impl Concern {
    /// Something does not work.
    #[must_use]
    pub const fn error(name: &'static str, means: &'static str, remedy: &'static str) -> Self {
        Self { name, tone: Tone::Bad, grows: false, means, remedy }
    }

    /// Something works, but look.
    #[must_use]
    pub const fn warning(name: &'static str, means: &'static str, remedy: &'static str) -> Self {
        Self { tone: Tone::Warning, ..Self::error(name, means, remedy) }
    }

    /// A warning first, an error if nothing is done about it.
    #[must_use]
    pub const fn growing(name: &'static str, means: &'static str, remedy: &'static str) -> Self {
        Self { grows: true, ..Self::warning(name, means, remedy) }
    }
}

/// Declares concerns: a constant for each, and `CONCERNS` with all of them in this order, so that
/// none can be forgotten in the list.
#[macro_export]
macro_rules! concerns {
    ($($constant:ident = $level:ident($name:literal, $means:literal, $remedy:literal);)*) => {
        $(
            #[doc = $means]
            pub const $constant: $crate::device::Concern =
                $crate::device::Concern::$level($name, $means, $remedy);
        )*
        /// All of them.
        pub const CONCERNS: &[$crate::device::Concern] = &[$($constant),*];
    };
}
