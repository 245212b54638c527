"""A receiver in Python's standard library: WEBHOOK_SECRET_FILE=local.secret PORT=8000 python3 receive.py

It verifies the scheme standard, and writes the id and the body of each event to events.log, once.
"""

import base64
import hashlib
import hmac
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

with open(os.environ["WEBHOOK_SECRET_FILE"], encoding="ascii") as file:
    KEY = base64.b64decode(file.read().strip().removeprefix("whsec_"))
TOLERANCE = 300  # seconds that a timestamp may be off, either way
LIMIT = 1024 * 1024  # hookctl's own
LOCK = threading.Lock()
SEEN = set()  # a real receiver asks its database


def is_valid(event_id, timestamp, signatures, body):
    if not event_id or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    content = f"{event_id}.{timestamp}.".encode() + body  # the bytes as they came
    expected = b"v1," + base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest())
    # More than one signature comes while a secret is rotated.
    return any([hmac.compare_digest(expected, signature.encode()) for signature in signatures.split(" ")])


def keep(event_id, body):
    with LOCK:
        if event_id not in SEEN:
            with open("events.log", "ab") as log:
                log.write(event_id.encode() + b" " + body + b"\n")
            SEEN.add(event_id)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > LIMIT:
            return self.answer(413)
        body = self.rfile.read(length)
        event_id, timestamp, signatures = (
            self.headers.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        )
        if not is_valid(event_id, timestamp, signatures, body):
            return self.answer(401)
        keep(event_id, body)
        return self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Receiver).serve_forever()
