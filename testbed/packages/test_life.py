"""Installed, upgraded and removed in a folder that has what the scriptlets call."""

import pytest

from family import Rpm, run


def all_of(packages, site="clasp"):
    return [package for name, package in packages.items() if not name.startswith("obsbus-data-") or name.endswith(site)]


def names_of(packages, site="clasp"):
    return [name for name in packages if not name.startswith("obsbus-data-") or name.endswith(site)]


def systemctl(machine):
    return [call.removeprefix("systemctl ") for call in machine.calls() if call.startswith("systemctl ")]


def test_the_first_installation_starts_nothing(machine, packages):
    machine.install(*all_of(packages))
    assert set(systemctl(machine)) == {"daemon-reload"}


def test_the_user_is_made_and_only_it_may_read_the_settings_and_keys(machine, packages, bridges):
    machine.install(*all_of(packages))
    assert machine.group("obsbus") is not None
    for bridge in bridges:
        folder = machine.path(f"/etc/obsbus/{bridge}").stat()
        assert (folder.st_mode & 0o7777, folder.st_uid, folder.st_gid) == (0o750, 0, machine.group("obsbus"))


def test_the_access_control_belongs_to_mosquitto(machine, packages):
    machine.install(*all_of(packages))
    acl = machine.path("/etc/mosquitto/obsbus.acl").stat()
    assert (acl.st_mode & 0o7777, acl.st_gid) == (0o640, machine.group("mosquitto"))
    # What the broker would not start with is not where it looks.
    assert not machine.path("/etc/mosquitto/conf.d").exists()


def test_a_folder_whose_mode_cannot_be_set_does_not_leave_the_packages_half_installed(machine, packages):
    """As in a chroot without /proc, or below a folder that somebody has made by hand."""
    program = machine.path("/usr/bin/systemd-tmpfiles")
    program.unlink()
    program.write_text("#!/bin/sh\necho 'cannot do it' >&2\nexit 73\n")
    program.chmod(0o755)
    machine.install(*all_of(packages))


def test_adapters_that_are_plugged_in_get_their_names_at_once(machine, packages):
    machine.install(*all_of(packages))
    udevadm = [call for call in machine.calls() if call.startswith("udevadm ")]
    assert udevadm[0] == "udevadm control --reload" and udevadm[1].startswith("udevadm trigger --action=add ")


def test_an_upgrade_tells_the_bridges_to_end_at_rest_and_stops_nothing(machine, packages, packages_before, bridges):
    machine.install(*all_of(packages_before))
    machine.calls()
    machine.upgrade(*all_of(packages))
    called = systemctl(machine)
    for bridge in bridges:
        order = f"kill --kill-whom=main --signal=SIGUSR1 {bridge}@*.service"
        assert called.count(order) == 1
        # The unit that the new program is started by must be the new one.
        assert "daemon-reload" in called[: called.index(order)]
    # What holds no instrument, and nobody's connection, may be restarted.
    harmless = ["try-restart obsbus-archive.service", "try-restart obsbus-metrics.service"]
    others = [call for call in called if call not in harmless]
    assert not [call for call in others if call.split()[0] not in ["daemon-reload", "kill"]]


def test_an_upgrade_keeps_what_an_operator_has_set(machine, packages, packages_before):
    machine.install(*all_of(packages_before))
    edited = ["/etc/obsbus/chiller-bridge/clasp.toml", "/etc/obsbus/client.toml", "/etc/mosquitto/obsbus.acl",
              "/etc/mosquitto/obsbus/obsbus.conf"]
    for name in edited:
        machine.path(name).write_text("# mine\n")
    machine.upgrade(*all_of(packages))
    for name in edited:
        assert machine.path(name).read_text() == "# mine\n"


def enable(machine, bridge):
    """As systemctl would, with a state that the bridge has saved."""
    link = machine.path(f"/etc/systemd/system/multi-user.target.wants/{bridge}@clasp.service")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"/usr/lib/systemd/system/{bridge}@.service")
    state = machine.path(f"/var/lib/obsbus/{bridge}/clasp/mode")
    state.parent.mkdir(parents=True)
    state.write_text("manual")
    return link, state


def test_a_removal_stops_the_bridges_and_keeps_their_state_and_keys(machine, packages, bridges):
    machine.install(*all_of(packages))
    _, state = enable(machine, bridges[0])
    key = machine.path(f"/etc/obsbus/{bridges[0]}/{bridges[0]}.key")
    key.write_text("key")
    machine.calls()
    machine.remove(*names_of(packages))
    called = systemctl(machine)
    for bridge in bridges:
        assert f"stop {bridge}@*.service" in called
    assert "try-restart mosquitto.service" in called
    assert state.exists() and key.exists()
    assert not machine.path(f"/usr/bin/{bridges[0]}").exists()


def test_nothing_starts_a_bridge_at_boot_that_is_gone_for_good(machine, family, packages, bridges):
    machine.install(*all_of(packages))
    link, state = enable(machine, bridges[0])
    machine.remove(*names_of(packages))
    if family is not Rpm:
        # dpkg knows a middle way: removed, and back as it was when installed again.
        assert link.is_symlink()
        family.purge(machine.root, names_of(packages))
        assert not state.exists() and not machine.path("/etc/obsbus/client.toml").exists()
    assert not link.is_symlink()


def test_a_host_belongs_to_one_site(machine, packages):
    machine.install(*all_of(packages, "clasp"))
    refused = machine.install(packages["obsbus-data-ngts-m06"], check=False)
    assert refused.returncode != 0 and "conflicts with" in refused.stderr, refused.stderr
    machine.remove("obsbus-data-clasp")
    machine.install(packages["obsbus-data-ngts-m06"])
    assert machine.path("/etc/obsbus/chiller-bridge/ngts-m06.toml").exists()


@pytest.mark.parametrize("family", [Rpm], ids=["rpm"], indirect=True)
def test_the_predecessors_rpms_make_way(machine, packages, tmp_path):
    for name, file in [("rockit-chiller-client", "/usr/bin/chiller"), ("rockit-focuser-ok3z-client", "/usr/bin/focus")]:
        machine.install(Rpm.package(tmp_path, name, files=[file]))
    machine.upgrade(packages["obsbus-cli"])
    assert "rockit" not in run("rpm", "--root", machine.root, "--query", "--all").stdout


@pytest.mark.parametrize("family", [Rpm], ids=["rpm"], indirect=True)
def test_another_package_with_a_command_of_the_same_name_is_not_overwritten(machine, packages, tmp_path):
    machine.install(Rpm.package(tmp_path, "rockit-focuser-other-client", files=["/usr/bin/focus"]))
    refused = machine.install(packages["obsbus-cli"], check=False)
    assert refused.returncode != 0 and "/usr/bin/focus" in refused.stderr, refused.stderr
