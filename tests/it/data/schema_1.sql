-- The first schema. Times are milliseconds since 1970 UTC, durations milliseconds, booleans 0 or 1.
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
    is_active             INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    disabled_reason       TEXT,
    disabled_at           INTEGER,
    paused_at             INTEGER,                           -- by hand: events are owed to it, nothing is sent
    failures              INTEGER NOT NULL DEFAULT 0,        -- failed attempts since the last success
    failing_since         INTEGER,                           -- first failure since the last success
    held_until            INTEGER,                           -- Retry-After for the whole webhook
    breaker_failures      INTEGER NOT NULL DEFAULT 0,        -- of these, the last ones, those without an answer
    breaker_open_until    INTEGER,
    breaker_pause_ms      INTEGER NOT NULL DEFAULT 0,
    breaker_probing       INTEGER NOT NULL DEFAULT 0,
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
    is_ed25519 INTEGER NOT NULL DEFAULT 0 CHECK (is_ed25519 IN (0, 1)), -- a key pair; else symmetric
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
CREATE INDEX events_by_type ON events (event_type);
CREATE INDEX events_by_fingerprint ON events (fingerprint); -- emit --dedupe
CREATE INDEX events_by_time ON events (created_at) WHERE payload IS NOT NULL;
CREATE INDEX events_by_entity ON events (entity_type, entity_id) WHERE entity_type IS NOT NULL;
CREATE INDEX events_by_key ON events (key) WHERE key IS NOT NULL;

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
    is_manual            INTEGER NOT NULL DEFAULT 0,        -- the next attempt was asked for by hand
    -- Deliveries of one line go one at a time: '*' where the webhook orders all, the event's key where it orders by that, ''
    -- for those without a key, which wait for nobody; NULL where it orders none.
    line                 TEXT,
    is_behind            INTEGER NOT NULL DEFAULT 0,        -- known to be behind an open one of its line
    is_test              INTEGER NOT NULL DEFAULT 0,        -- `webhook test`: never retried, not counted
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
CREATE INDEX deliveries_in_line ON deliveries (webhook_id, line) WHERE line IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX deliveries_under_way ON deliveries (webhook_id, line) WHERE line IS NOT NULL AND claim_token IS NOT NULL;
-- The log's filters; each ends in the row's id, so pages of the newest come straight from it.
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id);
CREATE INDEX deliveries_by_type ON deliveries (event_type);
CREATE INDEX deliveries_by_time ON deliveries (created_at);
-- Open deliveries are found by deliveries_due; only what ended otherwise than well is worth an index of its own.
CREATE INDEX deliveries_by_status ON deliveries (status) WHERE status IN ('failed', 'cancelled');
CREATE INDEX deliveries_by_error ON deliveries (error_type) WHERE error_type IS NOT NULL;
CREATE INDEX deliveries_by_code ON deliveries (response_status_code) WHERE error_type IS NOT NULL;

-- Every HTTP request made, never overwritten.
CREATE TABLE attempts (
    id                   INTEGER PRIMARY KEY,               -- in the order of recording, which `delivery tail` follows
    delivery_id          INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    attempt_number       INTEGER NOT NULL CHECK (attempt_number > 0),
    is_manual            INTEGER NOT NULL CHECK (is_manual IN (0, 1)),
    started_at           INTEGER NOT NULL,
    completed_at         INTEGER NOT NULL,
    duration_ms          INTEGER NOT NULL,
    response_status_code INTEGER,
    response_headers     TEXT,                              -- JSON: [["name", "value"], …]
    response_body        BLOB,                              -- the first 64 KiB
    response_truncated   INTEGER NOT NULL DEFAULT 0,
    is_resent            INTEGER NOT NULL DEFAULT 0,        -- written twice: the kept-alive connection had been closed
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
    is_builtin  INTEGER NOT NULL CHECK (is_builtin IN (0, 1)),
    schema      TEXT,                             -- JSON Schema of the data of its events
    example     TEXT                              -- JSON: the data of an event, for trying out
) STRICT, WITHOUT ROWID;

