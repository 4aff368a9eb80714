"""AGT's own kill switch on the real daemon."""

from __future__ import annotations

import sqlite3
import ssl
import threading
import time
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from agentmesh import AgentIdentity
from agentmesh.identity.agent_id import IdentityRegistry
from conftest import Attach
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypervisor import KillSwitch
from hypervisor.security.kill_switch import KillReason
from world import PATIENCE, Clock, Relay, World, until

from agentmesh_idp_bridge import BridgeError, Change, Denied, Verdict
from agentmesh_idp_bridge.transport import did_path

DENIED = ('R_SUSPENDED',)


def test_a_local_kill_is_a_hold_at_the_bridge_before_its_handlers_run(world: World, attached: Attach) -> None:
    did, account = world.agent()
    switch = KillSwitch()
    attachment = attached(switch)
    seen: list[object] = []
    switch.register_agent(did, lambda: seen.extend([world.open_holds(did), attachment.gate.check(did)]))
    assert attachment.gate.check(did)
    result = switch.kill(did, 'session:1', KillReason.RING_BREACH, details='left its ring')
    assert result.terminated
    assert result.reason is KillReason.RING_BREACH
    holds, verdict = seen
    assert isinstance(holds, list)
    assert [(hold['severity'], hold['origin']) for hold in holds] == [('kill', 'runtime:runtime')]
    assert 'ring_breach' in holds[0]['reason']
    assert 'left its ring' in holds[0]['reason']
    assert verdict == Verdict(did, DENIED)
    until('the account is off', lambda: not world.tenant_state(account)['enabled'])
    assert len(world.open_holds(did)) == 1


def test_an_account_disabled_in_the_directory_closes_the_gate_and_suspends_the_identity(
    world: World, attached: Attach
) -> None:
    identity = AgentIdentity.create(name='an agent', sponsor='alice@contoso.com', capabilities=['read:x'])
    identities = IdentityRegistry()
    identities.register(identity)
    did, account = str(identity.did), world.account()
    principal = {'adapter': 'contoso', 'id': account, 'kind': 'agentIdentity'}
    world.as_client('alice').post('/v1/agents', {'did': did, 'name': 'an agent', 'principals': [principal]})
    switch, stopped = KillSwitch(), threading.Event()
    changes: list[Change] = []
    attachment = attached(switch, identities=identities, on_change=changes.append)
    switch.register_agent(did, stopped.set)

    world.tenant(f'objects/{account}/disable')
    until('the gate is closed', lambda: attachment.gate.check(identity.did).codes == DENIED)
    until('the identity is suspended', lambda: identity.status == 'suspended')
    with pytest.raises(ValueError, match='security'):
        identity.reactivate()
    hold = world.open_holds(did)[0]
    until('the receipt has our leg', lambda: world.leg(did, hold['id']) == 'closed')
    # Suspended, not killed: what runs goes on, and is let nowhere.
    assert not stopped.is_set()
    assert switch.total_kills == 0

    world.tenant(f'objects/{account}/enable')
    until('the gate is open', lambda: attachment.gate.check(did).allowed)
    until('the identity is active', identity.is_active)
    mine = [change for change in changes if change.did == did]
    assert [change.held for change in mine] == [True, False]
    assert mine[0].hold is not None
    assert mine[0].hold.origin == f'adapter:contoso/{account}'


def test_a_kill_from_elsewhere_fires_the_local_switch_and_does_not_echo(world: World, attached: Attach) -> None:
    did, _ = world.agent()
    switch, stopped = KillSwitch(), threading.Event()

    def stop() -> None:
        # A host whose own bookkeeping answers the end of an agent with a kill of it.
        switch.unregister_agent(did)
        switch.kill(did, 'session:1', KillReason.MANUAL)
        stopped.set()

    attachment = attached(switch)
    switch.register_agent(did, stop)
    report = {'agentId': did, 'reason': 'exfiltration'}
    answer = world.as_client('other-runtime').post('/v1/kill', report).body
    assert isinstance(answer, dict)
    hold = answer['holdId']
    assert stopped.wait(PATIENCE)
    until('the receipt has our leg', lambda: world.leg(did, hold) == 'closed')
    assert attachment.flush(PATIENCE)
    assert [one['id'] for one in world.open_holds(did)] == [hold]
    assert any(hold in result.details and 'exfiltration' in result.details for result in switch.kill_history)
    world.release(did, hold)
    until('the gate is open', lambda: attachment.gate.check(did).allowed)


