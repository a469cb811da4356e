"""STAND-IN until the packages are there."""
import pathlib, shutil, subprocess, tempfile
from machine import ROOT
from instruments import PROGRAMS

def install(machine):
    r = machine.root
    machine.run("apt-get install -y --no-install-recommends mosquitto mosquitto-clients libfaketime", limit=300)
    for p in ("obsbus", "chiller", "focus", "chiller-bridge", "focuser-bridge"):
        shutil.copy(PROGRAMS / p, r / "usr/bin" / p)
    unit = (ROOT / "deploy/systemd/bridge@.service").read_text()
    for b in ("chiller-bridge", "focuser-bridge"):
        machine.write(f"/usr/lib/systemd/system/{b}@.service", unit)
        conf = (ROOT / f"{b}/deploy/clasp.toml").read_text().replace("broker.example.org", "localhost").replace('["ops", "scheduler"]', '["alice"]')
        machine.write(f"/etc/obsbus/{b}/clasp.toml", conf, 0o640)
    machine.write("/usr/lib/sysusers.d/obsbus.conf", (ROOT / "deploy/sysusers/obsbus.conf").read_text())
    machine.write("/etc/mosquitto/conf.d/obsbus.conf", (ROOT / "mosquitto/obsbus.conf").read_text())
    machine.write("/etc/mosquitto/obsbus.acl", (ROOT / "mosquitto/obsbus.acl").read_text())
    machine.write("/etc/obsbus/client.toml", (ROOT / "deploy/client.toml").read_text().replace("broker.example.org", "localhost"))
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        sh = lambda c: subprocess.run(c, shell=True, check=True, cwd=d, stderr=subprocess.DEVNULL)
        sh('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 3650 -nodes -subj "/CN=obsbus CA" -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt')
        for n, usage in [("server", "serverAuth"), ("chiller-bridge", "clientAuth"), ("focuser-bridge", "clientAuth"), ("alice", "clientAuth")]:
            cn = "localhost" if n == "server" else n
            sh(f'openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN={cn}" -keyout {n}.key -out {n}.csr')
            ext = f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n" + ("subjectAltName=DNS:localhost\n" if n == "server" else "")
            (d / "ext").write_text(ext)
            sh(f"openssl x509 -req -in {n}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 730 -extfile ext -out {n}.crt")
        t = lambda f: (d / f).read_text()
        machine.write("/etc/mosquitto/ca_certificates/obsbus-ca.crt", t("ca.crt"))
        machine.write("/etc/mosquitto/certs/obsbus-server.crt", t("server.crt"))
        machine.write("/etc/mosquitto/certs/obsbus-server.key", t("server.key"), 0o640)
        machine.write("/etc/obsbus/ca.pem", t("ca.crt"))
        machine.write("/var/lib/obsbus-ca/ca.key", t("ca.key"))
        for b in ("chiller-bridge", "focuser-bridge"):
            machine.write(f"/etc/obsbus/{b}/{b}.pem", t(f"{b}.crt"))
            machine.write(f"/etc/obsbus/{b}/{b}.key", t(f"{b}.key"), 0o640)
        machine.write("/etc/obsbus/operator.pem", t("alice.crt"))
        machine.write("/etc/obsbus/operator.key", t("alice.key"), 0o600)
    machine.run("systemd-sysusers && chgrp -R obsbus /etc/obsbus/*-bridge && chgrp mosquitto /etc/mosquitto/certs/*.key /etc/mosquitto/obsbus.acl"
      " && systemctl daemon-reload && systemctl restart mosquitto && systemctl enable --now chiller-bridge@clasp focuser-bridge@clasp")
