"""A webhook receiver as one writes it by hand with FastAPI and sqlite3: the rival of `cargo bench --bench ingest`.

It checks the key in the path, parses the body, keeps it in SQLite, commits, and answers. It does not recognise
repeats, verify signatures, or fold anything.

RECEIVER_DB names the database, RECEIVER_KEYS is a JSON object: provider to a list of its keys. Which way of writing it
is faster depends on the machine: RECEIVER_HANDLER is `async`, which commits in the event loop, or `threads`, which
commits in FastAPI's pool of threads.
"""

import hmac
import json
import os
import sqlite3
from datetime import datetime, timezone
from threading import Lock

from fastapi import Depends, FastAPI, HTTPException, Request

KEYS = json.loads(os.environ["RECEIVER_KEYS"])

lock = Lock()
db = sqlite3.connect(os.environ["RECEIVER_DB"], timeout=10, check_same_thread=False)
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


def keep(provider: str, hook: str, key: str, body: bytes):
    if not any(hmac.compare_digest(key.encode(), known.encode()) for known in KEYS.get(provider, [])):
        raise HTTPException(status_code=401, detail="unauthorized")
    try:
        json.loads(body)
        is_json = True
    except ValueError:
        is_json = False
    row = (datetime.now(timezone.utc).isoformat(), provider, hook, is_json, body.decode("utf-8", "replace"))
    with lock:
        cursor = db.execute(
            "insert into deliveries (received_at, provider, hook, is_json, body) values (?, ?, ?, ?, ?)", row
        )
        db.commit()
        return {"status": "stored", "id": cursor.lastrowid}


async def raw_body(request: Request):
    return await request.body()


if os.environ.get("RECEIVER_HANDLER") == "threads":

    @app.post("/hooks/{provider}/{hook}/{key}")
    def receive(provider: str, hook: str, key: str, body: bytes = Depends(raw_body)):
        return keep(provider, hook, key, body)

else:

    @app.post("/hooks/{provider}/{hook}/{key}")
    async def receive(provider: str, hook: str, key: str, request: Request):
        return keep(provider, hook, key, await request.body())
