const database = require("better-sqlite3")("app.db", { timeout: 5000 });

const order = database.prepare("INSERT INTO orders (id, total) VALUES (?, ?)");
const event = database.prepare("INSERT INTO hookctl_outbox (event_type, data, entity) VALUES (?, ?, ?)");

database.transaction(() => {
  order.run(7, "12.50");
  event.run("order.created", JSON.stringify({ id: 7, total: "12.50" }), "order:7");
})();
database.close();