def test_an_agent_that_is_known_here_by_an_alias_is_stopped_and_acknowledged(world: World, attached: Attach) -> None:
    did, _ = world.agent()
    alias = f'did:agentmesh:{did[-12:]}'
    world.as_client('alice').ask('PATCH', did_path(did), {'aliases': [alias]})
    switch, stopped = KillSwitch(), threading.Event()
    attachment = attached(switch)
    switch.register_agent(alias, stopped.set)
    assert attachment.gate.check(alias)
    hold = world.hold(did, 'kill')
    assert stopped.wait(PATIENCE)
    assert attachment.gate.check(alias) == Verdict(alias, DENIED)
    assert attachment.gate.check(did) == Verdict(did, DENIED)
    until('the receipt has our leg', lambda: world.leg(did, hold) == 'closed')
    world.release(did, hold)
    until('the gate is open', lambda: attachment.gate.check(alias).allowed)
    # A kill under the alias is the agent's own.
    switch.register_agent(alias, lambda: None)
    switch.kill(alias, 'session:1', KillReason.MANUAL)
    until('it is held', lambda: len(world.open_holds(did)) == 1)


def test_what_is_held_already_is_known_from_the_snapshot_and_acknowledged(world: World, attached: Attach) -> None:
    did, _ = world.agent()
    other, _ = world.agent()
    hold, held = world.hold(did, 'kill'), world.hold(other, 'suspend')
    switch, stopped = KillSwitch(), threading.Event()
    switch.register_agent(did, stopped.set)
    attachment = attached(switch)
    assert attachment.gate.check(did).codes == DENIED
    assert attachment.gate.check(other).codes == DENIED
    assert stopped.wait(PATIENCE)
    until('both legs are closed', lambda: (world.leg(did, hold), world.leg(other, held)) == ('closed', 'closed'))
    assert len(world.open_holds(did)) == 1
    assert len(world.open_holds(other)) == 1
    # Agents of other processes are no business of this switch.
    assert [result.agent_did for result in switch.kill_history] == [did]


def test_an_agent_that_starts_while_it_is_killed_is_stopped(world: World, attached: Attach) -> None:
    did, _ = world.agent()
    world.hold(did, 'kill')
    switch, stopped = KillSwitch(), threading.Event()
    attached(switch)
    switch.register_agent(did, stopped.set)
    assert stopped.wait(PATIENCE)


def test_a_stop_that_hangs_is_not_acknowledged_until_one_succeeds(world: World, attached: Attach) -> None:
    did, _ = world.agent()
    never = threading.Event()
    switch = KillSwitch(callback_timeout=0.2)
    attachment = attached(switch)
    switch.register_agent(did, lambda: never.wait() and None)
    hold = world.hold(did, 'kill')
    until('the stop was tried', lambda: switch.total_kills == 1)
    assert attachment.flush(PATIENCE)
    assert world.leg(did, hold) == 'pending'
    assert attachment.gate.check(did).codes == DENIED
    # As AGT asks for: a new handle, then another kill.
    switch.register_agent(did, lambda: None)
    assert switch.kill(did, 'session:1', KillReason.MANUAL).terminated
    until('the receipt has our leg', lambda: world.leg(did, hold) == 'closed')
    never.set()


