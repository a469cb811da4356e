"""STAND-IN until the pages and `obsbus identity` are there."""
import pathlib, shutil, subprocess, tempfile
from machine import ROOT

def install(machine):
    for package in (ROOT / "target/packages").glob("*.deb"):
        if "ngts" not in package.name:
            shutil.copy(package, machine.root / "root")
    (machine.run("apt install -y ./obsbus-*.deb libfaketime", limit=300))
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        sh = lambda c: subprocess.run(c, shell=True, check=True, cwd=d, stderr=subprocess.DEVNULL)
        sh('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 3650 -nodes -subj "/CN=obsbus CA" -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt')
        for n, usage in [("server", "serverAuth"), ("chiller-bridge", "clientAuth"), ("focuser-bridge", "clientAuth"), ("ops", "clientAuth")]:
            cn = "localhost" if n == "server" else n
            sh(f'openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN={cn}" -keyout {n}.key -out {n}.csr')
            ext = f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n" + ("subjectAltName=DNS:localhost\n" if n == "server" else "")
            (d / "ext").write_text(ext)
            sh(f"openssl x509 -req -in {n}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 730 -extfile ext -out {n}.crt")
        t = lambda f: (d / f).read_text()
        machine.write("/etc/mosquitto/ca_certificates/obsbus-ca.pem", t("ca.crt"))
        machine.write("/etc/mosquitto/certs/obsbus-server.pem", t("server.crt"))
        machine.write("/etc/mosquitto/certs/obsbus-server.key", t("server.key"), 0o640)
        machine.write("/etc/obsbus/ca.pem", t("ca.crt"))
        for b in ("chiller-bridge", "focuser-bridge"):
            machine.write(f"/etc/obsbus/{b}/{b}.pem", t(f"{b}.crt"))
            machine.write(f"/etc/obsbus/{b}/{b}.key", t(f"{b}.key"), 0o640)
        machine.write("/etc/obsbus/operator.pem", t("ops.crt"))
        machine.write("/etc/obsbus/operator.key", t("ops.key"), 0o600)
    for f in (machine.root / "etc/obsbus").glob("**/*.toml"):
        f.write_text(f.read_text().replace("broker.example.org", "localhost"))
    machine.run("systemd-tmpfiles --create obsbus.conf obsbus-broker.conf && systemctl restart mosquitto && systemctl enable --now chiller-bridge@clasp focuser-bridge@clasp")
