//! A few rounds of the kill campaign (`make torture`): that it plays, and finds nothing wrong.

use testbed::demo::Stop;
use testbed::torture::Campaign;

#[test]
fn rounds_of_random_faults_break_no_rule_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    // Without disks of its own, which only root can have.
    let campaign = Campaign {
        seed: 1,
        first: 0,
        rounds: 3,
        sites: 1,
        folder: dir.path().to_owned(),
        disks: false,
        keep: false,
    };
    let outcome = campaign.run(&Stop::default(), |line| println!("{line}")).unwrap();
    assert!(outcome.broken.is_empty(), "{:#?}", outcome.broken);
    let wrong: Vec<String> = outcome.violations.iter().map(|(_, violation)| violation.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Those three, and what comes before the first.
    assert_eq!(outcome.counts.rounds, 4);
    let counts = outcome.counts;
    assert!(
        counts.requests > 20 && counts.replies > 20 && counts.states > 50 && counts.frames > 200,
        "{counts:?}"
    );
}
