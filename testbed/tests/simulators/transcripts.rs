//! Every transcript in `testbed/transcripts/`, and in the folder `transcripts` of an instrument, is a test:
//! the instrument's codec decodes each frame, and its simulator answers the same requests with the same kinds
//! of replies. A new file needs no line here. docs/commissioning.md describes the format.

use std::fs;
use std::path::{Path, PathBuf};

use bus::transcript::parse;
use serde_json::Value;
use testbed::process::{Launch, Output};

use crate::LIMIT;
use crate::player::played;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `obsbus transcript FILE`, which finds the bridge by the kind in the file.
pub(crate) fn explained(file: &Path, format: &str) -> Output {
    let launch = Launch::workspace("obsbus").unwrap().arg("transcript").arg(file);
    launch.args(["--output", format]).run(LIMIT).unwrap()
}

fn explanation(file: &Path) -> Result<Value, String> {
    let output = explained(file, "json");
    if output.code != 0 {
        return Err(output.stderr.trim().to_owned());
    }
    Ok(serde_json::from_str(&output.stdout).unwrap())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What is wrong with a transcript, with file and line; its number of exchanges if nothing is.
fn check(file: &Path) -> Result<usize, String> {
    let shown = file.display();
    let real = explanation(file)?;
    let unexpected = list(&real["unexpected"]).iter();
    let wrong: Vec<_> = unexpected
        .map(|item| format!("{shown}:{}: {}", item["line"], item["text"].as_str().unwrap()))
        .collect();
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    let runs = parse(&fs::read_to_string(file).unwrap()).unwrap();
    let mut model = Vec::new();
    for run in &runs {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.txt");
        fs::write(&file, played(run)).unwrap();
        let explained = explanation(&file)?;
        model.extend(list(&explained["exchanges"]).to_vec());
    }
    let real = list(&real["exchanges"]);
    assert_eq!(real.len(), model.len(), "{shown}: as many requests were played");
    let answer = |exchange: &Value| {
        let [outcome, kind] = ["outcome", "reply_kind"].map(|key| exchange[key].as_str().unwrap_or_default());
        format!("{outcome} {kind}").trim_end().to_owned()
    };
    let differing = real.iter().zip(&model).filter(|(real, model)| {
        (real["mark"].is_null() || real["outcome"] == "refused") && answer(real) != answer(model)
    });
    let wrong: Vec<_> = differing
        .map(|(real, model)| {
            format!(
                "{shown}:{}: expected the simulator to answer {} with `{}`, got `{}` ({})",
                real["line"],
                real["request"],
                answer(real),
                answer(model),
                model["received"]
            )
        })
        .collect();
    if wrong.is_empty() { Ok(real.len()) } else { Err(wrong.join("\n")) }
}

/// The transcripts of the repository.
fn files() -> Vec<PathBuf> {
    let instruments = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let folders = instruments.filter(|path| path.to_string_lossy().ends_with("-bridge"));
    let folders = folders.map(|path| path.join("transcripts")).chain([root().join("testbed/transcripts")]);
    let files = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "txt")).collect();
    files.sort();
    files
}

#[test]
fn codec_and_simulator_agree_with_every_transcript() {
    let files = files();
    assert!(files.len() >= 3, "{files:?}");
    let checked: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = files.iter().map(|file| scope.spawn(|| check(file))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (file, checked) in files.iter().zip(&checked) {
        println!("{}: {checked:?}", file.display());
    }
    let wrong: Vec<_> = checked.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_transcript_is_told_with_file_line_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.txt");
    let fails = |text: &str| {
        fs::write(&file, text).unwrap();
        let said = check(&file).expect_err(text);
        said.replace(&format!("{}/", folder.path().display()), "")
    };
    let chiller = |lines: &str| fails(&format!("# obsbus transcript 1\n# kind: chiller\n{lines}\n"));
    let focuser = |lines: &str| fails(&format!("# obsbus transcript 1\n# kind: focuser\n{lines}\n"));
    for (said, expected) in [
        // A checksum, and a reply to something else.
        (
            chiller("> .0104rSupplyT46\\r\n< #01040rSupplyT+020400\\r"),
            "wrong.txt:3: expected checksum 5C, got \"00\"",
        ),
        (focuser("> #P081 F$\\n\n< #S004 F NSO$\\n"), "wrong.txt:3: expected #P081 F <steps>$, got"),
        // A request of nobody, silence, half a reply, bytes that nobody asked for, an echo, a late reply.
        (focuser("> #P999 F$\\n"), "wrong.txt:3: expected a request of this bridge, got \"#P999 F$\\n\""),
        (focuser("> #P081 F$\\n\n> #S001 F$\\n"), "wrong.txt:3: expected a reply within"),
        (
            chiller("> .0104rSupplyT46\\r\n< #0104\n> .0104rSupplyT46\\r"),
            "wrong.txt:3: expected a reply that ends with \"\\r\", got \"#0104\"",
        ),
        (
            focuser("> #P031 F $\\n\n< #E1$\\n"),
            "wrong.txt:4: expected no bytes after \"high impedance\" of line 3, got \"#E1$\\n\"",
        ),
        (
            focuser("> #S051 F$\\n\n< #S051 F$\\n\n< #S052 F 645$\\n"),
            "wrong.txt:4: the line echoes the request \"#S051 F$\\n\": expected only replies",
        ),
        (
            chiller("> .01040000000174\\r\n> .01040000000275\\r\n< #0104000000001+02048A\\r"),
            "wrong.txt:4: late: this may be the reply to \"read supply temperature\" of line 3",
        ),
        (
            focuser("0.0 > #S051 F$\\n\n7.0 < #S052 F 645$\\n"),
            "wrong.txt:3: late: the reply took 7.000 s, expected at most",
        ),
        // The file itself.
        (focuser("1.0 #P081 F$"), "wrong.txt: line 3: expected `[SECONDS] [+SECONDS]`, then `>`, `<` or `*`"),
        (focuser("# setting: steps_per_mm = 0"), "wrong.txt: line 3: "),
        (chiller("# setting: colour = 3"), "wrong.txt: line 3: colour: "),
        (
            chiller("> .0117sCtrlT__+020002\\r\n< #23\\r"),
            "wrong.txt:3: expected a request of this bridge, got \".0117sCtrlT__+020002\\r\", and the reply \"#23\\r\"",
        ),
        // The codec takes it, and the simulator answers otherwise.
        (
            chiller(
                "# setting: frame_names = \"manual\"\n# unexpected: refused\n> .0117sCtrlT__+0200FE\\r\n< #23\\r",
            ),
            "wrong.txt:5: expected the simulator to answer \"set temperature 20.0 °C\" with `refused`, got `answered",
        ),
        (
            focuser("# unexpected: noise\n> #S051 F$\\n\n< #S052 F 645$\\n"),
            "wrong.txt:4: expected something unexpected (noise), but this is as it should be",
        ),
    ] {
        assert!(said.contains(expected), "expected {expected}: {said}");
    }
    let said = fails("> #P081 F$\n");
    assert!(
        said.contains("wrong.txt is no transcript: expected `# obsbus transcript 1` as its first line"),
        "{said}"
    );
    let said = fails("# obsbus transcript 1\n# kind: lamp\n> x\n");
    assert!(said.contains("wrong.txt is of a lamp: expected its bridge"), "{said}");
}
