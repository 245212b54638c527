const { Client } = require("pg");

async function main() {
  const database = new Client({ connectionString: process.env.DATABASE_URL });
  await database.connect();
  try {
    await database.query("BEGIN");
    await database.query("INSERT INTO orders (id, total) VALUES ($1, $2)", [7, "12.50"]);
    await database.query("INSERT INTO hookctl_outbox (event_type, data, entity) VALUES ($1, $2, $3)", [
      "order.created",
      JSON.stringify({ id: 7, total: "12.50" }),
      "order:7",
    ]);
    await database.query("COMMIT");
  } finally {
    await database.end(); // without a COMMIT it is rolled back
  }
}

main();
