//! `obsbus metrics`: all devices for Prometheus, as OpenMetrics over HTTP. See docs/metrics.md.

mod families;
mod names;
mod serve;
mod site;
mod text;
mod watched;

use std::net::SocketAddr;

use bus::topic::Base;
use clap::{Arg, ArgMatches, Command, value_parser};
use tokio::net::TcpListener;

use crate::connection::Connection;
use crate::ends::Ends;
use crate::exit::Failure;
use crate::output::say;
use crate::target::{Access, Common};

/// Registered for nothing else with Prometheus; on this machine only.
const LISTEN: &str = "127.0.0.1:9745";

/// The command line of `metrics`.
#[must_use]
pub fn command() -> Command {
    Command::new("metrics")
        .about("Serve the values of every device to Prometheus, until Ctrl-C")
        .after_help("Anybody who reaches the address can read the values: there is no login.")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS:PORT")
                .default_value(LISTEN)
                .value_parser(value_parser!(SocketAddr))
                .help("Address and port to serve on"),
        )
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// The broker cannot be reached at first, or the address cannot be used.
pub(crate) async fn metrics(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let access = Access::find(common)?;
    let mut topics = Vec::new();
    for site in access.sites(common.site.as_deref())? {
        topics.extend(Base::filters_of_all(&site));
        topics.extend([Base::health_of_all(&site), Base::events_of_all(&site)]);
    }
    let system = |what| move |source| Failure::System { what, source };
    let mut ends = Ends::listen()?;
    let address = matches.get_one::<SocketAddr>("listen").copied();
    let address = address.ok_or_else(|| Failure::usage("name the address: --listen ADDRESS:PORT"))?;
    let listener = TcpListener::bind(address).await.map_err(system("listen on the address of --listen"))?;
    let address = listener.local_addr().map_err(system("listen on the address of --listen"))?;
    let connection = Connection::open_to_all(&access, &topics).await?;
    say(&format!("serving http://{address}/metrics"));
    let watch = site::Shared::default();
    tokio::select! {
        () = site::follow(&access, &topics, connection, &watch) => {}
        () = serve::serve(listener, watch.clone()) => {}
        () = ends.come() => {}
    }
    Ok(0)
}
