#!/bin/sh
# A receiver in shell, as a CGI program (RFC 3875) for any web server. `hookctl verify` checks: it compares in constant
# time, and the secret is in no argument, which openssl's -hmac would show to everybody in the process list.
#
# WEBHOOK_SECRET_FILE names the file with the secret, WEBHOOK_SCHEME is standard (the default) or timetracker, events go
# to the folder WEBHOOK_INBOX.
set -eu
umask 077

answer() { # STATUS TEXT
    printf 'Status: %s\r\nContent-Type: text/plain\r\n\r\n%s\n' "$1" "$2"
    exit 0
}

inbox=${WEBHOOK_INBOX:-inbox}
mkdir -p "$inbox"
partial=$(mktemp "$inbox/partial-XXXXXX")
trap 'rm -f "$partial"' EXIT

# The bytes as they came, at most hookctl's own limit. A variable would lose NUL bytes and final newlines.
[ "${CONTENT_LENGTH:-0}" -le 1048576 ] || answer '413 Content Too Large' 'the body is too large'
head -c "${CONTENT_LENGTH:-0}" >"$partial"

scheme=${WEBHOOK_SCHEME:-standard}
# The times that hookctl tolerates are the scheme's: five minutes either way for standard, none signed in timetracker.
reason=$(hookctl verify --scheme "$scheme" --secret-file "$WEBHOOK_SECRET_FILE" \
    -H "webhook-id: ${HTTP_WEBHOOK_ID-}" -H "webhook-timestamp: ${HTTP_WEBHOOK_TIMESTAMP-}" \
    -H "webhook-signature: ${HTTP_WEBHOOK_SIGNATURE-}" -H "X-Webhook-Signature: ${HTTP_X_WEBHOOK_SIGNATURE-}" \
    "$partial" 2>&1) || answer '401 Unauthorized' "$reason"

# The event id is the signed header's, or in timetracker, which signs the body alone, the envelope's.
case $scheme in
timetracker) id=$(jq -er '.event_id | strings' "$partial" 2>/dev/null) || answer '401 Unauthorized' 'no event_id' ;;
*) id=$HTTP_WEBHOOK_ID ;;
esac

# Stored under its id, whole or not at all; `ln` fails when it is there already. The answer comes after this: what the
# sender was told is received must not be lost.
name=$(printf %s "$id" | sha256sum | cut -d ' ' -f 1).event
sync "$partial"
if ln "$partial" "$inbox/$name" 2>/dev/null; then
    answer '200 OK' 'received'
elif [ -e "$inbox/$name" ]; then
    answer '200 OK' 'a duplicate'
fi
answer '500 Internal Server Error' 'not stored'
