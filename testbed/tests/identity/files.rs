//! Permissions, files that exist, and runs that are killed.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use testbed::process::Launch;

use crate::machine::{HOME, LIMIT, Machine};

#[test]
fn nothing_that_exists_is_overwritten() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let error = machine.refused(&["init"]);
    assert!(error.contains("holds an authority already, valid until 20"), "{error}");
    for path in [
        "/etc/obsbus/chiller-bridge/chiller-bridge.key",
        "/etc/obsbus/chiller-bridge/chiller-bridge.pem",
        "/etc/obsbus/ca.pem",
    ] {
        fs::create_dir_all(machine.at(path).parent().unwrap()).unwrap();
        fs::write(machine.at(path), "mine").unwrap();
        let error = machine.refused(&["issue", "chiller-bridge", "--install"]);
        assert!(error.contains(path) && error.contains("move"), "{error}");
        assert_eq!(machine.read(path), "mine");
        fs::remove_file(machine.at(path)).unwrap();
    }
    let own = machine.at(HOME).join(".config/obsbus/client.toml");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "mine").unwrap();
    let error = machine.refused(&["issue", "alice", "--install"]);
    assert!(error.contains("client.toml exists, and is not overwritten"), "{error}");
    fs::remove_file(&own).unwrap();
    // Nothing was issued, so that the names are free.
    machine.identity(&["issue", "chiller-bridge", "alice", "--install"]);
}

#[test]
fn options_that_somebody_has_made_stay() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let options = machine.at(HOME).join(".config/mosquitto_sub");
    fs::create_dir_all(options.parent().unwrap()).unwrap();
    fs::write(&options, "-h elsewhere\n").unwrap();
    let said = machine.identity(&["issue", "alice", "--install"]);
    assert!(said.contains("mosquitto_sub of") && said.contains("exists and stays as it is"), "{said}");
    assert_eq!(fs::read_to_string(&options).unwrap(), "-h elsewhere\n");
    assert!(machine.at(HOME).join(".config/mosquitto_pub").exists());
}

#[test]
fn no_private_key_is_readable_by_others_whatever_the_umask_is() {
    for umask in ["000", "077"] {
        let machine = Machine::new();
        let run = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            let script = format!(
                "umask {umask}; exec '{}' --site clasp identity --root '{}' --passphrase-file '{}' {}",
                machine.program_path().display(),
                machine.path("root").display(),
                machine.path("passphrase").display(),
                words.join(" ")
            );
            let shell = Launch::machine("sh").unwrap().args(["-c", &script]).env("HOME", HOME);
            let shell =
                shell.env("XDG_CONFIG_HOME", "").env("SUDO_USER", "").env("PATH", machine.search_path());
            let output = shell.run(LIMIT).unwrap();
            assert_eq!(output.code, 0, "{}", output.stderr);
        };
        let out = machine.path("");
        run(&["init"]);
        run(&["issue", "broker", "chiller-bridge", "alice", "--install"]);
        run(&["issue", "bob", "--out", out.to_str().unwrap()]);
        run(&["request", "focuser-bridge", "--out", out.to_str().unwrap()]);
        let mut keys = 0;
        for path in machine.files() {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let metadata = fs::metadata(&path).unwrap();
            let mode = metadata.mode() & 0o777;
            if text.contains("PRIVATE KEY-----") {
                keys += 1;
                assert_eq!(mode & 0o137, 0, "{}: {mode:o}", path.display());
            } else if path.extension().is_some_and(|it| it == "pem") {
                assert_eq!(mode, 0o644, "{}", path.display());
            }
        }
        assert_eq!(keys, 6, "umask {umask}");
        for folder in ["/var/lib/obsbus-ca", "/var/lib/obsbus-ca/issued", "/home/operator/.config/obsbus"] {
            let mode = fs::metadata(machine.at(folder)).unwrap().mode() & 0o777;
            assert_eq!(mode, 0o700, "{folder}");
        }
        assert_eq!(fs::metadata(machine.path("bob")).unwrap().mode() & 0o777, 0o700);
    }
}

/// The home of a user of the machine.
fn eves_home(machine: &Machine) -> PathBuf {
    let home = machine.at("/home/eve");
    fs::create_dir_all(home.join(".config")).unwrap();
    for folder in [home.clone(), home.join(".config")] {
        std::os::unix::fs::chown(&folder, Some(64003), Some(64003)).unwrap();
    }
    // Everybody may walk down to the home, as below /home.
    for folder in home.ancestors().skip(1).take(3) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    machine.program("getent", "#!/bin/sh\necho 'eve:x:64003:64003::/home/eve:/bin/sh'\n");
    home
}

