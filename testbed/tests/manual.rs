//! The manual pages and completion scripts of all programs, as a package's build makes them.

use std::fs;
use std::path::Path;
use std::process::Command;

const PROGRAMS: [&str; 5] = ["obsbus", "chiller", "focus", "chiller-bridge", "focuser-bridge"];

#[test]
fn every_program_has_a_page_without_a_fault_and_every_tool_completes() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/manual");
    let here = std::env::current_exe().unwrap();
    let programs = PROGRAMS.map(|name| here.ancestors().nth(2).unwrap().join(name));
    let output = Command::new(script).arg(folder.path()).args(programs).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let read =
        |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    for (page, expected) in [
        ("man1/obsbus.1", "155"),
        ("man1/chiller.1", r"\fBsetpoint\fR \fICELSIUS\fR"),
        ("man1/focus.1", "Millimetres outwards; negative: inwards"),
        ("man5/chiller-bridge.toml.5", "antifreeze_enable_limit = 5.0"),
        ("man5/focuser-bridge.toml.5", ".SH MECHANICS"),
        ("man8/chiller-bridge.8", "SIGHUP"),
        ("man8/focuser-bridge.8", r"\-\-check\-config"),
    ] {
        assert!(read(page).contains(expected), "{page} lacks {expected}");
    }
    for tool in ["obsbus", "chiller", "focus"] {
        for script in [format!("bash/{tool}"), format!("zsh/_{tool}"), format!("fish/{tool}.fish")] {
            assert!(read(&script).contains(&format!("{tool} __complete -- ")), "{script}");
        }
    }
    for section in ["man1", "man5", "man8"] {
        for page in fs::read_dir(folder.path().join(section)).unwrap() {
            let page = page.unwrap().path();
            let Ok(output) = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).output()
            else {
                println!("groff is not installed: the pages are not looked at");
                return;
            };
            assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", page.display());
        }
    }
}
