"""The one HTTP client: a pinned origin, no redirects, a time limit and a size limit for every answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlencode, urlsplit

from .errors import BridgeError, Unreachable
from .fields import as_members

Token = str | Callable[[], str]

_MAX_ANSWER = 64 * 1024 * 1024
_CHUNK = 64 * 1024
_TOKEN = re.compile(r'[\x21-\x7e]+')
_USER_AGENT = 'agentmesh-idp-bridge-python/0.1.0'


@dataclass(frozen=True)
class Answer:
    status: int
    #: The body as JSON; None when there is none.
    body: object


def _is_loopback(host: str) -> bool:
    if host == 'localhost':
        return True
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return False


def did_path(did: str, rest: str = '') -> str:
    """The path of an agent, its DID encoded as one segment."""
    return f'/v1/agents/{quote(did, safe="")}{rest}'


class Stream:
    """An open answer that is read line by line; :meth:`close` may be called by another thread."""

    def __init__(self, connection: http.client.HTTPConnection, sock: socket.socket) -> None:
        self._connection = connection
        self._socket = sock
        self._response: http.client.HTTPResponse | None = None

    def begin(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def line(self) -> bytes:
        """The next line with its end; empty at the end of the stream. Raises OSError."""
        if self._response is None:
            return b''
        line = self._response.readline(_MAX_ANSWER + 1)
        if len(line) > _MAX_ANSWER:
            raise BridgeError('E_ANSWER', 'A line of the stream is longer than 64 MiB.')
        return line

    def close(self) -> None:
        # Closing a socket does not wake a thread that reads from it; shutting it down does.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class Bridge:
    """Requests to one bridge, as the client whose token is given.

    Plain ``http://`` is accepted for loopback only. A token given as a function is asked for before each request, so
    that it can be rotated. Raises BridgeError ``E_CONFIGURATION`` for an address or a token that cannot be used.
    """

    def __init__(self, url: str, token: Token, *, timeout: float = 10.0, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if '@' in parts.netloc:
            raise BridgeError('E_CONFIGURATION', 'The address of the bridge must not carry a user name or password.')
        if parts.hostname is None or parts.path not in ('', '/') or parts.query or parts.fragment:
            raise BridgeError('E_CONFIGURATION', f'{url!r} is not the origin of a bridge, as https://host:port.')
        if parts.scheme != 'https' and not (parts.scheme == 'http' and _is_loopback(parts.hostname)):
            raise BridgeError('E_CONFIGURATION', 'The bridge must be reached by https://, except on loopback.')
        self._host = parts.hostname
        self._port = parts.port
        self._context = (context or ssl.create_default_context()) if parts.scheme == 'https' else None
        self._token = token
        self._timeout = timeout
        #: As ``https://host:port``.
        self.origin = f'{parts.scheme}://{parts.netloc}'
        if isinstance(token, str):
            self._checked(token)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        return self.ask('GET', path if not query else f'{path}?{urlencode(query)}')

    def post(self, path: str, body: object, *, key: str | None = None, timeout: float | None = None) -> Answer:
        """Sent once. ``key`` is the Idempotency-Key under which it may be repeated."""
        return self.ask('POST', path, body, key=key, timeout=timeout)

    def ask(
        self, method: str, path: str, body: object = None, *, key: str | None = None, timeout: float | None = None
    ) -> Answer:
        """The answer, if its status is 2xx.

        Raises Unreachable when none came within ``timeout`` seconds, BridgeError with the code of the bridge's
        problem document for any other status.
        """
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        headers = {} if key is None else {'Idempotency-Key': key}
        connection, sock = self._connect(deadline)
        try:
            response = self._send(connection, method, path, body, headers)
            payload = self._read(response, sock, deadline)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f'{method} {self.origin}: {type(error).__name__}: {error}.') from error
        finally:
            connection.close()
        return self._answer(response, payload)

    def stream(self, path: str, headers: Mapping[str, str], silence: float) -> Stream:
        """Opens an event stream. Reading from it fails when nothing came for ``silence`` seconds."""
        deadline = time.monotonic() + self._timeout
        connection, sock = self._connect(deadline)
        stream = Stream(connection, sock)
        try:
            response = self._send(connection, 'GET', path, None, {'Accept': 'text/event-stream', **headers})
            if response.status != 200:
                self._answer(response, self._read(response, sock, deadline))
                raise BridgeError('E_ANSWER', f'The stream answered {response.status}.', status=response.status)
            sock.settimeout(silence)
        except (OSError, http.client.HTTPException) as error:
            stream.close()
            raise Unreachable(f'GET {self.origin}{path}: {type(error).__name__}: {error}.') from error
        except BridgeError:
            stream.close()
            raise
        stream.begin(response)
        return stream

    def _connect(self, deadline: float) -> tuple[http.client.HTTPConnection, socket.socket]:
        timeout = max(deadline - time.monotonic(), 0.001)
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=timeout)
            if self._context is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)
        )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise Unreachable(f'{self.origin}: {type(error).__name__}: {error}.') from error
        sock: socket.socket = connection.sock
        return connection, sock

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: object,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        payload = None if body is None else json.dumps(body).encode()
        sent = {
            'Accept': 'application/json',
            'Authorization': f'Bearer {self._checked(self._token if isinstance(self._token, str) else self._token())}',
            'User-Agent': _USER_AGENT,
            'X-Request-Id': str(uuid.uuid4()),
            **({} if payload is None else {'Content-Type': 'application/json'}),
            **headers,
        }
        connection.request(method, path, payload, sent)
        return connection.getresponse()

    def _read(self, response: http.client.HTTPResponse, sock: socket.socket, deadline: float) -> bytes:
        payload = bytearray()
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError('the answer took too long')
            # The connection gives its socket away once the answer is to be the last one; it stays the same socket.
            with contextlib.suppress(OSError):
                sock.settimeout(remaining)
            chunk = response.read1(_CHUNK)
            if not chunk:
                return bytes(payload)
            payload += chunk
            if len(payload) > _MAX_ANSWER:
                raise BridgeError('E_ANSWER', 'The answer is larger than 64 MiB.', status=response.status)

    def _answer(self, response: http.client.HTTPResponse, payload: bytes) -> Answer:
        body: object = None
        if payload:
            try:
                body = json.loads(payload)
            except ValueError as error:
                if response.status < 300:
                    raise BridgeError('E_ANSWER', 'The answer is not JSON.', status=response.status) from error
        if 200 <= response.status < 300:
            return Answer(response.status, body)
        problem = as_members(body) if isinstance(body, dict) else {}
        code, detail, hint, request = (problem.get(name) for name in ('code', 'detail', 'hint', 'requestId'))
        raise BridgeError(
            code if isinstance(code, str) else 'E_ANSWER',
            detail if isinstance(detail, str) else f'The bridge answered {response.status}.',
            status=response.status,
            hint=hint if isinstance(hint, str) else None,
            request_id=request if isinstance(request, str) else None,
            retry_after=_seconds(response.headers.get('Retry-After')),
        )

    @staticmethod
    def _checked(token: str) -> str:
        if _TOKEN.fullmatch(token) is None:
            raise BridgeError('E_CONFIGURATION', 'The token is empty or has characters that no token has.')
        return token


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and re.fullmatch(r'\d{1,6}', header) else None
