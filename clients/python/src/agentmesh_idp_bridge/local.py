"""What a hold does in this process: stops what runs, suspends identities, tells the host; in the order it came."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .agt import Identities, KillSwitchLike, handle_of, manual_reason
from .held import Hold

log = logging.getLogger('agentmesh_idp_bridge')

Kill = Callable[..., Any]
Done = Callable[[], None]


@dataclass(frozen=True)
class Change:
    """A hold of an agent, or its freedom. ``hold`` is what the bridge told; None for a kill of this process."""

    did: str
    held: bool
    hold: Hold | None = None


class Stops:
    """Fires the local kill switch for holds that came from elsewhere, one stop of a DID at a time.

    A stop that does not succeed (the callback hangs or raises) is not acknowledged: the receipt goes on saying that
    this runtime has not closed. It is when a later stop succeeds: AGT forgets a handle with every kill, so the host
    registers a new one first.
    """

    def __init__(self, kill_switch: KillSwitchLike, kill: Kill, session: str) -> None:
        self._switch = kill_switch
        self._kill = kill
        self._session = session
        self._pool = ThreadPoolExecutor(8, 'idp-bridge-stop')
        self._lock = threading.Lock()
        self._busy: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[str, Done]]] = {}
        self._failed: set[str] = set()
        self._unproven: dict[str, list[Done]] = {}
        self._answering: set[str] = set()

    def begin(self, did: str) -> None:
        with self._lock:
            self._busy[did] = self._busy.get(did, 0) + 1

    def end(self, did: str, terminated: bool | None) -> None:
        """A kill of the DID returned; ``terminated`` None when nothing ran under it."""
        with self._lock:
            self._busy[did] -= 1
            if not self._busy[did]:
                del self._busy[did]
            if terminated is False:
                self._failed.add(did)
            elif terminated:
                self._failed.discard(did)
            proven = self._unproven.pop(did, []) if terminated else []
            waiting = self._waiting.pop(did, []) if did not in self._busy else []
        for done in proven:
            done()
        for details, done in waiting:
            self.stop(did, details, done)

    def is_answering(self, did: str) -> bool:
        """Whether a kill of the DID now would be a consequence of a stop that is under way."""
        with self._lock:
            return did in self._answering

    def has_failed(self, did: str) -> bool:
        with self._lock:
            return did in self._failed

    def stop(self, did: str, details: str, done: Done) -> None:
        """Stops it soon; ``done`` is called when nothing of it runs here any more."""
        self._pool.submit(self._stop, did, details, done)

    def forget(self, did: str) -> None:
        """The agent is free: what did not stop is not owed any more."""
        with self._lock:
            self._failed.discard(did)
            self._unproven.pop(did, None)
            self._waiting.pop(did, None)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _stop(self, did: str, details: str, done: Done) -> None:
        with self._lock:
            if did in self._busy:
                self._waiting.setdefault(did, []).append((details, done))
                return
            self._busy[did] = 1
            self._answering.add(did)
        terminated: bool | None = None
        try:
            key = handle_of(self._switch, did)
            if key is not None:
                result = self._kill(key, self._session, manual_reason(), details=details)
                terminated = bool(getattr(result, 'terminated', False))
        except Exception:
            terminated = False
            log.exception('the kill switch failed for %s', did)
        finally:
            with self._lock:
                self._answering.discard(did)
            self.end(did, terminated)
        with self._lock:
            # By now another kill of it may have succeeded.
            failed = did in self._failed
            if failed:
                self._unproven.setdefault(did, []).append(done)
        if failed:
            log.error('%s did not stop here; its hold is not acknowledged until a kill of it succeeds', did)
        else:
            done()


class Identity:
    """Suspends and reactivates identities and tells the host, in order, on a thread of its own."""

    def __init__(self, identities: Identities | None, on_change: Callable[[Change], None] | None) -> None:
        self._identities = identities
        self._on_change = on_change
        self._suspended: set[str] = set()
        self._changes: queue.SimpleQueue[tuple[Change, Done] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name='idp-bridge-local', daemon=True)

    def start(self) -> None:
        self._thread.start()

    def apply(self, change: Change, done: Done = lambda: None) -> None:
        self._changes.put((change, done))

    def close(self) -> None:
        self._changes.put(None)

    def _run(self) -> None:
        while (item := self._changes.get()) is not None:
            change, done = item
            try:
                self._mirror(change)
                if self._on_change is not None:
                    self._on_change(change)
            except Exception:
                log.exception('the host did not take the change of %s', change.did)
            else:
                done()

    def _mirror(self, change: Change) -> None:
        identity = None if self._identities is None else self._identities.get(change.did)
        if identity is None:
            return
        # AGT lets a revoked identity be suspended, and then reactivated: it would be raised from the dead.
        if change.held and identity.status == 'active':
            # The word "security" makes AGT refuse a reactivation that does not say that it means it.
            cause = 'a local kill' if change.hold is None else f'hold {change.hold.id}'
            identity.suspend(f'security: held by the identity bridge ({cause})')
            self._suspended.add(change.did)
        elif not change.held and change.did in self._suspended:
            self._suspended.discard(change.did)
            if identity.status == 'suspended':
                identity.reactivate(override_reason=True)
