//! Words for people from Rust's debug output: `SetTemperature(Temperature(200))` is "set temperature 200".

/// For people.
#[must_use]
pub fn words(debug: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for (token, ends) in tokens(debug) {
        let token = spelled(&token);
        // `Temperature(Temperature(200))`: once is enough.
        if words.last().is_none_or(|last| last.rsplit(' ').next() != token.rsplit(' ').next())
            || token.is_empty()
        {
            words.push(token);
        }
        if ends && let Some(last) = words.last_mut() {
            last.push(',');
        }
    }
    words.join(" ").trim_end_matches(',').to_owned()
}

/// The name of the variant: the kind of a request or a reply.
#[must_use]
pub fn name(debug: &str) -> String {
    spelled(debug.split(['(', ' ', '{']).next().unwrap_or_default())
}

/// The identifiers and literals, each with whether a comma follows.
fn tokens(debug: &str) -> Vec<(String, bool)> {
    let mut found: Vec<(String, bool)> = Vec::new();
    let mut token = String::new();
    for letter in debug.chars().chain([' ']) {
        match letter {
            ' ' | '(' | ')' | '{' | '}' | ':' | ',' | '"' | '\'' => {
                if !token.is_empty() {
                    found.push((std::mem::take(&mut token), false));
                }
                if letter == ','
                    && let Some(last) = found.last_mut()
                {
                    last.1 = true;
                }
            }
            other => token.push(other),
        }
    }
    found
}

/// `ReadSupplyTemperature` and `pump_on` as words.
fn spelled(identifier: &str) -> String {
    let is_name = identifier.starts_with(|first: char| first.is_ascii_alphabetic())
        && identifier.len() > 1
        && !identifier.chars().all(|letter| letter.is_ascii_uppercase());
    if !is_name {
        return identifier.to_owned();
    }
    let mut text = String::new();
    let mut last = ' ';
    for letter in identifier.chars() {
        let begins = letter.is_ascii_uppercase() || (letter.is_ascii_digit() && !last.is_ascii_digit());
        if letter == '_' || (begins && !text.is_empty() && last != '_') {
            text.push(' ');
        }
        if letter != '_' {
            text.push(letter.to_ascii_lowercase());
        }
        last = letter;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_becomes_words() {
        for (debug, expected) in [
            ("ReadSupplyTemperature", "read supply temperature"),
            ("SetTemperature(Temperature(-200))", "set temperature -200"),
            ("ReadTecCurrent(One)", "read tec current one"),
            ("Switch(true)", "switch true"),
            ("Temperature(21.5)", "temperature 21.5"),
            (
                "Status(Status { fault: 'N', motion: ConstantSpeed, reset: false })",
                "status fault N, motion constant speed, reset false",
            ),
            ("AlarmDetail1", "alarm detail 1"),
            ("GoTo(-33072)", "go to -33072"),
        ] {
            assert_eq!(words(debug), expected);
        }
        assert_eq!(name("Status(Status { fault: 'N' })"), "status");
        assert_eq!(name("Go { steps: 1 }"), "go");
    }
}
