"""Entries of the bridge's audit chain in the shape of AGT's registry log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import fields


@dataclass
class _Agent:
    object_id: str = ''
    sponsor_email: str = ''
    #: Entries that do not change it leave it out.
    status: str = 'active'


Seen = dict[str, _Agent]

_PLACED = {'suspend': 'suspend', 'kill': 'suspend', 'disable': 'disable', 'decommission': 'disable'}


def entry_of(entry: Mapping[str, object], adapter: str, seen: Seen) -> dict[str, Any] | None:
    """AGT's entry, None for what its log has no word for. ``seen`` carries what earlier entries told of each agent."""
    did = fields.optional_text(entry, 'did')
    if did is None:
        return None
    agent = seen.setdefault(did, _Agent())
    words = fields.maybe_members(entry, 'text')
    for principal in fields.items(entry, 'principals') if 'principals' in entry else ():
        if principal.get('adapter') == adapter:
            agent.object_id = agent.object_id or fields.text(principal, 'id')
    agent.sponsor_email = fields.optional_text(words, 'sponsorEmail') or agent.sponsor_email
    agent.status = fields.optional_text(entry, 'status') or agent.status
    told = _told(entry, words)
    if told is None or not agent.object_id:
        return None
    event_type, extra = told
    return {
        'timestamp': fields.text(entry, 'time'),
        'event_type': event_type,
        'agent_did': did,
        'entra_object_id': agent.object_id,
        'sponsor_email': agent.sponsor_email,
        'status': agent.status,
        **extra,
    }


def _told(entry: Mapping[str, object], words: Mapping[str, object]) -> tuple[str, dict[str, Any]] | None:
    kind, details = fields.text(entry, 'type'), fields.maybe_members(entry, 'details')
    if kind == 'agent.registered':
        return 'register', {}
    if kind == 'hold.placed':
        event = _PLACED.get(fields.text(details, 'severity'), 'suspend')
        return event, {'reason': fields.optional_text(words, 'reason') or ''}
    # Another hold may still be open; then the agent was not reactivated.
    if kind == 'hold.released' and entry.get('status') == 'active':
        return 'reactivate', {}
    if kind == 'capabilities.changed' and str(details.get('cause', '')).startswith('group:'):
        after = sorted(fields.texts(entry, 'capabilities')) if 'capabilities' in entry else []
        return 'sync_group_memberships', {'capabilities_after': after}
    return None
