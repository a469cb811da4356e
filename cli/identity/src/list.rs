//! `list`: everybody whom the authority has named.

use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::register::{Entry, day};
use crate::vault::Vault;

/// A certificate that ends sooner is to be renewed.
const SOON_DAYS: i64 = 60;
/// Digits of a serial number in the table; all of them do not fit beside the rest.
const SHOWN: usize = 12;

/// The newest certificate of each name, as a table or as JSON.
///
/// # Errors
/// There is no authority, or its register cannot be read.
pub(crate) fn list(context: &Context, as_json: bool) -> Result<String, Failure> {
    let vault = Vault::look(&context.ca)?;
    let newest = vault.register.newest();
    if as_json {
        let authority = json!({ "folder": context.ca.display().to_string(), "expires": vault.expires });
        let entries: Vec<Value> = newest.iter().map(|entry| as_value(entry, context)).collect();
        return Ok(format!("{}\n", json!({ "authority": authority, "identities": entries })));
    }
    let width = newest.iter().map(|entry| entry.name.len()).max().unwrap_or(0).max(4);
    let head = format!("{:width$}  {:6}  {:SHOWN$}  {:10}  LEFT\n", "NAME", "KIND", "SERIAL", "EXPIRES");
    let rows = newest.iter().map(|entry| {
        let (kind, serial) = (entry.kind.word(), entry.serial.get(..SHOWN).unwrap_or(&entry.serial));
        format!(
            "{:width$}  {kind:6}  {serial:SHOWN$}  {}  {}\n",
            entry.name,
            day(entry.expires),
            left(entry, entry.days_left(context.now))
        )
    });
    let rows: String = rows.collect();
    Ok(format!("authority: {}, until {}\n{head}{rows}", context.ca.display(), day(vault.expires)))
}

fn left(entry: &Entry, days: i64) -> String {
    match entry.revoked {
        Some(date) => format!("revoked {}", day(date)),
        None if !entry.handed_out => "interrupted: issue it again".to_owned(),
        None if days < 0 => "expired".to_owned(),
        None if days <= SOON_DAYS => format!("{days} days: renew"),
        None => format!("{days} days"),
    }
}

fn as_value(entry: &Entry, context: &Context) -> Value {
    json!({
        "name": entry.name,
        "kind": entry.kind,
        "serial": entry.serial,
        "issued": entry.issued,
        "expires": entry.expires,
        "days_left": entry.days_left(context.now),
        "revoked": entry.revoked,
        "hosts": entry.hosts,
        "handed_out": entry.handed_out,
        "installed": entry.installed,
    })
}
