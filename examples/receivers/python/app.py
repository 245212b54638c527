"""A receiver in Flask: flask run --port 8000

WEBHOOK_SECRET holds the secret, WEBHOOK_SCHEME is standard (the default) or timetracker, events go to the folder inbox.
"""

import os

from flask import Flask, request

import verify

SECRETS = verify.secrets_of(os.environ["WEBHOOK_SECRET"])
CHECK = {"standard": verify.standard, "timetracker": verify.timetracker}[os.environ.get("WEBHOOK_SCHEME", "standard")]
INBOX = os.environ.get("WEBHOOK_INBOX", "inbox")

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024  # hookctl's own limit


@app.post("/")
def receive():
    body = request.get_data()  # the bytes as they came: JSON that was read and written again has another signature
    try:
        event_id = CHECK(SECRETS, request.headers, body)
    except verify.Invalid as reason:
        return f"{reason}\n", 401
    is_new = verify.keep(INBOX, event_id, body)
    return "received\n" if is_new else "a duplicate\n"
