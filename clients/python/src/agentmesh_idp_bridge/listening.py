"""Keeps the bridge's stream of signals open: resumes after the last event, reconnects, and notices silence."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import random
import threading
from collections.abc import Callable, Mapping

from .errors import BridgeError
from .events import EventParser
from .fields import as_members
from .transport import Bridge, Stream

log = logging.getLogger('agentmesh_idp_bridge')

_LONGEST_PAUSE = 15.0


class Listener:
    """``opening`` is called before each attempt, ``heard`` with every line that came; ``heard`` answers whether what is
    known is still good. If not, the stream is opened anew without a position, so that a snapshot comes first."""

    def __init__(
        self,
        bridge: Bridge,
        *,
        silence: float,
        opening: Callable[[], None],
        opened: Callable[[], None],
        heard: Callable[[], bool],
        take: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self._bridge = bridge
        self._silence = silence
        self._opening = opening
        self._opened = opened
        self._heard = heard
        self._take = take
        self._last_id: str | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name='idp-bridge-listener', daemon=True)
        self.connected = False
        self.last_error: str | None = None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()
        if self._thread.is_alive():
            self._thread.join(15)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if self._listen():
                    failures = 0
            except (BridgeError, OSError, ValueError, http.client.HTTPException) as error:
                self.last_error = str(error)
                log.warning('the stream of signals broke: %s', error)
            except Exception as error:
                # A fault of ours must not end the thread: the gate would stay closed, and nobody would know why.
                self.last_error = repr(error)
                log.exception('a signal could not be taken; a snapshot is asked for')
                self._last_id = None
            finally:
                self.connected = False
            failures += 1
            self._stop.wait(min(_LONGEST_PAUSE, 0.1 * 2 ** min(failures, 10)) * (0.5 + random.random() / 2))  # noqa: S311

    def _listen(self) -> bool:
        """Reads one stream to its end. Whether anything came."""
        self._opening()
        headers = {} if self._last_id is None else {'Last-Event-ID': self._last_id}
        stream = self._bridge.stream('/v1/signals', headers, self._silence)
        with self._lock:
            self._stream = stream
        came = False
        try:
            parser = EventParser()
            while not self._stop.is_set():
                line = stream.line()
                if not line:
                    break
                if not self._heard():
                    self._last_id = None
                    return True
                if not came:
                    came = self.connected = True
                    self.last_error = None
                    self._opened()
                event = parser.feed(line)
                if event is None:
                    continue
                try:
                    data = as_members(json.loads(event.data))
                    self._take(event.name, data)
                except (BridgeError, ValueError):
                    # What cannot be read may have been a hold: start over from a snapshot.
                    self._last_id = None
                    raise
                self._last_id = event.id
        finally:
            with self._lock:
                self._stream = None
            with contextlib.suppress(OSError):
                stream.close()
        return came
