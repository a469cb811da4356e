//! The checks of ASCOM's own conformance program for a focuser, as a table, and what it does not check.

use std::time::Duration;

use bus::client::Unusable;

use super::*;
use crate::fixture::{meta, state};
use crate::trouble::number::{
    ACTION_NOT_IMPLEMENTED, CANCELLED, INVALID_OPERATION, NOT_CONNECTED, NOT_IMPLEMENTED,
};

const CLIENT: u32 = 7;

fn at(seconds: u64) -> Instant {
    Instant::from_boot(Duration::from_secs(seconds))
}

fn known(state: Result<State, Trouble>) -> Known<'static> {
    let axis = Ok(Axis::of(&meta()).unwrap());
    Known { name: "clasp slide", description: "a slide", axis, state, own: Own::Idle }
}

fn idle(at: f64) -> Known<'static> {
    known(Ok(state("idle", Some(at))))
}

fn with_client() -> Clients {
    let mut clients = Clients::default();
    clients.connect(CLIENT, at(0));
    clients
}

fn ask(call: &Call, known: &Known<'_>) -> Result<Answer, Trouble> {
    answer(call, CLIENT, known, &mut with_client(), at(1))
}

fn read(property: Property, known: &Known<'_>) -> Result<Value, Trouble> {
    match ask(&Call::Get(property), known)? {
        Answer::Value(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn fails(result: Result<impl std::fmt::Debug, Trouble>, number: u32, words: &str) {
    let trouble = result.unwrap_err();
    assert_eq!(trouble.number, number, "{trouble:?}");
    assert!(trouble.message.contains(words), "{trouble:?}");
}

#[test]
fn each_member_of_a_focuser_that_stands_has_the_value_that_the_standard_wants() {
    for (property, wanted) in [
        (Property::Absolute, json!(true)),
        (Property::Connected, json!(true)),
        (Property::Connecting, json!(false)),
        (Property::Description, json!("a slide")),
        (Property::DriverVersion, json!(env!("CARGO_PKG_VERSION"))),
        (Property::InterfaceVersion, json!(4)),
        (Property::IsMoving, json!(false)),
        (Property::MaxIncrement, json!(6000)),
        (Property::MaxStep, json!(6000)),
        (Property::Name, json!("clasp slide")),
        (Property::Position, json!(2500)),
        (Property::StepSize, json!(1.0)),
        (Property::SupportedActions, json!([])),
        (Property::TempComp, json!(false)),
        (Property::TempCompAvailable, json!(false)),
    ] {
        assert_eq!(read(property, &idle(2.5)), Ok(wanted), "{property:?}");
    }
    let info = read(Property::DriverInfo, &idle(2.5)).unwrap();
    assert!(info.as_str().unwrap().contains("one step is one micrometre"), "{info}");
    fails(read(Property::Temperature, &idle(2.5)), NOT_IMPLEMENTED, "Temperature");
    let state = json!([{"Name": "IsMoving", "Value": false}, {"Name": "Position", "Value": 2500},
        {"Name": "TimeStamp", "Value": "2026-11-20T10:32:00.000Z"}]);
    assert_eq!(read(Property::DeviceState, &idle(2.5)), Ok(state));
}

#[test]
fn each_method_does_what_the_standard_wants() {
    let nothing = Answer::Value(Value::Null);
    for (call, wanted) in [
        (Call::Connect, &nothing),
        (Call::Disconnect, &nothing),
        (Call::TempComp(false), &nothing),
        (Call::Halt, &Answer::Halt),
        (Call::Move(1234), &Answer::Move(1.234)),
        (Call::Move(0), &Answer::Move(0.0)),
        (Call::Move(6000), &Answer::Move(6.0)),
        // It moves to the end of its range, and complains of nothing.
        (Call::Move(-10), &Answer::Move(0.0)),
        (Call::Move(6010), &Answer::Move(6.0)),
        (Call::Move(i32::MAX), &Answer::Move(6.0)),
    ] {
        assert_eq!(ask(&call, &idle(2.5)).as_ref(), Ok(wanted), "{call:?}");
    }
    for (call, number) in [
        (Call::TempComp(true), NOT_IMPLEMENTED),
        (Call::Action("dance".to_owned()), ACTION_NOT_IMPLEMENTED),
        (Call::Command("CommandBlind"), NOT_IMPLEMENTED),
        (Call::Command("CommandBool"), NOT_IMPLEMENTED),
        (Call::Command("CommandString"), NOT_IMPLEMENTED),
    ] {
        fails(ask(&call, &idle(2.5)), number, "");
    }
}

/// The members that need no connection, by the standard.
const ALWAYS: [Property; 8] = [
    Property::Connected,
    Property::Connecting,
    Property::Description,
    Property::DriverInfo,
    Property::DriverVersion,
    Property::InterfaceVersion,
    Property::Name,
    Property::SupportedActions,
];

#[test]
fn before_a_client_has_connected_only_what_describes_the_driver_is_answered() {
    let mut nobody = Clients::default();
    for (property, name) in Property::ALL {
        let result = answer(&Call::Get(*property), CLIENT, &idle(2.5), &mut nobody, at(1));
        match result {
            Ok(_) => assert!(ALWAYS.contains(property), "{name}"),
            Err(trouble) => {
                assert!(!ALWAYS.contains(property), "{name}");
                assert_eq!(trouble.number, NOT_CONNECTED, "{name}");
            }
        }
    }
    for call in [Call::Move(1), Call::Halt, Call::TempComp(false)] {
        fails(answer(&call, CLIENT, &idle(2.5), &mut nobody, at(1)), NOT_CONNECTED, "expected Connect");
    }
}

#[test]
fn a_client_is_connected_from_connect_to_disconnect_and_another_one_is_not_affected() {
    let mut clients = Clients::default();
    let mut ask = |call: Call, client| answer(&call, client, &idle(2.5), &mut clients, at(1));
    let is = |value: bool| Ok(Answer::Value(value.into()));
    ask(Call::Connect, 1).unwrap();
    ask(Call::Connect, 2).unwrap();
    ask(Call::Disconnect, 1).unwrap();
    assert_eq!(ask(Call::Get(Property::Connected), 1), is(false));
    assert_eq!(ask(Call::Get(Property::Connected), 2), is(true));
    assert!(ask(Call::Get(Property::Position), 2).is_ok());
    ask(Call::Disconnect, 2).unwrap();
    fails(ask(Call::Get(Property::Position), 2), NOT_CONNECTED, "");
}

#[test]
fn a_focuser_that_is_not_homed_says_so_and_nothing_homes_it() {
    let lost = known(Ok(state("not_homed", None)));
    assert_eq!(ask(&Call::Connect, &lost), Ok(Answer::Value(Value::Null)));
    assert_eq!(read(Property::IsMoving, &lost), Ok(json!(false)));
    let words = "the position is not known: the slide is not_homed";
    fails(read(Property::Position, &lost), INVALID_OPERATION, words);
    fails(ask(&Call::Move(100), &lost), INVALID_OPERATION, words);
    let names = read(Property::DeviceState, &lost).unwrap();
    assert_eq!(names.as_array().unwrap().len(), 2, "a position that is not known is left out: {names}");
}

#[test]
fn it_moves_from_the_order_to_the_verdict_and_while_anybody_moves_it() {
    for status in ["moving", "homing"] {
        assert_eq!(read(Property::IsMoving, &known(Ok(state(status, None)))), Ok(json!(true)), "{status}");
    }
    // The bridge has accepted it, and has not published a state since.
    let ordered = Known { own: Own::Ordered { halted: false }, ..idle(2.5) };
    assert_eq!(read(Property::IsMoving, &ordered), Ok(json!(true)));
    // An outage does not end it.
    let away = Trouble::unusable(&Unusable::NoBroker("refused".to_owned()));
    let ordered = Known { own: Own::Ordered { halted: true }, ..known(Err(away)) };
    assert_eq!(read(Property::IsMoving, &ordered), Ok(json!(true)));
    fails(read(Property::Position, &ordered), NOT_CONNECTED, "refused");
}

#[test]
fn a_move_that_did_not_arrive_is_told_when_the_client_asks_whether_it_moves() {
    let stopped = Trouble::new(CANCELLED, "go: stopped: ops ended it with halt");
    let failed = Known { own: Own::Failed(stopped.clone()), ..idle(2.5) };
    fails(read(Property::IsMoving, &failed), CANCELLED, "ops ended it");
    assert_eq!(read(Property::Position, &failed), Ok(json!(2500)));
    let moved_by_others = Known { own: Own::Failed(stopped), ..known(Ok(state("moving", Some(1.0)))) };
    assert_eq!(read(Property::IsMoving, &moved_by_others), Ok(json!(true)));
}

#[test]
fn in_a_fault_nobody_claims_that_it_stands() {
    fails(
        read(Property::IsMoving, &known(Ok(state("fault", None)))),
        INVALID_OPERATION,
        "the slide is fault",
    );
}

#[test]
fn without_a_state_that_can_be_believed_every_value_is_an_error_in_plain_words() {
    let base = || "clasp/slide".to_owned();
    for (why, words) in [
        (Unusable::NoBroker("refused".to_owned()), "there is no connection to the broker: refused"),
        (Unusable::NoBridge { base: base(), availability: "offline".to_owned() }, "is offline"),
        (Unusable::Stale { base: base() }, "the state of clasp/slide is stale"),
        (
            Unusable::NotConnected { base: base(), summary: "unplugged".to_owned() },
            "not connected: unplugged",
        ),
    ] {
        let away = known(Err(Trouble::unusable(&why)));
        for property in [Property::Position, Property::IsMoving, Property::DeviceState, Property::Temperature]
        {
            fails(read(property, &away), NOT_CONNECTED, words);
        }
        fails(ask(&Call::Move(1), &away), NOT_CONNECTED, words);
        fails(ask(&Call::Connect, &away), NOT_CONNECTED, words);
        // Whatever is known here may be wrong: a stop is tried.
        assert_eq!(ask(&Call::Halt, &away), Ok(Answer::Halt));
    }
}

#[test]
fn without_a_description_nothing_is_guessed() {
    let unknown = || Err(Trouble::new(NOT_CONNECTED, "the bridge has not published its description"));
    let known = Known { axis: unknown(), ..idle(2.5) };
    for property in [Property::MaxStep, Property::StepSize, Property::Absolute, Property::Position] {
        fails(read(property, &known), NOT_CONNECTED, "description");
    }
    fails(ask(&Call::Move(1), &known), NOT_CONNECTED, "description");
    assert_eq!(ask(&Call::Halt, &known), Ok(Answer::Halt));
}
