"""The peer of benches/peers.rs: aiohttp, 16 connections, each request signed, each attempt logged in batches of 100."""

import asyncio
import base64
import hashlib
import hmac
import sqlite3
import sys
import time

import aiohttp

URL, COUNT, LOG = sys.argv[1], int(sys.argv[2]), sys.argv[3]
BODY = b"x" * 500
KEY = b"k" * 32


async def main():
    log = sqlite3.connect(LOG)
    log.execute("PRAGMA journal_mode = WAL")
    log.execute("PRAGMA synchronous = FULL")
    log.execute("CREATE TABLE attempts (id INTEGER PRIMARY KEY, status INTEGER, started REAL, took REAL, body BLOB)")
    numbers = iter(range(COUNT))
    rows = []

    def flush():
        with log:
            log.executemany("INSERT INTO attempts VALUES (?, ?, ?, ?, ?)", rows)
        rows.clear()

    async def work(session):
        for number in numbers:
            now = str(int(time.time()))
            content = b"evt_%d.%s." % (number, now.encode()) + BODY
            signature = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
            headers = {"webhook-id": f"evt_{number}", "webhook-timestamp": now, "webhook-signature": f"v1,{signature}"}
            started = time.time()
            async with session.post(URL, data=BODY, headers=headers) as answer:
                rows.append((number, answer.status, started, time.time() - started, await answer.read()))
            if len(rows) >= 100:
                flush()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16)) as session:
        await asyncio.gather(*(work(session) for _ in range(16)))
    flush()


asyncio.run(main())
