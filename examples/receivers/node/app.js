// A receiver in Express: PORT=8000 node app.js
//
// WEBHOOK_SECRET holds the secret, WEBHOOK_SCHEME is standard (the default) or timetracker, events go to the folder inbox.
"use strict";

const express = require("express");
const verify = require("./verify.js");

const secrets = verify.secretsOf(process.env.WEBHOOK_SECRET);
const check = { standard: verify.standard, timetracker: verify.timetracker }[process.env.WEBHOOK_SCHEME ?? "standard"];
const inbox = process.env.WEBHOOK_INBOX ?? "inbox";

const app = express();
// The bytes as they came: JSON that was read and written again has another signature. 1 MiB is hookctl's own limit.
app.post("/", express.raw({ type: () => true, limit: "1mb" }), (request, response) => {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  let id;
  try {
    id = check(secrets, request.headers, body);
  } catch (reason) {
    if (reason instanceof verify.Invalid) {
      return response.status(401).type("text").send(`${reason.message}\n`);
    }
    throw reason;
  }
  const isNew = verify.keep(inbox, id, body);
  response.type("text").send(isNew ? "received\n" : "a duplicate\n");
});

app.listen(Number(process.env.PORT ?? 8000), "127.0.0.1");
