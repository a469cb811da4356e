"""The checks of ASCOM's conformance program (ConformU) for a focuser, with the standard's own client library.

    conform.py HOST:PORT

Focuser 0 of the server is homed and stands. ConformU itself cannot be had from a package registry. What it
checks was taken from its description and its source: each member's value and range, the number of each error,
and of the protocol every kind of bad request, here for every member of the focuser.
"""

import sys
import time

import requests
from alpaca import exceptions, management
from alpaca.focuser import Focuser

ADDRESS = sys.argv[1]
BASE = f"http://{ADDRESS}/api/v1/focuser/0/"
LIMIT = 120
IDS = {"ClientID": "123456", "ClientTransactionID": "67890"}

checks = 0


def check(is_good, what):
    global checks
    checks += 1
    if not is_good:
        sys.exit(f"{ADDRESS} does not conform: {what}")


def fails(error, what, call):
    try:
        value = call()
    except error as raised:
        check(raised.message, f"{what}: the error has no words")
    except Exception as other:
        check(False, f"{what}: expected {error.__name__}, not {other!r}")
    else:
        check(False, f"{what}: expected {error.__name__}, not {value!r}")


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


focuser = Focuser(ADDRESS, 0)


def common():
    check(focuser.Connected is False, "Connected before anybody has connected")
    for name in ["Position", "IsMoving", "MaxStep", "DeviceState"]:
        fails(exceptions.NotConnectedException, name, lambda: getattr(focuser, name))
    fails(exceptions.NotConnectedException, "Move", lambda: focuser.Move(1))
    for name, kind in [
        ("Name", str), ("Description", str), ("DriverInfo", (str, list)), ("DriverVersion", str),
        ("InterfaceVersion", int), ("SupportedActions", list), ("Connecting", bool),
    ]:
        value = getattr(focuser, name)
        check(isinstance(value, kind) and value not in ("", ["."]), f"{name}: {value!r}")
    check(focuser.InterfaceVersion == 4, "InterfaceVersion")
    check(focuser.SupportedActions == [], "SupportedActions")
    for _ in range(50):
        try:
            focuser.Connect()
            break
        except exceptions.NotConnectedException:
            # The server has just been started.
            time.sleep(0.1)
    check(focuser.Connecting is False and focuser.Connected is True, "Connect")
    focuser.Connect()
    focuser.Disconnect()
    check(focuser.Connecting is False and focuser.Connected is False, "Disconnect")
    focuser.Connected = True
    check(focuser.Connected is True, "Connected = True")
    fails(exceptions.ActionNotImplementedException, "Action", lambda: focuser.Action("dance", "1"))
    for name, call in [
        ("CommandBlind", focuser.CommandBlind), ("CommandBool", focuser.CommandBool),
        ("CommandString", focuser.CommandString),
    ]:
        fails(exceptions.NotImplementedException, name, lambda: call("x", True))


def properties():
    check(focuser.Absolute is True, "Absolute")
    check(focuser.IsMoving is False, "IsMoving at the start")
    step, increment, position = focuser.MaxStep, focuser.MaxIncrement, focuser.Position
    check(is_whole(step) and step >= 1, f"MaxStep: {step!r}")
    check(is_whole(increment) and 1 <= increment <= step, f"MaxIncrement: {increment!r}")
    check(is_whole(position) and 0 <= position <= step, f"Position: {position!r}")
    check(focuser.StepSize == 1.0, "StepSize")
    check(focuser.TempCompAvailable is False and focuser.TempComp is False, "TempComp")
    fails(exceptions.NotImplementedException, "TempComp = True", lambda: setattr(focuser, "TempComp", True))
    focuser.TempComp = False
    fails(exceptions.NotImplementedException, "Temperature", lambda: focuser.Temperature)
    state = {item["Name"]: item["Value"] for item in focuser.DeviceState}
    check(set(state) == {"IsMoving", "Position", "TimeStamp"}, f"DeviceState: {state}")
    check(state["Position"] == position and state["IsMoving"] is False, f"DeviceState: {state}")
    return step


def move(wanted, expected):
    focuser.Move(wanted)
    end = time.monotonic() + LIMIT
    while focuser.IsMoving:
        check(time.monotonic() < end, f"Move({wanted}) does not end")
        time.sleep(0.1)
    check(focuser.Position == expected, f"Move({wanted}): at {focuser.Position}, not {expected}")


