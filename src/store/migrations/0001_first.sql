-- The first schema. Times are milliseconds since 1970 UTC, durations milliseconds. Spelled for each
-- engine by `Dialect::schema`.
-- Never edit a released migration: add the next one.

CREATE TABLE webhooks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: receivers see it
    name       TEXT    NOT NULL UNIQUE,
    owner      TEXT,
    events     TEXT    NOT NULL,                  -- JSON: ["invoice.*", …]
    ordered    TEXT    CHECK (ordered = 'webhook' OR ordered = 'key'), -- which deliveries keep their order; NULL for none
    filter     TEXT,                              -- jq: which events it wants
    transform  TEXT,                              -- jq: the body it gets
    preset     TEXT,                              -- what makes the body in the place of a transform
    created_by TEXT,                              -- the system's name of the user
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,                  -- when the settings or secrets last changed
    settings   TEXT    NOT NULL                   -- JSON: the settings that no query needs, keys as `webhook show` has them
) STRICT;

-- What deliveries change about a webhook, across processes and crashes: apart from it, so that traffic rewrites no settings.
CREATE TABLE webhook_state (
    webhook_id            INTEGER PRIMARY KEY REFERENCES webhooks (id) ON DELETE CASCADE,
    version               INTEGER NOT NULL DEFAULT 1,        -- grows with every change of settings or secrets
    is_active             BOOLEAN NOT NULL CHECK (is_active IN (0, 1)),
    disabled_reason       TEXT,
    disabled_at           INTEGER,
    paused_at             INTEGER,                           -- by hand: events are owed to it, nothing is sent
    failures              INTEGER NOT NULL DEFAULT 0,        -- failed attempts since the last success
    failing_since         INTEGER,                           -- first failure since the last success
    held_until            INTEGER,                           -- Retry-After for the whole webhook
    breaker_failures      INTEGER NOT NULL DEFAULT 0,        -- of these, the last ones, those without an answer
    breaker_open_until    INTEGER,
    breaker_pause_ms      INTEGER NOT NULL DEFAULT 0,
    breaker_probing       BOOLEAN NOT NULL DEFAULT 0,
    rate_next_us          INTEGER NOT NULL DEFAULT 0,        -- microseconds since 1970
    last_delivery_at      INTEGER,
    last_success_at       INTEGER,
    last_failure_at       INTEGER,
    -- Deliveries, counted in the transaction that changes their status; tests are not.
    total_deliveries      INTEGER NOT NULL DEFAULT 0,
    successful_deliveries INTEGER NOT NULL DEFAULT 0,
    failed_deliveries     INTEGER NOT NULL DEFAULT 0,
    -- The part of the counters whose rows were pruned.
    pruned_total          INTEGER NOT NULL DEFAULT 0,
    pruned_successful     INTEGER NOT NULL DEFAULT 0,
    pruned_failed         INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The newest secret of its kind without an end is the one that signs; those with an end are in their overlap after a rotation.
CREATE TABLE secrets (
    id         INTEGER PRIMARY KEY,
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    secret     TEXT    NOT NULL,
    is_ed25519 BOOLEAN NOT NULL DEFAULT 0 CHECK (is_ed25519 IN (0, 1)), -- a key pair; else symmetric
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    source     TEXT                               -- JSON: {"env": …} or {"file": …}, where it came from
) STRICT;
CREATE INDEX secrets_of_webhook ON secrets (webhook_id);

-- The credentials among the settings, apart from them, so that a webhook is read without them.
CREATE TABLE credentials (
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,                  -- the setting
    value      TEXT    NOT NULL,
    PRIMARY KEY (webhook_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id          INTEGER PRIMARY KEY,
    event_id    TEXT    NOT NULL UNIQUE, -- what receivers drop duplicates by
    event_type  TEXT    NOT NULL,
    payload     BLOB,                    -- the exact bytes that are sent and signed; stored once; NULL once it was pruned
    fingerprint BLOB    NOT NULL,        -- 16 bytes of a SHA-256 over what the sender said
    owner       TEXT,                    -- only this owner's webhooks get it, when set
    about       INTEGER,                 -- the webhook that an operational event is about, which does not get it itself
    entity_type TEXT,                    -- what it is about, as the envelope says, to be found by
    entity_id   TEXT,
    key         TEXT,                    -- whose order its deliveries keep, such as customer-7
    headers     TEXT,                    -- JSON: [["name", "value"], …], sent to every receiver; NULL for none
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_type ON events (event_type{, id});
CREATE INDEX events_by_fingerprint ON events (fingerprint{, id}); -- emit --dedupe
CREATE INDEX events_by_time ON events (created_at) WHERE payload IS NOT NULL;
CREATE INDEX events_by_entity ON events (entity_type, entity_id{, id}) WHERE entity_type IS NOT NULL;
CREATE INDEX events_by_key ON events (key{, id}) WHERE key IS NOT NULL;

-- What deliveries send in the place of their event's payload: what a transform made of it. Those of one event that are equal
-- are one.
CREATE TABLE bodies (
    id       INTEGER PRIMARY KEY,
    event_id INTEGER NOT NULL REFERENCES events (id),
    number   INTEGER NOT NULL,                   -- among those of its event
    body     BLOB    NOT NULL,                   -- the exact bytes that are sent and signed
    UNIQUE (event_id, number)
) STRICT;

CREATE TABLE deliveries (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: receivers see it
    webhook_id           INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id             INTEGER NOT NULL REFERENCES events (id),
    event_type           TEXT    NOT NULL,                  -- the event's, so that the log is filtered by it alone
    body_id              INTEGER,                           -- of `bodies`; without one it sends the event's payload
    -- Not IN: for a list of more than two, SQLite makes a table whenever a row is written.
    status               TEXT    NOT NULL CHECK (status = 'pending' OR status = 'retrying' OR status = 'success'
                                                 OR status = 'failed' OR status = 'cancelled'),
    -- When it is due; while it is claimed, when the lease runs out; NULL when it is finished.
    due_at               INTEGER,
    claim_token          INTEGER,                           -- set while claimed; a result is written only if it matches
    lease_until          INTEGER,                           -- of one cancelled during its attempt: when that claim ends
    attempt_count        INTEGER NOT NULL DEFAULT 0,
    retry_count          INTEGER NOT NULL DEFAULT 0,        -- retries used of the budget
    is_manual            BOOLEAN NOT NULL DEFAULT 0,        -- the next attempt was asked for by hand
    -- Deliveries of one line go one at a time: '*' where the webhook orders all, the event's key where it orders by that, ''
    -- for those without a key, which wait for nobody; NULL where it orders none.
    line                 TEXT,
    is_behind            BOOLEAN NOT NULL DEFAULT 0,        -- known to be behind an open one of its line
    is_test              BOOLEAN NOT NULL DEFAULT 0,        -- `webhook test`: never retried, not counted
    created_at           INTEGER NOT NULL,
    -- The last attempt, so that the log is listed and filtered without it.
    started_at           INTEGER,
    completed_at         INTEGER,
    duration_ms          INTEGER,
    response_status_code INTEGER,
    error_type           TEXT,
    error_message        TEXT,
    UNIQUE (event_id, webhook_id)
) STRICT;
-- The due query: finished deliveries are not in it, so it does not grow with the log.
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at) WHERE due_at IS NOT NULL;
-- The due query of lines: those behind another are not in it, so it does not grow with what waits in lines.
CREATE INDEX deliveries_in_front ON deliveries (webhook_id, due_at) WHERE line IS NOT NULL AND NOT is_behind AND due_at IS NOT NULL;
-- The head of a line, and whether one of it is under way.
CREATE INDEX deliveries_in_line ON deliveries (webhook_id, line{, id}) WHERE line IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX deliveries_under_way ON deliveries (webhook_id, line) WHERE line IS NOT NULL AND claim_token IS NOT NULL;
-- The log's filters; each ends in the row's id, so pages of the newest come straight from it.
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id{, id});
CREATE INDEX deliveries_by_type ON deliveries (event_type{, id});
CREATE INDEX deliveries_by_time ON deliveries (created_at);
-- Open deliveries are found by deliveries_due; only what ended otherwise than well is worth an index of its own.
CREATE INDEX deliveries_by_status ON deliveries (status{, id}) WHERE status IN ('failed', 'cancelled');
CREATE INDEX deliveries_by_error ON deliveries (error_type{, id}) WHERE error_type IS NOT NULL;
CREATE INDEX deliveries_by_code ON deliveries (response_status_code{, id}) WHERE error_type IS NOT NULL;

-- Every HTTP request made, never overwritten.
CREATE TABLE attempts (
    id                   INTEGER PRIMARY KEY,               -- in the order of recording, which `delivery tail` follows
    delivery_id          INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    attempt_number       INTEGER NOT NULL CHECK (attempt_number > 0),
    is_manual            BOOLEAN NOT NULL CHECK (is_manual IN (0, 1)),
    started_at           INTEGER NOT NULL,
    completed_at         INTEGER NOT NULL,
    duration_ms          INTEGER NOT NULL,
    response_status_code INTEGER,
    response_headers     TEXT,                              -- JSON: [["name", "value"], …]
    response_body        BLOB,                              -- the first 64 KiB
    response_truncated   BOOLEAN NOT NULL DEFAULT 0,
    is_resent            BOOLEAN NOT NULL DEFAULT 0,        -- written twice: the kept-alive connection had been closed
    error_type           TEXT,
    error_message        TEXT,
    UNIQUE (delivery_id, attempt_number)
) STRICT;
CREATE INDEX attempts_by_time ON attempts (completed_at);

-- Every attempt ever made, counted as it is recorded: what monitoring reads. Pruning the log takes nothing away; tests are
-- not counted.
CREATE TABLE attempt_counts (
    webhook_id  INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    outcome     TEXT    NOT NULL,                           -- 'success', or the error type
    bound_ms    INTEGER NOT NULL,                           -- the upper bound of the bucket of durations
    attempts    INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,                           -- all durations together
    PRIMARY KEY (webhook_id, outcome, bound_ms)
) STRICT, WITHOUT ROWID;

-- How long finished deliveries are kept, and how much was pruned; one row at most.
CREATE TABLE policy (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    keep_ms           INTEGER,
    keep_failed_ms    INTEGER,                              -- of those that ended as failed; as keep_ms when not set
    max_bytes         INTEGER,
    applied_at        INTEGER,                              -- when a drain last came to the end of it
    pruned_deliveries INTEGER NOT NULL DEFAULT 0,           -- by the policy or by hand
    pruned_events     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- When somebody last drained: one row.
CREATE TABLE last_drain (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    ended_at  INTEGER NOT NULL,
    attempted INTEGER NOT NULL,
    succeeded INTEGER NOT NULL
) STRICT;

CREATE TABLE event_types (
    name        TEXT    PRIMARY KEY,
    description TEXT    NOT NULL,
    is_builtin  BOOLEAN NOT NULL CHECK (is_builtin IN (0, 1)),
    schema      TEXT,                             -- JSON Schema of the data of its events
    example     TEXT                              -- JSON: the data of an event, for trying out
) STRICT, WITHOUT ROWID;

INSERT INTO event_types (is_builtin, name, description) VALUES
    (TRUE, 'project.created', 'A project was created'),
    (TRUE, 'project.updated', 'A project was changed'),
    (TRUE, 'project.deleted', 'A project was deleted'),
    (TRUE, 'project.archived', 'A project was archived'),
    (TRUE, 'project.unarchived', 'A project was taken out of the archive'),
    (TRUE, 'task.created', 'A task was created'),
    (TRUE, 'task.updated', 'A task was changed'),
    (TRUE, 'task.deleted', 'A task was deleted'),
    (TRUE, 'task.completed', 'A task was completed'),
    (TRUE, 'task.assigned', 'A task was given to somebody'),
    (TRUE, 'task.status_changed', 'A task moved to another status'),
    (TRUE, 'time_entry.created', 'A time entry was created'),
    (TRUE, 'time_entry.updated', 'A time entry was changed'),
    (TRUE, 'time_entry.deleted', 'A time entry was deleted'),
    (TRUE, 'time_entry.started', 'A timer was started'),
    (TRUE, 'time_entry.stopped', 'A timer was stopped'),
    (TRUE, 'invoice.created', 'An invoice was created'),
    (TRUE, 'invoice.updated', 'An invoice was changed'),
    (TRUE, 'invoice.deleted', 'An invoice was deleted'),
    (TRUE, 'invoice.sent', 'An invoice was sent'),
    (TRUE, 'invoice.paid', 'An invoice was paid'),
    (TRUE, 'invoice.overdue', 'An invoice passed its due date unpaid'),
    (TRUE, 'invoice.approval_requested', 'Approval of an invoice was asked for'),
    (TRUE, 'invoice.approved', 'An invoice was approved'),
    (TRUE, 'invoice.rejected', 'An invoice was rejected'),
    (TRUE, 'client.created', 'A client was created'),
    (TRUE, 'client.updated', 'A client was changed'),
    (TRUE, 'client.deleted', 'A client was deleted'),
    (TRUE, 'user.created', 'A user was created'),
    (TRUE, 'user.updated', 'A user was changed'),
    (TRUE, 'user.deleted', 'A user was deleted'),
    (TRUE, 'comment.created', 'A comment was written'),
    (TRUE, 'comment.updated', 'A comment was changed'),
    (TRUE, 'comment.deleted', 'A comment was deleted'),
    (TRUE, 'project_template.created', 'A project template was created'),
    (TRUE, 'project_template.updated', 'A project template was changed'),
    (TRUE, 'project_template.deleted', 'A project template was deleted'),
    (TRUE, 'payment.processed', 'A payment went through'),
    (TRUE, 'payment.failed', 'A payment failed'),
    (TRUE, 'calendar.synced', 'A calendar was synchronised'),
    (TRUE, 'integration.created', 'An integration was set up'),
    (TRUE, 'integration.updated', 'An integration was changed'),
    (TRUE, 'integration.deleted', 'An integration was removed'),
    (TRUE, 'integration.synced', 'An integration was synchronised'),
    (TRUE, 'integration.error', 'An integration reported an error'),
    (TRUE, 'api_token.created', 'An API token was created'),
    (TRUE, 'api_token.rotated', 'An API token was renewed'),
    (TRUE, 'api_token.revoked', 'An API token was revoked'),
    (TRUE, 'webhook.test', 'Sent by `webhook test`'),
    (TRUE, 'webhook.failing', 'Five attempts of a webhook failed in a row'),
    (TRUE, 'webhook.recovered', 'A webhook that was failing delivered again'),
    (TRUE, 'webhook.disabled', 'hookctl disabled a webhook'),
    (TRUE, 'delivery.failed', 'A delivery ended as failed');
