//! What is asked of the unit, when, and in which order.

use std::time::Duration;

use crate::rig::Rig;

const QUICK: [u8; 6] = [1, 3, 4, 8, 9, 13];
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn in_a_day_every_set_comes_as_often_as_it_should_and_18_never() {
    let mut rig = Rig::running();
    rig.forget_sent();
    rig.run_for(DAY);
    let count = |command: u8| rig.sent().iter().filter(|sent| sent.command == command).count();
    for command in QUICK {
        assert_eq!(count(command), 17_280, "{command}");
    }
    for command in [10, 11, 20, 49, 50, 51, 52, 53] {
        assert_eq!(count(command), 1_728, "{command}");
    }
    assert_eq!(count(19), 2 * 1_728);
    for command in 34..=43 {
        assert_eq!(count(command), 0, "{command}");
    }
    assert_eq!(count(18), 0);
    assert_eq!(rig.model().writes().count(), 0);
    assert_eq!(rig.health().link.losses, 0);
    assert_eq!(rig.needless_wakes(), 0);
}
