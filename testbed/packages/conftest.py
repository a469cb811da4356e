"""Finds the packages that `tools/test-packages` has built."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from family import Deb, Rpm, name_of, run  # noqa: E402
from machine import Machine  # noqa: E402

REPOSITORY = Path(__file__).parents[2]


def packages_in(folder, family):
    found = {name_of(package): package for package in folder.glob(f"*.{family.suffix}")}
    assert found, f"no .{family.suffix} in {folder}: make test-packages builds them"
    return found


@pytest.fixture(scope="session")
def bridges():
    """The bridges that are packaged: all but the example."""
    folders = sorted(folder.name for folder in REPOSITORY.glob("*-bridge"))
    return [folder for folder in folders if "packaged = false" not in (REPOSITORY / folder / "Cargo.toml").read_text()]


@pytest.fixture(params=[Deb, Rpm], ids=["deb", "rpm"], scope="session")
def family(request):
    return request.param


@pytest.fixture(scope="session")
def packages(family):
    return packages_in(REPOSITORY / "target/packages", family)


@pytest.fixture(scope="session")
def packages_before(family):
    """The same build under a lower version."""
    return packages_in(REPOSITORY / "target/packages-before", family)


@pytest.fixture(scope="session")
def distribution(family, tmp_path_factory):
    return family.distribution(tmp_path_factory.mktemp("distribution"))


@pytest.fixture
def machine(family, distribution, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can install packages in a folder")
    machine = Machine(tmp_path / "root", family)
    # systemd-tmpfiles asks for it. `tools/test-packages` sees to it that the mount is this process's own.
    run("mount", "-t", "proc", "proc", machine.path("/proc"))
    try:
        machine.install(distribution)
        yield machine
    finally:
        run("umount", machine.path("/proc"))
        shutil.rmtree(machine.root)