#[test]
fn a_renewal_by_root_follows_no_link_in_somebody_elses_home() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::new();
    machine.identity(&["init"]);
    let home = eves_home(&machine);
    machine.identity(&["issue", "eve", "--install", "--user", "eve"]);
    let prize = machine.at("/etc/prize");
    fs::rename(home.join(".config/obsbus"), home.join(".config/old")).unwrap();
    fs::create_dir(&prize).unwrap();
    fs::copy(home.join(".config/old/eve.pem"), prize.join("eve.pem")).unwrap();
    std::os::unix::fs::symlink(&prize, home.join(".config/obsbus")).unwrap();
    let before = fs::read(prize.join("eve.pem")).unwrap();
    let error = machine.refused(&["renew", "eve"]);
    assert!(error.contains("Permission denied"), "{error}");
    assert_eq!(fs::read(prize.join("eve.pem")).unwrap(), before);
}

#[test]
fn root_follows_no_link_in_somebody_elses_home() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // A user's home with a link that leads to where only root writes.
    let machine = Machine::new();
    machine.identity(&["init"]);
    let home = eves_home(&machine);
    let prize = machine.at("/etc/prize");
    fs::create_dir_all(&prize).unwrap();
    std::os::unix::fs::symlink(&prize, home.join(".config/obsbus")).unwrap();
    let error = machine.refused(&["issue", "eve", "--install", "--user", "eve"]);
    assert!(error.contains("Permission denied") && !error.contains("needs root"), "{error}");
    assert_eq!(fs::read_dir(&prize).unwrap().count(), 0);

    // Without the link it is hers.
    fs::remove_file(home.join(".config/obsbus")).unwrap();
    machine.identity(&["issue", "eve", "--install", "--user", "eve"]);
    let key = fs::metadata(home.join(".config/obsbus/eve.key")).unwrap();
    assert_eq!((key.uid(), key.gid(), key.mode() & 0o777), (64003, 64003, 0o600));
    let output = machine.identity(&["renew", "eve"]);
    assert!(output.contains("/home/eve/.config/obsbus/eve.pem"), "{output}");
    assert_eq!(fs::metadata(home.join(".config/obsbus/eve.pem")).unwrap().uid(), 64003);
}

#[test]
fn a_run_that_is_killed_leaves_no_half_of_a_file_and_nothing_that_is_not_registered() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let out = machine.path("");
    let words = ["issue", "one", "two", "three", "--out", out.to_str().unwrap()];
    let usual = machine.launch(&words, Some("passphrase")).time().unwrap();
    let mut killed = 0;
    for step in 0..24_u32 {
        let names = [format!("a{step}"), format!("b{step}"), format!("c{step}")];
        let words = ["issue", &names[0], &names[1], &names[2], "--out", out.to_str().unwrap()];
        let mut process = machine.launch(&words, Some("passphrase")).spawn().unwrap();
        let at = usual.mul_f64(0.5 + f64::from(step) / 48.0).min(Duration::from_secs(5));
        match process.wait_exit(at) {
            Ok(_) => {}
            Err(_) => {
                process.kill9().unwrap();
                killed += 1;
            }
        }
        // The next run works, whatever is left.
        machine.identity(&["list"]);
    }
    assert!(killed > 0, "every run ended before it was killed");
    let register = machine.read("/var/lib/obsbus-ca/register.toml");
    for path in machine.files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_final = !name.starts_with('.') && (name.ends_with(".pem") || name.ends_with(".key"));
        if !is_final {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let is_whole = text.starts_with("-----BEGIN ") && text.trim_end().ends_with("-----");
        assert!(is_whole, "{}: {text}", path.display());
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if path.parent().unwrap().file_name() == path.file_stem() {
            assert!(register.contains(&format!("name = \"{stem}\"\n")), "{stem} is not registered");
        }
    }
}

#[test]
fn two_commands_do_not_work_with_the_authority_at_once() {
    let machine = Machine::new();
    machine.identity(&["init"]);
    let folder = fs::File::open(machine.at("/var/lib/obsbus-ca")).unwrap();
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = machine.refused(&["issue", "alice", "--install"]);
    assert!(error.contains("another obsbus identity works with"), "{error}");
    // To look is always possible.
    machine.identity(&["list"]);
}