def test_a_kill_waits_durably_while_the_bridge_is_away_and_outlives_the_process(
    world: World, attached: Attach, relay: Relay, tmp_path: Path
) -> None:
    did, _ = world.agent()
    switch = KillSwitch()
    first = attached(switch, url=relay.origin)
    queue = tmp_path / 'kills.db'
    queued: list[tuple[str]] = []
    switch.register_agent(did, lambda: queued.extend(sqlite3.connect(queue).execute('select did from kills')))
    # Acknowledgements of what other tests left.
    assert first.flush(PATIENCE)
    relay.cut()
    assert switch.kill(did, 'session:1', KillReason.BEHAVIORAL_DRIFT).terminated
    # Before the handlers ran.
    assert queued == [(did,)]
    assert first.gate.check(did).codes == DENIED
    assert first.status().pending == 1
    assert world.open_holds(did) == []
    first.close()
    assert first.gate.check(did).codes == ('R_SUSPENDED', 'R_SILENT')
    assert (queue.stat().st_mode & 0o077) == 0
    assert sqlite3.connect(queue).execute('select did from kills').fetchall() == [(did,)]

    second = attached(KillSwitch(), url=relay.origin, ready=False)
    assert second.gate.check(did).codes == ('R_SUSPENDED', 'R_SILENT')
    relay.mend()
    assert second.ready(PATIENCE)
    assert second.gate.check(did).codes == DENIED
    until('the bridge has the kill', lambda: len(world.open_holds(did)) == 1)
    assert second.flush(PATIENCE)
    assert sqlite3.connect(queue).execute('select count(*) from kills').fetchone() == (0,)
    assert second.gate.check(did).codes == DENIED
    world.release(did, world.open_holds(did)[0]['id'])
    until('the gate is open', lambda: second.gate.check(did).allowed)


def test_a_kill_whose_answer_was_lost_places_one_hold(world: World, attached: Attach, relay: Relay) -> None:
    did, _ = world.agent()
    switch = KillSwitch()
    attachment = attached(switch, url=relay.origin, record_within=0.5)
    switch.register_agent(did, lambda: None)
    relay.deaf()
    before = time.monotonic()
    assert switch.kill(did, 'session:1', KillReason.MANUAL).terminated
    # Generous: it waits for half a second, and must not wait for the bridge.
    assert time.monotonic() - before < 10
    assert len(until('the bridge has the kill', lambda: world.open_holds(did) or None)) == 1
    relay.mend()
    assert attachment.flush(PATIENCE)
    assert len(world.open_holds(did)) == 1


def test_the_daemon_dies_and_comes_back(world: World, attached: Attach, relay: Relay) -> None:
    did, _ = world.agent()
    other, _ = world.agent()
    switch = KillSwitch()
    attachment = attached(switch, url=relay.origin)
    hold = world.hold(other, 'suspend')
    until('the hold is known', lambda: attachment.gate.check(other).codes == DENIED)
    world.kill_daemon()
    try:
        switch.kill(did, 'session:1', KillReason.MANUAL)
        assert attachment.gate.check(did).codes == DENIED
        assert attachment.gate.check(other).codes == DENIED
    finally:
        world.start_daemon()
    assert attachment.flush(PATIENCE)
    assert len(world.open_holds(did)) == 1
    world.release(other, hold)
    until('the release was heard', lambda: attachment.gate.check(other).allowed)
    assert attachment.gate.check(did).codes == DENIED


def test_what_was_missed_comes_after_a_reconnect(world: World, attached: Attach, relay: Relay) -> None:
    did, _ = world.agent()
    freed, _ = world.agent()
    hold = world.hold(freed, 'suspend')
    attachment = attached(url=relay.origin)
    assert attachment.gate.check(freed).codes == DENIED
    relay.cut()
    until('the stream is down', lambda: not attachment.status().connected)
    world.hold(did, 'suspend')
    world.release(freed, hold)
    assert attachment.gate.check(freed).codes == DENIED
    relay.mend()
    until('the hold is known', lambda: attachment.gate.check(did).codes == DENIED)
    until('the release is known', lambda: attachment.gate.check(freed).allowed)
    streams = [head for head in relay.requests if head.startswith('get /v1/signals')]
    assert ['last-event-id' in head for head in streams] == [False, True]


