//! Makes checks with the rights of the service's user when an administrator runs them as root: root
//! may read everything, and would accept a key that the service cannot read.

use std::io;

use bus::settings::account::{self, Account};
use rustix::process::geteuid;

/// The user of the shipped unit.
pub const NAME: &str = "obsbus";
/// The groups that the shipped unit adds: serial ports belong to it.
pub const GROUPS: [&str; 1] = ["dialout"];

/// Why the other user's rights could not be adopted.
#[derive(Debug, thiserror::Error)]
#[error("cannot look at the settings as user {name}")]
pub struct UserError {
    name: String,
    #[source]
    cause: io::Error,
}

/// Runs `look` with the rights of the user `name` and the unit's groups if this process is root's
/// and the user exists, else as it is; returns also which user that was.
///
/// # Errors
/// The system does not let the thread adopt these rights.
pub fn as_service<T: Send>(name: &str, look: impl FnOnce() -> T + Send) -> Result<(T, String), UserError> {
    let own = geteuid();
    if !own.is_root() {
        return Ok((look(), account::user_name(own.as_raw())));
    }
    let Some(account) = Account::find(name, &GROUPS) else {
        return Ok((look(), format!("root, since there is no user {name}")));
    };
    let failed = |cause| UserError { name: name.to_owned(), cause };
    let seen = account.run(look).map_err(failed)?;
    Ok((seen, account.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_what_the_shipped_unit_makes_it() {
        let unit = include_str!("../../deploy/systemd/bridge@.service");
        assert!(unit.contains(&format!("\nUser={NAME}\nGroup={NAME}\n")));
        assert!(unit.contains(&format!("\nSupplementaryGroups={}\n", GROUPS.join(" "))));
    }

    #[test]
    fn root_looks_as_the_service_and_everybody_else_as_oneself() {
        let me = account::user_name(geteuid().as_raw());
        let seen = |name: &str| {
            let (uid, user) = as_service(name, || geteuid().as_raw()).unwrap();
            (account::user_name(uid), user)
        };
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        if geteuid().is_root() {
            assert_eq!(seen("nobody"), pair("nobody", "nobody"));
            assert_eq!(seen("no-such-user"), pair("root", "root, since there is no user no-such-user"));
        } else {
            assert_eq!(seen("nobody"), pair(&me, &me));
        }
        // Afterwards the old rights apply again.
        assert_eq!(account::user_name(geteuid().as_raw()), me);
    }
}
