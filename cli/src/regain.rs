//! The next connection of a program that runs until it is stopped.
#![expect(clippy::disallowed_methods, reason = "reads the clock, and pauses before the next attempt")]

use std::time::Duration;

use bus::clock::Now;

use crate::connection::Connection;
use crate::output::say;
use crate::target::Access;
use crate::text::date;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Tries until the broker is reached again, and says so; says again why not when the reason changes.
pub(crate) async fn regain(access: &Access, topics: &[String], mut trouble: String) -> Connection {
    let say_now = |what: &str| say(&format!("{} {what}", date(Now::read().utc)));
    say_now(&format!("DISCONNECTED: {trouble}; trying again"));
    loop {
        match Connection::open_to_all(access, topics).await {
            Ok(connection) => {
                say_now("connected again");
                return connection;
            }
            Err(error) => {
                let error = error.to_string();
                if error != trouble {
                    say_now(&format!("still disconnected: {error}"));
                    trouble = error;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