def methods(step):
    focuser.Halt()
    move(step // 10, step // 10)
    move(0, 0)
    move(-10, 0)
    move(step, step)
    move(step + 10, step)
    focuser.Move(step // 2)
    check(focuser.IsMoving is True, "IsMoving right after Move")
    fails(exceptions.InvalidOperationException, "Move while it moves", lambda: focuser.Move(0))
    focuser.Halt()
    end = time.monotonic() + LIMIT
    while focuser.IsMoving:
        check(time.monotonic() < end, "Halt does not end the motion")
    check(step // 2 < focuser.Position <= step, f"Halt: it went on to {focuser.Position}")


def send(method, member, parameters, base=BASE):
    where = {"params": parameters} if method == "GET" else {"data": parameters}
    return requests.request(method, base + member, timeout=10, **where)


def answered(response, what, transaction=67890):
    check(response.status_code == 200, f"{what}: HTTP {response.status_code}: {response.text}")
    body = response.json()
    check(body["ClientTransactionID"] == transaction, f"{what}: {body}")
    check(body["ServerTransactionID"] >= 1, f"{what}: {body}")
    check(is_whole(body["ErrorNumber"]) and isinstance(body["ErrorMessage"], str), f"{what}: {body}")
    return body


def refused(response, what, codes=(400,)):
    check(response.status_code in codes, f"{what}: expected HTTP {codes}, not {response.status_code}: {response.text}")


GET = [
    "absolute", "connected", "connecting", "description", "devicestate", "driverinfo", "driverversion",
    "interfaceversion", "ismoving", "maxincrement", "maxstep", "name", "position", "stepsize",
    "supportedactions", "tempcomp", "tempcompavailable", "temperature",
]
PUT = [
    ("connect", {}), ("connected", {"Connected": "True"}), ("tempcomp", {"TempComp": "False"}), ("halt", {}),
    ("move", {"Position": "0"}), ("action", {"Action": "x", "Parameters": "y"}),
    ("commandblind", {"Command": "x", "Raw": "True"}),
]
BAD_IDS = ["", "     ", "-12345", "asdasd"]


def protocol():
    for member in GET:
        answered(send("GET", member, IDS), member)
        answered(send("GET", member, IDS | {"ExtraParameter": "ExtraValue"}), f"{member}, extra parameter")
        lower = {name.lower(): value for name, value in IDS.items()}
        answered(send("GET", member, lower), f"{member}, names in lower case")
        answered(send("GET", member, {}), f"{member}, without ids", 0)
        for name in IDS:
            for bad in BAD_IDS:
                refused(send("GET", member, IDS | {name: bad}), f"{member}, {name}={bad!r}")
        refused(send("GET", member.upper(), IDS), f"{member} in capitals", range(400, 500))
        for method in ["POST", "DELETE", "PATCH"]:
            refused(send(method, member, IDS), f"{method} {member}", range(400, 500))
    for member, parameters in PUT:
        good = IDS | parameters
        answered(send("PUT", member, good), f"PUT {member}")
        answered(send("PUT", member, good | {"ExtraParameter": "ExtraValue"}), f"PUT {member}, extra parameter")
        lower = {name.lower(): value for name, value in IDS.items()}
        answered(send("PUT", member, lower | parameters), f"PUT {member}, ids in lower case", 0)
        for name in IDS:
            for bad in BAD_IDS:
                refused(send("PUT", member, good | {name: bad}), f"PUT {member}, {name}={bad!r}")
        if member in ("connected", "tempcomp", "move"):
            (name, value), = parameters.items()
            refused(send("PUT", member, IDS | {name.swapcase(): value}), f"PUT {member}, {name.swapcase()}")
            refused(send("PUT", member, IDS), f"PUT {member} without {name}")
            for bad in ["", "asduio6fghZZ", "1.5"]:
                refused(send("PUT", member, IDS | {name: bad}), f"PUT {member}, {name}={bad!r}")
    for path in [
        "apx/v1/focuser/0/name", "api/1/focuser/0/name", "api/v/focuser/0/name", "api/V1/focuser/0/name",
        "api/v2/focuser/0/name", "api/v1/FOCUSER/0/name", "api/v1/baddevicetype/0/name", "api/v1/focuser/-1/name",
        "api/v1/focuser/99999/name", "api/v1/focuser/A/name", "api/v1/focuser/0/descrip",
    ]:
        refused(send("GET", path, IDS, f"http://{ADDRESS}/"), path, range(400, 500))


def served():
    check(management.apiversions(ADDRESS) == [1], "apiversions")
    description = management.description(ADDRESS)
    wanted = {"ServerName", "Manufacturer", "ManufacturerVersion", "Location"}
    check(set(description) == wanted and all(description.values()), f"description: {description}")
    device, = management.configureddevices(ADDRESS)
    check(device["DeviceType"] == "Focuser" and device["DeviceNumber"] == 0, f"configureddevices: {device}")
    check(device["DeviceName"] == focuser.Name and device["UniqueID"], f"configureddevices: {device}")
    for page in ["setup", "setup/v1/focuser/0/setup"]:
        response = requests.get(f"http://{ADDRESS}/{page}", timeout=10)
        check(response.ok and response.headers["content-type"].startswith("text/html"), page)


served()
common()
methods(properties())
move(0, 0)
protocol()
end = time.monotonic() + LIMIT
while focuser.IsMoving:
    check(time.monotonic() < end, "the last move does not end")
focuser.Connected = False
check(focuser.Connected is False, "Connected = False")
print(f"{checks} checks passed")
print("the focuser conforms")
