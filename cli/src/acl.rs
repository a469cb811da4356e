//! `obsbus acl --site NAME`: the shipped access rules of the broker, for any site.

mod rmqtt;

use bus::topic::{Identity, NAME_ALPHABET, is_name};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::exit::Failure;

/// Assembled from every instrument's fragment, for the site [`SHIPPED_SITE`].
const SHIPPED: &str = include_str!("../../mosquitto/obsbus.acl");
const SHIPPED_SITE: &str = "clasp";

pub(crate) fn command() -> Command {
    let rmqtt = Arg::new("rmqtt")
        .long("rmqtt")
        .action(ArgAction::SetTrue)
        .help("For rmqttd instead of Mosquitto, as its plugins/rmqtt-acl.toml");
    let names = Arg::new("names")
        .num_args(0..)
        .value_name("NAME")
        .requires("rmqtt")
        .value_parser(|text: &str| Identity::new(text).map(|_| text.to_owned()))
        .help("Identities besides the bridges and services: rmqttd lets in only those that are named");
    Command::new("acl")
        .about("Print the broker's access rules for a site (--site NAME)")
        .arg(rmqtt)
        .arg(names)
}

/// The access rules for this site, for the broker that was asked for.
///
/// # Errors
/// As [`of_site`].
pub(crate) fn asked_for(matches: &ArgMatches, site: &str) -> Result<String, Failure> {
    let rules = of_site(site)?;
    if !matches.get_flag("rmqtt") {
        return Ok(rules);
    }
    let names: Vec<String> = matches.get_many("names").unwrap_or_default().cloned().collect();
    Ok(rmqtt::rules(&rules, &names))
}

/// The access rules for this site.
///
/// # Errors
/// It is not a valid site name.
fn of_site(site: &str) -> Result<String, Failure> {
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
