//! Completion by the real shells, with the files that a package installs. A shell that is not
//! installed is said and not tried; `tools/setup shells` installs them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::completion::home_with_cache;
use crate::home::Home;

/// Where Debian and Red Hat install bash-completion.
const BASH_COMPLETION: &str = "/usr/share/bash-completion/bash_completion";

/// A home whose `obsbus` notes its arguments in `said`, but completes as the real one.
fn home() -> Home {
    let real = env!("CARGO_BIN_EXE_obsbus");
    let (home, settings) = home_with_cache("[\"clasp\", \"ngts\"]");
    let (code, _, stderr) = home.run(&["__files", &home.path("files").display().to_string()]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let wrapper = format!(
        "#!/bin/sh\nexport OBSBUS_CONFIG='{settings}'\n[ \"$1\" = __complete ] && exec '{real}' \"$@\"\n\
         echo \"$*\" >>'{}'\n",
        home.path("said").display()
    );
    fs::create_dir(home.path("bin")).unwrap();
    let program = home.write("bin/obsbus", &wrapper);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    home.write("a-file.toml", "");
    home
}

#[expect(clippy::print_stdout, reason = "whoever reads the tests shall know")]
fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("{program} is not installed: not tried");
    }
    found
}

/// What is typed, with a Tab after each part, and what must have been completed.
const TYPED: &[(&str, &str)] = &[
    ("obsbus clasp/pow\tdew\tle\t", "clasp/powerbox dew-heater left"),
    ("obsbus --site cl\tpow\tdew\tri\t--ov\t5", "--site clasp powerbox dew-heater right --over-s 5"),
    ("obsbus sch\thea\t", "schema health"),
    ("obsbus --config a-f\tli\t", "--config a-file.toml list"),
];

/// Types into an interactive `shell` on a terminal of its own, which `script` provides.
fn type_into(shell: &str, home: &Home, variables: &[(&str, &str)]) -> Vec<String> {
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", shell, "/dev/null"])
        .env_clear()
        .env("HOME", home.path("."))
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", home.path("bin").display()))
        .env("TERM", "dumb")
        .envs(variables.iter().copied())
        .current_dir(home.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines: String = TYPED.iter().map(|(typed, _)| format!("{typed}\n")).collect();
    child.stdin.take().unwrap().write_all(format!("{lines}exit\n").as_bytes()).unwrap();
    let shown = child.wait_with_output().unwrap().stdout;
    let said = fs::read_to_string(home.path("said")).unwrap_or_default();
    assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&shown));
    said.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn expected() -> Vec<&'static str> {
    TYPED.iter().map(|(_, expected)| *expected).collect()
}

#[test]
fn bash_completes_devices_verbs_words_sites_and_files() {
    if !is_there("bash") || !Path::new(BASH_COMPLETION).exists() {
        println!("bash-completion is not installed: not tried");
        return;
    }
    let home = home();
    // bash-completion finds the script by the name of the command.
    home.write(".bashrc", &format!("bind 'set enable-bracketed-paste off'\nsource {BASH_COMPLETION}\n"));
    let folder = home.path("share/bash-completion/completions");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(home.path("files/bash/obsbus"), folder.join("obsbus")).unwrap();
    let said = type_into(
        "bash --noprofile -i",
        &home,
        &[("XDG_DATA_HOME", &home.path("share").display().to_string())],
    );
    assert_eq!(said, expected());
}

#[test]
fn zsh_completes_devices_verbs_words_sites_and_files() {
    if !is_there("zsh") {
        return;
    }
    let home = home();
    let functions = home.path("files/zsh");
    home.write(
        ".zshrc",
        &format!(
            "fpath=({} $fpath)\nautoload -Uz compinit\ncompinit -u -D\nunsetopt zle_bracketed_paste\n",
            functions.display()
        ),
    );
    assert_eq!(type_into("zsh -i", &home, &[]), expected());
}

#[test]
fn fish_completes_devices_verbs_words_sites_and_files() {
    if !is_there("fish") {
        return;
    }
    let home = home();
    let folder = home.path("share/fish/vendor_completions.d");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(home.path("files/fish/obsbus.fish"), folder.join("obsbus.fish")).unwrap();
    let complete = |line: &str| {
        let output = Command::new("fish")
            .args(["--command", &format!("complete --do-complete '{line}'")])
            .env_clear()
            .env("HOME", home.path("."))
            .env("XDG_DATA_DIRS", home.path("share"))
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", home.path("bin").display()))
            .current_dir(home.path("."))
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("obsbus clasp/pow"), "clasp/powerbox\tpower box\n");
    assert_eq!(complete("obsbus --site clasp pow"), "powerbox\tpower box\n");
    assert_eq!(complete("obsbus clasp/powerbox dew-heater "), "left\nright\n");
    assert_eq!(complete("obsbus --site n"), "ngts\n");
    assert!(complete("obsbus sch").starts_with("schema\tPrint the JSON Schema"));
    assert!(complete("obsbus --config a-f").starts_with("a-file.toml"));
}
