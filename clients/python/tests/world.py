"""The real daemon on a local tenant, and a wire to it that can be cut."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from agentmesh_idp_bridge.errors import BridgeError
from agentmesh_idp_bridge.transport import Bridge, did_path

T = TypeVar('T')
ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0


def until(what: str, probe: Callable[[], T | bool | None], timeout: float = PATIENCE) -> T:
    """What `probe` gives once it is neither None nor False."""
    deadline = time.monotonic() + timeout
    while True:
        found = probe()
        if found is not None and found is not False:
            return found  # type: ignore[return-value]
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {timeout} s: {what}')
        time.sleep(0.02)


@dataclass
class World:
    process: subprocess.Popen[str]
    facts: dict[str, Any]
    relays: list[Relay] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return str(self.facts['origin'])

    @property
    def policy(self) -> str:
        """Where policy engines ask without a token."""
        return str(self.facts['policy'])

    def token(self, name: str) -> str:
        return str(self.facts['tokens'][name])

    def as_client(self, name: str) -> Bridge:
        return Bridge(self.origin, self.token(name), timeout=30)

    def command(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f'{line}\n')
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def kill_daemon(self) -> None:
        self.command('kill')

    def start_daemon(self) -> None:
        self.facts.update(self.command('start'))
        for relay in self.relays:
            relay.target = self.origin

    def tenant(self, path: str, body: object = None) -> Any:
        """The tenant's control: what an administrator, or Microsoft, would do there."""
        request = urllib.request.Request(
            f'{self.facts["tenant"]["origin"]}/_sandbox/{path}',
            json.dumps(body or {}).encode(),
            {'content-type': 'application/json'},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            payload = response.read()
        return json.loads(payload) if payload else None

    def tenant_state(self, object_id: str) -> dict[str, Any]:
        with urllib.request.urlopen(
            f'{self.facts["tenant"]["origin"]}/_sandbox/objects/{object_id}', timeout=30
        ) as got:
            state: dict[str, Any] = json.loads(got.read())
        return state

    def account(self) -> str:
        """A new agent identity in the tenant; its object id."""
        blueprint = 'eeeeeeee-0000-4000-8000-000000000002'
        body = {'displayName': f'agent-{uuid.uuid4().hex[:8]}', 'blueprintAppId': blueprint}
        return str(self.tenant('agentIdentities', body)['id'])

    def agent(self) -> tuple[str, str]:
        """A registered agent with an account of its own: DID and object id."""
        account, did = self.account(), f'did:mesh:{uuid.uuid4().hex}'
        principal = {'adapter': 'contoso', 'id': account, 'kind': 'agentIdentity', 'appId': account}
        self.as_client('alice').post('/v1/agents', {'did': did, 'name': 'an agent', 'principals': [principal]})
        return did, account

    def agent_body(self, did: str) -> dict[str, Any]:
        body = self.as_client('alice').get(did_path(did)).body
        assert isinstance(body, dict)
        return body

    def open_holds(self, did: str) -> list[dict[str, Any]]:
        body = self.as_client('alice').get(did_path(did, '/holds')).body
        assert isinstance(body, dict)
        return [hold for hold in body['items'] if hold['releasedAt'] is None]

    def hold(self, did: str, severity: str, reason: str = 'case 4711', client: str = 'alice') -> str:
        body = self.as_client(client).post(did_path(did, '/holds'), {'severity': severity, 'reason': reason}).body
        assert isinstance(body, dict)
        return str(body['id'])

    def release(self, did: str, hold_id: str) -> None:
        """By its actor if that may, else by two people."""
        alice, bob, carol = (self.as_client(name) for name in ('alice', 'bob', 'carol'))
        path = did_path(did, f'/holds/{hold_id}/release')
        try:
            answer = alice.post(path, {'reason': 'false alarm'})
        except BridgeError as error:
            if error.code != 'E_SAME_PERSON':
                raise
            answer = bob.post(path, {'reason': 'false alarm'})
        if answer.status == 202:
            assert isinstance(answer.body, dict)
            carol.post(f'/v1/releases/{answer.body["releaseId"]}/approve', {})

    def leg(self, did: str, hold_id: str, client: str = 'runtime') -> str | None:
        """The state of a runtime's leg on the receipt of a hold."""
        body = self.as_client('alice').get(did_path(did, f'/receipts/{hold_id}')).body
        assert isinstance(body, dict)
        legs = [leg for leg in body['legs'] if leg['type'] == 'runtime' and leg['client'] == client]
        return None if not legs else str(legs[0]['state'])


@contextlib.contextmanager
def start_world() -> Iterator[World]:
    node = os.environ.get('BRIDGE_NODE', str(ROOT / 'node_modules' / '.bin' / 'node'))
    process = subprocess.Popen(
        [node, str(ROOT / 'test' / 'real' / 'pythonworld.ts')],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, 'the daemon did not start'
        yield World(process, json.loads(line))
    finally:
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Relay:
    """A wire between a client and the daemon. `cut` refuses and resets; `stall` takes what is sent and passes nothing;
    `deaf` passes requests but no answers."""

    def __init__(self, world: World, tls: ssl.SSLContext | None = None) -> None:
        self.target = world.origin
        self._tls = tls
        #: Heads of requests that passed, oldest first.
        self.requests: list[str] = []
        self._mode = 'up'
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(('127.0.0.1', 0))
        scheme = 'http' if tls is None else 'https'
        self.origin = f'{scheme}://127.0.0.1:{self._server.getsockname()[1]}'
        world.relays.append(self)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._change('cut')

    def stall(self) -> None:
        with self._lock:
            self._mode = 'stall'

    def deaf(self) -> None:
        with self._lock:
            self._mode = 'deaf'

    def mend(self) -> None:
        """Passes again; what was open before stays broken."""
        self._change('up')

    def close(self) -> None:
        self._server.close()
        self._change('cut')

    def _change(self, mode: str) -> None:
        with self._lock:
            self._mode = mode
            broken, self._sockets = self._sockets, set()
        for sock in broken:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._tls is not None:
                try:
                    client = self._tls.wrap_socket(client, server_side=True)
                except OSError:
                    continue
            with self._lock:
                if self._mode == 'cut':
                    client.close()
                    continue
                self._sockets.add(client)
                stalled = self._mode == 'stall'
            if stalled:
                continue
            parts = urlsplit(self.target)
            try:
                server = socket.create_connection((parts.hostname, parts.port), 10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets.add(server)
            for here, there, lost in ((client, server, {'stall'}), (server, client, {'stall', 'deaf'})):
                threading.Thread(target=self._pump, args=(here, there, lost), daemon=True).start()

    def _pump(self, here: socket.socket, there: socket.socket, lost: set[str]) -> None:
        with contextlib.suppress(OSError):
            while data := here.recv(65536):
                with self._lock:
                    passes = self._mode not in lost
                if passes:
                    if data.startswith((b'GET ', b'POST ')):
                        self.requests.append(data.partition(b'\r\n\r\n')[0].decode('latin-1').lower())
                    there.sendall(data)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_RDWR)


class Clock:
    """A clock that passes and can be moved on."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
