"""Delegations that AGT's identities sign, at the real daemon."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from agentmesh import AgentIdentity
from world import World

from agentmesh_idp_bridge import BridgeError, sign_delegation
from agentmesh_idp_bridge.transport import did_path

SOON = datetime.now(timezone.utc) + timedelta(hours=1)


def identity(name: str, *capabilities: str) -> AgentIdentity:
    return AgentIdentity.create(name=name, sponsor='alice@contoso.com', capabilities=list(capabilities))


def did_of(signer: AgentIdentity) -> str:
    """As AGT's registry derives it. AGT's Python makes its own at random, so that none tells its key."""
    return f'did:mesh:{sha256(base64.b64decode(signer.public_key)).hexdigest()[:32]}'


def register(world: World, did: object, **more: Any) -> dict[str, Any]:
    body = world.as_client('alice').post('/v1/agents', {'did': str(did), 'name': 'an agent', **more}).body
    assert isinstance(body, dict)
    return body


def test_the_daemon_verifies_what_a_parent_signed(world: World) -> None:
    root = identity('root', 'read:reports', 'read:notes')
    middle = root.delegate('middle', ['read:reports'])
    did = did_of(root)
    register(world, did, capabilities=['read:*'])
    signed = sign_delegation(root, str(middle.did), ['read:reports', 'read:notes'], expires_at=SOON, parent=did)
    assert signed['depth'] == 1
    agent = register(world, middle.did, parentDid=did, delegation=signed)
    assert agent['delegation']['signed'] is not None
    chain = world.as_client('alice').get(did_path(str(middle.did), '/delegation')).body
    assert isinstance(chain, dict)
    assert [hop['effective'] for hop in chain['items']] == [['read:*'], ['read:notes', 'read:reports']]


@pytest.mark.parametrize(
    'changed',
    [{'capabilities': ['read:notes']}, {'expiresAt': None}, {'expiresAt': '2100-01-01T00:00:00Z'}],
)
def test_terms_that_were_not_signed_are_refused(world: World, changed: dict[str, Any]) -> None:
    root = identity('root', 'read:reports')
    did, child = did_of(root), f'did:mesh:{uuid.uuid4().hex}'
    register(world, did, capabilities=['read:*'])
    signed = sign_delegation(root, child, ['read:reports'], expires_at=SOON, parent=did)
    with pytest.raises(BridgeError) as refused:
        register(world, child, parentDid=did, delegation={**signed, **changed})
    assert refused.value.code == 'E_DELEGATION_PROOF'


def test_nothing_is_signed_for_a_suspended_identity_nor_for_a_time_without_a_zone() -> None:
    root = identity('root', 'read:reports')
    for wrong in ({'expires_at': datetime(2100, 1, 1)}, {'depth': 0}):
        with pytest.raises(BridgeError) as refused:
            sign_delegation(root, 'did:mesh:child', ['read:reports'], **wrong)  # type: ignore[arg-type]
        assert refused.value.code == 'E_DELEGATION'
    root.suspend('case 4711')
    with pytest.raises(BridgeError):
        sign_delegation(root, 'did:mesh:child', ['read:reports'])
