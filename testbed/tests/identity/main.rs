//! `obsbus identity` with a real mosquitto under the shipped files: who was issued gets in, who was
//! revoked is out at once, and no file is ever half there or readable by others.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure, in its helpers too")]

mod files;
mod issued;
mod machine;
mod offline;
mod page;
mod passphrase;
mod renewed;
mod revoked;
mod service;
