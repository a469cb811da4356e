//! What each member of the standard's focuser (interface version 4) answers, by what is known of the
//! instrument. Pure: a motion and a stop are left to the caller.

use bus::clock::Instant;
use serde_json::{Value, json};

use crate::axis::{Axis, State};
use crate::clients::Clients;
use crate::motion::Own;
use crate::request::{Call, Property};
use crate::trouble::{Trouble, number};

/// `IFocuserV4`.
const INTERFACE: u32 = 4;

/// What is known at the moment of a request.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    /// What the focuser is called.
    pub(crate) name: &'a str,
    /// What it is, in a sentence.
    pub(crate) description: &'a str,
    pub(crate) axis: Result<Axis, Trouble>,
    pub(crate) state: Result<State, Trouble>,
    pub(crate) own: Own,
}

/// What a request comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// A value; `null` for none.
    Value(Value),
    /// The bus is to be asked to move to this position.
    Move(f64),
    /// The bus is to be asked to stop.
    Halt,
}

/// The answer to `call` of this client.
///
/// # Errors
/// One of the standard's.
pub(crate) fn answer(
    call: &Call,
    client: u32,
    known: &Known<'_>,
    clients: &mut Clients,
    now: Instant,
) -> Result<Answer, Trouble> {
    clients.hear(client, known.state.is_ok(), now);
    match call {
        Call::Get(property) => get(*property, client, known, clients, now).map(Answer::Value),
        Call::Connect => {
            usable(known)?;
            clients.connect(client, now);
            Ok(Answer::Value(Value::Null))
        }
        Call::Disconnect => {
            clients.disconnect(client);
            Ok(Answer::Value(Value::Null))
        }
        Call::Action(name) => {
            Err(Trouble::new(number::ACTION_NOT_IMPLEMENTED, format!("there is no action {name:?}")))
        }
        Call::Command(name) => Err(Trouble::not_implemented(name)),
        Call::TempComp(is_wanted) => {
            connected(clients)?;
            if *is_wanted { Err(Trouble::not_implemented("temperature compensation")) } else { Ok(nothing()) }
        }
        Call::Move(steps) => {
            connected(clients)?;
            let (axis, state) = usable(known)?;
            position(axis, state)?;
            Ok(Answer::Move(axis.target(*steps)))
        }
        // Never refused for what is known here: that may be wrong.
        Call::Halt => connected(clients).map(|()| Answer::Halt),
    }
}

fn nothing() -> Answer {
    Answer::Value(Value::Null)
}

fn get(
    property: Property,
    client: u32,
    known: &Known<'_>,
    clients: &Clients,
    now: Instant,
) -> Result<Value, Trouble> {
    match property {
        Property::Connected => return Ok(clients.is_connected(client, now).into()),
        Property::Connecting => return Ok(false.into()),
        Property::Description => return Ok(known.description.into()),
        Property::DriverInfo => {
            return Ok(concat!("obsbus ", env!("CARGO_PKG_VERSION"), ": one step is one micrometre").into());
        }
        Property::DriverVersion => return Ok(env!("CARGO_PKG_VERSION").into()),
        Property::InterfaceVersion => return Ok(INTERFACE.into()),
        Property::Name => return Ok(known.name.into()),
        Property::SupportedActions => return Ok(json!([])),
        _ => connected(clients)?,
    }
    if let Property::Absolute | Property::StepSize | Property::MaxStep | Property::MaxIncrement = property {
        let axis = axis(known)?;
        return Ok(match property {
            Property::Absolute => true.into(),
            Property::StepSize => 1.0.into(),
            _ => axis.max_step.into(),
        });
    }
    match property {
        Property::TempComp | Property::TempCompAvailable => Ok(false.into()),
        Property::DeviceState => device_state(known),
        Property::IsMoving => is_moving(known).map(Value::from),
        Property::Temperature => {
            let (axis, state) = usable(known)?;
            let known = axis.temperature(state).ok_or_else(|| Trouble::not_implemented("Temperature"))?;
            known.map(Value::from).ok_or_else(|| Trouble::invalid_operation("the temperature is not known"))
        }
        _ => {
            let (axis, state) = usable(known)?;
            position(axis, state).map(Value::from)
        }
    }
}

/// What is operational; a value that is not known is left out.
fn device_state(known: &Known<'_>) -> Result<Value, Trouble> {
    let (axis, state) = usable(known)?;
    let named = |name: &str, value: Value| json!({"Name": name, "Value": value});
    let values = [
        is_moving(known).ok().map(|it| named("IsMoving", it.into())),
        axis.position(state).map(|it| named("Position", it.into())),
        axis.temperature(state).flatten().map(|it| named("Temperature", it.into())),
        Some(named("TimeStamp", state.stamp.published_at.to_string().into())),
    ];
    Ok(values.into_iter().flatten().collect())
}

fn is_moving(known: &Known<'_>) -> Result<bool, Trouble> {
    // Also while no state can be believed: some programs take an error for `false`, and go on.
    if let Own::Ordered { .. } = known.own {
        return Ok(true);
    }
    let (axis, state) = usable(known)?;
    let fault = || Trouble::invalid_operation(format!("nobody can say so: {}", state.common.summary));
    match (axis.is_moving(state).ok_or_else(fault)?, &known.own) {
        (false, Own::Failed(trouble)) => Err(trouble.clone()),
        (is_moving, _) => Ok(is_moving),
    }
}

fn position(axis: &Axis, state: &State) -> Result<i32, Trouble> {
    let unknown =
        || Trouble::invalid_operation(format!("the position is not known: {}", state.common.summary));
    axis.position(state).ok_or_else(unknown)
}

fn connected(clients: &Clients) -> Result<(), Trouble> {
    if clients.has_any() {
        return Ok(());
    }
    Err(Trouble::new(number::NOT_CONNECTED, "not connected: expected Connect, or Connected = true, first"))
}

fn axis<'a>(known: &'a Known<'_>) -> Result<&'a Axis, Trouble> {
    known.axis.as_ref().map_err(Clone::clone)
}

/// A state that can be believed, and what it means.
fn usable<'a>(known: &'a Known<'_>) -> Result<(&'a Axis, &'a State), Trouble> {
    let state = known.state.as_ref().map_err(Clone::clone)?;
    Ok((axis(known)?, state))
}

#[cfg(test)]
mod tests;
