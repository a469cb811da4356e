//! The manual pages that a package installs.

use std::fs;
use std::process::Command;

use crate::obsbus;

#[test]
fn every_command_has_a_page_about_which_man_has_no_complaint() {
    let home = obsbus();
    let folder = home.path("files");
    let (code, stdout, stderr) = home.run(&["__files", &folder.display().to_string()]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
    let (_, help, _) = home.run(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands =
        commands.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    let mut pages: Vec<String> =
        commands.filter(|name| *name != "help").map(|name| format!("obsbus-{name}.1")).collect();
    pages.push("obsbus.1".to_owned());
    for page in &pages {
        let file = folder.join("man1").join(page);
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(!text.contains("__"), "{page} tells what is hidden");
        let Ok(output) = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&file).output()
        else {
            println!("groff is not installed: the pages are not looked at");
            continue;
        };
        assert!(output.status.success(), "{page}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page}");
    }
    assert_eq!(fs::read_dir(folder.join("man1")).unwrap().count(), pages.len());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let (code, _, stderr) = obsbus().run(&["__files", "/dev/null/x"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: cannot write /dev/null/x/man1/obsbus.1: "), "{stderr}");
}
