"""A webhook receiver as one writes it by hand with FastAPI and sqlite3: the rival of `cargo bench --bench ingest`.

It checks the key in the path, parses the body, keeps it in SQLite, commits, and answers. It does not recognise
repeats, verify signatures, or fold anything. One connection for each process and a commit in the handler itself: with
handlers in a pool of threads, which is the other way to write it, it is slower.

RECEIVER_DB names the database, RECEIVER_KEYS is a JSON object: provider to a list of its keys.
"""

import hmac
import json
import os
import sqlite3
from datetime import datetime, timezone

from fastapi import FastAPI, HTTPException, Request

KEYS = json.loads(os.environ["RECEIVER_KEYS"])

db = sqlite3.connect(os.environ["RECEIVER_DB"], timeout=10)
db.execute("pragma journal_mode = wal")
db.execute("pragma synchronous = full")
db.execute(
    """
    create table if not exists deliveries (
      id          integer primary key,
      received_at text not null,
      provider    text not null,
      hook        text not null,
      is_json     integer not null,
      body        text not null
    )
    """
)
db.commit()

app = FastAPI()


@app.post("/hooks/{provider}/{hook}/{key}")
async def receive(provider: str, hook: str, key: str, request: Request):
    if not any(hmac.compare_digest(key.encode(), known.encode()) for known in KEYS.get(provider, [])):
        raise HTTPException(status_code=401, detail="unauthorized")
    body = await request.body()
    try:
        json.loads(body)
        is_json = True
    except ValueError:
        is_json = False
    cursor = db.execute(
        "insert into deliveries (received_at, provider, hook, is_json, body) values (?, ?, ?, ?, ?)",
        (datetime.now(timezone.utc).isoformat(), provider, hook, is_json, body.decode("utf-8", "replace")),
    )
    db.commit()
    return {"status": "stored", "id": cursor.lastrowid}