def test_the_gate_closes_after_a_silence_and_opens_on_what_is_true_then(
    world: World, attached: Attach, relay: Relay
) -> None:
    did, _ = world.agent()
    held, _ = world.agent()
    clock = Clock()
    attachment = attached(url=relay.origin, clock=clock, max_silence=45)
    assert attachment.gate.check(did)
    relay.stall()
    clock.advance(44)
    assert attachment.gate.check(did)
    clock.advance(2)
    assert attachment.gate.check(did).codes == ('R_SILENT',)
    assert not attachment.status().informed
    world.hold(held, 'suspend')
    relay.mend()
    until('the gate is open', lambda: attachment.gate.check(did).allowed)
    # Opened by a snapshot, which a stream that resumes does not begin with.
    streams = [head for head in relay.requests if head.startswith('get /v1/signals')]
    assert 'last-event-id' not in streams[-1]
    assert attachment.gate.check(held).codes == DENIED


def test_nobody_acts_before_the_first_snapshot(attached: Attach, relay: Relay) -> None:
    relay.cut()
    attachment = attached(url=relay.origin, ready=False)
    assert attachment.gate.check('did:mesh:anyone').codes == ('R_SILENT',)
    relay.mend()
    assert attachment.ready(PATIENCE)
    assert attachment.gate.check('did:mesh:anyone')


def test_a_kill_that_the_bridge_refuses_for_good_still_stops_the_agent_here(
    attached: Attach, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    switch = KillSwitch()
    attachment = attached(switch)
    switch.register_agent('agent:not-a-did', lambda: None)
    assert switch.kill('agent:not-a-did', 'session:1', KillReason.MANUAL).terminated
    assert attachment.gate.check('agent:not-a-did').codes == DENIED
    assert attachment.flush(PATIENCE)
    assert 'E_DID' in caplog.text
    assert sqlite3.connect(tmp_path / 'kills.db').execute('select refused from kills').fetchall() == [('E_DID',)]


def test_a_kill_with_odd_arguments_is_recorded_all_the_same(world: World, attached: Attach) -> None:
    did, _ = world.agent()

    class Host(KillSwitch):
        def kill(self, who, session, why, steps=None, details=''):  # type: ignore[no-untyped-def]
            return super().kill(who, session, why, list(steps or ()), details)

    switch = Host()
    attached(switch)
    switch.register_agent(did, lambda: None)
    steps = ({'step_id': str(number)} for number in range(3))
    result = switch.kill(did, 'session:1', KillReason.MANUAL, steps=steps, details='x' * 2_000_000)
    assert result.terminated
    assert len(result.handoffs) == 3
    assert [hold['severity'] for hold in world.open_holds(did)] == ['kill']


def certificate(folder: Path) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'a bridge')])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address('127.0.0.1'))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / 'cert.pem', folder / 'key.pem'
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths[1].write_bytes(private)
    return paths


def test_over_tls_and_only_to_a_bridge_that_proves_itself(world: World, attached: Attach, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    relay = Relay(world, server)
    did, _ = world.agent()
    switch = KillSwitch()
    attachment = attached(switch, url=relay.origin, context=ssl.create_default_context(cafile=str(cert)))
    switch.register_agent(did, lambda: None)
    assert switch.kill(did, 'session:1', KillReason.MANUAL).terminated
    assert len(world.open_holds(did)) == 1
    attachment.close()

    stranger = attached(url=relay.origin, ready=False)
    until('the handshake failed', lambda: 'CERTIFICATE_VERIFY_FAILED' in (stranger.status().last_error or ''))
    assert stranger.gate.check(did).codes[-1] == 'R_SILENT'
    stranger.close()
    world.relays.remove(relay)
    relay.close()


def test_detaching_gives_the_switch_back(attached: Attach) -> None:
    switch = KillSwitch()
    attachment = attached(switch)
    with pytest.raises(BridgeError, match='attached to a bridge already'):
        attached(switch)
    assert 'kill' in vars(switch)
    attachment.close()
    attachment.close()
    assert 'kill' not in vars(switch)
    assert 'register_agent' not in vars(switch)
    with pytest.raises(Denied):
        attachment.gate.require('did:mesh:anyone')
