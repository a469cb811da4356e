"""The package as it is installed: its program starts without the source beside it."""

import os
import shutil
import subprocess
import sys

import obsbus_gateway
from conftest import HERE


def test_the_package_installs_and_its_program_runs(tmp_path):
    source, target = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(HERE.parent, source, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        # What it needs is there already.
        pip + ["--no-index", "--no-deps", "--no-build-isolation", "--target", target, source], check=True, timeout=120
    )
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [target / "bin/obsbus-gateway", "--version"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == f"obsbus-gateway {obsbus_gateway.__version__}\n", done
    checked = subprocess.run(
        [target / "bin/obsbus-gateway", "--check-config", HERE.parent / "clasp.toml"],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )
    assert checked.returncode == 64 and "/etc/obsbus/ca.pem: expected a file" in checked.stderr


def unit(path):
    """The lines of a unit's [Service] after its user, where the hardening is."""
    text = path.read_text().split("[Service]")[1].split("[Install]")[0]
    return {line for line in text[text.index("User="):].splitlines() if line and not line.startswith("#")}


def test_the_unit_has_the_hardening_of_the_bridges():
    bridge = unit(HERE.parents[1] / "systemd/bridge@.service")
    ours = unit(HERE.parent / "systemd/obsbus-gateway@.service")
    # The user, the serial port and the state folder.
    theirs_alone = {line for line in bridge - ours}
    assert {line.split("=")[0] for line in theirs_alone} == {
        "User", "Group", "SupplementaryGroups", "StateDirectory", "StateDirectoryMode", "DeviceAllow",
    }
    assert {"User=obsbus-gateway", "Group=obsbus-gateway"} <= ours
    assert "PrivateDevices=yes" in ours
