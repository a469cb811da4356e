//! What the tour is made of.

/// One step: what is said, then what is done.
pub(super) struct Step {
    pub(super) says: &'static str,
    pub(super) action: Action,
}

/// What a step does.
pub(super) enum Action {
    /// Runs a command: who, what, its exit code, and what it must say.
    Run { who: &'static str, command: &'static str, code: i32, shows: &'static str },
    /// Runs a command that does not end, for some seconds; then Ctrl-C, to which it must answer 0.
    Follow { who: &'static str, command: &'static str, seconds: u64, shows: &'static str },
    /// Runs a motion, whose bar is seen as it grows if there is a terminal; it must succeed.
    Move { who: &'static str, command: &'static str, shows: &'static str },
    /// Begins a motion and goes on when the focuser is almost half-way.
    Begin { who: &'static str, command: &'static str },
    /// The end of what was begun: its exit code, and what it must say.
    End { code: i32, shows: &'static str },
    /// Something happens at the site (`help` there lists what can be said); then this flag of this
    /// device's state is waited for.
    Happens { line: &'static str, device: &'static str, key: &'static str, is: bool },
    /// The same, with `chiller watch` running from before it until a line after it has this in it.
    Watched { line: &'static str, until: &'static str },
}

/// A step that runs a command.
pub(super) const fn run(
    who: &'static str,
    command: &'static str,
    code: i32,
    shows: &'static str,
    says: &'static str,
) -> Step {
    Step { says, action: Action::Run { who, command, code, shows } }
}
