import json
import os

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as database:  # one transaction
    database.execute("INSERT INTO orders (id, total) VALUES (%s, %s)", (7, "12.50"))
    database.execute(
        "INSERT INTO hookctl_outbox (event_type, data, entity) VALUES (%s, %s, %s)",
        ("order.created", json.dumps({"id": 7, "total": "12.50"}), "order:7"),
    )
