"""An MQTT 3 client, for older.rs: takes one JSON object as its argument, prints another.

Reads the state and the replies to `id`, sends the command, and ends with its verdict.
"""

import json
import sys
import threading

import paho.mqtt.client as mqtt

LIMIT = 30

wanted = json.loads(sys.argv[1])
found = {"state": None, "replies": [], "granted": []}
done = threading.Event()
protocol = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311}[wanted["protocol"]]
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=wanted["id"], protocol=protocol)
client.tls_set(wanted["ca"], wanted["certificate"], wanted["key"])


def on_connect(client, userdata, flags, reason, properties):
    client.subscribe([("clasp/chiller/state", 1), (f"clasp/chiller/reply/alice/{wanted['id']}", 1)])


def on_subscribe(client, userdata, mid, reasons, properties):
    found["granted"] = [reason.value for reason in reasons]
    client.publish(f"clasp/chiller/command/alice/{wanted['verb']}", json.dumps(wanted["payload"]), qos=1)


def on_message(client, userdata, message):
    payload = json.loads(message.payload)
    if message.topic.endswith("/state"):
        found["state"] = found["state"] or payload["status"]
        return
    found["replies"].append([payload["status"], payload["code"]])
    if payload["code"] is not None:
        done.set()


client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("127.0.0.1", wanted["port"], keepalive=30)
client.loop_start()
found["done"] = done.wait(LIMIT)
client.disconnect()
client.loop_stop()
print(json.dumps(found))
