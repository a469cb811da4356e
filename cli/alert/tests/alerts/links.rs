//! The link in a message.

use bus::message::Severity::Error;

use super::site::{Site, minutes, settings};

fn told() -> (Site, String) {
    let mut settings = settings();
    settings.link = Some(("https://alerts.example.org/ack".to_owned(), minutes(120)));
    let mut site = Site::with(settings);
    site.trouble("lamp", "no_answer", Error);
    site.run(minutes(2));
    let link = site.last().link.clone().unwrap();
    assert!(site.last().body.contains(&link));
    let token = link.strip_prefix("https://alerts.example.org/ack/").unwrap().to_owned();
    (site, token)
}

fn acknowledged(site: &Site) -> Option<&str> {
    site.alerts.memory().episodes[0].acknowledged.as_deref()
}

#[test]
fn opening_a_link_changes_nothing_and_its_button_acknowledges_once() {
    let (mut site, token) = told();
    for _ in 0..3 {
        let page = site.alerts.page(&token, false, site.now.utc);
        assert_eq!((page.status, page.has_button), (200, true));
        assert!(page.text.contains("lamp: no answer"), "{page:?}");
    }
    assert_eq!(acknowledged(&site), None);
    let page = site.alerts.page(&token, true, site.now.utc);
    assert_eq!((page.status, page.title.as_str(), page.has_button), (200, "Acknowledged", false));
    assert_eq!(acknowledged(&site), Some("the link of message 1"));
    for is_post in [false, true] {
        let page = site.alerts.page(&token, is_post, site.now.utc);
        assert_eq!((page.status, page.has_button), (410, false));
    }
    site.run(minutes(180));
    assert_eq!(site.arrived.len(), 1);
}

#[test]
fn a_link_works_over_a_restart_and_was_used_after_one_too() {
    let (mut site, token) = told();
    site.restart();
    site.connect();
    site.run(minutes(1));
    assert_eq!(site.alerts.page(&token, true, site.now.utc).status, 200);
    site.run(minutes(1));
    site.restart();
    assert_eq!(site.alerts.page(&token, true, site.now.utc).title, "This link was used");
}

#[test]
fn a_link_expires() {
    let (mut site, token) = told();
    site.run(minutes(121));
    let page = site.alerts.page(&token, true, site.now.utc);
    assert_eq!((page.status, acknowledged(&site)), (410, None), "{page:?}");
}

#[test]
fn a_link_acknowledges_what_was_in_its_message_and_nothing_else() {
    let (mut site, token) = told();
    site.trouble("slide", "jammed", Error);
    site.run(minutes(3));
    site.alerts.page(&token, true, site.now.utc);
    let states: Vec<bool> =
        site.alerts.memory().episodes.iter().map(|episode| episode.acknowledged.is_some()).collect();
    assert_eq!(states, [true, false]);
}

#[test]
fn nobody_can_make_a_link() {
    let (mut site, token) = told();
    for forged in [token.replacen('1', "2", 1), "1-2-3".to_owned(), String::new()] {
        let page = site.alerts.page(&forged, true, site.now.utc);
        assert_eq!((page.status, acknowledged(&site)), (404, None), "{forged}");
    }
}
