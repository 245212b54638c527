// Verifies hookctl's signatures and keeps each event once. Node's own modules alone.
"use strict";

const { createHash, createHmac, randomUUID, timingSafeEqual } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const TOLERANCE = 300; // seconds that a timestamp may be off, either way

// The request is not the sender's, or not of this time.
class Invalid extends Error {}

// Checks a request signed by the scheme `standard`; returns the event id.
// `headers` has names in lower case, as Node does; `body` is a Buffer of the bytes as they came.
function standard(secrets, headers, body, now = Date.now() / 1000) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!id || !/^[0-9]{1,12}$/.test(timestamp)) {
    throw new Invalid("webhook-id or webhook-timestamp is missing or malformed");
  }
  if (Math.abs(now - Number(timestamp)) > TOLERANCE) {
    throw new Invalid("the timestamp is too old, or of the future");
  }
  const items = (headers["webhook-signature"] ?? "").split(" ");
  const sent = items.filter((item) => item.startsWith("v1,")).map((item) => item.slice(3));
  for (const secret of secrets) {
    const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
    const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
    if (sent.some((signature) => equal(expected, signature))) {
      return id;
    }
  }
  throw new Invalid("no signature matches");
}

// Checks a request signed by the scheme `timetracker`; returns the event id.
// Nothing but the body is signed: no time that could be too old, and the event id is the envelope's.
function timetracker(secrets, headers, body) {
  const sent = (headers["x-webhook-signature"] ?? "").replace(/^sha256=/, "");
  for (const secret of secrets) {
    const expected = createHmac("sha256", secret).update(body).digest("hex");
    if (equal(expected, sent)) {
      return envelopeId(body);
    }
  }
  throw new Invalid("no signature matches");
}

function envelopeId(body) {
  let id;
  try {
    id = JSON.parse(body)?.event_id;
  } catch {
    // Told below.
  }
  if (typeof id !== "string") {
    throw new Invalid("the body is no envelope with an event_id");
  }
  return id;
}

// Compares in a time that tells nothing of where the two differ. Their length is no secret.
function equal(expected, sent) {
  const [a, b] = [Buffer.from(expected), Buffer.from(sent)];
  return a.length === b.length && timingSafeEqual(a, b);
}

// Stores the event under its id, whole or not at all; false when it is there already.
// Answer 2xx only after this: what the sender was told is received must not be lost.
function keep(inbox, id, body) {
  const name = createHash("sha256").update(id).digest("hex") + ".event";
  const partial = path.join(inbox, randomUUID());
  fs.mkdirSync(inbox, { recursive: true });
  fs.writeFileSync(partial, body, { flag: "wx", flush: true });
  try {
    fs.linkSync(partial, path.join(inbox, name));
  } catch (error) {
    if (error.code === "EEXIST") {
      return false;
    }
    throw error;
  } finally {
    fs.unlinkSync(partial);
  }
  return true;
}

// Secrets from a setting: one, or during a rotation two separated by a space.
function secretsOf(text = "") {
  const secrets = text.split(/\s+/).filter(Boolean);
  if (secrets.length === 0) {
    throw new Error("no secret is set");
  }
  return secrets;
}

module.exports = { Invalid, standard, timetracker, keep, secretsOf };
