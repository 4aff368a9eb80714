"""Sends kills and acknowledgements until the bridge has taken them: at once, then with backoff, for ever."""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import BridgeError
from .fields import as_members, text
from .outbox import Outbox, QueuedKill
from .transport import Bridge

log = logging.getLogger('agentmesh_idp_bridge')

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
#: Statuses that another attempt would not change.
_FINAL = frozenset({400, 404, 405, 409, 410, 413, 415, 422})


@dataclass
class _Job:
    name: str
    urgent: bool
    run: Callable[[float | None], None]
    attempts: int = 0
    due: float = 0.0
    busy: bool = False


class Sender:
    """``delivered`` is told of each kill the bridge took, with the id of its hold (None: released since)."""

    def __init__(self, bridge: Bridge, outbox: Outbox, delivered: Callable[[QueuedKill, str | None], None]) -> None:
        self._bridge = bridge
        self._outbox = outbox
        self._delivered = delivered
        self._jobs: dict[str, _Job] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='idp-bridge-sender', daemon=True)

    def start(self) -> None:
        self._thread.start()

    def queued(self, kill: QueuedKill) -> None:
        """Sends a kill that an earlier process left."""
        self._add(self._kill_job(kill))

    def kill(self, kill: QueuedKill, within: float) -> bool:
        """Makes the kill durable, then sends it once, for at most ``within`` seconds. True when the bridge took it.

        Never raises: a kill goes on, whatever becomes of its record.
        """
        try:
            self._outbox.add(kill)
        except (sqlite3.Error, TypeError, ValueError):
            log.exception('the kill of %s could not be queued durably; it is sent from memory', kill.did)
        job = self._kill_job(kill)
        job.busy = True
        self._add(job)
        return self._attempt(job, within)

    def acknowledge(self, name: str, path: str, body: object) -> None:
        """Tells the bridge that a hold was acted on; kept in memory, for it is asked for again after a restart."""

        def run(timeout: float | None) -> None:
            self._bridge.post(path, body, timeout=timeout)

        self._add(_Job(name, False, run))

    def wake(self) -> None:
        """The bridge answers again: what waits is sent now."""
        with self._changed:
            for job in self._jobs.values():
                job.due = 0.0
            self._changed.notify_all()

    def pending(self) -> int:
        """Kills that the bridge has not taken yet."""
        with self._changed:
            return sum(job.urgent for job in self._jobs.values())

    def flush(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs, timeout)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(15)

    def _kill_job(self, kill: QueuedKill) -> _Job:
        def run(timeout: float | None) -> None:
            hold: str | None = None
            try:
                answer = self._bridge.post('/v1/kill', kill.body, key=kill.key, timeout=timeout)
                hold = text(as_members(answer.body), 'holdId')
            except BridgeError as error:
                # It was taken, its answer was lost, and people released the hold in the meantime.
                if error.code != 'E_IDEMPOTENCY_RELEASED':
                    if error.status in _FINAL:
                        self._refused(kill, error)
                    raise
            try:
                self._outbox.delivered(kill.key)
            except sqlite3.Error:
                # Sent again after a restart, under the same key.
                log.exception('a delivered kill of %s could not be taken off the queue', kill.did)
            self._delivered(kill, hold)

        return _Job(f'kill:{kill.key}', True, run)

    def _refused(self, kill: QueuedKill, error: BridgeError) -> None:
        log.error('the bridge refused the kill of %s for good: %s', kill.did, error)
        try:
            self._outbox.refused(kill.key, error.code)
        except sqlite3.Error:
            log.exception('the refusal could not be noted')

    def _add(self, job: _Job) -> None:
        with self._changed:
            self._jobs[job.name] = job
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                idle = [job for job in self._jobs.values() if not job.busy]
                job = min((job for job in idle if job.due <= now), key=lambda job: not job.urgent, default=None)
                if job is None:
                    self._changed.wait(min((job.due - now for job in idle), default=None))
                    continue
                job.busy = True
            self._attempt(job, None)

    def _attempt(self, job: _Job, timeout: float | None) -> bool:
        done, pause = False, 0.0
        try:
            job.run(timeout)
            done = True
        except BridgeError as error:
            final = error.status in _FINAL
            job.attempts += 1
            pause = max(error.retry_after or 0.0, _pause(job.attempts))
            if not final:
                log.warning('%s was not taken, again in %.1f s: %s', job.name, pause, error)
            elif not job.urgent:
                log.info('%s is not wanted any more: %s', job.name, error)
        except Exception:
            job.attempts += 1
            pause, final = _pause(job.attempts), False
            log.exception('%s failed, again in %.1f s', job.name, pause)
        with self._changed:
            job.busy = False
            job.due = time.monotonic() + pause
            if done or final:
                self._jobs.pop(job.name, None)
            self._changed.notify_all()
        return done


def _pause(attempts: int) -> float:
    """Doubling, with a ceiling and full jitter, so that a fleet does not come back in step."""
    ceiling: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempts, 10))
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311 — no secret
