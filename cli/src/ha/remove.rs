//! `obsbus ha remove`: Home Assistant is told to forget a device. What it was told is kept by the
//! broker, and outlives the bridge.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bus::session::client::Acknowledged;
use bus::session::connect::ClientId;
use bus::settings::{BrokerSettings, ClientSettings, Problems, Section};
use bus::topic::Base;
use clap::ArgMatches;
use serde_json::Value;

use super::PREFIX;
use crate::connection::Connection;
use crate::exit::{EXIT_FAILED, EXIT_NOT_AUTHORISED, Failure, with_causes};
use crate::output::print;
use crate::target::{Access, Common};

/// What is in store comes at once, all of it one behind the other.
const QUIET: Duration = Duration::from_millis(300);
