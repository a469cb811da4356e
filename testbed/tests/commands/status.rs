//! What `chiller status` and `chiller json` show.

use testbed::site::{LIMIT, Site};

#[test]
fn status_shows_what_the_unit_does() {
    let site = Site::start().unwrap();
    let output = site.chiller("alice", &["status"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    println!("{}", output.stdout);
}

#[test]
fn json_is_the_payload_on_the_bus() {
    let site = Site::start().unwrap();
    let output = site.chiller("visitor", &["json"]).unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    let payload = output.stdout.strip_suffix('\n').unwrap();
    site.observer.wait_for(|message| message.payload == payload, LIMIT).unwrap();
}
