//! `obsbus schema`: what the messages look like, as JSON Schemas and an AsyncAPI description.

use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Arg, Command, value_parser};

use crate::exit::{EXIT_FAILED, Failure};

/// A file of `schemas/`.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Its path there.
    file: &'static str,
    /// What it is of.
    pub about: &'static str,
    text: &'static str,
}

/// All that there are; collected by the build script.
pub const SCHEMAS: &[Schema] = include!(concat!(env!("OUT_DIR"), "/schemas.rs"));

/// The command line of `schema`.
#[must_use]
pub fn command() -> Command {
    let names = SCHEMAS.iter().map(|schema| PossibleValue::new(schema.name()).help(schema.about));
    Command::new("schema")
        .about("Print the JSON Schema of a message; without a name, list all schemas")
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .hide_possible_values(true)
                .value_parser(names.collect::<Vec<_>>())
                .help("Of which"),
        )
        .arg(
            Arg::new("write")
                .long("write")
                .value_name("FOLDER")
                .conflicts_with("name")
                .value_parser(value_parser!(PathBuf))
                .help("Write all schemas into this folder, with references that resolve there"),
        )
}

impl Schema {
    /// What the user calls it: the path without the file's ending.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.file.rsplit_once('.').map_or(self.file, |(name, _)| name)
    }
}

/// Their names, and what each is of.
pub(crate) fn list() -> String {
    let width = SCHEMAS.iter().map(|schema| schema.name().len()).max().unwrap_or(0);
    SCHEMAS.iter().map(|schema| format!("{:width$}  {}\n", schema.name(), schema.about)).collect()
}

/// The text of the one with this name.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    SCHEMAS.iter().find(|schema| schema.name() == name).map(|schema| schema.text)
}

/// Writes all of them below `folder`, where they find each other.
///
/// # Errors
/// Names the file that cannot be written.
pub(crate) fn write(folder: &Path) -> Result<String, Failure> {
    for schema in SCHEMAS {
        let path = folder.join(schema.file);
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, schema.text));
        written.map_err(|error| {
            Failure::said(EXIT_FAILED, format!("cannot write {}: {error}", path.display()))
        })?;
    }
    Ok(format!("{} files in {}\n", SCHEMAS.len(), folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_device_says_is_among_them_and_nothing_of_version_1() {
        for name in ["asyncapi", "command", "event", "health", "history", "meta", "recent", "reply"] {
            assert!(text(name).is_some_and(|text| text.len() > 100), "{name}");
        }
        assert!(SCHEMAS.iter().any(|schema| schema.name().ends_with("-state")));
        assert!(SCHEMAS.iter().any(|schema| schema.name().starts_with("inputs/")));
        let others = ["v1/", "examples/", "src/"];
        assert!(!SCHEMAS.iter().any(|schema| others.iter().any(|other| schema.file.starts_with(other))));
    }

    #[test]
    fn each_is_a_schema_with_a_short_word_on_what_it_is_of() {
        for schema in SCHEMAS.iter().filter(|schema| schema.file.ends_with(".json")) {
            let value: serde_json::Value = serde_json::from_str(schema.text).unwrap();
            assert_eq!(value["$schema"], "https://json-schema.org/draft/2020-12/schema", "{}", schema.file);
            assert!((10..120).contains(&schema.about.len()), "{}: {}", schema.file, schema.about);
        }
    }

    #[test]
    fn the_files_that_are_written_find_each_other() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let asyncapi = text("asyncapi").unwrap();
        let references = asyncapi.lines().filter_map(|line| line.trim().strip_prefix("$ref: ./"));
        let references: Vec<_> = references.collect();
        assert!(references.len() > 10);
        for reference in references {
            assert!(folder.path().join(reference).is_file(), "{reference}");
        }
        let error = write(&folder.path().join("event.json")).unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("event.json"), "{error}");
    }
}
