"""Signatures on commands, for bridges that demand them (docs/signatures.md): JWS with detached content, made
with the key of the caller's certificate.

The library for that is compiled, so the package does not bring it: without it commands go out unsigned.
"""

import base64
import json
import os

try:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
except ImportError:
    serialization = None

PROPERTY = "signature"
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
MISSING = "commands are not signed: expected the library cryptography (Debian: python3-cryptography)"


class Signer:
    """Made of an account's files as they are now; raises `OSError` or `ValueError` if they are of no use."""

    def __init__(self, account):
        with open(account.key_file, "rb") as file:
            self.key = serialization.load_pem_private_key(file.read(), None)
        with open(account.certificate_file) as file:
            *chain, _ = file.read().split(END)
        self.x5c = ["".join(one.partition(BEGIN)[2].split()) for one in chain]
        self.algorithm, self._sign = _how(self.key, account.key_file)

    def sign(self, topic, payload):
        """The value of the user property for these bytes on this topic."""
        header = {"alg": self.algorithm, "typ": "obsbus-command", "topic": topic, "x5c": self.x5c}
        header = _base64url(json.dumps(header).encode())
        return f"{header}..{_base64url(self._sign(f'{header}.{_base64url(payload)}'.encode()))}"


def signer(account):
    """`None` without the library."""
    return Signer(account) if serialization else None


def look(account):
    """What changes whenever one of an account's files does."""
    try:
        found = [os.stat(file) for file in (account.certificate_file, account.key_file)]
    except OSError:
        return None
    return [(it.st_ino, it.st_size, it.st_ctime_ns) for it in found]


def problem(account):
    """Why nobody could verify what this account signs; `None` if all is well."""
    if not serialization:
        return MISSING
    try:
        Signer(account)
    except (OSError, ValueError, TypeError) as error:
        return f"{account.key_file}: commands cannot be signed: {error}"
    return None


def _how(key, file):
    """The name of the algorithm, and what signs: one for each kind of key."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in ("secp256r1", "secp384r1"):
        name, size, digest = {
            "secp256r1": ("ES256", 32, hashes.SHA256()), "secp384r1": ("ES384", 48, hashes.SHA384()),
        }[key.curve.name]

        def sign(message):
            both = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
            return b"".join(number.to_bytes(size, "big") for number in both)

        return name, sign
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA", key.sign
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        return "PS256", lambda message: key.sign(message, pss, hashes.SHA256())
    raise ValueError(f"{file}: expected a key of RSA, ECDSA P-256 or P-384, or Ed25519")


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
