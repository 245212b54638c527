import json
import sqlite3

database = sqlite3.connect("app.db", timeout=5)
with database:  # one transaction: both rows, or neither
    database.execute("INSERT INTO orders (id, total) VALUES (?, ?)", (7, "12.50"))
    database.execute(
        "INSERT INTO hookctl_outbox (event_type, data, entity) VALUES (?, ?, ?)",
        ("order.created", json.dumps({"id": 7, "total": "12.50"}), "order:7"),
    )
