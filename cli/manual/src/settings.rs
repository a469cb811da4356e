//! The page of a settings file: the comments of the shipped file as text, its keys as they stand.

use roff::{Roff, roman};

use crate::{heading, marked, rendered, see_also, title};

/// The page `name(5)` of a commented TOML file. `# --- Heading ---` begins a group; before the first
/// the page is a description.
#[must_use]
pub fn settings(name: &str, about: &str, text: &str, also: &[String]) -> String {
    let mut roff = Roff::new();
    title(&mut roff, name, "5", about);
    heading(&mut roff, "DESCRIPTION");
    let mut is_first = true;
    let mut needs_space = false;
    for line in text.lines() {
        let said = line.strip_prefix('#').map(str::trim_end);
        if let Some(group) = said.and_then(|said| said.strip_prefix(" --- ")) {
            heading(&mut roff, &group.trim_end_matches(['-', ' ']).to_uppercase());
            (is_first, needs_space) = (true, false);
        } else if line.is_empty() || said == Some("") {
            needs_space = !is_first;
        } else if let Some(said) = said.filter(|said| is_sentence(said)) {
            if needs_space {
                roff.control("PP", []);
            }
            roff.text(marked(said.trim_start()));
            (is_first, needs_space) = (false, false);
        } else {
            roff.control("RS", []).control("EX", []).text([roman(line)]);
            roff.control("EE", []).control("RE", []);
            (is_first, needs_space) = (false, true);
        }
    }
    see_also(&mut roff, also);
    rendered(&roff)
}

/// Whether a comment is no key that is commented out.
fn is_sentence(comment: &str) -> bool {
    let name = |text: &str| text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    let comment = comment.strip_prefix(' ').unwrap_or(comment);
    !comment.split_once(" = ").is_some_and(|(key, _)| name(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_text_and_keys_stay_as_they_are() {
        let text = "# Settings of a lamp.\n# Two lines.\n#\n# Another paragraph.\n\n\
                    # --- The line -----\n\n# The port. Required.\nport = \"/dev/lamp\"\n# baud = 9600\n\
                    #file = \"x\"\n\n[broker]\n";
        let page = settings("lamp.toml", "settings of a lamp", text, &["lamp(8)".to_owned()]);
        let body = page.split(".SH DESCRIPTION\n").nth(1).unwrap();
        let key = |line: &str| format!(".RS\n.EX\n{line}\n.EE\n.RE\n");
        let expected = format!(
            "Settings of a lamp.\nTwo lines.\n.PP\nAnother paragraph.\n.SH \"THE LINE\"\nThe port. \
             Required.\n{}{}{}{}.SH \"SEE ALSO\"\n\\fBlamp\\fR(8)\n",
            key("port = \"/dev/lamp\""),
            key("# baud = 9600"),
            key("#file = \"x\""),
            key("[broker]")
        );
        assert_eq!(body, expected);
    }
}
