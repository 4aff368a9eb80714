"""Delegations signed by the parent, for the bridge to verify."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, Protocol

from .errors import BridgeError


class SignerLike(Protocol):
    """``agentmesh.AgentIdentity``, with its private key."""

    @property
    def did(self) -> Any: ...

    @property
    def status(self) -> Any: ...

    @property
    def public_key(self) -> str: ...

    @property
    def delegation_depth(self) -> int: ...

    def sign(self, data: bytes) -> str: ...


def sign_delegation(
    identity: SignerLike,
    child: str,
    capabilities: Iterable[str],
    *,
    expires_at: datetime | None = None,
    depth: int | None = None,
    parent: str | None = None,
) -> dict[str, Any]:
    """What ``POST /v1/agents`` takes as ``delegation``, beside ``parentDid``.

    ``child`` and ``parent`` are DIDs in any spelling the bridge knows; ``parent`` only when it is not the one of the
    identity. ``depth`` is the number of hops from the root to the child, by default one more than the identity
    counts for itself. Without ``expires_at``, which needs a time zone, the signature holds for good.

    AGT lets a suspended identity sign; this does not. Raises :class:`BridgeError` ``E_DELEGATION``.
    """
    status = str(getattr(identity.status, 'value', identity.status))
    if status != 'active':
        raise _fault(f'the identity is {status}')
    hops = identity.delegation_depth + 1 if depth is None else depth
    if hops < 1:
        raise _fault('depth is no number of hops')
    names = sorted(set(capabilities), key=lambda name: name.encode('utf-16-be'))
    until = None if expires_at is None else _iso(expires_at)
    terms = {
        'capabilities': names,
        'child': child,
        'depth': hops,
        'expiresAt': until,
        'parent': str(identity.did) if parent is None else parent,
    }
    # In this order, without white space and with nothing escaped that need not be, it is RFC 8785: the bridge makes the
    # same text of the terms, byte by byte.
    text = 'agentmesh-delegation-v1\n' + json.dumps(terms, ensure_ascii=False, separators=(',', ':'))
    signature = identity.sign(text.encode())
    proof = {'key': identity.public_key, 'signature': signature}
    return {'capabilities': names, 'expiresAt': until, 'depth': hops, 'proof': proof}


def _iso(at: datetime) -> str:
    if at.tzinfo is None:
        raise _fault('expires_at has no time zone')
    # Milliseconds, as the bridge counts; a part of one is cut off.
    return at.astimezone(timezone.utc).isoformat(timespec='milliseconds').replace('+00:00', 'Z')


def _fault(why: str) -> BridgeError:
    return BridgeError('E_DELEGATION', f'Nothing was signed: {why}.')
