"""The TLS files: checked by `--check-config`, read again at each connection."""

import ssl
from datetime import datetime, timezone

from . import signature

SOON = 60  # days


class EncryptedKey(Exception):
    pass


def context(ca_file, account):
    """What a connection needs; raises `OSError` (`ssl.SSLError` is one) or `EncryptedKey`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(ca_file)
    made.load_cert_chain(account.certificate_file, account.key_file, password=_refuse)
    return made


def _refuse():
    # Otherwise OpenSSL asks at the terminal.
    raise EncryptedKey


def expires(certificate_file):
    """When a certificate ends; `None` if that cannot be found out."""
    not_after = _decoded(certificate_file).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), timezone.utc) if not_after else None


def problems(broker, accounts, now):
    """What is wrong with the files, and what needs a look: two lists of lines."""
    wrong, warnings = [], []
    if not _opens(broker.ca_file, wrong):
        return wrong, warnings
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(broker.ca_file)
    except ssl.SSLError:
        wrong.append(f"{broker.ca_file}: expected a certificate of an authority in PEM form")
        return wrong, warnings
    for account in accounts:
        if _opens(account.certificate_file, wrong) and _opens(account.key_file, wrong):
            _check_account(broker, account, now, wrong, warnings)
    return wrong, warnings


def _check_account(broker, account, now, wrong, warnings):
    try:
        context(broker.ca_file, account)
    except EncryptedKey:
        wrong.append(f"{account.key_file}: expected a key that is not encrypted (openssl pkey -in OLD -out NEW)")
        return
    except ssl.SSLError as error:
        wrong.append(
            f"{account.certificate_file}, {account.key_file}: expected a certificate and its key "
            f"in PEM form ({error.reason or error})"
        )
        return
    unsigned = signature.problem(account)
    if unsigned and unsigned not in warnings:
        warnings.append(unsigned)
    names = [value for part in _decoded(account.certificate_file).get("subject", ())
             for key, value in part if key == "commonName"]
    if names and names != [account.identity]:
        wrong.append(
            f"{account.certificate_file}: expected the common name {account.identity}, as in `identity`, "
            f"not {', '.join(names)}"
        )
    end = expires(account.certificate_file)
    if end and end <= now:
        wrong.append(f"{account.certificate_file}: expired on {end:%Y-%m-%d}, expected a valid certificate")
    elif end and (end - now).days < SOON:
        warnings.append(f"{account.certificate_file}: expires on {end:%Y-%m-%d}")


def _opens(path, wrong):
    try:
        with open(path, "rb"):
            return True
    except OSError as error:
        wrong.append(f"{path}: expected a file that can be read: {error.strerror}")
        return False


def _decoded(certificate_file):
    # Python has no public way to read a certificate from a file.
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    try:
        return decode(certificate_file) if decode else {}
    except (OSError, ValueError):
        return {}