INSERT INTO event_types (is_builtin, name, description) VALUES
    (1, 'project.created', 'A project was created'),
    (1, 'project.updated', 'A project was changed'),
    (1, 'project.deleted', 'A project was deleted'),
    (1, 'project.archived', 'A project was archived'),
    (1, 'project.unarchived', 'A project was taken out of the archive'),
    (1, 'task.created', 'A task was created'),
    (1, 'task.updated', 'A task was changed'),
    (1, 'task.deleted', 'A task was deleted'),
    (1, 'task.completed', 'A task was completed'),
    (1, 'task.assigned', 'A task was given to somebody'),
    (1, 'task.status_changed', 'A task moved to another status'),
    (1, 'time_entry.created', 'A time entry was created'),
    (1, 'time_entry.updated', 'A time entry was changed'),
    (1, 'time_entry.deleted', 'A time entry was deleted'),
    (1, 'time_entry.started', 'A timer was started'),
    (1, 'time_entry.stopped', 'A timer was stopped'),
    (1, 'invoice.created', 'An invoice was created'),
    (1, 'invoice.updated', 'An invoice was changed'),
    (1, 'invoice.deleted', 'An invoice was deleted'),
    (1, 'invoice.sent', 'An invoice was sent'),
    (1, 'invoice.paid', 'An invoice was paid'),
    (1, 'invoice.overdue', 'An invoice passed its due date unpaid'),
    (1, 'invoice.approval_requested', 'Approval of an invoice was asked for'),
    (1, 'invoice.approved', 'An invoice was approved'),
    (1, 'invoice.rejected', 'An invoice was rejected'),
    (1, 'client.created', 'A client was created'),
    (1, 'client.updated', 'A client was changed'),
    (1, 'client.deleted', 'A client was deleted'),
    (1, 'user.created', 'A user was created'),
    (1, 'user.updated', 'A user was changed'),
    (1, 'user.deleted', 'A user was deleted'),
    (1, 'comment.created', 'A comment was written'),
    (1, 'comment.updated', 'A comment was changed'),
    (1, 'comment.deleted', 'A comment was deleted'),
    (1, 'project_template.created', 'A project template was created'),
    (1, 'project_template.updated', 'A project template was changed'),
    (1, 'project_template.deleted', 'A project template was deleted'),
    (1, 'payment.processed', 'A payment went through'),
    (1, 'payment.failed', 'A payment failed'),
    (1, 'calendar.synced', 'A calendar was synchronised'),
    (1, 'integration.created', 'An integration was set up'),
    (1, 'integration.updated', 'An integration was changed'),
    (1, 'integration.deleted', 'An integration was removed'),
    (1, 'integration.synced', 'An integration was synchronised'),
    (1, 'integration.error', 'An integration reported an error'),
    (1, 'api_token.created', 'An API token was created'),
    (1, 'api_token.rotated', 'An API token was renewed'),
    (1, 'api_token.revoked', 'An API token was revoked'),
    (1, 'webhook.test', 'Sent by `webhook test`'),
    (1, 'webhook.failing', 'Five attempts of a webhook failed in a row'),
    (1, 'webhook.recovered', 'A webhook that was failing delivered again'),
    (1, 'webhook.disabled', 'hookctl disabled a webhook'),
    (1, 'delivery.failed', 'A delivery ended as failed');

-- One webhook, and one delivery each that waits, succeeded and failed.
INSERT INTO webhooks (id, name, events, ordered, created_at, updated_at, settings)
VALUES (1, 'crm', '["*"]', NULL, 1700000000000, 1700000000000,
    '{"url":"http://127.0.0.1:9/","headers":{"X-Team":"a"},"signature_schemes":["timetracker","standard"],"allow_private":true}');
INSERT INTO webhook_state (webhook_id, is_active, total_deliveries, successful_deliveries, failed_deliveries)
VALUES (1, 1, 3, 1, 1);
INSERT INTO secrets (webhook_id, secret, created_at) VALUES (1, 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=', 1700000000000);
INSERT INTO events (id, event_id, event_type, payload, fingerprint, created_at)
VALUES (1, 'e-1', 'invoice.paid', CAST('{"n":1.10}' AS BLOB), zeroblob(16), 1700000000000),
       (2, 'e-2', 'invoice.paid', CAST('{"n":2}' AS BLOB), zeroblob(16), 1700000000000),
       (3, 'e-3', 'invoice.paid', CAST('{"n":3}' AS BLOB), zeroblob(16), 1700000000000);
INSERT INTO deliveries (id, webhook_id, event_id, event_type, status, due_at, attempt_count, created_at, response_status_code, error_type)
VALUES (1, 1, 1, 'invoice.paid', 'pending', 1700000000000, 0, 1700000000000, NULL, NULL),
       (2, 1, 2, 'invoice.paid', 'success', NULL, 1, 1700000000000, 200, NULL),
       (3, 1, 3, 'invoice.paid', 'failed', NULL, 1, 1700000000000, 500, 'http_error');
INSERT INTO attempts (delivery_id, attempt_number, is_manual, started_at, completed_at, duration_ms, response_status_code, error_type)
VALUES (2, 1, 0, 1700000000000, 1700000000005, 5, 200, NULL), (3, 1, 0, 1700000000000, 1700000000005, 5, 500, 'http_error');
PRAGMA user_version = 1;
PRAGMA application_id = 1752133483;
