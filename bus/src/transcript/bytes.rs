//! Bytes as printable ASCII. Blanks at an end are escaped, because editors remove them.

/// What [`unescaped`] accepts.
pub(super) const ESCAPES: &str = r#"\r, \n, \t, \\, \", \' or \xNN after a backslash"#;

/// The bytes in one line.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    let inner = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    let after = text.len() - before - inner.len();
    if before + after == 0 {
        return text;
    }
    format!("{}{inner}{}", r"\x20".repeat(before), r"\x20".repeat(after))
}

/// The bytes of [`escaped`]; or the part that is none.
pub(super) fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            if !letter.is_ascii() || letter.is_ascii_control() {
                return Err(letter.to_string());
            }
            bytes.extend(letter.to_string().bytes());
            continue;
        }
        let code = letters.next();
        bytes.push(match code {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('\'') => b'\'',
            Some('x') => {
                let digits: String = letters.by_ref().take(2).collect();
                let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| is_number);
                byte.ok_or_else(|| format!("\\x{digits}"))?
            }
            other => return Err(format!("\\{}", other.map(String::from).unwrap_or_default())),
        });
    }
    Ok(bytes)
}
