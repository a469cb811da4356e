//! One program for all targets, since most of the time goes into linking: `OBSBUS_FUZZ` names the one to feed.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<String> = LazyLock::new(|| std::env::var("OBSBUS_FUZZ").unwrap_or_default());

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::feed(&TARGET, bytes));
