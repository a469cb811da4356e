//! The command line of `obsbus identity`. clap types, nothing else.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::vault;

/// The heading of the options that every command has.
const PLACES: &str = "Authority and machine";

/// `obsbus identity`.
#[must_use]
pub fn command() -> Command {
    Command::new("identity")
        .about("Make and revoke the certificates by which the broker knows everybody")
        .after_help(
            "An identity is the common name of a certificate. `broker` is the broker's own; names that end \
             in -bridge are bridges; all others are people and services.",
        )
        .arg_required_else_help(true)
        .subcommand_required(true)
        .arg(
            Arg::new("ca")
                .long("ca")
                .global(true)
                .help_heading(PLACES)
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help(format!("The authority's folder [default: {}]", vault::DEFAULT)),
        )
        .arg(
            Arg::new("passphrase-file")
                .long("passphrase-file")
                .global(true)
                .help_heading(PLACES)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Its first line is the passphrase of the authority's key [default: asks]"),
        )
        .arg(
            Arg::new("root")
                .long("root")
                .global(true)
                .help_heading(PLACES)
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .default_value("/")
                .hide_default_value(true)
                .help("Work on the machine whose files are below this folder, such as an image"),
        )
        .subcommand(init())
        .subcommand(issue())
        .subcommand(allow())
        .subcommand(install())
        .subcommand(renew())
        .subcommand(revoke())
        .subcommand(crl())
        .subcommand(list())
        .subcommand(request())
        .subcommand(sign())
}

fn init() -> Command {
    Command::new("init").about("Make the observatory's authority; asks for a passphrase for its key").arg(
        Arg::new("no-passphrase")
            .long("no-passphrase")
            .action(ArgAction::SetTrue)
            .conflicts_with("passphrase-file")
            .help("Leave the authority's key unprotected: whoever reads it can be anybody on the bus"),
    )
}

fn issue() -> Command {
    Command::new("issue")
        .about("Make a key and a certificate for each NAME")
        .arg(names().help(
            "broker (a further one: broker-b, with --server), KIND-bridge, or the name of a person or a service",
        ))
        .arg(server())
        .arg(install_flag())
        .arg(
            Arg::new("control")
                .long("control")
                .value_name("BRIDGE")
                .num_args(0..)
                .require_equals(true)
                .value_delimiter(',')
                .help(
                    "Let the people and services among them command these bridges of this machine, such as \
                     --control=focuser-bridge; without a name all of them",
                ),
        )
        .args(told())
        .arg(out())
}

fn allow() -> Command {
    Command::new("allow")
        .about("Let NAME command bridges of this machine: adds it to their control_clients, and reloads them")
        .arg(name())
        .arg(
            Arg::new("bridges")
                .num_args(0..)
                .value_name("BRIDGE")
                .help("Which, such as focuser-bridge [default: all that have settings on this machine]"),
        )
}

fn install() -> Command {
    Command::new("install")
        .about("Put what another machine has issued, signed or renewed into its place on this one")
        .arg(
            Arg::new("folder")
                .required(true)
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("The folder that was carried here"),
        )
        .args(told())
}

fn renew() -> Command {
    Command::new("renew")
        .about("Make a new certificate for the same key; it takes the place of the old one")
        .arg(names().required(false).required_unless_present("due").help("Which identities"))
        .arg(
            Arg::new("due")
                .long("due")
                .action(ArgAction::SetTrue)
                .conflicts_with("names")
                .help("All that this machine uses and that end soon; exit code 1 if some are left to renew"),
        )
        .arg(
            Arg::new("within")
                .long("within")
                .value_name("DAYS")
                .value_parser(days)
                .default_value("60")
                .requires("due")
                .help("Days that count as soon; 60d is the same as 60"),
        )
        .arg(server().conflicts_with("due").help("Further names of the server"))
        .arg(out())
}

fn revoke() -> Command {
    Command::new("revoke")
        .about("Take all rights from NAME at once, and refuse its connections")
        .arg(name())
        .arg(
            Arg::new("crl").long("crl").value_name("FILE").value_parser(value_parser!(PathBuf)).help(
                "On the broker's machine, if the authority is elsewhere: the list that it has made there",
            ),
        )
}

fn crl() -> Command {
    Command::new("crl").about("Make the list of revoked certificates, for bridges that verify signatures")
}

fn list() -> Command {
    Command::new("list")
        .about("Show all identities, with the dates at which they end")
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one line of JSON"))
}

fn request() -> Command {
    Command::new("request")
        .about("Make a key on this machine, and a request that is carried to the authority")
        .arg(name())
        .arg(server())
        .args(told())
        .arg(out().help("Folder in which NAME.csr is written"))
}

fn sign() -> Command {
    Command::new("sign")
        .about("Sign a request; the key stays where it was made")
        .arg(
            Arg::new("file")
                .required(true)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The request, NAME.csr"),
        )
        .arg(out())
}

fn days(text: &str) -> Result<i64, &'static str> {
    match text.strip_suffix('d').unwrap_or(text).parse() {
        Ok(days) if (0..=3650).contains(&days) => Ok(days),
        _ => Err("expected days, 0 to 3650"),
    }
}

fn name() -> Arg {
    Arg::new("name").required(true).value_name("NAME").help("The identity")
}

fn names() -> Arg {
    Arg::new("names").required(true).num_args(1..).value_name("NAME")
}

fn server() -> Arg {
    Arg::new("server").long("server").value_name("HOST").num_args(1..).action(ArgAction::Append).help(
        "Names and addresses under which clients reach the server; localhost and this machine's name are \
         always included",
    )
}

fn install_flag() -> Arg {
    Arg::new("install").long("install").action(ArgAction::SetTrue).conflicts_with("out").help(
        "Put the files where this machine's programs read them [default: a folder NAME to carry elsewhere]",
    )
}

fn out() -> Arg {
    Arg::new("out")
        .long("out")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .default_value(".")
        .help("Folder in which the folder NAME is made")
}

/// Where a client's files go, and what a person's settings are told.
fn told() -> [Arg; 3] {
    [
        Arg::new("service").long("service").value_name("NAME").conflicts_with("user").help(
            "Install a client's files for this service of the machine, in the folder /etc/obsbus/NAME that its package \
             has made",
        ),
        Arg::new("user")
            .long("user")
            .value_name("LOGIN")
            .help("Install a person's files for this user of the machine [default: who calls, also by sudo]"),
        Arg::new("broker")
            .long("broker")
            .value_name("HOST")
            .help("The broker's host in a person's settings [default: that of /etc/obsbus/client.toml, else localhost]"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn days_may_have_their_unit() {
        assert_eq!((days("60"), days("60d")), (Ok(60), Ok(60)));
        assert!(days("2w").is_err() && days("-1").is_err() && days("").is_err());
    }
}
