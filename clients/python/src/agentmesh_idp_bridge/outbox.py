"""Kills on their way to the bridge, in one SQLite file: durable before anything is sent."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .fields import as_members

_SCHEMA = """
create table if not exists kills (
  key text primary key,
  origin text not null,
  did text not null,
  body text not null,
  queued_at real not null,
  refused text
)
"""


@dataclass(frozen=True)
class QueuedKill:
    #: The Idempotency-Key under which it is sent, however often.
    key: str
    did: str
    body: Mapping[str, object]


class Outbox:
    """Kills that one bridge has not acknowledged yet. Several processes may share a file; each sends what it finds.

    ``path`` None keeps them in memory only: they are lost with the process.
    """

    def __init__(self, path: str | os.PathLike[str] | None, origin: str) -> None:
        self._origin = origin
        self._lock = threading.Lock()
        if path is not None:
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Reasons of kills are nobody else's business.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(
            ':memory:' if path is None else path, timeout=10, isolation_level=None, check_same_thread=False
        )
        self._db.execute('pragma synchronous = extra')
        self._db.execute(_SCHEMA)

    def add(self, kill: QueuedKill) -> None:
        """Durable when it returns. Raises sqlite3.Error."""
        with self._lock:
            self._db.execute(
                'insert into kills (key, origin, did, body, queued_at) values (?, ?, ?, ?, ?)',
                (kill.key, self._origin, kill.did, json.dumps(kill.body), time.time()),
            )

    def queued(self) -> list[QueuedKill]:
        """Oldest first, without those that the bridge refused."""
        with self._lock:
            rows = self._db.execute(
                'select key, did, body from kills where origin = ? and refused is null order by queued_at, rowid',
                (self._origin,),
            ).fetchall()
        return [QueuedKill(key, did, as_members(json.loads(body))) for key, did, body in rows]

    def delivered(self, key: str) -> None:
        with self._lock:
            self._db.execute('delete from kills where key = ?', (key,))

    def refused(self, key: str, why: str) -> None:
        """Keeps it for a person to look at; it is not sent again."""
        with self._lock:
            self._db.execute('update kills set refused = ? where key = ?', (why, key))

    def close(self) -> None:
        with self._lock:
            self._db.close()
