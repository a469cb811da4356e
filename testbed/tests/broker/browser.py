"""A browser's part, for browsers.rs: takes one JSON object as its argument, prints another.

With `get`: fetches that path. Otherwise connects over WebSockets as `name` with `password`, listens to
`subscribe`, publishes to each topic of `publish`, and says what came of it.
"""

import http.client
import json
import ssl
import sys
import threading

import paho.mqtt.client as mqtt

LIMIT = 8

wanted = json.loads(sys.argv[1])
tls = ssl.create_default_context(cafile=wanted["ca"]) if wanted["ca"] else None


def get(path):
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    more = {"context": tls} if tls else {}
    connection = kind("127.0.0.1", wanted["port"], timeout=LIMIT, **more)
    connection.request("GET", path)
    response = connection.getresponse()
    return {"status": response.status, "body": response.read().decode()}


def talk():
    answered, acknowledged, received = (threading.Event() for _ in range(3))
    found = {"connected": False, "codes": [], "messages": []}
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, transport="websockets", protocol=mqtt.MQTTv5)
    client.ws_set_options(path="/mqtt")
    if tls:
        client.tls_set_context(tls)
    if wanted["name"]:
        client.username_pw_set(wanted["name"], wanted["password"])

    def on_connect(client, userdata, flags, reason, properties):
        found["connected"] = not reason.is_failure
        answered.set()

    def on_publish(client, userdata, mid, reason, properties):
        # 0x10: the broker took it, and nobody listens.
        found["codes"].append(0 if reason.value == 0x10 else reason.value)
        acknowledged.set()

    def on_message(client, userdata, message):
        found["messages"].append([message.topic, message.payload.decode()])
        received.set()

    client.on_connect = on_connect
    client.on_publish = on_publish
    client.on_message = on_message
    client.connect("127.0.0.1", wanted["port"])
    client.loop_start()
    if not answered.wait(LIMIT) or not found["connected"]:
        client.loop_stop()
        return found
    for topic in wanted.get("subscribe", []):
        client.subscribe(topic, qos=1)
        received.wait(LIMIT)
    for topic in wanted.get("publish", []):
        acknowledged.clear()
        client.publish(topic, "x", qos=1)
        acknowledged.wait(LIMIT)
    client.disconnect()
    client.loop_stop()
    return found


print(json.dumps(get(wanted["get"]) if "get" in wanted else talk()))
