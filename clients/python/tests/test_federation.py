"""AGT's own reader of foreign key sets, on passports of the real daemon over TLS."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from agentmesh.identity.external_jwks import (
    ExternalIdentity,
    ExternalJWKSProvider,
    FederationPolicy,
    TrustedEndpoint,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from world import World, did_path


@pytest.fixture
def reader(world: World, monkeypatch: pytest.MonkeyPatch) -> ExternalJWKSProvider:
    """Trusts the bridge, and asks again each time whether a key was revoked; key sets it keeps."""
    monkeypatch.setenv('SSL_CERT_FILE', str(world.facts['authority']))
    jwks = f'{world.facts["publicUrl"]}/.well-known/jwks.json'
    endpoint = TrustedEndpoint(domain='localhost', jwks_url=jwks)
    return ExternalJWKSProvider(FederationPolicy(trusted_endpoints=[endpoint], revocation_cache_ttl_seconds=0))


def verify(reader: ExternalJWKSProvider, token: str) -> ExternalIdentity | None:
    return asyncio.run(reader.verify(token))


def issue(world: World, did: str) -> str:
    body = world.as_client('registry').post(did_path(did, '/passport'), {}).body
    assert isinstance(body, dict)
    return str(body['passport'])


def part(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b'=').decode()


def claims_of(token: str) -> dict[str, Any]:
    middle = token.split('.')[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + '=' * (-len(middle) % 4)))
    return claims


def forged(key: Ed25519PrivateKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    signed = f'{part(header)}.{part(claims)}'
    signature = base64.urlsafe_b64encode(key.sign(signed.encode())).rstrip(b'=').decode()
    return f'{signed}.{signature}'


def test_a_passport_is_an_identity_until_the_agent_is_held(world: World, reader: ExternalJWKSProvider) -> None:
    did, _ = world.agent()
    token = issue(world, did)
    identity = verify(reader, token)
    assert identity is not None
    assert (identity.did_web, identity.issuer_domain, identity.federation_tier) == (did, 'localhost', 'trusted')
    assert identity.delegation_claims.authority_scope == []
    assert int(identity.token_expires_at.timestamp()) == claims_of(token)['exp']

    hold = world.hold(did, 'suspend')
    assert verify(reader, token) is None
    world.release(did, hold)
    assert verify(reader, token) is None, 'issued before the release'
    again = issue(world, did)
    assert verify(reader, again) is not None

    other, _ = world.agent()
    theirs = issue(world, other)
    world.hold(other, 'kill')
    assert verify(reader, theirs) is None
    assert verify(reader, again) is not None


def test_a_bridge_that_cannot_be_reached_vouches_for_nobody(world: World, reader: ExternalJWKSProvider) -> None:
    did, _ = world.agent()
    token = issue(world, did)
    assert verify(reader, token) is not None
    world.kill_daemon()
    try:
        assert verify(reader, token) is None
    finally:
        world.start_daemon()
    assert verify(reader, token) is not None


def test_whoever_has_a_key_that_was_taken_back_is_nobody(world: World, reader: ExternalJWKSProvider) -> None:
    did, _ = world.agent()
    token = issue(world, did)
    kid = json.loads(base64.urlsafe_b64decode(token.split('.')[0] + '=='))['kid']
    key = load_pem_private_key(Path(world.facts['keyFile']).read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    soon = {'iss': world.facts['publicUrl'], 'sub': did, 'exp': time.time() + 60}
    stolen = forged(key, {'alg': 'EdDSA', 'kid': kid}, soon)
    # It names no address of its own: what the bridge publishes about its keys is what counts.
    assert verify(reader, stolen) is not None
    assert world.command('revoke') == {'revoked': kid}
    # The key set is still the one it keeps.
    assert verify(reader, stolen) is None
    assert verify(reader, token) is None

    fresh = ExternalJWKSProvider(reader._policy)
    assert verify(fresh, issue(world, did)) is not None
    assert verify(fresh, token) is None
