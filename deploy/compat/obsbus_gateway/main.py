"""The program `obsbus-gateway`: arguments, signals, exit codes."""

import argparse
import os
import pathlib
import pwd
import signal
import sys

from . import __version__, certificates, log
from .clock import utc_now
from .failures import Failures
from .settings import SettingsError, load

USAGE = 64


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(arguments=None):
    parser = _Parser(
        prog="obsbus-gateway",
        description="Publishes camera power and dome of the old Pyro services on the bus, and offers chiller "
        "and focuser to Pyro clients as their old daemons did.",
    )
    parser.add_argument("settings", metavar="FILE", help="settings, such as /etc/obsbus/obsbus-gateway/clasp.toml")
    parser.add_argument("--check-config", action="store_true", help="check settings and TLS files, and end")
    parser.add_argument("--version", action="version", version=f"obsbus-gateway {__version__}")
    parser.add_argument(
        "--user", metavar="NAME", default="obsbus-gateway",
        help="with --check-config: whose rights root checks with, which may read every file itself [default: %(default)s]",
    )
    options = parser.parse_args(arguments)
    if options.check_config and os.geteuid() == 0:
        _become(options.user)
    try:
        settings = load(options.settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return USAGE
    wrong, warnings = certificates.problems(settings.broker, settings.accounts(), utc_now())
    warnings = _misnamed(options.settings, settings.site) + warnings
    if options.check_config:
        return _report(options.settings, wrong, warnings)
    return _run(settings, wrong, warnings)


def _become(name):
    """For good: the process only checks."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        print(f"warning: there is no user {name}: this checks with the rights of root", file=sys.stderr)
        return
    os.initgroups(name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _misnamed(path, site):
    """The unit finds its settings by the name of the site."""
    path = pathlib.Path(path).absolute()
    if path.parent.name != "obsbus-gateway" or path.stem == site:
        return []
    return [
        f'{path}: site: "{site}" is not the name of the file: expected {path.stem}, or {site}{path.suffix} as the name; the unit '
        f"obsbus-gateway@{path.stem} would be the gateway of {site}"
    ]


def _report(path, wrong, warnings):
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        return USAGE
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = os.geteuid()
    print(f"{path}: the settings are valid (checked as user {user}, without contacting broker and services)")
    return 0


def _run(settings, wrong, warnings):
    log.set_up()
    failures = Failures()
    failures.began()
    # Not before the settings are known to be good: this takes a moment.
    from .gateway import END_AT_REST, LOG, STOP, Gateway

    # The files may become good while it runs.
    for line in wrong + warnings:
        LOG.warning("%s", line)
    # Before there is another thread: the main one waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP | END_AT_REST)
    gateway = Gateway(settings, failures)
    gateway.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
