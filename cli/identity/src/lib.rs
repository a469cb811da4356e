//! `obsbus identity`: the observatory's certificate authority, and the identities that it issues.
//!
//! `authority` signs, and touches no file; `vault` is the authority's folder, `register` what it has
//! issued; `destination` and `person` say where the files of an identity go on a machine, `files`
//! writes them; `broker` and `acl` know what the broker must be told. Only `obsbus` links this.

mod acl;
mod authority;
mod broker;
mod context;
mod control;
mod crl;
mod destination;
mod failure;
mod files;
mod install;
mod issue;
mod list;
mod machine;
mod name;
mod passphrase;
mod person;
mod protected;
mod register;
mod renew;
mod revoke;
mod run;
mod usage;
mod vault;

pub use failure::Failure;
pub use run::run;
pub use usage::command;
