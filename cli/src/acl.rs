//! `obsbus acl --site NAME`: the shipped access rules of the broker, for any site.

use bus::topic::{NAME_ALPHABET, is_name};

use crate::exit::Failure;

/// Assembled from every instrument's fragment, for the site [`SHIPPED_SITE`].
const SHIPPED: &str = include_str!("../../mosquitto/obsbus.acl");
const SHIPPED_SITE: &str = "clasp";

/// The access rules for this site.
///
/// # Errors
/// It is not a valid site name.
pub(crate) fn of_site(site: &str) -> Result<String, Failure> {
    if !is_name(site) {
        return Err(Failure::usage(format!("{site:?} is not the name of a site: expected {NAME_ALPHABET}")));
    }
    // The site is a level of a topic, or the first half of a Home Assistant discovery name.
    let topics = SHIPPED.replace(&format!("{SHIPPED_SITE}/"), &format!("{site}/"));
    Ok(topics.replace(&format!("{SHIPPED_SITE}_"), &format!("{site}_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_site_gets_the_same_rules_under_its_own_name() {
        let text = of_site("ngts-m06").unwrap();
        assert!(!text.contains(SHIPPED_SITE), "{text}");
        assert_eq!(text.lines().count(), SHIPPED.lines().count());
        assert!(text.contains("\ntopic write ngts-m06/"), "{text}");
        assert!(text.contains("\npattern write +/+/command/%u/+\n"), "{text}");
        assert_eq!(of_site(SHIPPED_SITE).unwrap(), SHIPPED);
        assert!(of_site("a/b").is_err());
    }
}
