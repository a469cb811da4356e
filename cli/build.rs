//! Collects the schemas from `schemas/`, so that `obsbus schema` can print them where there is no
//! repository. What is there is found, not listed: a new instrument needs no line here.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Not what messages look like today.
const OTHERS: [&str; 4] = ["examples", "src", "tests", "v1"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../schemas").canonicalize()?;
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root)?.display().to_string();
        writeln!(
            text,
            "    Schema {{ file: {name:?}, about: {:?}, text: include_str!({file:?}) }},",
            about(&file)?
        )?;
    }
    text.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("schemas.rs"), text)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !OTHERS.contains(&name.as_str()) {
            collect(&path, files)?;
        } else if name.ends_with(".json") || name.ends_with(".yaml") {
            files.push(path);
        }
    }
    Ok(())
}

/// The first sentence of what it says of itself.
fn about(file: &Path) -> Result<String, Box<dyn Error>> {
    if file.extension().is_some_and(|kind| kind == "yaml") {
        return Ok("Every topic, who publishes on it, and how (AsyncAPI)".to_owned());
    }
    let schema: serde_json::Value = serde_json::from_slice(&fs::read(file)?)?;
    let about = schema.get("description").and_then(|text| text.as_str());
    let about = about.ok_or_else(|| format!("{} has no description", file.display()))?;
    Ok(about.split(". ").next().unwrap_or(about).trim_end_matches('.').to_owned())
}
