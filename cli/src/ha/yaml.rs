//! YAML for people to read and change: the keys stand in the order in which they were put.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// What stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Yaml {
    Nothing,
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

/// A map with these keys.
pub(super) fn map<const N: usize>(entries: [(&str, Yaml); N]) -> Yaml {
    Yaml::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl Yaml {
    /// With one key more; of anything but a map nothing.
    pub(super) fn with(mut self, key: &str, value: impl Into<Yaml>) -> Self {
        if let Self::Map(entries) = &mut self {
            entries.push((key.to_owned(), value.into()));
        }
        self
    }

    /// With one key more, if there is something to put there.
    pub(super) fn with_some(self, key: &str, value: Option<impl Into<Yaml>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
}

impl Serialize for Yaml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Whole(number) => serializer.serialize_i64(*number),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl From<bool> for Yaml {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Yaml {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

impl From<f64> for Yaml {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "there is nothing behind the point, and the rest fits"
    )]
    fn from(number: f64) -> Self {
        let is_whole = number.fract() == 0.0 && number.abs() < 1e15;
        if is_whole { Self::Whole(number as i64) } else { Self::Number(number) }
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Yaml>> From<Vec<T>> for Yaml {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// `head` as comments, then `yaml`.
///
/// # Errors
/// What the library says: nothing of ours is known that it refuses.
pub(super) fn print(head: &str, yaml: &Yaml) -> Result<String, serde_saphyr::ser::Error> {
    let comments: String =
        head.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
    Ok(comments + "\n" + &serde_saphyr::to_string(yaml)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_what_another_yaml_takes_for_a_flag_or_a_time_is_a_text() {
        let yaml = map([("b", "on".into()), ("a", "12:30:00".into())]).with("c", vec!["off", "y", "1"]);
        let text = print("Head.\n\nMore.", &yaml).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap();
        assert_eq!(head, "# Head.\n#\n# More.");
        assert_eq!(body.replace('\'', "\""), "b: \"on\"\na: \"12:30:00\"\nc:\n- \"off\"\n- \"y\"\n- \"1\"\n");
    }
}
