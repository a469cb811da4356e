"""Machines of the predecessors: their packages, with a daemon that has the port, and dnf.

Debian has no dnf, and no Rocky Linux can be booted here. So a few lines do with rpm what the pages ask of dnf:
which packages take the place of which, what their scriptlets do and what remains of settings is rpm's own."""

import shutil
import subprocess

from machine import ROOT

RELEASE = "20241118"
# What the pages are about, and nothing else of them.
UNIT = """\
[Unit]
Description=Daemon of an instrument

[Service]
ExecStart=/usr/bin/DAEMON /etc/DAEMON/%i.json

[Install]
WantedBy=multi-user.target
"""
DAEMON = """\
#!/bin/sh
exec sleep infinity <>/dev/DEVICE
"""
CLIENT = """\
#!/bin/sh
echo "the predecessor's $0 $*"
"""
# --nodeps: what Debian has installed, such as a shell and mosquitto, is not known to rpm.
DNF = """\
#!/bin/sh
set -e
action=$1
shift
[ "$1" != -y ] || shift
case "$action $1" in
    'install epel-release') ;;
    download*) for name; do cp "/var/cache/dnf/$name.rpm" .; done ;;
    install* | upgrade*) rpm --upgrade --nodeps "$@" ;;
    downgrade*) rpm --upgrade --oldpackage --nodeps "$@" ;;
    remove*) rpm --erase $(rpm --query --all "$@") ;;
    *) echo "dnf $action is not known here" >&2 && exit 1 ;;
esac
"""

# Of CLASP, though the fixture is of nowhere.
SETTINGS = (
    (ROOT / "chiller-bridge/tests/fixtures/predecessor.json")
    .read_text()
    .replace("/dev/water", "/dev/chiller")
    .replace("@alpha", "@clasp")
)


def server(daemon, device):
    return [
        (f"/usr/bin/{daemon}", DAEMON.replace("DEVICE", device), 0o755),
        (f"/usr/lib/systemd/system/{daemon}@.service", UNIT.replace("DAEMON", daemon), 0o644),
    ]


# The files of each package: where, text, mode.
PACKAGES = {
    "rockit-chiller-server": server("chillerd", "chiller"),
    "rockit-chiller-client": [("/usr/bin/chiller", CLIENT, 0o755)],
    "rockit-chiller-data-clasp": [("/etc/chillerd/clasp.json", SETTINGS, 0o644)],
    "rockit-focuser-ok3z-server": [*server("focusd", "focuser"), ("/etc/focusd/clasp.json", "{}", 0o644)],
    "rockit-focuser-ok3z-client": [("/usr/bin/focus", CLIENT, 0o755)],
}


def build(folder):
    """The predecessor's packages."""
    made = []
    for name, files in PACKAGES.items():
        tree = folder / name
        for path, text, mode in files:
            file = tree / path[1:]
            file.parent.mkdir(parents=True)
            file.write_text(text)
            file.chmod(mode)
        spec = folder / f"{name}.spec"
        spec.write_text(
            f"Name: {name}\nVersion: {RELEASE}\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n"
            f"%description\nx\n%install\ncp -a {tree}/. %{{buildroot}}/\n"
            + "%files\n"
            + "".join(f"{'%config(noreplace) ' if path.startswith('/etc') else ''}{path}\n" for path, _, _ in files)
        )
        defined = {"_topdir": folder / "rpmbuild", "_rpmdir": folder, "_build_name_fmt": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm"}
        options = [word for key, value in defined.items() for word in ["--define", f"{key} {value}"]]
        subprocess.run(["rpmbuild", "-bb", "--quiet", *options, spec], check=True)
        made.append(folder / f"{name}-{RELEASE}-1.noarch.rpm")
    return made


def furnish(machine, packages):
    """Makes the machine one on which these packages run, and which has dnf."""
    machine.write("/usr/bin/dnf", DNF, 0o755)
    cache = machine.root / "var/cache/dnf"
    cache.mkdir(parents=True)
    for package in packages:
        shutil.copy(package, cache)
    machine.run("apt-get install --yes rpm psmisc less mosquitto mosquitto-clients", limit=300)
    machine.run("rpm --install --nodeps /var/cache/dnf/*.rpm && systemctl daemon-reload && systemctl enable --now chillerd@clasp focusd@clasp")
