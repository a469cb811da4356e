//! From the text of an HTTP request to what is wanted. Pure.
//!
//! As the standard says: paths are in lower case; names of a query's parameters are not case sensitive,
//! those of a form are; what cannot be understood is answered 400, and nothing is done.

use hyper::Method;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A member of the focuser with this number.
    Member { device: usize, call: Call, ids: Ids },
    /// Something of the server.
    Management { about: Management, ids: Ids },
    /// The page for people: of the server, or of one focuser.
    Page(Option<usize>),
}

/// Who asks, and what the client calls this request; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) client: u32,
    pub(crate) transaction: u32,
}

/// Below `/management`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Management {
    Versions,
    Description,
    Devices,
}

/// A use of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Get(Property),
    Connect,
    Disconnect,
    TempComp(bool),
    Move(i32),
    Halt,
    Action(String),
    /// One of the three for raw commands.
    Command(&'static str),
}

macro_rules! properties {
    ($($name:ident = $path:literal,)+) => {
        /// A member that is read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Property { $($name,)+ }

        impl Property {
            #[cfg(test)]
            pub(crate) const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $path),)+];

            fn named(path: &str) -> Option<Self> {
                match path {
                    $($path => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

properties! {
    Absolute = "absolute",
    Connected = "connected",
    Connecting = "connecting",
    Description = "description",
    DeviceState = "devicestate",
    DriverInfo = "driverinfo",
    DriverVersion = "driverversion",
    InterfaceVersion = "interfaceversion",
    IsMoving = "ismoving",
    MaxIncrement = "maxincrement",
    MaxStep = "maxstep",
    Name = "name",
    Position = "position",
    StepSize = "stepsize",
    SupportedActions = "supportedactions",
    TempComp = "tempcomp",
    TempCompAvailable = "tempcompavailable",
    Temperature = "temperature",
}

/// What is changed or done.
const PUT: [&str; 10] = [
    "action",
    "commandblind",
    "commandbool",
    "commandstring",
    "connect",
    "connected",
    "disconnect",
    "halt",
    "move",
    "tempcomp",
];

/// A request that is answered without having an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
    /// The methods that the path knows.
    pub(crate) allow: Option<&'static str>,
}

impl Refused {
    fn bad(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), allow: None }
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self { status: 404, message: message.into(), allow: None }
    }

    fn method(allow: &'static str) -> Self {
        Self { status: 405, message: format!("expected {allow}"), allow: Some(allow) }
    }
}

/// Understands a request of which `devices` focusers are served.
///
/// # Errors
/// How it is to be refused.
pub(crate) fn understand(
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
    devices: usize,
) -> Result<Wanted, Refused> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let page =
        |device| if method == Method::GET { Ok(Wanted::Page(device)) } else { Err(Refused::method("GET")) };
    match parts.as_slice() {
        ["" | "setup"] => page(None),
        ["setup", "v1", kind, number, "setup"] => page(Some(device(kind, number, devices)?)),
        ["management", rest @ ..] => {
            let about = match rest {
                ["apiversions"] => Management::Versions,
                ["v1", "description"] => Management::Description,
                ["v1", "configureddevices"] => Management::Devices,
                _ => {
                    return Err(Refused::unknown(
                        "expected apiversions, v1/description or v1/configureddevices",
                    ));
                }
            };
            if method != Method::GET {
                return Err(Refused::method("GET"));
            }
            Ok(Wanted::Management { about, ids: Parameters::of_query(query).ids()? })
        }
        ["api", "v1", kind, number, member] => {
            let device = device(kind, number, devices)?;
            let (call, ids) = call(method, member, query, body)?;
            Ok(Wanted::Member { device, call, ids })
        }
        ["api", version, ..] if *version != "v1" => Err(Refused::bad("expected version v1 of the API")),
        _ => Err(Refused::unknown("expected /api/v1/focuser/NUMBER/MEMBER, /management or /setup")),
    }
}

