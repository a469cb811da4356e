def test_it(machine):
    print(machine.run("chiller status; focus status; systemctl status 'chiller-bridge@clasp'; systemd-analyze security chiller-bridge@clasp | tail -1; systemd-analyze verify chiller-bridge@clasp.service; ls -l /dev; cat /etc/hosts; hostname; journalctl -b -p warning", check=False))
    machine.run("focus init; chiller mode manual; chiller enable; focus status; chiller json")
    import time
    for e in machine.journal("chiller-bridge@clasp"): print(e["SYSLOG_IDENTIFIER"], e["MESSAGE"])
    for e in machine.journal("focuser-bridge@clasp"): print(e["SYSLOG_IDENTIFIER"], e["MESSAGE"])
    t = time.monotonic(); machine.reboot(); print(time.monotonic()-t)
    print(machine.run("chiller status; focus status", check=False))
