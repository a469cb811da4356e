"""The two families of packages: how each is asked, installed and removed. The tests speak of neither."""

import re
import subprocess
from pathlib import Path

# What the programs may ask of the C library: glibc 2.34 is that of the Red Hat family's release 9.
GLIBC = ["2.2.5", "2.3", "2.3.2", "2.3.3", "2.3.4", *(f"2.{minor}" for minor in range(4, 35))]


def run(*command, check=True, **keywords):
    """The output of a command, which must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **keywords)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def name_of(package):
    return re.match(r"[a-z0-9-]*[a-z][a-z0-9]*(?=[-_]\d+\.)", package.name)[0]


class Deb:
    suffix = "deb"
    version = staticmethod(lambda version: f"{version}-1")

    @staticmethod
    def files(package):
        """Each file with its mode and its owner; folders are left out."""
        lines = run("dpkg-deb", "--contents", package).stdout.splitlines()
        found = (line.split(maxsplit=5) for line in lines if not line.startswith("d"))
        return {fields[5].removeprefix("."): (fields[0], fields[1].replace("/", ":")) for fields in found}

    @staticmethod
    def text(package, path):
        archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True).stdout
        return subprocess.run(["tar", "-xO", f".{path}"], input=archive, capture_output=True, check=True).stdout.decode()

    @staticmethod
    def settings(package):
        done = run("dpkg-deb", "--info", package, "conffiles", check=False)
        return set(done.stdout.split())

    @staticmethod
    def scripts(package):
        names = ["preinst", "postinst", "prerm", "postrm"]
        return "".join(run("dpkg-deb", "--info", package, name, check=False).stdout for name in names)

    @staticmethod
    def relations(package):
        return run("dpkg-deb", "--field", package, "Depends", "Conflicts", "Provides", "Replaces").stdout

    @staticmethod
    def distribution(folder):
        """A package that stands for what the distribution has."""
        tree = folder / "distribution"
        (tree / "DEBIAN").mkdir(parents=True)
        provides = "mosquitto (= 2.0.11), systemd (= 252), udev (= 252), python3 (= 3.11), libc6 (= 2.34), libgcc-s1 (= 11)"
        control = f"Package: distribution\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: all\nProvides: {provides}\n"
        (tree / "DEBIAN/control").write_text(control)
        run("dpkg-deb", "--root-owner-group", "--build", tree, folder / "distribution.deb")
        return folder / "distribution.deb"

    @staticmethod
    def prepare(root):
        for folder in ["info", "updates", "triggers"]:
            (root / "var/lib/dpkg" / folder).mkdir(parents=True)
        for file in ["status", "available"]:
            (root / "var/lib/dpkg" / file).touch()

    @staticmethod
    def install(root, packages, check=True):
        return run("dpkg", f"--root={root}", "--force-confold", "--install", *packages, check=check)

    upgrade = install

    @staticmethod
    def remove(root, names):
        return run("dpkg", f"--root={root}", "--remove", *names)

    @staticmethod
    def purge(root, names):
        return run("dpkg", f"--root={root}", "--purge", *names)


class Rpm:
    suffix = "rpm"
    version = staticmethod(lambda version: f"{version}-1")

    @staticmethod
    def query(package, form):
        return run("rpm", "--query", "--package", package, "--queryformat", form).stdout

    @classmethod
    def files(cls, package):
        form = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]"
        found = (line.split(maxsplit=2) for line in cls.query(package, form).splitlines())
        return {name: (mode, owner) for mode, owner, name in found if not mode.startswith("d")}

    @staticmethod
    def text(package, path):
        archive = subprocess.run(["rpm2cpio", package], capture_output=True, check=True).stdout
        command = ["cpio", "--extract", "--to-stdout", "--quiet", f".{path}"]
        return subprocess.run(command, input=archive, capture_output=True, check=True).stdout.decode()

    @classmethod
    def settings(cls, package):
        found = (line.split(maxsplit=1) for line in cls.query(package, "[%{FILEFLAGS:fflags} %{FILENAMES}\n]").splitlines())
        # c: configuration, n: not replaced.
        return {words[1] for words in found if len(words) == 2 and {"c", "n"} <= set(words[0])}

    @staticmethod
    def scripts(package):
        return run("rpm", "--query", "--package", "--scripts", package).stdout

    @staticmethod
    def relations(package):
        return run("rpm", "--query", "--package", "--requires", "--conflicts", "--provides", "--obsoletes", package).stdout

    @classmethod
    def distribution(cls, folder):
        libraries = [f"libc.so.6(GLIBC_{version})(64bit)" for version in GLIBC]
        libraries += [f"ld-linux-x86-64.so.2(GLIBC_{version})(64bit)" for version in GLIBC]
        libraries += [f"libm.so.6(GLIBC_{version})(64bit)" for version in GLIBC]
        libraries += [f"libgcc_s.so.1(GCC_{version})(64bit)" for version in ["3.0", "3.3", "3.3.1", "4.2.0"]]
        libraries += [f"{library}()(64bit)" for library in ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"]]
        system = ["/bin/sh", "rtld(GNU_HASH)", "mosquitto = 2.0.19", "systemd = 252", "systemd-udev = 252",
                  "python3 = 3.9", "/usr/bin/python3"]
        return cls.package(folder, "distribution", provides=system + libraries)

    @staticmethod
    def package(folder, name, files=(), provides=()):
        """A package with empty files."""
        spec = [f"Name: {name}", "Version: 20241118", "Release: 1", "Summary: x", "License: x", "BuildArch: noarch"]
        spec += [f"Provides: {capability}" for capability in provides]
        spec += ["%description", "x", "%install"]
        spec += [f"install -D -m 755 /dev/null %{{buildroot}}{file}" for file in files]
        spec += ["%files", *files]
        (folder / f"{name}.spec").write_text("\n".join(spec) + "\n")
        defined = {"_topdir": folder / "rpmbuild", "_rpmdir": folder, "_build_name_fmt": f"{name}.rpm"}
        options = [word for key, value in defined.items() for word in ["--define", f"{key} {value}"]]
        run("rpmbuild", "-bb", "--quiet", *options, folder / f"{name}.spec")
        return folder / f"{name}.rpm"

    @staticmethod
    def prepare(root):
        run("rpm", "--root", root, "--initdb")

    @staticmethod
    def install(root, packages, check=True):
        return run("rpm", "--root", root, "--install", *packages, check=check)

    @staticmethod
    def upgrade(root, packages, check=True):
        return run("rpm", "--root", root, "--upgrade", *packages, check=check)

    @staticmethod
    def remove(root, names):
        return run("rpm", "--root", root, "--erase", *names)
