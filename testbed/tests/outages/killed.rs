//! The bridge is killed in the few milliseconds after it has said `accepted`: its order may be on the
//! line already, and whoever asked is still owed one terminal reply.

use super::*;

/// From before the order is written to after it was read back: the unit takes 5 ms for each answer.
const MILLISECONDS: std::ops::RangeInclusive<u64> = 0..=15;

#[test]
fn a_bridge_that_is_killed_just_after_accepted_owes_one_terminal_reply_and_gives_it() {
    let answer = Duration::from_millis(5);
    let mut site = Site::builder().model(|model| model.latency = answer..=answer).start().unwrap();
    let alice = site.client("alice").unwrap();
    let mut interrupted = 0;
    for milliseconds in MILLISECONDS {
        let id = format!("after-{milliseconds}-ms");
        let celsius = 12 + milliseconds % 2;
        send(&alice, "setpoint", &id, json!({ "celsius": celsius }));
        // At once when it comes: a look every few milliseconds would be too late.
        let is_accepted = |message: &Message| {
            message.json().is_ok_and(|reply| reply["id"] == id && reply["status"] == "accepted")
        };
        alice.wait_for(is_accepted, LIMIT).unwrap();
        nothing_for(&alice, Duration::from_millis(milliseconds), |_| false);
        site.bridge.kill9().unwrap();
        site.start_bridge().unwrap();

        let verdict = terminal(&alice, &id, 1);
        // It was carried out and said so before the end, or nobody can say what became of it.
        let outcome = (&verdict["code"], &verdict["reason"]);
        let promised = [(&json!(0), &json!("succeeded")), (&json!(30), &json!("interrupted"))];
        assert!(promised.contains(&outcome), "{id}: {verdict}");
        interrupted += u32::from(verdict["code"] == 30);
        ping(&alice, &format!("ping-{milliseconds}"));
        // Whether the first got out, the next process cannot know: what it says again is the same verdict.
        let all = terminals(&alice, &id);
        for again in &all[1..] {
            assert_eq!(
                (&again["duplicate"], &again["code"]),
                (&json!(true), &verdict["code"]),
                "{id}: {all:?}"
            );
        }
        assert!(all.len() <= 2, "{id}: {all:?}");
        assert_eq!(all.iter().filter(|reply| reply["duplicate"] == false).count().max(1), 1, "{id}: {all:?}");
    }
    assert!(interrupted > 0, "none was killed while it ran: the test shows nothing");
}
