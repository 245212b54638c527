// Package outbox leaves events for hookctl in the caller's transaction.
package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
)

// Emit inserts an event; it is delivered if the transaction commits. PostgreSQL and SQLite both take $1.
func Emit(ctx context.Context, tx *sql.Tx, eventType string, data any, entity string) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		"INSERT INTO hookctl_outbox (event_type, data, entity) VALUES ($1, $2, $3)",
		eventType, string(encoded), entity)
	return err
}
