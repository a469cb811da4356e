"""One connection to the broker under one identity. Nothing else here mentions paho.

Each connection is a client of its own: paho sends what was not acknowledged again when it connects
again, and a command must never be sent twice. Certificates are read anew each time.
"""

import itertools
import logging
import random
import socket
import threading
import time
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from . import certificates, signature
from .log import Changes

LOG = logging.getLogger(__name__)
REFUSED = 0x80
# Seconds: as the bridges, quickly at first.
FIRST_RETRIES, QUICK, SLOW = 30, (0, 2), (1, 30)
STEADY = 2  # of a connection that was more than an attempt


def explained(error):
    if isinstance(error, certificates.EncryptedKey):
        return "its key is encrypted"
    return str(error) if isinstance(error, OSError) and str(error) else f"{type(error).__name__}: {error}"


def place(address):
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Connection:
    """Keeps a connection up. `changed` is the lock and the signal of everything that it tells."""

    def __init__(self, broker, account, topics, changed, on_message, on_up=None, on_down=None, will=None):
        self.broker, self.account, self.topics = broker, account, topics
        self.changed = changed
        self.on_message, self.on_up, self.on_down, self.will = on_message, on_up, on_down, will
        self.number = 0  # of the usable connection; 0: there is none
        self.count = 0
        self.error = None
        self.told = {}  # address: what was logged last
        self.refused = set()  # message ids of this connection
        self.client = self.signer = self.files = None
        self.address = None  # of the last attempt
        self.log = Changes(LOG)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"bus-{account.identity}", daemon=True)

    def start(self):
        self.thread.start()

    def stop(self):
        self.ending.set()
        client = self.client
        if client:
            client.disconnect()
        self.thread.join(5)

    def is_up(self):
        return self.number != 0

    def command(self, topic, payload, expires_in):
        """As `publish`, and signed if that is possible."""
        signer = self.signer
        signed = signer.sign(topic, payload.encode()) if signer else None
        return self.publish(topic, payload, expires_in=expires_in, signed=signed)

    def publish(self, topic, payload, retain=False, expires_in=None, signed=None):
        """Sends a message once, at QoS 1; its number, or `None` if there is no connection."""
        properties = Properties(PacketTypes.PUBLISH)
        if expires_in is not None:
            properties.MessageExpiryInterval = int(expires_in)
        if signed is not None:
            properties.UserProperty = (signature.PROPERTY, signed)
        client = self.client
        if client is None or not self.is_up():
            return None
        info = client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        return info.mid if info.rc == mqtt.MQTT_ERR_SUCCESS else None

    # --- The thread

    def _run(self):
        attempts = 0
        addresses = itertools.cycle(self.broker.addresses)
        while not self.ending.is_set():
            attempts += 1
            for self.address in itertools.islice(addresses, len(self.broker.addresses)):
                held = self._try_address()
                if self.ending.is_set():
                    return
                if held:
                    attempts = 0
                if held and len(self.broker.addresses) > 1:
                    # All of the others are tried before it waits.
                    break
            else:
                self.ending.wait(random.uniform(*(QUICK if attempts <= FIRST_RETRIES else SLOW)))

    def _try_address(self):
        """Whether there was a connection that held for a while."""
        before, began = self.count, time.monotonic()
        try:
            self._connect_once()
        except Exception as error:  # this thread must not end, or the identity is lost
            self._tell(explained(error))
        return self.count != before and time.monotonic() - began > STEADY

    def _connect_once(self):
        ended = threading.Event()
        client = self._new_client(ended)
        self.files = signature.look(self.account)
        self.signer = signature.signer(self.account)
        host, port = self.address
        client.connect(host, port, keepalive=int(self.broker.keep_alive_s), clean_start=True)
        self.client = client
        client.loop_start()
        try:
            if self.ending.is_set():
                client.disconnect()
            # paho does not call back in every case in which its thread ends.
            while not ended.wait(1) and client._thread is not None and client._thread.is_alive():
                self._read_key_again()
        finally:
            with self.changed:
                self.number, self.client = 0, None
                self.refused.clear()
                if self.on_down:
                    self.on_down()
                self.changed.notify_all()
            client.loop_stop()

    def _read_key_again(self):
        """A connection may stand for longer than the certificate with which it was made."""
        files = signature.look(self.account)
        if files == self.files:
            return
        try:
            # The two may be exchanged while they are read.
            certificates.context(self.broker.ca_file, self.account)
            self.signer = signature.signer(self.account)
            self.files = files
        except (OSError, ValueError, TypeError, certificates.EncryptedKey):
            pass  # and look again: what it has signs as well as before

    def _new_client(self, ended):
        # New for each connection: who knows a client's id could take its connection over.
        options = {
            "client_id": f"{self.account.identity}-{uuid.uuid4().hex}",
            "protocol": mqtt.MQTTv5,
            "reconnect_on_failure": False,
        }
        if hasattr(mqtt, "CallbackAPIVersion"):
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, **options)
        else:
            client = mqtt.Client(**options)
        client.tls_set_context(certificates.context(self.broker.ca_file, self.account))
        if self.will:
            client.will_set(*self.will, qos=1, retain=True)
        client.on_socket_open = lambda _client, _data, opened: opened.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )

        # The two versions of paho pass different arguments between the first and the last.
        def on_connect(client, _data, _flags, reason, _properties=None):
            if reason.value >= REFUSED:
                self._tell(f"the broker refuses the connection: {reason}")
                client.disconnect()
            else:
                client.subscribe([(topic, 1) for topic in self.topics])

        def on_subscribe(client, _data, _mid, reasons, _properties=None):
            refused = [str(reason) for reason in reasons if reason.value >= REFUSED]
            if refused:
                self._tell(f"the broker refuses a subscription: {refused[0]}")
                client.disconnect()
                return
            with self.changed:
                self.count += 1
                self.number = self.count
                self.changed.notify_all()
            LOG.info("connected to the broker %s as %s", place(self.address), self.account.identity)
            if self.on_up:
                self.on_up()

        def on_disconnect(_client, _data, *arguments):
            if self.is_up() and not self.ending.is_set():
                self._tell("the connection was lost")
            ended.set()

        def on_message(_client, _data, message):
            expires_in = getattr(message.properties, "MessageExpiryInterval", None)
            try:
                self.on_message(self, message.topic, message.payload, expires_in)
            except Exception as error:  # one message that is not understood must not end the connection
                self.log.failed(message.topic, f"a message is not understood: {type(error).__name__}: {error}"[:300])
            else:
                self.log.works(message.topic)

        def on_publish(_client, _data, mid, reason=None, _properties=None):
            # paho 1 does not say what the broker thought of it.
            if reason is not None and reason.value >= REFUSED:
                if not self.refused:
                    LOG.error(
                        "the broker refuses messages of %s: %s; compare its lines in the access list with the shipped ones "
                        "(obsbus acl)", self.account.identity, reason,
                    )
                with self.changed:
                    self.refused.add(mid)
                    self.changed.notify_all()

        client.on_connect, client.on_disconnect = on_connect, on_disconnect
        client.on_subscribe, client.on_message, client.on_publish = on_subscribe, on_message, on_publish
        return client

    def _tell(self, error):
        """Logs what has changed. Each address may be away in its own way."""
        error = f"broker {place(self.address)}: {error}"
        if self.is_up():
            self.told.clear()
        if self.told.get(self.address) != error:
            LOG.warning("as %s: %s", self.account.identity, error)
        self.told[self.address] = self.error = error
