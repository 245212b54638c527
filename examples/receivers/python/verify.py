"""Verifies hookctl's signatures and keeps each event once. Python's standard library alone."""

import base64
import hashlib
import hmac
import json
import os
import tempfile
import time

TOLERANCE = 300  # seconds that a timestamp may be off, either way


class Invalid(Exception):
    """The request is not the sender's, or not of this time."""


def standard(secrets, headers, body, now=None):
    """Checks a request signed by the scheme `standard`; returns the event id.

    `headers` finds a name in lower case; `body` is the bytes as they came.
    """
    event_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not event_id or not (timestamp.isascii() and timestamp.isdigit()):
        raise Invalid("webhook-id or webhook-timestamp is missing or malformed")
    now = time.time() if now is None else now
    if len(timestamp) > 12 or abs(now - int(timestamp)) > TOLERANCE:
        raise Invalid("the timestamp is too old, or of the future")
    content = f"{event_id}.{timestamp}.".encode() + body
    sent = [item[3:] for item in headers.get("webhook-signature", "").split(" ") if item.startswith("v1,")]
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.digest(key, content, "sha256"))
        for signature in sent:
            if hmac.compare_digest(expected, signature.encode()):
                return event_id
    raise Invalid("no signature matches")


def timetracker(secrets, headers, body, now=None):
    """Checks a request signed by the scheme `timetracker`; returns the event id.

    Nothing but the body is signed: no time that could be too old, and the event id is the envelope's.
    """
    sent = headers.get("x-webhook-signature", "").removeprefix("sha256=").encode()
    for secret in secrets:
        expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
        if hmac.compare_digest(expected, sent):
            return envelope_id(body)
    raise Invalid("no signature matches")


def envelope_id(body):
    try:
        event_id = json.loads(body)["event_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        event_id = None
    if not isinstance(event_id, str):
        raise Invalid("the body is no envelope with an event_id")
    return event_id


def keep(inbox, event_id, body):
    """Stores the event under its id, whole or not at all; False when it is there already.

    Answer 2xx only after this: what the sender was told is received must not be lost.
    """
    name = hashlib.sha256(event_id.encode()).hexdigest() + ".event"
    os.makedirs(inbox, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=inbox) as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, os.path.join(inbox, name))
        except FileExistsError:
            return False
    return True


def secrets_of(text):
    """Secrets from a setting: one, or during a rotation two separated by a space."""
    secrets = text.split()
    if not secrets:
        raise ValueError("no secret is set")
    return secrets
