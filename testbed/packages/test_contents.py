"""What is in the packages, without installing them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import REPOSITORY, packages_in
from family import Deb, Rpm, run

# What one family has and the other has not: its own papers, its folders for completions, and a
# tool that restarts services.
OWN = r"/usr/share/doc/obsbus-[^/]+/|/usr/share/licenses/|/usr/share/zsh/|/etc/needrestart/"
# Units of `obsbus NAME`, which itself is in obsbus-cli.
SERVICES = ["alpaca", "archive", "metrics"]
PARTS = [*(f"obsbus-{name}" for name in SERVICES), "obsbus-bridges", "obsbus-broker", "obsbus-cli", "obsbus-gateway"]

# A bridge without an instrument.
ALERTER = "alert-bridge"


def sites():
    return sorted(file.name for file in (REPOSITORY / "deploy/sites").iterdir())


def serials(site):
    lines = (REPOSITORY / "deploy/sites" / site).read_text().splitlines()
    return dict(line.split() for line in lines if line and not line.startswith("#"))


def test_there_is_a_package_for_each_part_and_each_site(packages):
    assert sorted(packages) == sorted([*PARTS, *(f"obsbus-data-{site}" for site in sites())])


def test_lintian_finds_no_error():
    done = run("lintian", "--fail-on", "error", "--allow-root", *(REPOSITORY / "target/packages").glob("*.deb"), check=False)
    assert done.returncode == 0, done.stdout


def test_rpmlint_finds_no_error():
    rules = Path(__file__).with_name("rpmlint.toml")
    done = run("rpmlint", "--config", rules, *(REPOSITORY / "target/packages").glob("*.rpm"), check=False)
    assert re.search(r" 0 errors", done.stdout), done.stdout


def test_both_families_install_the_same_files():
    folder = REPOSITORY / "target/packages"
    debs, rpms = packages_in(folder, Deb), packages_in(folder, Rpm)
    for name in debs:
        listed = [{file: mode for file, (mode, _) in family.files(package).items() if not re.match(OWN, file)}
                  for family, package in [(Deb, debs[name]), (Rpm, rpms[name])]]
        assert listed[0] == listed[1], name


def example_kind():
    """The instrument of docs/new-instrument.md: the only one that no package has."""
    manifests = REPOSITORY.glob("*-bridge/Cargo.toml")
    [example] = [file.parent.name for file in manifests if "packaged = false" in file.read_text()]
    return example.removesuffix("-bridge")


def test_a_new_instrument_needs_no_line_elsewhere(tmp_path):
    for file in ["Cargo.toml", "tools/packages", *(path.relative_to(REPOSITORY) for path in REPOSITORY.glob("*-bridge/**/Cargo.toml"))]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / file, tmp_path / file)
    before = run(tmp_path / "tools/packages", "--print-crates").stdout.split()
    # As docs/new-instrument.md says; without a command of its own.
    example = example_kind()
    manifest = (REPOSITORY / f"{example}-bridge/Cargo.toml").read_text().replace(example, "powerbox")
    (tmp_path / "powerbox-bridge").mkdir()
    (tmp_path / "powerbox-bridge/Cargo.toml").write_text(manifest.replace("packaged = false\n", ""))
    after = run(tmp_path / "tools/packages", "--print-crates").stdout.split()
    assert [word for word in after if word not in before] == ["powerbox-bridge"]
    assert f"{example}-bridge" not in after


def test_every_bridge_but_the_example_has_its_program_its_unit_and_its_settings(family, packages, bridges):
    assert f"{example_kind()}-bridge" not in bridges and len(bridges) >= 2
    files = family.files(packages["obsbus-bridges"])
    for bridge in [*bridges, ALERTER]:
        assert files[f"/usr/bin/{bridge}"][0] == "-rwxr-xr-x"
        assert files[f"/usr/lib/systemd/system/{bridge}@.service"][0] == "-rw-r--r--"
    assert "/usr/share/doc/obsbus/alert-bridge.toml" in files
    for bridge in bridges:
        for site in sites():
            assert f"/etc/obsbus/{bridge}/{site}.toml" in family.files(packages[f"obsbus-data-{site}"])
    assert not any(example_kind() in file for package in packages.values() for file in family.files(package))


def test_every_program_has_its_page_and_every_command_completes(family, packages):
    zsh = {Deb: "vendor-completions", Rpm: "site-functions"}[family]
    files = {file for package in packages.values() for file in family.files(package)}
    for program in [file for file in files if file.startswith(("/usr/bin/", "/usr/sbin/"))]:
        name = Path(program).name
        if name.endswith("-bridge"):
            pages = [f"man8/{name}.8", f"man5/{name}.toml.5"]
        elif program.startswith("/usr/sbin/"):
            pages = [f"man8/{name}.8"]
        else:
            pages = [f"man1/{name}.1"]
            for script in [f"bash-completion/completions/{name}", f"zsh/{zsh}/_{name}", f"fish/vendor_completions.d/{name}.fish"]:
                assert f"/usr/share/{script}" in files, script
        for page in pages:
            assert f"/usr/share/man/{page}.gz" in files, page


def test_whatever_is_in_etc_are_settings_which_an_upgrade_keeps(family, packages):
    for package in packages.values():
        in_etc = {file for file in family.files(package) if file.startswith("/etc/")}
        assert family.settings(package) == in_etc, package.name


def test_nothing_belongs_to_anybody_but_root(family, packages):
    for package in packages.values():
        owners = {owner for _, owner in family.files(package).values()}
        assert owners == {"root:root"}, package.name


def test_no_two_packages_that_go_together_have_the_same_file(family, packages):
    for site in sites():
        owner = {}
        for name in [*PARTS, f"obsbus-data-{site}"]:
            for file in family.files(packages[name]):
                assert owner.setdefault(file, name) == name, file


def test_the_presets_start_no_bridge(family, packages, bridges):
    text = family.text(packages["obsbus-bridges"], "/usr/lib/systemd/system-preset/90-obsbus.preset")
    assert text.splitlines() == [f"disable {bridge}@.service" for bridge in [*bridges, ALERTER]]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_user_and_a_unit_that_nothing_enables_and_its_settings_come_with_the_site(family, packages, service):
    name = f"obsbus-{service}"
    unit = family.text(packages[name], f"/usr/lib/systemd/system/{name}.service")
    users = family.text(packages[name], f"/usr/lib/sysusers.d/{name}.conf")
    assert f"\nUser={name}\n" in unit and re.search(rf"^u +{name} ", users, re.M)
    assert f"/etc/obsbus/{service}.toml" in unit
    assert family.text(packages[name], f"/usr/lib/systemd/system-preset/90-{name}.preset") == f"disable {name}.service\n"
    for site in sites():
        settings = family.text(packages[f"obsbus-data-{site}"], f"/etc/obsbus/{service}.toml")
        assert f'\nsite = "{site}"\n' in settings or f'\nsites = ["{site}"]\n' in settings
        assert f'\nkey_file = "/etc/obsbus/{name}/{service}.key"\n' in settings


def test_alpaca_is_open_to_its_own_machine_only(family, packages):
    for site in sites():
        assert "\n# allow = []\n" in family.text(packages[f"obsbus-data-{site}"], "/etc/obsbus/alpaca.toml")


def test_the_gateway_brings_the_libraries_that_were_chosen_and_their_licences(family, packages):
    package = packages["obsbus-gateway"]
    wanted = re.findall(r"^([\w-]+)==([\d.]+)", (REPOSITORY / "deploy/compat/requirements.txt").read_text(), flags=re.M)
    assert len(wanted) == 4
    files = family.files(package)
    [licences] = [file for file in files if file.endswith("LICENCES.libraries")]
    text = family.text(package, licences)
    for name, version in wanted:
        library = f"{name.replace('-', '_')}-{version}"
        assert f"/usr/lib/obsbus-gateway/{library}.dist-info/METADATA" in files
        assert f"{library}:\n" in text
    assert text.count("Permission is hereby granted") >= 3 and "Eclipse Distribution License" in text
    modules = {path.name for path in (REPOSITORY / "deploy/compat/obsbus_gateway").glob("*.py")}
    assert {f"/usr/lib/obsbus-gateway/obsbus_gateway/{name}" for name in modules} <= set(files)
    assert not [file for file in files if file.endswith((".pyc", ".so"))]


def test_a_site_has_its_name_in_its_settings_and_in_its_access_control(family, packages):
    for site in sites():
        package = packages[f"obsbus-data-{site}"]
        acl = run(program("obsbus"), "acl", "--site", site).stdout
        assert family.text(package, "/etc/mosquitto/obsbus.acl") == acl
        for file in family.settings(package):
            text = family.text(package, file)
            others = [other for other in sites() if other != site and re.search(rf"\b{other}\b", text)]
            assert not others and site in text, file


def test_the_settings_of_a_site_lack_nothing_but_the_certificates(family, packages, bridges, tmp_path):
    for site in sites():
        for bridge in bridges:
            file = tmp_path / bridge / f"{site}.toml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(family.text(packages[f"obsbus-data-{site}"], f"/etc/obsbus/{bridge}/{site}.toml"))
            done = run(program(bridge), "--check-config", file, check=False)
            complaints = [line for line in done.stderr.splitlines() if re.match(rf"\S*{site}\.toml", line)]
            assert complaints, done.stderr
            for line in complaints:
                assert re.search(r"broker\.(ca|certificate|key)_file: .* does not exist", line) or "serial_port" in line, line


def test_the_rules_of_a_site_have_the_serial_numbers_of_its_adapters(family, packages, bridges):
    for site in sites():
        known = serials(site)
        assert known
        for bridge in bridges:
            kind = bridge.removesuffix("-bridge")
            rules = family.text(packages[f"obsbus-data-{site}"], f"/usr/lib/udev/rules.d/60-obsbus-{kind}.rules")
            lines = [line for line in rules.splitlines() if line and not line.startswith("#")]
            assert lines and all(f'ATTRS{{serial}}=="{known.get(kind, "SERIAL")}"' in line for line in lines), rules


def test_no_scriptlet_restarts_or_enables_or_starts_a_bridge(family, packages):
    for package in packages.values():
        scripts = family.scripts(package)
        assert not re.search(r"systemctl.*\b(re)?start\b.*bridge", scripts), scripts
        assert "enable" not in scripts, scripts


def test_the_scriptlets_are_clean_shell(family, packages):
    for package in packages.values():
        script = re.sub(r"^(pre|post)(un)?install scriptlet.*$", "", family.scripts(package), flags=re.M)
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_the_rpms_name_what_they_replace():
    packages = packages_in(REPOSITORY / "target/packages", Rpm)
    replaced = {
        "obsbus-cli": {"rockit-chiller-client", "rockit-focuser-ok3z-client"},
        "obsbus-bridges": {"rockit-chiller-server", "rockit-focuser-ok3z-server"},
        "obsbus-data-clasp": {"rockit-chiller-data-clasp"},
        "obsbus-data-ngts-m06": {"rockit-focuser-ok3z-data-ngts-m06"},
    }
    for name, names in replaced.items():
        assert names <= set(run("rpm", "--query", "--package", "--obsoletes", packages[name]).stdout.split()), name


def program(name):
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / name
