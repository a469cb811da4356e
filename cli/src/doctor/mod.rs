//! `obsbus doctor`: finds out what is wrong, and says what to do. Works when everything is broken.
//!
//! The order is that of causes: one's own settings, what is on this machine, the way to the broker,
//! one's rights there, then each device. So the first failure is the cause of those after it. A
//! check that needs an earlier one is skipped when that one has failed; none takes longer than 3 s.
//! Nothing is changed: the test commands are such as no bridge obeys, and a will
//! that the broker must not publish is on a topic that no device uses.
#![expect(clippy::disallowed_methods, reason = "reads the clock for what it judges")]

mod broker;
mod broker_files;
pub mod catalogue;
mod device;
mod limited;
mod machine;
mod own;
mod port;
mod promises;
pub mod remedy;
mod report;
mod survey;
mod unit;

use std::path::PathBuf;
use std::time::Duration;

use bus::clock::Now;
use bus::message::Code;
use bus::session::client::SessionError;
use bus::settings::BrokerSettings;
use bus::topic::Base;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tokio::time::timeout;

use crate::exit::{EXIT_FAILED, EXIT_UNREACHABLE, Failure};
use crate::format::{is_json, with_formats};
use crate::target::Common;
use catalogue::Check;
use device::Judge;
use own::Own;
use report::{Finding, Report};
use survey::{Device, Survey, Taken};

use broker::BEHIND;
use promises::PROMISES;

/// A delayed acknowledgement takes 40 ms; nothing else does at every attempt.
const DELAYED: Duration = Duration::from_millis(25);

/// Its command line.
#[must_use]
pub fn command() -> Command {
    let command = Command::new("doctor")
        .about("Find out what is wrong, and what to do")
        .after_help(
            "Exit codes: 0 no failure (warnings are none, except with --strict); else that of the first \
             failure: 64 settings or certificates, 155 broker or bridge not reached, 4 device offline or \
             stale, 31 the broker lets anybody send commands, 24 the clocks differ, 1 any other.\n\n\
             Run as root, it also checks the bridges and the broker of this machine.",
        )
        .arg(
            Arg::new("devices")
                .num_args(0..)
                .value_name("DEVICE")
                .help("DEVICE or SITE/DEVICE [default: all devices]"),
        )
        .arg(
            Arg::new("strict")
                .long("strict")
                .action(ArgAction::SetTrue)
                .help("A warning without a failure exits with 1"),
        )
        .arg(
            Arg::new("etc")
                .long("etc")
                .value_name("FOLDER")
                .default_value("/etc")
                .value_parser(value_parser!(PathBuf))
                .help("Folder of this machine's obsbus and mosquitto settings"),
        );
    with_formats(command, "Print all findings as one line of JSON")
}

/// Makes all checks; returns the exit code.
///
/// # Errors
/// The reader of the output has gone.
pub(crate) async fn run(matches: &ArgMatches, common: &Common) -> Result<u8, Failure> {
    let mut report = Report::new(is_json(matches));
    let own = own::examine(common, &mut report).await?;
    let etc = matches.get_one::<PathBuf>("etc").cloned().unwrap_or_else(|| PathBuf::from("/etc"));
    broker_files::examine(&etc, &mut report).await?;
    let cleared = machine::examine(&etc, &mut report).await?;
    let client = broker::examine(own.as_ref(), &mut report).await?;
    if let (Some(Own { settings, identity: Some(identity) }), Some(client)) = (own, client) {
        let sites = match &common.site {
            Some(site) => vec![site.clone()],
            None => settings.sites.clone(),
        };
        let words = matches.get_many::<String>("devices").into_iter().flatten();
        let wanted: Result<Vec<Base>, _> =
            words.map(|word| settings.base_at(common.site.as_deref(), word)).collect();
        let wanted = wanted.map_err(Failure::usage)?;
        let mut survey = Survey::new(client, identity.clone(), sites);
        let broker = settings.broker.each().into_iter().find(|it| it.address == *survey.address());
        rights(&mut survey, broker.as_ref().unwrap_or(&settings.broker), &mut report).await?;
        let devices: Vec<_> = survey.close().await.into_values().collect();
        for (index, (base, device)) in devices.iter().enumerate() {
            if !wanted.is_empty() && !wanted.contains(base) {
                continue;
            }
            let others = devices.iter().enumerate().filter(|(other, _)| *other != index);
            let others: Vec<f64> = others.filter_map(|(_, (_, other))| other.clock_ahead_s).collect();
            let judge = Judge {
                base,
                device,
                identity: &identity,
                can_sign: settings.broker.can_sign(),
                others_ahead_s: &others,
                is_cleared: cleared.contains(base),
                now: Now::read(),
            };
            report.about(base.to_string())?;
            report.add_all(judge.findings())?;
        }
        for base in wanted.iter().filter(|base| !devices.iter().any(|(known, _)| known == *base)) {
            report.about(base.to_string())?;
            report.add(unheard(&base.to_string(), base.device()))?;
        }
    }
    report.finish(matches.get_flag("strict"))
}

