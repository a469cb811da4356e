"""What the bridge hears of a caller is signed with the key of that caller."""

import base64
import json
import ssl
import subprocess
import threading
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from obsbus_gateway import bus, certificates, signature
from stand import wait_for


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_command_is_signed_by_its_caller(focuser, tap):
    topic = "clasp/focuser/command/scheduler/stop"
    words = tap.command[: tap.command.index("-F")]
    reader = subprocess.Popen(
        [*words, "-F", "%x %P", "-t", topic, "-C", "1", "-W", "60"], stdout=subprocess.PIPE, text=True
    )
    # It does not say when it has subscribed.
    wait_for("a stop that it has heard", lambda: focuser.call("stop") == 0 and reader.poll() is not None)
    payload, _, made = reader.stdout.read().strip().partition(" signature:")
    header, made = made.split("..")
    claimed = json.loads(decoded(header))
    assert {key: claimed[key] for key in ("alg", "typ", "topic")} == {
        "alg": "ES256", "typ": "obsbus-command", "topic": topic,
    }
    certificate = x509.load_der_x509_certificate(base64.b64decode(claimed["x5c"][0]))
    assert certificate.subject.rfc4514_string() == "CN=scheduler"
    payload = base64.urlsafe_b64encode(bytes.fromhex(payload)).rstrip(b"=").decode()
    made = decoded(made)
    both = encode_dss_signature(int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big"))
    certificate.public_key().verify(both, f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))


class Account:
    def __init__(self, folder, key):
        self.certificate_file, self.key_file = folder / "own.pem", folder / "own.key"
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        self.key_file.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        one = "-----BEGIN CERTIFICATE-----\nQUFB\n-----END CERTIFICATE-----\n"
        self.certificate_file.write_text(one + one)


def test_each_kind_of_key_has_its_algorithm(tmp_path):
    for key, name, size in [
        (ec.generate_private_key(ec.SECP256R1()), "ES256", 64),
        (ec.generate_private_key(ec.SECP384R1()), "ES384", 96),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA", 64),
        (rsa.generate_private_key(65537, 2048), "PS256", 256),
    ]:
        signer = signature.Signer(Account(tmp_path, key))
        assert signer.x5c == ["QUFB", "QUFB"]
        header, made = signer.sign("a/b/command/c/d", b"{}").split("..")
        assert json.loads(decoded(header))["alg"] == name
        assert len(decoded(made)) == size
        if name == "PS256":
            message = f"{header}.e30".encode()
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
            key.public_key().verify(decoded(made), message, pss, hashes.SHA256())


def test_what_cannot_sign_is_said(tmp_path, monkeypatch):
    account = Account(tmp_path, ec.generate_private_key(ec.SECP521R1()))
    assert "expected a key of RSA, ECDSA P-256 or P-384, or Ed25519" in signature.problem(account)
    with pytest.raises(ValueError):
        signature.signer(account)
    monkeypatch.setattr(signature, "serialization", None)
    assert signature.problem(account) == signature.MISSING
    assert signature.signer(account) is None


def test_a_new_certificate_signs_on_the_connection_that_stands(tmp_path, monkeypatch):
    account = Account(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    account.identity = "ops"
    connection = bus.Connection(SimpleNamespace(ca_file="ca.pem"), account, [], threading.Condition(), None)
    connection.files, connection.signer = signature.look(account), signature.signer(account)

    def half(*_):
        raise ssl.SSLError("key values mismatch")

    monkeypatch.setattr(certificates, "context", half)
    Account(tmp_path, ed25519.Ed25519PrivateKey.generate())
    connection._read_key_again()
    assert connection.signer.algorithm == "ES256"
    monkeypatch.setattr(certificates, "context", lambda *_: None)
    connection._read_key_again()
    assert connection.signer.algorithm == "EdDSA"
    account.key_file.unlink()
    connection._read_key_again()
    assert connection.signer.algorithm == "EdDSA"
