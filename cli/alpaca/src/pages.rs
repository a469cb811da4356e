//! The pages that the standard wants for people. Nothing can be set there: everybody who reaches the port
//! could. Pure.

const HINT: &str =
    "Nothing can be set here: the settings are in <code>/etc/obsbus/alpaca.toml</code> on this machine.";

/// The server's page.
pub(crate) fn server(location: &str, names: &[String]) -> String {
    let item = |(number, name): (usize, &String)| {
        format!(
            "<li><a href=\"/setup/v1/focuser/{number}/setup\">Focuser {number}: {}</a></li>\n",
            escape(name)
        )
    };
    let items: String = names.iter().enumerate().map(item).collect();
    page(&format!("obsbus, {}", escape(location)), &format!("<ul>\n{items}</ul>\n<p>{HINT}</p>"))
}

/// A focuser's page.
pub(crate) fn focuser(number: usize, name: &str, summary: &str) -> String {
    let body = format!("<p>Now: {}</p>\n<p>{HINT}</p>", escape(summary));
    page(&format!("Focuser {number}: {}", escape(name)), &body)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>body {{ font-family: sans-serif; margin: 2em }}</style>\n<h1>{title}</h1>\n{body}\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_stays_text() {
        let page = focuser(0, "clasp slide", "<script>alert(\"1\")</script> & 'x'");
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;alert(&quot;1&quot;)"), "{page}");
        assert!(server("a<b", &["c".to_owned()]).contains("obsbus, a&lt;b"));
    }

    #[test]
    fn each_focuser_has_its_page() {
        let page = server("clasp", &["one".to_owned(), "two".to_owned()]);
        assert!(page.contains("<a href=\"/setup/v1/focuser/1/setup\">Focuser 1: two</a>"), "{page}");
    }
}
