import threading, time
import pytest
from instruments import Instruments
from machine import Machine, wait_for
from observatory import *

def every(seconds, do):
    def loop():
        while not stop.wait(seconds):
            try: do()
            except Exception as e: print(e)
    stop = threading.Event()
    threading.Thread(target=loop, daemon=True).start()
    return stop

def quiet(m, i): pass
def broker_gone(m, i): m.run("systemctl stop mosquitto")
def broker_flapping(m, i): return every(5, lambda: m.run("systemctl reset-failed mosquitto; systemctl restart mosquitto"))
def silent(m, i): i.chiller.tell("fault silent"); i.focuser.tell("fault silent")
def flapping(m, i):
    def do():
        for x in (i.chiller, i.focuser): x.tell("fault silent")
        time.sleep(7)
        for x in (i.chiller, i.focuser): x.tell("clear")
    return every(7, do)
def garbled(m, i): i.chiller.tell("fault garbled"); i.focuser.tell("fault garbled")
def alternately_garbled(m, i):
    return every(1, lambda: [x.tell("fault garbled 2") for x in (i.chiller, i.focuser)])
def full(m, i):
    m.run("systemctl stop chiller-bridge@clasp focuser-bridge@clasp; mount -t tmpfs -o size=64k small /var/lib/obsbus; systemctl start chiller-bridge@clasp focuser-bridge@clasp; sleep 1; head -c 1M /dev/zero > /var/lib/obsbus/rubbish; chiller mode manual", check=False)
def wrong_certificate(m, i):
    m.run("cp /etc/obsbus/chiller-bridge/chiller-bridge.pem /etc/obsbus/focuser-bridge/focuser-bridge.pem; cp /etc/obsbus/focuser-bridge/focuser-bridge.key /etc/obsbus/chiller-bridge/chiller-bridge.key; systemctl restart chiller-bridge@clasp focuser-bridge@clasp")
def second(m, i):
    m.run("cd /etc/obsbus; for k in chiller focuser; do cp -p $k-bridge/clasp.toml $k-bridge/other.toml; systemctl start $k-bridge@other; done", check=False)
def bad_settings(m, i):
    m.run("cd /etc/obsbus; for k in chiller focuser; do sed -i '1i nonsense=1' $k-bridge/clasp.toml; systemctl restart $k-bridge@clasp; done", check=False)
def refused(m, i):
    return every(0.5, lambda: m.run("chiller setpoint 99; focus set 7", check=False))
def crash(m, i):
    m.run("for k in chiller focuser; do cp /bin/false /usr/bin/$k-bridge; systemctl restart $k-bridge@clasp; done", check=False)
def no_port(m, i):
    for x in (i.chiller, i.focuser): x.tell("unplug")
def alarm(m, i):
    i.chiller.tell("alarm A2:1"); i.focuser.tell("fault jammed")
    return every(3, lambda: m.run("focus init"))

ALL = [quiet, broker_gone, broker_flapping, silent, flapping, garbled, alternately_garbled, full, wrong_certificate, second, bad_settings, refused, crash, no_port, alarm]
def test_all(installed):
    ms, stops = [], []
    for scene in ALL:
        i = Instruments()
        m = Machine(scene.__name__.replace("_", "-"), installed, i.devices).boot()
        ms.append((scene, m, i))
    for _, m, _ in ms: wait_until_ready(m)
    for scene, m, i in ms: stops.append(scene(m, i))
    time.sleep(25)
    cs = [m.cursor() for _, m, _ in ms]
    t = time.monotonic()
    time.sleep(90)
    for (s, m, i), c in zip(ms, cs):
        took = time.monotonic() - t
        for k in TOOLS:
            lines = words(m.journal(UNITS[k], after=c))
            print(s.__name__, k, len(lines), "in", round(took), "->", round(len(lines) * 3600 / took), "an hour")
            for l in lines[:8]: print("      ", l[:200])
            if s is second: print(words(m.journal(f"{k}-bridge@other"))[-12:], len(words(m.journal(f"{k}-bridge@other", after=c))))
    for s in stops:
        if s: s.set()
    for _, m, i in ms: m.close(); i.close()
