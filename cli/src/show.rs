//! What only looks, the same for every device: `status`, `json`, `history`.
#![expect(clippy::disallowed_methods, reason = "reads the clock for what it shows")]

use std::time::Duration;

use bus::clock::Now;
use bus::message::echo;
use bus::session::client::{Client, SessionError};

use crate::device::Device;
use crate::history;
use crate::output::{look, print, say, style};
use crate::program::{Failure, Way, unreachable};
use crate::render;
use crate::view::{EXIT_STALE, EXIT_UNREACHABLE, Standing, View};

/// What the broker has in store comes with the SUBACK, at the latest right behind it.
const STORED_LIMIT: Duration = Duration::from_millis(500);

/// What the broker has of a device.
struct Fetched<D> {
    view: View<D>,
    state: Vec<u8>,
    history: Option<Vec<u8>>,
}

async fn fetch<D: Device>(way: &Way, with_history: bool) -> Result<Fetched<D>, SessionError> {
    let mut client = Client::connect(&way.broker, &way.client_id, way.connect_limit).await?;
    let (state, history) = (way.base.state(), way.base.history());
    let mut topics = vec![state.clone(), way.base.availability()];
    topics.extend(with_history.then(|| history.clone()));
    client.subscribe(&topics).await?;
    let mut fetched = Fetched { view: View::default(), state: Vec::new(), history: None };
    while fetched.view.state.is_none()
        || fetched.view.availability.is_none()
        || (with_history && fetched.history.is_none())
    {
        let Some(message) = client.next_message(STORED_LIMIT).await? else { break };
        fetched.view.hear(&way.base, &message, Now::read());
        if message.topic == state {
            fetched.state = message.payload.to_vec();
        } else if message.topic == history {
            fetched.history = Some(message.payload.to_vec());
        }
    }
    client.disconnect().await;
    Ok(fetched)
}

/// `status`: what is known of the device, for people; the exit code says how far it is current.
///
/// # Errors
/// The broker cannot be reached, or knows nothing of the device.
pub async fn status<D: Device>(way: &Way) -> Result<u8, Failure> {
    let Fetched { view, .. } = fetch::<D>(way, false).await.map_err(|error| unreachable(&error))?;
    let now = Now::read();
    let standing = view.standing(now);
    if standing == Standing::NeverHeard {
        return Err(never_heard(way, &view, now));
    }
    print(&render::status(&way.base, &view, now, style()));
    Ok(standing.exit_code())
}

/// `json`: the state as it is on the bus, on one line.
///
/// # Errors
/// The broker cannot be reached, or knows nothing of the device.
pub async fn json<D: Device>(way: &Way) -> Result<u8, Failure> {
    let Fetched { view, state: payload, .. } =
        fetch::<D>(way, false).await.map_err(|error| unreachable(&error))?;
    let now = Now::read();
    let standing = view.standing(now);
    if !payload.is_empty() {
        print(&(render::raw(&payload) + "\n"));
    }
    match standing {
        Standing::Current => {}
        Standing::NeverHeard => return Err(never_heard(way, &view, now)),
        _ => say(&format!("error: {}", render::why_not_current(&way.base, &view, &standing, now))),
    }
    Ok(standing.exit_code())
}

/// `history`: the last `hours` (24) as charts, or as it is on the bus.
///
/// # Errors
/// The broker cannot be reached, or there is no history, or an old one.
pub async fn past<D: Device>(way: &Way, hours: Option<f64>, json: bool) -> Result<u8, Failure> {
    let Fetched { view, history: payload, .. } =
        fetch::<D>(way, true).await.map_err(|error| unreachable(&error))?;
    let now = Now::read();
    let standing = view.standing(now);
    let Some(payload) = payload else {
        if standing == Standing::NeverHeard {
            return Err(never_heard(way, &view, now));
        }
        let message = format!("the bridge of {} has published no history", way.base);
        return Err(Failure { code: standing.exit_code().max(EXIT_STALE), message });
    };
    let read = history::read(&payload);
    if json {
        print(&(render::raw(&payload) + "\n"));
    } else if let Ok(history) = &read {
        print(&history::page(&way.base, history, D::CHARTS, hours, now, look()));
    }
    // What was: drawn all the same, whatever is now.
    if standing != Standing::Current {
        say(&format!("error: {}", render::why_not_current(&way.base, &view, &standing, now)));
        return Ok(standing.exit_code());
    }
    let problem = match read {
        Ok(history) if history::is_stale(&history, now) => {
            "STALE: the bridge keeps no history any more".into()
        }
        Ok(_) => return Ok(0),
        Err(error) => format!("the history of {} cannot be read: {}", way.base, echo(&error)),
    };
    Err(Failure { code: EXIT_STALE, message: problem })
}

fn never_heard<D: Device>(way: &Way, view: &View<D>, now: Now) -> Failure {
    let message = render::why_not_current(&way.base, view, &Standing::NeverHeard, now);
    Failure { code: EXIT_UNREACHABLE, message }
}
