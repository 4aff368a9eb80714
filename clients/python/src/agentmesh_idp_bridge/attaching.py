"""``attach``: ties AGT's kill switch in this process to the bridge, in both directions."""

from __future__ import annotations

import functools
import os
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

from . import fields
from .agt import Identities, KillSwitchLike
from .errors import BridgeError
from .gate import HELD, SILENT, Gate
from .held import Held, Hold, gravest
from .listening import Listener
from .local import Change, Identity, Stops
from .outbox import Outbox, QueuedKill
from .sending import Sender
from .transport import Bridge, Token
from .trust import TrustAnswer, report_trust
from .wrapping import is_wrapped, wrap

_HEARTBEAT = 15.0
#: The bridge keeps less; a kill must not be refused for its length.
_LONGEST_TEXT = 8_000


def elapsed() -> float:
    """Seconds that also pass while the machine sleeps, where the system has such a clock."""
    clock = getattr(time, 'CLOCK_BOOTTIME', None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(frozen=True)
class Status:
    connected: bool
    #: Whether the gate knows who is held: False before the first snapshot, and after a silence.
    informed: bool
    #: Seconds since the bridge was last heard; None when it never was.
    silent_for: float | None
    #: Kills that the bridge has not taken yet.
    pending: int
    last_error: str | None


def attach(
    *,
    url: str,
    token: Token,
    kill_switch: KillSwitchLike | None,
    queue: str | os.PathLike[str] | None,
    identities: Identities | None = None,
    max_silence: float = 45.0,
    record_within: float = 2.0,
    session: str = 'idp-bridge',
    on_change: Callable[[Change], None] | None = None,
    context: ssl.SSLContext | None = None,
    clock: Callable[[], float] = elapsed,
) -> Attachment:
    """Attaches this process to the bridge, until :meth:`Attachment.close`.

    ``url``, ``token``
        The bridge, and the token of a client with role ``runtime`` (text, or a function that gives it).
    ``kill_switch``
        A ``hypervisor.KillSwitch``. Its ``kill`` is recorded at the bridge before its handlers run, and is fired for
        holds that come from elsewhere. None: only the gate.
    ``queue``
        A file on a disk that outlives the process: kills wait there while the bridge is away. None: in memory only.
    ``identities``
        Finds ``AgentIdentity`` objects by DID; they are suspended and reactivated with the agent.
    ``max_silence``
        Seconds without a sign of the bridge after which the gate closes for everyone; at least 20 (it gives a sign
        every 15).
    ``record_within``
        Seconds that a local kill waits for the bridge at most, before its handlers run.
    ``session``
        The session id of kills that come from the bridge, which knows none.
    ``on_change``
        Called, in order, for each hold and when the agent is free. A host starts its agents again here: AGT forgets a
        killed agent's handle.

    Raises BridgeError ``E_CONFIGURATION``, sqlite3.Error and OSError for a queue that cannot be used.
    """
    if max_silence < _HEARTBEAT + 5:
        raise BridgeError('E_CONFIGURATION', f'max_silence must be at least {_HEARTBEAT + 5:.0f} seconds.')
    if kill_switch is not None and is_wrapped(kill_switch):
        raise BridgeError('E_CONFIGURATION', 'This kill switch is attached to a bridge already.')
    bridge = Bridge(url, token, context=context)
    return Attachment(
        bridge,
        Outbox(queue, bridge.origin),
        kill_switch,
        Identity(identities, on_change),
        max_silence=max_silence,
        record_within=record_within,
        session=session,
        clock=clock,
    )


class Attachment:
    """A process that is attached to the bridge; use it as a context manager, or close it."""

    def __init__(
        self,
        bridge: Bridge,
        outbox: Outbox,
        kill_switch: KillSwitchLike | None,
        identity: Identity,
        *,
        max_silence: float,
        record_within: float,
        session: str,
        clock: Callable[[], float],
    ) -> None:
        self._bridge = bridge
        self._outbox = outbox
        self._identity = identity
        self._max_silence = max_silence
        self._record_within = record_within
        self._clock = clock
        self._lock = threading.Lock()
        self._held = Held()
        self._heard_at: float | None = None
        self._informed = threading.Event()
        self._closed = False
        self._stops: Stops | None = None
        self._unwrap: Callable[[], None] = lambda: None
        #: Ask it before each action.
        self.gate = Gate(self._codes)
        self._sender = Sender(bridge, outbox, self._delivered)
        self._listener = Listener(
            bridge,
            silence=min(max_silence, 2 * _HEARTBEAT + 5),
            opening=self._opening,
            opened=self._sender.wake,
            heard=self._heard,
            take=self._take,
        )
        for kill in outbox.queued():
            self._held.killing(kill.did, kill.key)
            identity.apply(Change(kill.did, True))
            self._sender.queued(kill)
        if kill_switch is not None:
            self._stops = Stops(kill_switch, kill_switch.kill, session)
            self._unwrap = wrap(kill_switch, self._stops, self._record, self._must_stop)
        identity.start()
        self._sender.start()
        self._listener.start()

    def ready(self, timeout: float | None = None) -> bool:
        """Waits until the gate knows who is held; until then it is closed for everyone."""
        return self._informed.wait(timeout)

    def flush(self, timeout: float) -> bool:
        """Waits until the bridge has taken every kill and acknowledgement. False when it has not by then."""
        return self._sender.flush(timeout)

    def report_trust(self, scores: Mapping[str, int]) -> list[TrustAnswer]:
        """Reports trust scores on AGT's scale of 0 to 1000, by DID: what the bridge does about them is its policy.

        Asked once; repeating it costs nothing. Raises ValueError for what is no such score, BridgeError when the bridge
        refuses or does not answer.
        """
        return report_trust(self._bridge, scores)

    def status(self) -> Status:
        with self._lock:
            heard = self._heard_at
            informed = not self._is_silent()
        return Status(
            connected=self._listener.connected,
            informed=informed,
            silent_for=None if heard is None else max(0.0, self._clock() - heard),
            pending=self._sender.pending(),
            last_error=self._listener.last_error,
        )

    def close(self) -> None:
        """Detaches: the kill switch is as it was, the gate closed. What is queued stays queued for the next process."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._unwrap()
        self._listener.close()
        self._identity.close()
        if self._stops is not None:
            self._stops.close()
        self._sender.close()
        self._outbox.close()

    def __enter__(self) -> Attachment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The gate.

    def _codes(self, did: str) -> tuple[str, ...]:
        with self._lock:
            held = (HELD,) if self._held.is_held(did) else ()
            return (*held, SILENT) if self._is_silent() else held

    def _is_silent(self) -> bool:
        if self._closed or not self._held.known or self._heard_at is None:
            return True
        return self._clock() - self._heard_at > self._max_silence

    # From this process to the bridge.

    def _record(self, did: str, arguments: Mapping[str, Any]) -> None:
        reason = arguments.get('reason', 'manual')
        body: dict[str, object] = {
            'agentId': did,
            'reason': str(getattr(reason, 'value', reason)) or 'manual',
            'details': str(arguments.get('details') or '')[:_LONGEST_TEXT],
            'sessionId': str(arguments.get('session_id') or '')[:_LONGEST_TEXT],
            'killedAt': datetime.now(timezone.utc).isoformat(timespec='milliseconds').replace('+00:00', 'Z'),
        }
        if not body['details']:
            del body['details']
        kill = QueuedKill(str(uuid.uuid4()), did, body)
        with self._lock:
            self._held.killing(did, kill.key)
        self._identity.apply(Change(did, True))
        self._sender.kill(kill, self._record_within)

    def _must_stop(self, did: str) -> str | None:
        """What to tell the kill switch of an agent that must not start; None when it may."""
        with self._lock:
            must_stop = self._held.must_stop(did) and not self._closed
            return _details(gravest(self._held.holds(did))) if must_stop else None

    def _delivered(self, kill: QueuedKill, hold_id: str | None) -> None:
        with self._lock:
            free = self._held.delivered(kill.did, kill.key, hold_id)
        if free:
            self._freed(kill.did)

    # From the bridge to this process.

    def _opening(self) -> None:
        with self._lock:
            self._held.epoch += 1

    def _heard(self) -> bool:
        with self._lock:
            now, before = self._clock(), self._heard_at
            self._heard_at = now
            if before is None or now - before <= self._max_silence or not self._held.known:
                return True
            # What was known may be long out of date, and nothing tells when the stream has caught up but a snapshot.
            self._held.known = False
            self._informed.clear()
            return False

    def _take(self, event: str, data: Mapping[str, object]) -> None:
        if event == 'snapshot':
            self._snapshot(data)
        elif event == 'suspended':
            hold, seq = _hold(data), fields.number(data, 'seq')
            with self._lock:
                fresh = [did for did in _spellings(data) if self._held.suspended(did, hold)]
            self._act(fresh, hold, lambda: self._sender.acknowledge(hold.id, f'/v1/signals/{seq}/ack', {}))
        elif event == 'resumed':
            with self._lock:
                free = self._held.released(_spellings(data))
            for did in free:
                self._freed(did)

    def _snapshot(self, data: Mapping[str, object]) -> None:
        told = {
            did: [_hold(hold) for hold in fields.items(entry, 'holds')]
            for entry in fields.items(data, 'held')
            for did in _spellings(entry)
        }
        with self._lock:
            fresh, free = self._held.snapshot(told)
        spelled: dict[str, tuple[Hold, list[str]]] = {}
        for did, hold in fresh:
            spelled.setdefault(hold.id, (hold, []))[1].append(did)
        for hold, dids in spelled.values():
            # A snapshot has no sequence to acknowledge; this kill names the hold it answers, and places none.
            body = {'agentId': dids[0], 'reason': 'acknowledged', 'inResponseTo': hold.id}
            self._act(dids, hold, functools.partial(self._sender.acknowledge, hold.id, '/v1/kill', body))
        for did in free:
            self._freed(did)
        self._informed.set()

    def _act(self, dids: list[str], hold: Hold, acknowledge: Callable[[], None]) -> None:
        """Acknowledged once nothing runs under any spelling of the agent."""
        done = _after(len(dids), acknowledge)
        for did in dids:
            if self._stops is not None and hold.kills:
                self._identity.apply(Change(did, True, hold))
                self._stops.stop(did, _details(hold), done)
            else:
                self._identity.apply(Change(did, True, hold), done)

    def _freed(self, did: str) -> None:
        if self._stops is not None:
            self._stops.forget(did)
        self._identity.apply(Change(did, False))


def _hold(data: Mapping[str, object]) -> Hold:
    return Hold(
        fields.text(data, 'holdId'),
        fields.text(data, 'severity'),
        fields.optional_text(data, 'origin') or '',
        fields.optional_text(data, 'reason') or '',
    )


def _spellings(data: Mapping[str, object]) -> list[str]:
    """The DID the bridge names the agent by, and its aliases, each once."""
    return list(dict.fromkeys([fields.text(data, 'did'), *fields.optional_texts(data, 'aliases')]))


def _after(times: int, call: Callable[[], None]) -> Callable[[], None]:
    """Calls at the last of so many calls of its own."""
    left, lock = times, threading.Lock()

    def done() -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = left == 0
        if is_last:
            call()

    return done


def _details(hold: Hold | None) -> str:
    return 'held by the identity bridge' if hold is None else f'hold {hold.id} of {hold.origin}: {hold.reason}'
