"""Installing on a bare machine, by the commands of docs/install.md, as they are printed there."""

import re
import shutil

from machine import ROOT, wait_for

PACKAGES = ROOT / "target/packages"
PASSPHRASE = "correct horse battery"
ANSWERS = {
    word: PASSPHRASE for word in ("passphrase", "Passphrase", "The same again", "Password: ", "Reenter password: ")
}


def blocks(page, mark):
    """The blocks of a page that have this mark, commands or settings."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(rf"^( *)<!-- {re.escape(mark)} -->\n+ *```\w+\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    assert found, f"docs/{page} has no block that {mark}"
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def commands(page, mark):
    """The commands of these blocks."""
    return [line for block in blocks(page, mark) for line in block.splitlines()]


def packages(ending="deb", folder=PACKAGES):
    """The files that somebody installs who follows the page, for the site clasp."""
    names = ("obsbus-bridges", "obsbus-broker", "obsbus-cli", "obsbus-data-clasp")
    found = [file for file in folder.glob(f"*.{ending}") if re.match(rf"({'|'.join(names)})[_-]\d", file.name)]
    assert len(found) == 4, f"{folder} has {found}; run: make test-packages"
    return found


def bring(machine, *names):
    """Puts further packages beside those that are installed."""
    for name in names:
        [found] = PACKAGES.glob(f"{name}_*.deb")
        shutil.copy(found, machine.root / "root")


def prepare(machine, files=None):
    """What is there before anybody reads the page: a user, and the packages."""
    machine.run("useradd --create-home alice")
    for package in files or packages():
        shutil.copy(package, machine.root / "root")


def run_block(machine, page, mark, user="root", answers=None):
    """Types a block into one shell, as it is printed; returns what it showed."""
    return "".join(machine.type(f"set -e\n{block}", answers or ANSWERS, user=user).out for block in blocks(page, mark))


def install(machine):
    """Follows the page as far as the last of the six commands; returns them, and what each showed."""
    as_root = commands("install.md", "runs on a bare Debian, as root")
    as_alice = commands("install.md", "runs on a bare machine, as alice")
    shown = [(command, machine.type(command, ANSWERS).out) for command in as_root]
    # Whoever types the next one needs longer for it than a bridge for its first reading.
    wait_for("a chiller that is read", lambda: machine.run(as_alice[0], user="alice", check=False).code == 0, 10)
    return shown + [(command, machine.type(command, {}, user="alice").out) for command in as_alice]


def install_the_rest(machine):
    """Goes on on the page: the focuser, and who may command."""
    for command in commands("install.md", "runs after the six, as root"):
        machine.type(command, ANSWERS)
    for command in commands("install.md", "runs after the six, as alice"):
        machine.type(command, {}, user="alice")
