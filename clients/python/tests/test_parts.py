"""The parts that need no daemon."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agentmesh_idp_bridge import BridgeError, Denied, Gate, Hold, Unreachable
from agentmesh_idp_bridge.attaching import _after, _spellings
from agentmesh_idp_bridge.events import Event, EventParser
from agentmesh_idp_bridge.held import Held, gravest
from agentmesh_idp_bridge.outbox import Outbox, QueuedKill
from agentmesh_idp_bridge.transport import Bridge, did_path

A, B = 'did:mesh:a', 'did:mesh:b'
SUSPEND = Hold('h1', 'suspend', 'operator:soc', 'case 1')
KILL = Hold('h2', 'kill', 'runtime:other', 'case 2')


def test_a_snapshot_is_everything_that_is_held() -> None:
    held = Held()
    assert not held.known
    assert held.snapshot({A: [SUSPEND], B: [KILL]}) == ([(A, SUSPEND), (B, KILL)], [])
    assert held.known
    # Told again, it is nothing new; what is missing is free.
    assert held.snapshot({B: [KILL]}) == ([], [A])
    assert not held.is_held(A)
    assert held.must_stop(B)


def test_a_hold_that_comes_twice_is_new_once_and_again_when_it_became_graver() -> None:
    held = Held()
    assert held.suspended(A, SUSPEND)
    assert not held.suspended(A, SUSPEND)
    assert not held.must_stop(A)
    graver = Hold('h1', 'kill', SUSPEND.origin, SUSPEND.reason)
    assert held.suspended(A, graver)
    assert held.must_stop(A)
    assert gravest([SUSPEND, KILL]) is KILL
    assert gravest([KILL, Hold('h3', 'of a later version', '', '')]).id == 'h3'  # type: ignore[union-attr]
    assert held.resumed(A)
    assert not held.resumed(A)


def test_a_kill_of_ours_holds_until_the_stream_tells_of_it() -> None:
    held = Held()
    held.epoch = 1
    held.snapshot({})
    held.killing(A, 'key')
    # A snapshot and a release that know nothing of it.
    held.snapshot({})
    held.resumed(A)
    assert held.is_held(A)
    assert not held.delivered(A, 'key', KILL.id)
    # The stream that was open when the answer came may be older than the hold.
    assert held.snapshot({}) == ([], [])
    assert not held.resumed(A)
    assert held.is_held(A)
    assert held.suspended(A, KILL)
    assert held.resumed(A)
    assert not held.is_held(A)


def test_a_kill_whose_hold_came_and_went_before_its_answer_does_not_hold_for_ever() -> None:
    held = Held()
    held.killing(A, 'key')
    held.suspended(A, KILL)
    assert not held.resumed(A)
    assert held.delivered(A, 'key', KILL.id)
    assert not held.is_held(A)


def test_a_kill_that_was_released_while_nobody_listened_ends_with_a_later_snapshot() -> None:
    held = Held()
    held.epoch = 1
    held.killing(A, 'key')
    held.delivered(A, 'key', KILL.id)
    held.epoch = 2
    assert held.snapshot({}) == ([], [A])


def test_one_of_two_kills_does_not_free_the_agent() -> None:
    held = Held()
    held.killing(A, 'first')
    held.killing(A, 'second')
    assert not held.delivered(A, 'first', None)
    assert held.delivered(A, 'second', None)


def test_events_are_framed_by_empty_lines_and_comments_are_none() -> None:
    parser = EventParser()
    lines = [
        b'retry: 3000\n',
        b'\n',
        b':\n',
        b'\n',
        b'id: g-1\r\n',
        b'event: suspended\n',
        b'data: {"a":\n',
        b'data:1}\n',
    ]
    assert [parser.feed(line) for line in lines] == [None] * len(lines)
    assert parser.feed(b'\n') == Event('suspended', '{"a":\n1}', 'g-1')
    assert parser.feed(b'data: x\n') is None
    assert parser.feed(b'\n') == Event('', 'x', 'g-1')


def test_the_gate_guards_functions_coroutines_and_blocks() -> None:
    closed: set[str] = set()
    gate = Gate(lambda did: ('R_SUSPENDED',) if did in closed else ())

    @gate.guard(A)
    def act(number: int) -> int:
        return number + 1

    @gate.guard(lambda did: did)
    async def act_later(did: str) -> str:
        return did

    assert act(1) == 2
    assert act.__name__ == 'act'
    started = act_later(A)
    assert asyncio.run(act_later(B)) == B
    with gate.acting(A):
        pass
    closed.add(A)
    with pytest.raises(Denied) as denied:
        act(1)
    assert denied.value.verdict.codes == ('R_SUSPENDED',)
    with pytest.raises(Denied):
        asyncio.run(started)
    with pytest.raises(Denied), gate.acting(A):
        raise AssertionError('it was let in')
    closed.clear()
    with pytest.raises(Denied), gate.acting(A):
        closed.add(A)


def test_a_block_that_fails_says_so_and_not_that_the_gate_closed() -> None:
    closed: list[str] = []
    gate = Gate(lambda _: tuple(closed))

    def fails() -> None:
        with gate.acting(A):
            closed.append('R_SUSPENDED')
            raise KeyError('a fault of the host')

    with pytest.raises(KeyError):
        fails()


def test_the_queue_keeps_order_belongs_to_one_bridge_and_keeps_what_was_refused(tmp_path: Path) -> None:
    path = tmp_path / 'deep' / 'kills.db'
    here, there = Outbox(path, 'https://here'), Outbox(path, 'https://there')
    kills = [QueuedKill(str(uuid.uuid4()), did, {'agentId': did, 'reason': 'é'}) for did in (A, B, A)]
    for kill in kills:
        here.add(kill)
    assert there.queued() == []
    again = Outbox(path, 'https://here')
    assert again.queued() == kills
    again.delivered(kills[0].key)
    again.refused(kills[1].key, 'E_DID')
    assert here.queued() == [kills[2]]
    for outbox in (here, there, again):
        outbox.close()
    with pytest.raises(sqlite3.Error):
        here.add(kills[0])


Answering = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answering) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()


def test_redirects_are_not_followed_and_what_is_no_json_is_no_answer() -> None:
    asked: list[str] = []

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.send_response(302)
        handler.send_header('Location', '/elsewhere')
        handler.send_header('Content-Length', '0')
        handler.end_headers()

    with answering(redirect) as origin, pytest.raises(BridgeError, match='302'):
        Bridge(origin, 'secret').get('/v1/status')
    assert asked == ['/v1/status']

    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header('Content-Length', '6')
        handler.end_headers()
        handler.wfile.write(b'<html>')

    with answering(page) as origin, pytest.raises(BridgeError, match='E_ANSWER'):
        Bridge(origin, 'secret').get('/v1/status')


def test_an_answer_that_drips_is_given_up_and_the_token_is_in_no_message() -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header('Content-Length', '100000')
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b' ')
                handler.wfile.flush()
                if done.wait(0.05):
                    return
        except OSError:
            return

    with answering(drip) as origin, pytest.raises(Unreachable) as slow:
        Bridge(origin, 'a-secret-token').ask('GET', '/v1/status', timeout=0.5)
    done.set()
    assert 'a-secret-token' not in str(slow.value)


def test_a_token_is_asked_for_each_time_and_a_did_is_one_segment() -> None:
    seen: list[str | None] = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers['authorization'])
        handler.send_response(204)
        handler.end_headers()

    tokens = iter(['first', 'second'])
    with answering(note) as origin:
        bridge = Bridge(origin, lambda: next(tokens))
        bridge.get('/')
        bridge.get('/')
    assert seen == ['Bearer first', 'Bearer second']
    assert did_path('did:agentmesh:a b/ü', '/holds') == '/v1/agents/did%3Aagentmesh%3Aa%20b%2F%C3%BC/holds'


def test_a_hold_of_an_agent_holds_every_spelling_and_is_acknowledged_once() -> None:
    calls: list[str] = []
    entry: dict[str, object] = {'did': A, 'aliases': [B, A]}
    assert _spellings(entry) == [A, B]
    assert _spellings({'did': A}) == [A]
    done = _after(2, lambda: calls.append('acknowledged'))
    done()
    assert calls == []
    done()
    assert calls == ['acknowledged']
    with pytest.raises(BridgeError):
        _spellings({'did': A, 'aliases': [7]})


def test_a_spelling_that_was_removed_meanwhile_is_free_with_the_agent() -> None:
    held = Held()
    held.snapshot({A: [Hold('h1', 'suspend', 'o', 'r')], B: [Hold('h1', 'suspend', 'o', 'r')]})
    assert held.released([A]) == [A, B]
    assert held.dids() == set()


def test_what_holds_a_removed_spelling_as_well_goes_on_holding_it() -> None:
    held = Held()
    for did in (A, B):
        held.suspended(did, Hold('h1', 'suspend', 'o', 'r'))
    held.suspended(B, Hold('h2', 'kill', 'o', 'r'))
    assert held.released([A]) == [A]
    assert [hold.id for hold in held.holds(B)] == ['h2']
    held.killing(A, 'k')
    held.suspended(A, Hold('h3', 'suspend', 'o', 'r'))
    assert held.released([A]) == []
    assert held.is_held(A)


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    for user in ('user:secret', ':secret', 'secret'):
        with pytest.raises(BridgeError) as refused:
            Bridge(f'https://{user}@bridge.example', 'token')
        assert 'secret' not in str(refused.value)
