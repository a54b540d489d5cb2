#!/bin/sh
# What Debian's `webhook` runs for each request: the rival of `cargo bench --bench ingest`. BODY is the body, RECEIVER_DB
# names the database, which is in WAL mode; the shell of SQLite syncs every commit.
set -eu
quoted=$(printf %s "$BODY" | sed "s/'/''/g")
sqlite3 -bail -cmd '.timeout 20000' "$RECEIVER_DB" "insert into deliveries (body) values ('$quoted')"
