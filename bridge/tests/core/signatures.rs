//! Verbs that need a signature: what is told of them, and of what they are verified by.

use bridge::core::{Event, Output, PreviousRun};
use bus::message::{Code, Reply};
use bus::probe::Verdict;
use bus::session::bridge::SessionEvent;
use serde_json::Value;

use crate::rig::{Rig, set};

fn rig() -> Rig {
    Rig::changed(PreviousRun::default(), |settings| settings.require_signature = ["mode"].into())
}

/// The text of this attention in the last state.
fn told(outputs: &[Output], name: &str) -> Option<String> {
    let states = set(outputs, "clasp/chiller/state");
    let held = states.last().expect("a state")["attention"].as_array().unwrap();
    held.iter().find(|held| held["name"] == name).map(|held| held["text"].as_str().unwrap().to_owned())
}

fn refusal(rig: &mut Rig) -> Reply {
    rig.outputs();
    rig.hear("clasp/chiller/command/alice/mode", b"manual", false);
    let reply = rig.outputs().into_iter().find_map(|output| match output {
        Output::Push(message) if message.topic.contains("/reply/") => {
            serde_json::from_slice(&message.payload).ok()
        }
        _ => None,
    });
    reply.expect("a reply")
}

#[test]
fn the_description_says_which_verbs_need_one() {
    let mut rig = rig();
    rig.connect();
    let outputs = rig.watch(std::time::Duration::from_secs(10));
    let outputs: Vec<_> = outputs.into_iter().map(|(_, output)| output).collect();
    let meta: Value = set(&outputs, "clasp/chiller/meta").pop().expect("a description");
    for verb in meta["verbs"].as_array().unwrap() {
        assert_eq!(verb["needs_signature"], verb["name"] == "mode", "{verb}");
    }
    assert_eq!(refusal(&mut rig).code, Some(Code::Unsigned));
}

#[test]
fn what_they_cannot_be_verified_by_is_an_attention() {
    let mut rig = rig();
    // Where the disk does not hang, the files are read a moment after the start: nothing is amiss.
    assert_eq!(told(&rig.connect(), "signatures_unchecked"), None);
    rig.core.handle(Event::Trust(Err("crl.pem does not exist".to_owned())), rig.now);
    assert_eq!(
        told(&rig.outputs(), "signatures_unchecked").unwrap(),
        "commands that need a signature are refused (code 35): crl.pem does not exist"
    );
    // Where no verb needs one, nothing is amiss.
    assert_eq!(told(&Rig::new().connect(), "signatures_unchecked"), None);
}

#[test]
fn that_nothing_was_read_yet_is_an_attention_only_when_it_lasts() {
    let mut rig = rig();
    rig.connect();
    assert_eq!(refusal(&mut rig).code, Some(Code::Unsigned));
    let outputs = rig.watch(std::time::Duration::from_secs(10)).into_iter().map(|(_, output)| output);
    let text = told(&outputs.collect::<Vec<_>>(), "signatures_unchecked").expect("an attention");
    assert!(text.ends_with("the authority and its list have not been read yet"), "{text}");
}

#[test]
fn an_open_access_list_does_not_concern_them() {
    let mut rig = rig();
    rig.connect();
    let verdict = Verdict { acl_ok: Some(false), wills_open: true, command_path_ok: true };
    rig.core.handle(Event::Session(SessionEvent::Judged(verdict)), rig.now);
    let text = told(&rig.outputs(), "acl_open").unwrap();
    assert!(text.ends_with("; commands that need no signature are refused (code 31)"), "{text}");
    assert_eq!(refusal(&mut rig).code, Some(Code::Unsigned));
}
