//! Rule 7, of verbs that need a signature.

use super::super::Signatures;
use super::{Code, Gate, Incoming, MOVES, Outcome, ReplyStatus, Room, settings};
use crate::message::reason;
use crate::signature::fixture::{Client, Site};

/// A device that moves on signed commands only, and alice.
struct Night {
    room: Room,
    site: Site,
    alice: Client,
}

impl Night {
    fn new() -> Self {
        let (mut room, site) = (Room::moving(), Site::new());
        let alice = site.client("alice");
        room.desk.set_signatures(Signatures {
            verbs: ["init", "set", "offset"].into(),
            trust: Ok(site.trust(&[])),
        });
        Self { room, site, alice }
    }

    fn signed(&self, by: &Client, verb: &str, payload: &str) -> Incoming {
        let mut arrival = self.room.arrival("alice", verb, payload);
        arrival.signatures = vec![by.sign(&arrival.topic, payload)];
        arrival
    }

    fn wish(&self, id: &str) -> Incoming {
        self.signed(&self.alice, "set", &self.room.stamped(id, r#""mm":1.5"#))
    }

    /// The same bytes, which arrive now.
    fn again(&self, arrival: &Incoming) -> Incoming {
        Incoming { received: self.room.now, ..arrival.clone() }
    }

    /// The code and the words of a refusal.
    fn refused(&mut self, arrival: &Incoming) -> (Code, String) {
        let replies = self.room.deliver(arrival);
        assert_eq!(replies.len(), 1, "{replies:?}");
        assert_eq!(replies[0].status, ReplyStatus::Rejected);
        (replies[0].code.unwrap(), replies[0].message.clone())
    }
}

#[test]
fn rule_07_a_signed_command_runs_and_an_unsigned_one_does_not() {
    let mut night = Night::new();
    let wish = night.wish("a");
    let forged = Incoming { signatures: Vec::new(), ..wish.clone() };
    let (code, words) = night.refused(&forged);
    assert_eq!(code, Code::Unsigned);
    assert!(words.starts_with("set of clasp/slide needs a signature, and this request has none"), "{words}");
    night.room.admit_arrival(&wish);
}

#[test]
fn rule_07_a_signature_comes_before_the_right_to_command() {
    let mut night = Night::new();
    let payload = night.room.stamped("a", r#""mm":1.5"#);
    assert_eq!(night.room.refusal("visitor", "set", &payload), Code::Unsigned);
    let mut arrival = night.room.arrival("visitor", "set", &payload);
    arrival.signatures = vec![night.site.client("visitor").sign(&arrival.topic, &payload)];
    assert_eq!(night.room.refusal_of(&arrival), Code::NotAuthorised);
    night.room.desk.set_gate(Gate::Pending);
    assert_eq!(night.room.refusal("alice", "set", &payload), Code::NotReady);
}

#[test]
fn rule_07_other_verbs_and_a_stop_need_none() {
    let mut night = Night::new();
    night.room.desk.set_signatures(Signatures {
        verbs: ["set", "stop"].into(),
        trust: Err("the list is gone".to_owned()),
    });
    night.room.admit("alice", "kill", "");
    night.room.admit("alice", "stop", "");
    assert!(!night.room.desk.signatures().are_needed(MOVES.iter().find(|verb| verb.stop).unwrap()));
}

#[test]
fn rule_07_a_signature_proves_the_sender_where_the_broker_does_not() {
    let mut night = Night::new();
    night.room.desk.set_gate(Gate::AclOpen);
    let wish = night.wish("a");
    assert_eq!(night.refused(&Incoming { signatures: Vec::new(), ..wish.clone() }).0, Code::Unsigned);
    assert_eq!(night.room.refusal("alice", "kill", ""), Code::AclOpen);
    night.room.admit_arrival(&wish);
}

#[test]
fn rule_07_what_cannot_be_verified_is_refused() {
    let mut night = Night::new();
    let wish = night.wish("a");
    night
        .room
        .desk
        .set_trust(Err("the list of revoked certificates /etc/obsbus/crl.pem does not exist".to_owned()));
    assert!(night.room.desk.signatures().problem(night.room.now.utc).is_some());
    let reply = night.room.deliver(&wish).remove(0);
    assert_eq!((reply.code, reply.reason.as_str()), (Some(Code::BadSignature), reason::SIGNATURE_UNCHECKED));
    assert!(reply.message.ends_with("crl.pem does not exist"), "{}", reply.message);
    night.room.desk.set_trust(Ok(night.site.trust(&[])));
    assert_eq!(night.room.desk.signatures().problem(night.room.now.utc), None);
    night.room.admit_arrival(&wish);
}

#[test]
fn rule_07_a_signature_that_stands_twice_counts_for_nothing() {
    let mut night = Night::new();
    let mut wish = night.wish("a");
    wish.signatures.push(wish.signatures[0].clone());
    let (code, words) = night.refused(&wish);
    assert_eq!(
        (code, words.as_str()),
        (Code::BadSignature, "the user property \"signature\" stands 2 times: expected once")
    );
}

#[test]
fn rule_07_a_signed_request_tells_itself_from_every_other() {
    let mut night = Night::new();
    let ts = night.room.now.utc;
    for payload in ["1.5".to_owned(), r#"{"id":"a","mm":1}"#.to_owned(), format!(r#"{{"ts":"{ts}","mm":1}}"#)]
    {
        let mut arrival = night.signed(&night.alice, "set", &payload);
        arrival.correlation = Some(b"from-outside".to_vec());
        let (code, words) = night.refused(&arrival);
        assert_eq!(code, Code::BadSignature, "{payload}");
        assert!(words.contains("needs an object with \"id\" and \"ts\""), "{words}");
    }
}

#[test]
fn rule_07_a_caught_command_moves_nothing_again() {
    let mut night = Night::new();
    let wish = night.wish("a");
    let ticket = night.room.admit_arrival(&wish);
    night.room.answer(&ticket, &Outcome::succeeded("done"));
    let runs = night.room.admitted.len();

    // Again at once: its verdict is known.
    let again = night.room.deliver(&wish).remove(0);
    assert_eq!((again.code, again.duplicate), (Some(Code::Succeeded), true));
    // Without its signature nothing is told, not even the verdict.
    assert_eq!(night.refused(&Incoming { signatures: Vec::new(), ..wish.clone() }).0, Code::Unsigned);
    // As somebody else, on another verb, with other words.
    let elsewhere = |topic: &str| Incoming { topic: topic.to_owned(), ..wish.clone() };
    for topic in ["clasp/slide/command/bob/set", "clasp/slide/command/alice/offset"] {
        let (code, words) = night.refused(&elsewhere(topic));
        assert_eq!(code, Code::BadSignature);
        assert!(words.starts_with("the signature is for \"clasp/slide/command/alice/set\""), "{words}");
    }
    let other = Incoming { payload: night.room.stamped("a", r#""mm":7"#).into_bytes(), ..wish.clone() };
    assert_eq!(night.refused(&other).0, Code::BadSignature);
    // In the next life of the bridge, too.
    let signatures = night.room.desk.signatures().clone();
    let mut next = night.room.after_death(2.0);
    next.desk.set_signatures(signatures);
    let again = |next: &Room| Incoming { received: next.now, ..wish.clone() };
    assert!(next.deliver(&again(&next)).remove(0).duplicate);
    // And when the bridge has forgotten it, it is too old.
    next.pass(3000.0);
    assert_eq!(next.refusal_of(&again(&next)), Code::Expired);
    assert_eq!((night.room.admitted.len(), next.admitted.len()), (runs, 0));
}

#[test]
fn rule_11_a_signed_request_is_too_old_before_it_can_be_forgotten() {
    let mut night = Night::new();
    let lasting = |night: &Night, id: &str| {
        night.signed(&night.alice, "set", &night.room.stamped(id, r#""ttl_s":3600,"mm":1.5"#))
    };
    let (early, late) = (lasting(&night, "a"), lasting(&night, "b"));
    night.room.pass(39.9);
    let ticket = night.room.admit_arrival(&night.again(&early));
    night.room.succeed(&ticket);
    night.room.pass(0.2);
    let (code, words) = night.refused(&night.again(&late));
    assert_eq!(code, Code::Expired);
    assert!(words.contains("to live for 40 s"), "{words}");
    assert!(night.room.deliver(&night.again(&early)).remove(0).duplicate);
    // Unsigned ones live as long as they say.
    let mut plain = Room::with(settings("slide", MOVES));
    let wish = plain.stamped("a", r#""ttl_s":3600,"mm":1.5"#);
    plain.pass(600.0);
    plain.admit("alice", "set", &wish);
}
