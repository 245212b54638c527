use rusqlite::{Connection, Result};

pub fn create_order(database: &mut Connection) -> Result<()> {
    let transaction = database.transaction()?;
    transaction.execute("INSERT INTO orders (id, total) VALUES (?1, ?2)", (7, "12.50"))?;
    transaction.execute(
        "INSERT INTO hookctl_outbox (event_type, data, entity) VALUES (?1, ?2, ?3)",
        ("order.created", r#"{"id":7,"total":"12.50"}"#, "order:7"),
    )?;
    transaction.commit()
}
