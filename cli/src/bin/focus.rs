//! `focus`: see and command the focuser.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::focus::main()
}