fn device(kind: &str, number: &str, devices: usize) -> Result<usize, Refused> {
    if kind != "focuser" {
        return Err(Refused::bad(format!("there is no device type {kind:?}: expected focuser")));
    }
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let known = number.parse().ok().filter(|number| is_number && *number < devices);
    known.ok_or_else(|| {
        Refused::bad(format!("there is no focuser {number:?}: expected 0 to {}", devices.saturating_sub(1)))
    })
}

fn call(method: &Method, member: &str, query: &str, body: &[u8]) -> Result<(Call, Ids), Refused> {
    let (property, is_put) = (Property::named(member), PUT.contains(&member));
    match *method {
        Method::GET => match property {
            Some(property) => Ok((Call::Get(property), Parameters::of_query(query).ids()?)),
            None if is_put => Err(Refused::method("PUT")),
            None => Err(Refused::bad(format!("a focuser has no member {member:?}"))),
        },
        Method::PUT if is_put => {
            let form = Parameters::of_form(body);
            let ids = form.ids()?;
            Ok((change(member, &form)?, ids))
        }
        Method::PUT if property.is_none() => Err(Refused::bad(format!("a focuser has no member {member:?}"))),
        _ if property.is_some() && is_put => Err(Refused::method("GET, PUT")),
        _ if is_put => Err(Refused::method("PUT")),
        _ => Err(Refused::method("GET")),
    }
}

fn change(member: &str, form: &Parameters) -> Result<Call, Refused> {
    Ok(match member {
        "connect" => Call::Connect,
        "disconnect" => Call::Disconnect,
        "connected" if form.flag("Connected")? => Call::Connect,
        "connected" => Call::Disconnect,
        "tempcomp" => Call::TempComp(form.flag("TempComp")?),
        "halt" => Call::Halt,
        "action" => Call::Action(form.required("Action")?.to_owned()),
        "commandblind" => Call::Command("CommandBlind"),
        "commandbool" => Call::Command("CommandBool"),
        "commandstring" => Call::Command("CommandString"),
        _ => {
            let text = form.required("Position")?;
            let wrong = || Refused::bad(format!("Position={text:?}: expected a whole number of 32 bits"));
            Call::Move(text.parse().map_err(|_| wrong())?)
        }
    })
}

/// Names and values.
struct Parameters {
    pairs: Vec<(String, String)>,
    is_case_sensitive: bool,
}

impl Parameters {
    fn of_query(query: &str) -> Self {
        Self {
            pairs: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            is_case_sensitive: false,
        }
    }

    fn of_form(body: &[u8]) -> Self {
        Self { pairs: form_urlencoded::parse(body).into_owned().collect(), is_case_sensitive: true }
    }

    fn get(&self, name: &str) -> Result<Option<&str>, Refused> {
        let is = |known: &str| {
            if self.is_case_sensitive { known == name } else { known.eq_ignore_ascii_case(name) }
        };
        let mut found = self.pairs.iter().filter(|(known, _)| is(known)).map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(Refused::bad(format!("{name} is there twice: expected it once"))),
            (found, _) => Ok(found),
        }
    }

    fn required(&self, name: &str) -> Result<&str, Refused> {
        self.get(name)?.ok_or_else(|| {
            Refused::bad(format!("{name} is missing: expected it in the body, as a form, in this spelling"))
        })
    }

    fn flag(&self, name: &str) -> Result<bool, Refused> {
        let text = self.required(name)?;
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Refused::bad(format!("{name}={text:?}: expected True or False"))),
        }
    }

    fn ids(&self) -> Result<Ids, Refused> {
        let id = |name: &str| match self.get(name)? {
            None => Ok(0),
            Some(text) => {
                let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let wrong =
                    || Refused::bad(format!("{name}={text:?}: expected a number from 0 to 4294967295"));
                text.parse().ok().filter(|_| is_number).ok_or_else(wrong)
            }
        };
        Ok(Ids { client: id("ClientID")?, transaction: id("ClientTransactionID")? })
    }
}

#[cfg(test)]
mod tests;