/// What may I do? Needs no device, but learns of all.
async fn rights(survey: &mut Survey, broker: &BrokerSettings, report: &mut Report) -> Result<(), Failure> {
    let sites = survey.sites.clone();
    let read = async {
        within(survey.limit(), survey.collect()).await?;
        within(survey.limit(), survey.ping()).await
    };
    if let Err(error) = read.await {
        return lost(report, &BEHIND, error);
    }
    let states =
        survey.devices.values().filter(|(_, device): &&(Base, Device)| device.view.state.is_some()).count();
    report.add(match survey.devices.len() {
        0 => unheard(&format!("any device of {}", sites.join(", ")), "DEVICE"),
        1 => Finding::ok(Check::Read, format!("1 device, {states} with a state")),
        devices => Finding::ok(Check::Read, format!("{devices} devices, {states} with a state")),
    })?;
    match within(survey.limit(), survey.trespass()).await {
        Ok(taken) => {
            report.add_all(trespasses(&taken))?;
            // Of a list that is not in force nothing else can be expected.
            if taken == Taken::default() {
                promises::examine(survey, broker, report).await?;
            } else {
                report.skip(&PROMISES)?;
            }
        }
        Err(error) => return lost(report, BEHIND.get(1..).unwrap_or_default(), error),
    }
    match within(survey.limit(), survey.delay()).await {
        Ok(delay) => report.add(delayed(delay, survey.round_trip())),
        Err(error) => lost(report, &[Check::Delay], error),
    }
}

/// The connection broke during the first of these checks.
pub(super) fn lost(report: &mut Report, checks: &[Check], error: String) -> Result<(), Failure> {
    let Some((first, rest)) = checks.split_first() else { return Ok(()) };
    let remedy = "look again in a moment; if it lasts, systemctl status mosquitto on the broker's machine";
    report.add(Finding::failure(*first, EXIT_UNREACHABLE, error, remedy))?;
    report.skip(rest)
}

/// Not longer than a check may take.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, String> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the broker did not answer within {} s", limit.as_secs())),
    }
}

fn unheard(of: &str, device: &str) -> Finding {
    Finding::failure(
        Check::Read,
        EXIT_UNREACHABLE,
        format!(
            "nothing is known of {of}: its bridge has never run on this broker, or the access list is for another site"
        ),
        format!(
            "on the bridge's machine: systemctl status '*-bridge@*'; is the site right (sites in the settings), and the \
             one in the access list (obsbus acl --site SITE)?{}",
            if device == "DEVICE" { "" } else { " `obsbus list` shows what there is" }
        ),
    )
}

fn trespasses(taken: &Taken) -> [Finding; 2] {
    let open = Code::AclOpen.number();
    let reload = "then systemctl reload mosquitto";
    match (taken.names.first(), taken.states.first()) {
        (None, None) => [Finding::ok(Check::Names, "refused"), Finding::ok(Check::State, "refused")],
        (Some(name), Some(state)) => {
            let text = format!(
                "the broker takes everything from you, also commands in another's name ({name}): its access list is \
                 not in force, or much too wide"
            );
            let remedy = format!(
                "name the access list in the broker's configuration (acl_file /etc/mosquitto/obsbus.acl), restore the \
                 shipped one (obsbus acl --site SITE), {reload}"
            );
            let states = format!("the broker lets you publish the topics of devices ({state})");
            [
                Finding::failure(Check::Names, open, text, remedy),
                Finding::failure(Check::State, EXIT_FAILED, states, "the same"),
            ]
        }
        (Some(name), None) => {
            let text =
                format!("the access list is too wide: it lets you send commands in another's name ({name})");
            let remedy = format!(
                "only `pattern write +/+/command/%u/+` may grant commands: remove what grants more, {reload}"
            );
            [Finding::failure(Check::Names, open, text, remedy), Finding::ok(Check::State, "refused")]
        }
        (None, Some(state)) => {
            let text =
                format!("the access list is too wide: it lets you publish the topics of devices ({state})");
            let remedy = format!(
                "only a bridge may be granted its own topics, one by one: remove what grants more, {reload}"
            );
            [Finding::ok(Check::Names, "refused"), Finding::failure(Check::State, EXIT_FAILED, text, remedy)]
        }
    }
}

fn delayed(delay: Option<Duration>, round_trip: Duration) -> Finding {
    let Some(delay) = delay else { return Finding::skipped(Check::Delay, "") };
    let (waits, round_trip) = (broker::milliseconds(delay), broker::milliseconds(round_trip));
    if delay < DELAYED {
        return Finding::ok(Check::Delay, format!("none; the broker answers in {round_trip}"));
    }
    let text = format!(
        "the broker's second packet waits {waits} for the acknowledgement of the first: set_tcp_nodelay is missing"
    );
    Finding::warning(
        Check::Delay,
        text,
        "add `set_tcp_nodelay true` to the broker's configuration (obsbus.conf), and restart it",
    )
}
